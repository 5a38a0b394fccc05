import { describe, expect, it } from 'vitest';
import { Client, Cluster } from './cluster.ts';

const founders = [1, 2, 3];
const foundersTicks = 20;

function clusterIds(cluster: Cluster): Set<string> {
  return new Set(founders.flatMap((id) => cluster.replica(id).clusterId ?? []));
}

/** Node 2 loses its disk, and comes back where only node 3 reaches it. */
function emptyAndStart(cluster: Cluster): void {
  cluster.crash(2);
  cluster.wipe(2);
  cluster.cut([1], [2, 3]);
  cluster.start(2);
  cluster.healLink(2, 3);
}

describe('a founder that the others went on without', () => {
  it('forms no second cluster with one whose directory was emptied and one that it only met before', () => {
    const cluster = new Cluster(founders, { foundersTicks });
    // Node 1 meets both others, and they each other not.
    cluster.cut([2], [3]);
    cluster.tick(foundersTicks - 5);
    cluster.cut([1], [3]);
    cluster.tick(foundersTicks);
    if (cluster.replica(1).voter !== undefined) new Client(cluster, 1).putAcknowledged(1, 'k', 'v');
    emptyAndStart(cluster);
    cluster.tick(10 * foundersTicks);
    cluster.heal();
    cluster.tick(10 * foundersTicks);
    expect(clusterIds(cluster).size).toBeLessThanOrEqual(1);
  });

  it('is waited for: who is out of reach is no founder that was met, and is named', () => {
    const cluster = new Cluster(founders, { foundersTicks });
    cluster.tick(foundersTicks - 5);
    cluster.cut([3], [1, 2]);
    cluster.tick(10 * foundersTicks);
    expect(clusterIds(cluster)).toEqual(new Set());
    expect(cluster.askNow(1, { type: 'reconfigure', nodes: founders.map((id) => ({ id })) })).toMatchObject({
      message: expect.stringContaining('waiting for node 3'),
    });
    cluster.heal();
    new Client(cluster, cluster.elect()).putAcknowledged(1, 'k', 'v');
    expect(clusterIds(cluster).size).toBe(1);
  });

  it('joins theirs by their word, though it lost what it had heard of that', () => {
    const cluster = new Cluster(founders, { foundersTicks });
    cluster.stallDisk(3);
    cluster.until('two have formed it', () => clusterIds(cluster).size > 0);
    cluster.crash(3);
    cluster.start(3);
    new Client(cluster, cluster.elect()).putAcknowledged(1, 'k', 'v');
    emptyAndStart(cluster);
    cluster.tick(10 * foundersTicks);
    expect(cluster.replica(2).clusterId).toBeUndefined();
    cluster.heal();
    cluster.converge(1, 3);
    expect(cluster.localValue(3, 'k')).toBe('v');
  });
});
