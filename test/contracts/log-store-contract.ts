import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Configuration } from '../../src/cluster/configuration.ts';
import { type StoreUnderTest, storeChecks } from '../../src/contracts/store-contract.ts';
import { bottomBallot } from '../../src/omnipaxos/ballot.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import { MemorySequence } from '../../src/omnipaxos/memory-store.ts';
import type { LogStore } from '../../src/replica/log-store.ts';

/** A log store under test, and what can happen to it. */
export interface LogStoreUnderTest {
  readonly store: LogStore;
  /** Closes it in good order and opens it again. */
  reopen(): Promise<LogStore>;
  /** Opens what a crash right now would leave. A store in memory, where all is durable at once, loses nothing. */
  crash(): Promise<LogStore>;
  /** Closes whatever is open and removes it. */
  dispose(): Promise<void>;
}

export interface LogStoreKind {
  /** A new, empty store. */
  open(): Promise<LogStoreUnderTest>;
  /** False where every commit is durable at once. */
  readonly needsFlush: boolean;
}

const configuration: Configuration = {
  configurationId: 1,
  startIndex: 0,
  members: [
    { id: 1, address: '127.0.0.1:7001', storageId: '0011223344556677' },
    { id: 7, address: 'host.example:7007', storageId: '8899aabbccddeeff' },
  ],
  quorum: { prepare: 2, accept: 1 },
};

