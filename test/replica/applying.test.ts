import { expect, it } from 'vitest';
import { Client, Cluster } from './cluster.ts';

it('reads no more of the log than a few times what a turn may apply', () => {
  const cluster = new Cluster([1], { appliedBytesPerTurnMax: 1000, checkpointTicks: 1e9, logTailEntries: 1000 });
  cluster.elect();
  const client = new Client(cluster, 1);
  for (let number = 0; number < 60; number++) client.putAcknowledged(1, `key ${number}`, 'v'.repeat(1000));
  cluster.crash(1);
  cluster.start(1);
  const { sequence } = cluster.log(1);
  const read = sequence.read.bind(sequence);
  let entries = 0;
  sequence.read = (from, to) => {
    entries += to - from;
    return read(from, to);
  };
  cluster.until('all is applied', () => cluster.localValue(1, 'key 59') !== undefined);
  expect(entries).toBeGreaterThanOrEqual(60);
  expect(entries).toBeLessThan(6 * 60);
});

it('a StopSign behind more than a turn applies opens the configuration of what comes with it', () => {
  const cluster = new Cluster([1, 2, 3, 4], { appliedBytesPerTurnMax: 1500 });
  cluster.elect();
  cluster.replica(1).voter?.takeOver();
  cluster.until('1 leads', () => cluster.leaders.length === 1 && cluster.leaders[0] === 1);
  const client = new Client(cluster, 1);
  cluster.tick(20);
  const kept: { readonly from: number; readonly message: Parameters<typeof cluster.loses>[0]['message'] }[] = [];
  cluster.loses = (sent) => {
    if (sent.to === 3) kept.push(sent);
    return sent.to === 3;
  };
  cluster.reconfigure(1, [1, 2, 3], 6000);
  for (let number = 0; number < 10; number++) client.put(1, `${number}`, 'v'.repeat(500), 60_000);
  cluster.until('1 is in the next configuration', () => cluster.replica(1).configurationId === 2);
  cluster.settle();
  cluster.loses = () => false;
  for (const from of [1, 2, 4]) {
    const messages = kept.filter((sent) => sent.from === from).map(({ message }) => message);
    cluster.replica(3).receive({ type: 'peerMessages', from, messages });
  }
  cluster.tick(2);
  expect(cluster.replica(3).configurationId).toBe(2);
  expect(cluster.replica(3).voter?.paxos.phase).toBe('accept');
});
