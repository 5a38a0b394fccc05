import { expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Client, Cluster } from './cluster.ts';

const ids = [1, 2, 3];

const hasAll = (cluster: Cluster, id: NodeId) => cluster.state(id).durableIndex === cluster.replica(id).appliedIndex;

/** All have the same log on their disks, and only `early` a checkpoint of all of it; then all lose power at once, and start again. */
function losePower(early: NodeId, beforeStart: (cluster: Cluster) => void = () => {}): Cluster {
  const cluster = new Cluster(ids, { checkpointTicks: 10 });
  const leader = cluster.elect();
  const client = new Client(cluster, leader);
  for (let at = 0; at < 20; at++) client.putAcknowledged(leader, `k${at}`, 'value');
  cluster.converge(...ids);
  cluster.until('all have made a checkpoint', () => ids.every((id) => hasAll(cluster, id)));
  for (const id of ids) if (id !== early) cluster.holdsJob.add(id);
  client.putAcknowledged(leader, 'last', 'decided');
  cluster.converge(...ids);
  // Quiet from here on: a decided index rides along with a flush, and there is none but that for the checkpoint.
  cluster.until('one has made its checkpoint', () => hasAll(cluster, early));
  for (const id of ids) cluster.crash(id);
  cluster.holdsJob.clear();
  beforeStart(cluster);
  for (const id of ids) cluster.start(id);
  return cluster;
}

it.each(ids)('all that have the whole log go on at once, though only node %i had a checkpoint of it', (early) => {
  // A state of many gigabytes takes as long as it takes, or does not fit beside the present one.
  const cluster = losePower(early, (stopped) => {
    stopped.loses = ({ message }) => message.payload.type === 'StateChunk';
  });
  cluster.until('somebody leads', () => cluster.leaders.length > 0);
  const leader = cluster.leaders[0] as NodeId;
  const put = new Client(cluster, leader).put(leader, 'next', 'value', 60_000);
  cluster.timeouts(20);
  expect(put.answer?.type).toBe('outcome');
  for (const id of ids) expect(cluster.log(id).sequence.trimmedIndex).toBe(0);
});

it('a state is durable only once the log knows that all below it is decided', () => {
  const cluster = new Cluster(ids, { checkpointTicks: 10 });
  const leader = cluster.elect();
  const client = new Client(cluster, leader);
  for (let at = 0; at < 200; at++) {
    client.putAcknowledged(leader, `k${at}`, 'value');
    for (const id of ids) {
      expect(cluster.state(id).durableIndex).toBeLessThanOrEqual(cluster.disk(id).log.paxos.decidedIndex);
    }
  }
  expect(cluster.state(leader).durableIndex).toBeGreaterThan(100);
});
