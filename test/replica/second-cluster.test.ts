import { describe, expect, it } from 'vitest';
import { type ByteString, fromByteString } from '../../src/base/bytes.ts';
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

describe('founders that were replaced, and start again on empty directories', () => {
  it('have the time to be called from when the last of them came, whoever else waited before', () => {
    const { cluster, clusterId } = replacedBy([4, 5, 6]);
    cluster.cut([3], [4, 5, 6]);
    cluster.start(3);
    cluster.tick(foundersTicks + 10);
    cluster.cut([1, 2], [4, 5, 6]);
    cluster.start(1);
    cluster.start(2);
    cluster.tick(5);
    cluster.heal();
    cluster.cut([3], [4, 5, 6]);
    cluster.tick(15 * foundersTicks);
    expectNoneFormed(cluster, clusterId);
  });

  it('form none with one that a member refused: it greets them anew, as one who forms none', () => {
    const { cluster, clusterId } = replacedBy([2, 4, 5]);
    const leader = cluster.elect();
    new Client(cluster, leader).putAcknowledged(leader, 'k', 'v');
    cluster.cut([1, 3], [4, 5]);
    for (const id of founders) cluster.start(id);
    cluster.tick(15 * foundersTicks);
    expectNoneFormed(cluster, clusterId);
    expect(cluster.notices(1).join()).toContain(
      'node 2 forms no new cluster: it was told of one that there is, or was started with --rebuild',
    );
  });

  /** Founders whose places others took, and who are gone with their disks. */
  function replacedBy(members: readonly number[]): { cluster: Cluster; clusterId: string | undefined } {
    const cluster = new Cluster(founders, { foundersTicks });
    const first = cluster.elect();
    for (const id of members) if (!founders.includes(id)) cluster.start(id);
    cluster.reconfigureTo(first, members);
    cluster.converge(...members);
    const { clusterId } = cluster.replica(members[1] as number);
    for (const id of founders) {
      cluster.crash(id);
      cluster.wipe(id);
    }
    return { cluster, clusterId };
  }

  function expectNoneFormed(cluster: Cluster, clusterId: string | undefined): void {
    for (const id of founders) {
      expect([undefined, clusterId]).toContain(cluster.replica(id).clusterId);
      expect(cluster.replica(id).voter, `node ${id} votes`).toBeUndefined();
    }
  }
});

it('a link that is cut and looks alive for less than the founders wait makes no second cluster', () => {
  const cluster = new Cluster(founders, { foundersTicks });
  cluster.crash(2);
  cluster.tick(foundersTicks);
  cluster.cut([2], [3]);
  cluster.start(2);
  cluster.tick(foundersTicks - 1);
  cluster.loses = ({ from, to }) => from + to === 4 && from !== to;
  const client = new Client(cluster, cluster.elect());
  client.putAcknowledged(1, 'k', 'v');
  cluster.crash(2);
  cluster.wipe(2);
  cluster.cut([1], [2]);
  cluster.start(2);
  cluster.healLink(2, 3);
  cluster.tick(foundersTicks - 5);
  // Its silence is noticed.
  cluster.cut([1], [3]);
  cluster.loses = () => false;
  cluster.tick(10 * foundersTicks);
  expect(clusterIds(cluster).size).toBe(1);
  expect(cluster.replica(3).clusterId).toBeUndefined();
});

it('a node that was started to be rebuilt is no founder', () => {
  const cluster = new Cluster(founders, { foundersTicks });
  for (const id of [1, 2]) {
    cluster.crash(id);
    cluster.start(id, true);
  }
  cluster.tick(15 * foundersTicks);
  expect(clusterIds(cluster)).toEqual(new Set());
});

it('founders that have all met do not say that a cluster of one forms', () => {
  const cluster = new Cluster(founders, { foundersTicks });
  cluster.tick(foundersTicks / 2);
  expect(cluster.askNow(1, { type: 'reconfigure', nodes: [{ id: 1 }] })).toMatchObject({
    message: expect.stringContaining('a new cluster of its initial members, all connected, forms in a moment'),
  });
});

describe('a directory that was put back to an older copy, and was opened as often', () => {
  it('has no vote with a newcomer that met it first, and is told of the other opening with the configuration', () => {
    const cluster = new Cluster(founders, { foundersTicks: 0 });
    for (const id of founders) cluster.isolate(id);
    cluster.tick(2);
    cluster.crash(2);
    const image = cluster.disk(2).image();
    cluster.start(2);
    // Node 1 sees both others, and forms the cluster with node 2; node 3 does not hear of it.
    cluster.stallDisk(1);
    cluster.healLink(1, 2);
    cluster.healLink(1, 3);
    cluster.tick(1);
    cluster.cut([1], [3]);
    cluster.freeDisk(1);
    const leader = cluster.elect();
    new Client(cluster, leader).putAcknowledged(leader, 'k', 'v');
    cluster.crash(2);
    cluster.rollBack(2, image);
    cluster.cut([1], [2]);
    cluster.start(2);
    cluster.healLink(2, 3);
    cluster.tick(20);
    // For a moment node 1 tells node 3 of the cluster, and of the opening of the directory of node 2.
    cluster.healLink(1, 3);
    cluster.until('node 3 is told', () => cluster.replica(3).clusterId !== undefined);
    cluster.cut([1], [3]);
    cluster.tick(200);
    expect(cluster.replica(2).voter).toBeUndefined();
  });
});

it('an emptied founder that the members refuse is told why, not to wait for them', () => {
  const cluster = new Cluster(founders, { foundersTicks });
  cluster.elect();
  cluster.crash(2);
  cluster.wipe(2);
  cluster.start(2);
  cluster.tick(5);
  const says = () => JSON.stringify(cluster.askNow(2, { type: 'reconfigure', nodes: [{ id: 1 }] }));
  const reason = '`kv member rebuild 2` moves its vote';
  const unreached = (isRefusal: boolean) =>
    cluster.replica(2).receive({ type: 'peerUnreached', nodeId: 1, reason, isRefusal });
  unreached(true);
  expect(says()).toContain(`no new cluster forms with node 1: ${reason}`);
  // It does not run any more: what it said then is over.
  unreached(false);
  expect(says()).toContain('waiting for nodes 1, 3');
});

it('an emptied founder has no state, which is not told as an empty one', () => {
  const cluster = new Cluster(founders, { foundersTicks });
  const leader = cluster.elect();
  new Client(cluster, leader).putAcknowledged(leader, 'k', 'v');
  cluster.crash(2);
  cluster.wipe(2);
  cluster.start(2);
  cluster.tick(5);
  const key = fromByteString('k' as ByteString);
  const reads = [
    { type: 'get', consistency: 'local', key },
    { type: 'list', consistency: 'local', prefix: key, after: undefined, limit: 10 },
  ] as const;
  for (const read of reads) {
    expect(cluster.askNow(2, read)).toMatchObject({ type: 'failed', code: 'notMember', outcome: 'notApplied' });
  }
});
