import { expect, it } from 'vitest';
import { encodeMembers } from '../../src/cluster/stop-sign.ts';
import { encodeCommand } from '../../src/kv/command.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import { soundProposals } from '../../src/replica/clients/forwarded-proposals.ts';
import { Cluster } from './cluster.ts';

const members = [1, 2, 4].map((id) => ({ id, address: `node-${id}:7000`, storageId: `d${id}` }));
const command = put(10);
const good: Entry<Uint8Array> = { type: 'Normal', entry: command };
const stop: Entry<Uint8Array> = stopSign({});

function put(valueBytes: number): Uint8Array {
  const origin = { session: 1, number: 1, acknowledgedBelow: 0 };
  return encodeCommand({ kind: 'put', ...origin, key: Uint8Array.of(1), value: new Uint8Array(valueBytes) });
}

function stopSign(changes: object): Entry<Uint8Array> {
  const sound = { configId: 2, nodes: [1, 2, 4], metadata: encodeMembers(members) };
  return { type: 'StopSign', stopSign: { ...sound, ...changes } };
}

function flipped(bytes: Uint8Array): Entry<Uint8Array> {
  const changed = bytes.slice();
  changed[changed.length - 1] = (changed.at(-1) as number) ^ 1;
  return { type: 'Normal', entry: changed };
}

it('what is sound is taken as it came', () => {
  const entries = [good, good, stop];
  expect(soundProposals(entries, 1)).toBe(entries);
});

it.each<[string, Entry<Uint8Array>]>([
  ['a command with a bit flipped', flipped(command)],
  ['nothing', { type: 'Normal', entry: new Uint8Array(0) }],
  ['more than a command can be', { type: 'Normal', entry: put(2 * 1024 * 1024) }],
  ['a StopSign of another configuration', stopSign({ configId: 3 })],
  ['one of no nodes', stopSign({ nodes: [], metadata: encodeMembers([]) })],
  ['one of other nodes than its members', stopSign({ nodes: [1, 2, 3] })],
  ['one with half of its members', stopSign({ metadata: encodeMembers(members).subarray(0, 20) })],
  [
    'one of a node that is named twice',
    stopSign({ nodes: [1, 1], metadata: encodeMembers([...members.slice(0, 1), ...members.slice(0, 1)]) }),
  ],
  ['one with quorums that need not meet', stopSign({ metadata: encodeMembers(members, { prepare: 1, accept: 1 }) })],
  ['one without members', stopSign({ metadata: undefined })],
])('%s is left out', (_, bad) => {
  expect(soundProposals([good, bad, stop], 1)).toEqual([good, stop]);
});

it('a leader says what it left out, and goes on', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const from = leader === 1 ? 2 : 1;
  const payload = { type: 'ForwardProposals', entries: [flipped(command), stopSign({ nodes: [] })] } as const;
  cluster.replica(leader).receive({ type: 'peerMessages', from, messages: [{ configurationId: 1, payload }] });
  cluster.tick(20);
  expect(cluster.notices(leader).join()).toContain(
    `node ${from} forwarded 2 of 2 proposals that are no valid commands`,
  );
  expect(cluster.replica(leader).status()).toMatchObject({ configurationId: 1, decidedIndex: 0 });
});
