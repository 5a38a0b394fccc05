import { expect, it } from 'vitest';
import type { Configuration } from '../../src/cluster/configuration.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Fillings } from '../../src/replica/membership/fillings.ts';
import { Output } from '../../src/replica/output.ts';
import type { DonorStanding } from '../../src/wire/peer-message.ts';

/** Node 1 is the only member, and fills node 2. */
function begin(entryBytes: number) {
  const address = (id: number) => `127.0.0.1:${7000 + id}`;
  const members = [{ id: 1, address: address(1), storageId: 's1' }];
  const configuration = { clusterId: 'c', configurationId: 1, startIndex: 0, members } as unknown as Configuration;
  const view = {
    ...{ nodeId: 1, clusterId: 'c', configuration, decidedIndex: 10_000, tick: 0 },
    helloOf: (id: NodeId) => ({ address: address(id), storageId: `s${id}` }),
    knownAddress: address,
    isConnected: () => true,
    recentEntryBytes: () => entryBytes,
  };
  const output = new Output();
  const fillings = new Fillings(output, view, 4000);
  /** A step each 100 ms, a thousand entries each. Node 2 then lacks so many; what is told of it is as of the step before. */
  const step = (lacking: number): boolean => {
    view.tick += 5;
    view.decidedIndex += 1000;
    const nodes = [{ id: 1 }, { id: 2 }];
    fillings.receive(1, { id: 1, timeoutMs: 1000, type: 'fill', nodes } as never);
    fillings.onStanding(2, { decidedIndex: view.decidedIndex - lacking } as DonorStanding);
    const { responses } = output.take(() => true, 0, false);
    const [answer] = responses.get(1) ?? [];
    if (answer?.type !== 'filling') throw new Error('no answer');
    return answer.newcomers.find(({ id }) => id === 2)?.isFilled === true;
  };
  /** Of several steps the last. */
  const steps = (lacking: number, count = 6) => Array.from({ length: count }, () => step(lacking)).at(-1);
  return { steps };
}

it('a newcomer that lacks some thousand small entries is there in a moment, and counts as filled', () => {
  const { steps } = begin(100);
  expect(steps(2500)).toBe(true);
  expect(steps(3500)).toBe(false);
});

it('the same of large values would be a pause of seconds: only one that is a step behind counts as filled', () => {
  const { steps } = begin(200_000);
  expect(steps(2500)).toBe(false);
  expect(steps(1001)).toBe(false);
  expect(steps(1000)).toBe(true);
});

it('one that cannot follow such a load is taken in in the end, with a pause', () => {
  const { steps } = begin(50_000);
  expect(steps(2500, 1500)).toBe(false);
  expect(steps(2500, 700)).toBe(true);
});
