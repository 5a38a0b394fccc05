import { beforeEach, expect, it } from 'vitest';
import { Client, Cluster, threeLeadsWhileItInstalls } from './cluster.ts';

let cluster: Cluster;
let client: Client;
/** All that is decided, which 3 has as state and does not know to be decided. */
let end: number;

/** Node 3 installs a state while it leads in the accept phase, and is deposed before it decides as much itself. */
beforeEach(() => {
  cluster = new Cluster([1, 2, 3], { logTailEntries: 3, donorBytesPerTick: 500 });
  cluster.elect();
  cluster.replica(1).voter?.takeOver();
  cluster.settle();
  cluster.until('1 leads', () => cluster.leaders.length === 1 && cluster.leaders[0] === 1);
  client = new Client(cluster, 1);
  client.putAcknowledged(1, 'a', 'a');
  cluster.tick(30);
  cluster.converge(1, 2, 3);
  // 3 is cut off; a batch of writes is decided by 1 and 2, of which 2 does not learn any more.
  cluster.isolate(3);
  cluster.loses = ({ from, to, message }) => from === 1 && to === 2 && message.payload.type === 'Decide';
  const puts = Array.from({ length: 12 }, (_, at) => client.put(1, `k${at}`, 'v', 60_000));
  cluster.settle();
  cluster.cut([1], [2, 3]);
  cluster.loses = () => false;
  expect(puts.every((put) => put.answer?.type === 'outcome')).toBe(true);
  cluster.tick(40);
  end = cluster.replica(1).status().decidedIndex;
  threeLeadsWhileItInstalls(cluster);
  cluster.holdsJob.delete(3);
  cluster.tick(2);
  expect(cluster.replica(3).status()).toMatchObject({ appliedIndex: end });
  expect(cluster.replica(3).status().decidedIndex).toBeLessThan(end);
  cluster.isolate(3);
  cluster.loses = () => false;
});

it('its log is told once it leads no more: a majority decides, and no state is pulled that is here already', () => {
  cluster.healLink(1, 2);
  cluster.until('1 or 2 leads', () => cluster.leaders.some((id) => id !== 3));
  cluster.tick(40);
  cluster.crash(2);
  cluster.healLink(1, 3);
  const put = client.put(1, 'z', 'z', 3_600_000);
  const before = cluster.sentTo(3, 'StateChunk').length;
  cluster.tick(200);
  expect(put.answer).toMatchObject({ type: 'outcome' });
  expect(cluster.sentTo(3, 'StateChunk').length - before).toBeLessThan(10);
});

it('with little room it trims no more of its log than it knows to be decided', () => {
  const logIndexes = { logSurplusIndex: end, logAmpleIndex: end };
  cluster.measureSpace(3, { level: 'ok', usedBytes: 50, capacityBytes: 100, isWaiting: false, ...logIndexes });
  cluster.tick(1);
  const { sequence, state } = cluster.log(3);
  expect(sequence.trimmedIndex).toBeLessThanOrEqual(state.decidedIndex);
});