/** What every log store owes its replica. */
export function describeLogStore(name: string, kind: LogStoreKind): void {
  describe(`log store contract: ${name}`, () => {
    let subject: LogStoreUnderTest;
    let store: LogStore;

    beforeEach(async () => {
      subject = await kind.open();
      store = subject.store;
    });

    afterEach(async () => {
      await subject.dispose();
    });

    describe('the store within it', () => {
      const checks = storeChecks({ open: async () => storeWithin(kind, await kind.open()), entry: payload });
      it.each(checks.map(({ name, run }) => [name, run] as const))('%s', (_name, run) => run());
    });

    it('begins empty, at the bottom ballot, bound to no cluster', () => {
      expect(store.sequence.trimmedIndex).toBe(0);
      expect(store.sequence.endIndex).toBe(0);
      expect(store.state).toMatchObject({ promise: bottomBallot, acceptedRound: bottomBallot, decidedIndex: 0 });
      expect(store.configuration).toBeUndefined();
      expect(store.identity.clusterId).toBeUndefined();
      expect(store.hasStagedWrites).toBe(false);
      expect(store.durableWrite()).toBe(0);
    });

    it('shows staged writes at once', () => {
      store.sequence.append(entries(0, 10));
      store.state.promise = { n: 3, priority: 1, pid: 2 };
      expect(store.sequence.read(2, 5)).toEqual(entries(2, 5));
      expect(store.state.promise).toEqual({ n: 3, priority: 1, pid: 2 });
    });

    it('refuses to read, truncate or trim outside of the log', async () => {
      store.sequence.append(entries(0, 10));
      store.sequence.trim(4);
      expect(() => store.sequence.read(3, 5)).toThrow(RangeError);
      expect(() => store.sequence.read(5, 11)).toThrow(RangeError);
      expect(() => store.sequence.truncate(3)).toThrow(RangeError);
      expect(() => store.sequence.trim(11)).toThrow(RangeError);
      expect(store.sequence.read(4, 10)).toEqual(entries(4, 10));
    });

    it('recovers promise, accepted round, decided index, log and configuration', async () => {
      store.bindCluster('00000000000000aa');
      store.setConfiguration(configuration);
      store.state.promise = { n: 4, priority: 2, pid: 9 };
      store.state.acceptedRound = { n: 3, priority: 0, pid: 1 };
      store.state.decidedIndex = 7;
      store.sequence.append(entries(0, 20));
      store.sequence.trim(3);
      await makeDurable(store);
      for (const recover of [() => subject.crash(), () => subject.reopen()]) {
        const again = await recover();
        expect(again.identity.clusterId).toBe('00000000000000aa');
        expect(again.configuration).toEqual(configuration);
        expect(again.state.promise).toEqual({ n: 4, priority: 2, pid: 9 });
        expect(again.state.acceptedRound).toEqual({ n: 3, priority: 0, pid: 1 });
        expect(again.state.decidedIndex).toBe(7);
        expect(again.sequence.trimmedIndex).toBe(3);
        expect(again.sequence.read(3, 20)).toEqual(entries(3, 20));
      }
    });

    it('recovers StopSigns, with and without metadata', async () => {
      const stops: Entry<Uint8Array>[] = [
        { type: 'StopSign', stopSign: { configId: 2, nodes: [1, 2, 4], metadata: new Uint8Array([1, 2, 255]) } },
        { type: 'StopSign', stopSign: { configId: 3, nodes: [300, 70_000] } },
        { type: 'StopSign', stopSign: { configId: 4, nodes: [1], metadata: new Uint8Array(0) } },
      ];
      store.sequence.append(stops);
      await makeDurable(store);
      expect((await subject.reopen()).sequence.read(0, 3)).toEqual(stops);
    });

    it('counts its openings', async () => {
      expect(store.incarnation).toBe(0);
      store = await subject.reopen();
      expect(store.incarnation).toBe(1);
      store = await subject.crash();
      expect(store.incarnation).toBe(2);
    });

    it('draws a nonce with each opening, and keeps what it knows of the openings of others', async () => {
      const openings = [{ storageId: '0011223344556677', incarnation: 3, nonce: '00000000000000aa' }];
      expect(store.openings).toEqual([]);
      store.setOpenings([{ storageId: 'left out', incarnation: 1, nonce: '1' }]);
      store.commit();
      store.setOpenings(openings);
      await makeDurable(store);
      const { nonce } = store;
      store = await subject.crash();
      expect(store.openings).toEqual(openings);
      expect(store.nonce).not.toBe(nonce);
      store.setConfiguration(configuration);
      await makeDurable(store);
      expect((await subject.reopen()).openings).toEqual(openings);
    });

    it('belongs to one cluster for good', async () => {
      store.bindCluster('00000000000000aa');
      store.bindCluster('00000000000000aa');
      await makeDurable(store);
      expect(() => store.bindCluster('00000000000000bb')).toThrow('00000000000000aa');
      expect(store.identity.clusterId).toBe('00000000000000aa');
    });

    it('starts a new configuration at the bottom ballot, and goes on with the log', async () => {
      store.setConfiguration(configuration);
      store.state.promise = { n: 4, priority: 2, pid: 9 };
      store.state.acceptedRound = { n: 4, priority: 2, pid: 9 };
      store.sequence.append(entries(0, 5));
      store.state.decidedIndex = 5;
      store.setConfiguration({ ...configuration, members: configuration.members.slice(0, 1) });
      expect(store.state.promise.n).toBe(4);
      store.setConfiguration({ ...configuration, configurationId: 2, startIndex: 5 });
      await makeDurable(store);
      const again = await subject.crash();
      expect(again.configuration?.configurationId).toBe(2);
      expect(again.state.promise).toEqual(bottomBallot);
      expect(again.state.acceptedRound).toEqual(bottomBallot);
      expect(again.state.decidedIndex).toBe(5);
      expect(again.sequence.read(0, 5)).toEqual(entries(0, 5));
    });

    it('counts commits up, and durable ones never back', async () => {
      const numbers: number[] = [];
      const durable: number[] = [];
      for (let round = 0; round < 20; round++) {
        store.sequence.append(entries(round, round + 1));
        numbers.push(store.commit());
        durable.push(store.durableWrite());
        if (round % 3 === 0) expect(await store.flush()).toBe(numbers[round]);
        durable.push(store.durableWrite());
      }
      expect(numbers).toEqual(numbers.toSorted((a, b) => a - b));
      expect(new Set(numbers).size).toBe(20);
      expect(durable).toEqual(durable.toSorted((a, b) => a - b));
    });

    it.runIf(kind.needsFlush)('calls no commit durable before the flush that holds it', async () => {
      const numbers = [0, 1, 2].map((n) => {
        store.sequence.append(entries(n, n + 1));
        return store.commit();
      });
      expect(store.durableWrite()).toBeLessThan(numbers[0] as number);
      const flush = store.flush();
      store.sequence.append(entries(3, 4));
      store.commit();
      store.sequence.append(entries(4, 5));
      const last = store.commit();
      expect(store.durableWrite()).toBeLessThan(numbers[0] as number);
      expect(await flush).toBe(numbers[2]);
      expect(store.durableWrite()).toBe(numbers[2]);
      expect(await store.flush()).toBe(last);
    });

    it.runIf(kind.needsFlush)('loses a commit that was not flushed, whole', async () => {
      store.sequence.append(entries(0, 5));
      store.state.promise = { n: 1, priority: 0, pid: 1 };
      const durable = await makeDurable(store);
      store.sequence.truncate(2);
      store.sequence.append(entries(100, 110));
      store.state.promise = { n: 2, priority: 0, pid: 2 };
      store.setConfiguration(configuration);
      store.bindCluster('00000000000000aa');
      store.commit();
      expect(store.hasStagedWrites).toBe(true);
      expect(store.durableWrite()).toBe(durable);
      const again = await subject.crash();
      expect(again.sequence.read(0, 5)).toEqual(entries(0, 5));
      expect(again.sequence.endIndex).toBe(5);
      expect(again.state.promise).toEqual({ n: 1, priority: 0, pid: 1 });
      expect(again.configuration).toBeUndefined();
      expect(again.identity.clusterId).toBeUndefined();
    });

    describe.runIf(kind.needsFlush)('committed during a flush', () => {
      async function commitDuringFlush(): Promise<{ first: number; second: number }> {
        store.sequence.append(entries(0, 5));
        const first = store.commit();
        const flush = store.flush();
        store.sequence.truncate(3);
        store.sequence.append(entries(50, 60));
        const second = store.commit();
        expect(store.durableWrite()).toBeLessThan(first);
        expect(await flush).toBe(first);
        return { first, second };
      }

      it('belongs to the next', async () => {
        const { first } = await commitDuringFlush();
        expect(store.hasStagedWrites).toBe(true);
        expect(store.durableWrite()).toBe(first);
        const again = await subject.crash();
        expect(again.sequence.read(0, again.sequence.endIndex)).toEqual(entries(0, 5));
      });

      it('is durable with the next', async () => {
        const { second } = await commitDuringFlush();
        expect(await store.flush()).toBe(second);
        const again = await subject.crash();
        expect(again.sequence.read(0, 13)).toEqual([...entries(0, 3), ...entries(50, 60)]);
      });
    });

    it('asks for no flush when only the decided index moves', async () => {
      store.sequence.append(entries(0, 5));
      await makeDurable(store);
      store.state.decidedIndex = 4;
      const lone = store.commit();
      expect(store.hasStagedWrites).toBe(false);
      expect(store.durableWrite()).toBe(lone);
      expect(await store.flush()).toBe(lone);
    });

    it.runIf(kind.needsFlush)('makes a decided index durable by itself where that is asked for', async () => {
      store.sequence.append(entries(0, 5));
      await makeDurable(store);
      store.state.decidedIndex = 4;
      store.stageDecided();
      const write = store.commit();
      expect(store.hasStagedWrites).toBe(true);
      expect(store.durableWrite()).toBeLessThan(write);
      await store.flush();
      expect(store.durableWrite()).toBe(write);
      expect((await subject.crash()).state.decidedIndex).toBe(4);
    });

    it.runIf(kind.needsFlush)('lets a moved decided index wait for the writes before it, and ride along', async () => {
      store.sequence.append(entries(0, 5));
      const write = store.commit();
      store.state.decidedIndex = 4;
      const moved = store.commit();
      expect(store.durableWrite()).toBe(write - 1);
      expect(await store.flush()).toBe(moved);
      expect((await subject.crash()).state.decidedIndex).toBe(4);
    });

    it.runIf(kind.needsFlush)('refuses a flush in the middle of a transition', async () => {
      store.sequence.append(entries(0, 1));
      await expect(store.flush()).rejects.toThrow('commit()');
    });

    it('rewrites the end of the log across batches', async () => {
      for (let batch = 0; batch < 5; batch++) {
        store.sequence.append(entries(batch * 10, batch * 10 + 10));
        await makeDurable(store);
      }
      store.sequence.truncate(27);
      store.sequence.append(entries(500, 503));
      await makeDurable(store);
      const expected = [...entries(0, 27), ...entries(500, 503)];
      expect(store.sequence.read(0, 30)).toEqual(expected);
      store = await subject.crash();
      expect(store.sequence.read(0, 30)).toEqual(expected);
      expect(store.sequence.endIndex).toBe(30);
    });

    it('trims in the middle of a batch', async () => {
      store.sequence.append(entries(0, 10));
      await makeDurable(store);
      store.sequence.append(entries(10, 20));
      store.sequence.trim(15);
      await makeDurable(store);
      store = await subject.crash();
      expect(store.sequence.trimmedIndex).toBe(15);
      expect(store.sequence.read(15, 20)).toEqual(entries(15, 20));
      store.sequence.trim(20);
      await makeDurable(store);
      store = await subject.reopen();
      expect(store.sequence.trimmedIndex).toBe(20);
      expect(store.sequence.endIndex).toBe(20);
    });

    it.each([0, 5, 25, 1000])('goes on at %i after a reset', async (index) => {
      for (let batch = 0; batch < 3; batch++) {
        store.sequence.append(entries(batch * 10, batch * 10 + 10));
        await makeDurable(store);
      }
      store.sequence.reset(index);
      store.sequence.append(entries(index, index + 4));
      await makeDurable(store);
      for (const recover of [() => subject.crash(), () => subject.reopen()]) {
        const again = await recover();
        expect(again.sequence.trimmedIndex).toBe(index);
        expect(again.sequence.read(index, index + 4)).toEqual(entries(index, index + 4));
        expect(again.sequence.endIndex).toBe(index + 4);
      }
    });

    it('keeps batches of thousands of entries and entries of megabytes', async () => {
      const large: Entry<Uint8Array> = { type: 'Normal', entry: new Uint8Array(1_500_000).fill(7) };
      store.sequence.append([...entries(0, 3000), large, ...entries(3001, 3005)]);
      await makeDurable(store);
      store.sequence.truncate(3003);
      await makeDurable(store);
      store = await subject.crash();
      expect(store.sequence.endIndex).toBe(3003);
      expect(store.sequence.read(0, 3000)).toEqual(entries(0, 3000));
      const [read] = store.sequence.read(3000, 3001);
      expect(
        read?.type === 'Normal' && Buffer.compare(read.entry, large.type === 'Normal' ? large.entry : read.entry),
      ).toBe(0);
      expect(store.sequence.read(3001, 3003)).toEqual(entries(3001, 3003));
    });

    it('agrees with a log in memory, whatever is done to it', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(stepArbitrary, { minLength: 1, maxLength: 60 }), async (steps) => {
          const run = await kind.open();
          try {
            await replay(run, steps);
          } finally {
            await run.dispose();
          }
        }),
        { numRuns: 100 },
      );
    });

    /** Runs `steps` on the store and on a twin in memory; the twin is copied at each flush to know what a crash leaves. */
    async function replay(run: LogStoreUnderTest, steps: readonly Step[]): Promise<void> {
      let current = run.store;
      let twin = new MemorySequence<Uint8Array>();
      let durable = copyOf(twin);
      let nextEntry = 0;
      let flushing: Promise<unknown> = Promise.resolve();
      for (const step of steps) {
        const { sequence } = current;
        const index = sequence.trimmedIndex + Math.floor(step.at * (sequence.endIndex - sequence.trimmedIndex + 1));
        switch (step.type) {
          case 'append': {
            const added = entries(nextEntry, nextEntry + step.count);
            nextEntry += step.count;
            sequence.append(added);
            twin.append(added);
            break;
          }
          case 'truncate':
            sequence.truncate(index);
            twin.truncate(index);
            break;
          case 'trim':
            sequence.trim(index);
            twin.trim(index);
            break;
          case 'reset':
            sequence.reset(step.count);
            twin.reset(step.count);
            break;
          case 'flush':
            await flushing;
            current.commit();
            flushing = current.flush();
            durable = copyOf(twin);
            // Half of the time the next steps are taken while the disk writes.
            if (step.at < 0.5) await flushing;
            break;
          case 'reopen':
          case 'crash':
            await flushing;
            if (step.type === 'reopen') await makeDurable(current);
            current.commit();
            twin = step.type === 'crash' && kind.needsFlush ? copyOf(durable) : twin;
            current = await (step.type === 'crash' ? run.crash() : run.reopen());
            durable = copyOf(twin);
            break;
        }
        expectSame(current, twin, step.at);
      }
    }
  });
}

