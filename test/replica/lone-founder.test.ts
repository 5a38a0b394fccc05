import { describe, expect, it } from 'vitest';
import { type ByteString, fromByteString } from '../../src/base/bytes.ts';
import { defaultReplicaSettings } from '../../src/replica/settings.ts';
import { Client, Cluster } from './cluster.ts';

const readOfK = { type: 'get', consistency: 'local', key: fromByteString('k' as ByteString) } as const;
const { loneFounderTicks } = defaultReplicaSettings;

/** A cluster that node 1 founded alone, and that has grown to three. */
function grown(): Cluster {
  const cluster = new Cluster([1]);
  const leader = cluster.elect();
  cluster.start(2);
  cluster.start(3);
  cluster.reconfigureTo(leader, [1, 2, 3]);
  cluster.converge(1, 2, 3);
  new Client(cluster, leader).putAcknowledged(leader, 'k', 'v');
  return cluster;
}

describe('the only first member of a cluster, on an empty directory', () => {
  it('forms it once nobody has called for so long as a member lets pass between two calls', () => {
    const cluster = new Cluster([1]);
    cluster.tick(loneFounderTicks - 1);
    expect(cluster.replica(1).clusterId).toBeUndefined();
    expect(cluster.notices(1).join()).toContain('a new cluster of this node alone forms in a moment');
    cluster.tick();
    expect(cluster.replica(1).clusterId).toBeDefined();
    expect(cluster.elect()).toBe(1);
  });

  it('stands by if a cluster of that name calls: its directory was emptied since that has grown', () => {
    const cluster = grown();
    cluster.crash(1);
    cluster.wipe(1);
    cluster.isolate(1);
    cluster.start(1);
    cluster.tick(loneFounderTicks - 10);
    cluster.heal();
    cluster.tick(10 * loneFounderTicks);
    expect(cluster.replica(1).clusterId).toBeUndefined();
    expect(cluster.notices(1).join()).toContain('`kv member rebuild 1` lets a member vote with this one');
    expect(cluster.askNow(1, readOfK)).toMatchObject({ code: 'notMember' });
  });

  it('goes on at once with a directory that knows its cluster', () => {
    const cluster = new Cluster([1]);
    cluster.elect();
    cluster.crash(1);
    cluster.start(1);
    cluster.tick(loneFounderTicks / 2);
    expect(cluster.leaders).toEqual([1]);
  });
});
