import { expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Client, Cluster } from './cluster.ts';

/** Node 1 leads these nodes and has a write acknowledged. */
function ledByOne(nodes: readonly NodeId[], settings = {}): { cluster: Cluster; client: Client } {
  const cluster = new Cluster(nodes, settings);
  cluster.elect();
  cluster.replica(1).voter?.takeOver();
  cluster.settle();
  cluster.until('1 leads', () => cluster.leaders.length === 1 && cluster.leaders[0] === 1);
  const client = new Client(cluster, 1);
  client.putAcknowledged(1, 'a', 'a');
  return { cluster, client };
}

/** Whoever has the highest id is elected, and cannot get into office. */
function expectDecision(cluster: Cluster, client: Client, stuck: NodeId): void {
  const put = client.put(2, 'z', 'z', 3_600_000);
  cluster.tick(600);
  expect(put.answer).toMatchObject({ type: 'outcome' });
  const notices = cluster.notices(stuck).join('\n');
  expect(notices).toContain('this node was elected and does not get as far as to lead: it asks node');
}

it.each([[[1, 2, 3]], [[1, 2, 3, 4, 5]]])('of %j the last one, whose disk hangs, asks others to lead', (nodes) => {
  const hung = nodes.at(-1) as NodeId;
  const { cluster, client } = ledByOne(nodes);
  cluster.stallDisk(hung);
  client.putAcknowledged(1, 'b', 'b');
  cluster.crash(1);
  cluster.tick(10);
  cluster.start(1);
  cluster.tick(200);
  expectDecision(cluster, client, hung);
});

it('one that is elected far behind, and has no room for the state, asks others to lead', () => {
  const { cluster, client } = ledByOne([1, 2, 3, 4, 5], { logTailEntries: 3 });
  cluster.tick(30);
  cluster.isolate(5);
  for (let at = 0; at < 20; at++) client.putAcknowledged(1, `k${at}`, 'v'.repeat(50));
  cluster.tick(60);
  // Its disk is more than half full, and by no means full.
  const measured = { usedBytes: 60, capacityBytes: 100, logSurplusIndex: 0, logAmpleIndex: 0, stateRoomBytes: 10 };
  cluster.measureSpace(5, { level: 'ok', isWaiting: false, ...measured });
  cluster.heal();
  cluster.tick(60);
  cluster.crash(1);
  cluster.tick(100);
  expectDecision(cluster, client, 5);
});