/** The same subject as the checks of `omnikv/contracts` take it. Memory, where half a transition is kept too, has no crash. */
function storeWithin(kind: LogStoreKind, subject: LogStoreUnderTest): StoreUnderTest<Uint8Array> {
  const under = (store: LogStore): StoreUnderTest<Uint8Array> => ({
    store,
    ...(kind.needsFlush && {
      flush: async () => {
        await store.flush();
      },
      crash: async () => ({ ...under(await subject.crash()), close: () => undefined }),
    }),
    close: () => subject.dispose(),
  });
  return under(subject.store);
}

type Step = {
  readonly type: 'append' | 'truncate' | 'trim' | 'reset' | 'flush' | 'reopen' | 'crash';
  readonly at: number;
  readonly count: number;
};

const stepArbitrary: fc.Arbitrary<Step> = fc.record({
  type: fc.oneof(
    { weight: 6, arbitrary: fc.constant('append' as const) },
    { weight: 6, arbitrary: fc.constant('flush' as const) },
    { weight: 4, arbitrary: fc.constant('truncate' as const) },
    { weight: 2, arbitrary: fc.constant('trim' as const) },
    { weight: 1, arbitrary: fc.constantFrom('reset' as const, 'reopen' as const, 'crash' as const) },
  ),
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  count: fc.integer({ min: 1, max: 12 }),
});

