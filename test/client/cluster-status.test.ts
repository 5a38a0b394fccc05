import { expect, test } from 'vitest';
import { type AskNode, gatherClusterStatus } from '../../src/client/members/cluster-status.ts';
import type { NodeStatus } from '../../src/wire/client-message.ts';

const addresses = ['h:1', 'h:2', 'h:3'];

/** What node `id` says, which listens at `address`, of members 1, 2 and 3. */
function said(id: number, address = `h:${id}`): NodeStatus {
  return {
    ...{ clusterId: 'c0ffee', nodeId: id, address, state: 'member', configurationId: 1, leader: 1 },
    ...{ decidedIndex: 9, appliedIndex: 9, members: addresses.map((at, index) => ({ id: index + 1, address: at })) },
    ...{ storageId: `d${id}`, trimmedIndex: 0, connected: [], fullNodes: [] },
    disk: { flushP50Ms: 0.5, flushP99Ms: 2, flushes: 3 },
  };
}

const nobody = { problem: 'no answer', answersOtherwise: false };

/** Where members are met that are not where the others look for them, if `answers` is who answers where. */
async function moved(answers: Record<string, NodeStatus>): Promise<(readonly [number, string])[]> {
  const [first] = Object.values(answers) as [NodeStatus];
  const { members } = await gatherClusterStatus(
    first,
    Object.keys(answers),
    async (address) => answers[address] ?? nobody,
  );
  return members.flatMap(({ id, answersAt }) => (answersAt === undefined ? [] : [[id, answersAt] as const]));
}

test('a member that answers elsewhere is told of, whether it was asked first or not', async () => {
  expect(await moved({ 'h:1': said(1), 'h:22': said(2, 'h:22') })).toEqual([[2, 'h:22']]);
  expect(await moved({ 'h:22': said(2, 'h:22'), 'h:1': said(1) })).toEqual([[2, 'h:22']]);
});

test('one that answers where it is looked for is not, whatever it calls that, nor one that is out of reach', async () => {
  expect(await moved({ 'h:1': said(1), 'h:2': said(2, 'host:2') })).toEqual([]);
  expect(await moved({ 'h:1': said(1) })).toEqual([]);
  // Members know it by an address of their own network, and this client by another.
  expect(await moved({ 'h:1': said(1), 'outside:2': said(2) })).toEqual([]);
  expect(await moved({ 'h:1': said(1), 'outside:2': said(2, '0.0.0.0:2') })).toEqual([]);
});

test('a member whose address answers otherwise is told of with the reason, and one that nobody answers for is not', async () => {
  const answers: Record<string, Awaited<ReturnType<AskNode>>> = {
    'h:2': { problem: 'h:2 speaks another version', answersOtherwise: true },
    'h:3': nobody,
  };
  const { members } = await gatherClusterStatus(said(1), [], async (address) => answers[address] ?? nobody);
  expect(members.map(({ role, problem }) => [role, problem])).toEqual([
    ['leader', undefined],
    ['unreachable', 'h:2 speaks another version'],
    ['unreachable', undefined],
  ]);
});

test('the leader is whom a majority follows where it cannot be asked, and nobody where it can and does not lead', async () => {
  const linked = (id: number) => ({ ...said(id), connected: [1] });
  const leaderAs = async (answers: Record<string, NodeStatus>) => {
    const [first] = Object.values(answers) as [NodeStatus];
    return (await gatherClusterStatus(first, addresses, async (address) => answers[address] ?? nobody)).leader;
  };
  expect(await leaderAs({ 'h:2': linked(2), 'h:3': linked(3) })).toBe(1);
  expect(await leaderAs({ 'h:2': linked(2) }), 'with the one that follows it').toBe(1);
  const { leader: _, ...stopped } = said(1);
  expect(await leaderAs({ 'h:2': linked(2), 'h:1': { ...stopped, leader: undefined } })).toBeUndefined();
  expect(await leaderAs({ 'h:2': said(2), 'h:3': said(3) }), 'it is gone').toBeUndefined();
  const five = { members: [1, 2, 3, 4, 5].map((id) => ({ id, address: `h:${id}` })) };
  const oneOfFive = { 'h:2': { ...linked(2), ...five }, 'h:3': { ...linked(3), ...five, leader: undefined } };
  expect(await leaderAs(oneOfFive), 'two of five are no majority').toBeUndefined();
});