function expectSame(store: LogStore, twin: MemorySequence<Uint8Array>, at: number): void {
  const { trimmedIndex, endIndex } = twin;
  expect([store.sequence.trimmedIndex, store.sequence.endIndex]).toEqual([trimmedIndex, endIndex]);
  expect(store.sequence.read(trimmedIndex, endIndex)).toEqual(twin.read(trimmedIndex, endIndex));
  const middle = trimmedIndex + Math.floor(at * (endIndex - trimmedIndex));
  expect(store.sequence.read(middle, endIndex)).toEqual(twin.read(middle, endIndex));
}

function copyOf(sequence: MemorySequence<Uint8Array>): MemorySequence<Uint8Array> {
  const copy = new MemorySequence<Uint8Array>();
  copy.reset(sequence.trimmedIndex);
  copy.append(sequence.read(sequence.trimmedIndex, sequence.endIndex));
  return copy;
}

async function makeDurable(store: LogStore): Promise<number> {
  const number = store.commit();
  expect(await store.flush()).toBe(number);
  expect(store.hasStagedWrites).toBe(false);
  return number;
}

function entries(from: number, to: number): Entry<Uint8Array>[] {
  const made: Entry<Uint8Array>[] = [];
  for (let n = from; n < to; n++) made.push({ type: 'Normal', entry: payload(n) });
  return made;
}

/** Payloads that differ, of lengths that differ. */
function payload(n: number): Uint8Array {
  const bytes = new Uint8Array(n % 40);
  for (let at = 0; at < bytes.length; at++) bytes[at] = (n * 31 + at * 7) & 0xff;
  return bytes;
}
