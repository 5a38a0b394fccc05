import { describe, expect, it } from 'vitest';
import { Client, Cluster } from './cluster.ts';

const founders = [1, 2, 3];
const successors = [4, 5, 6];

/** A cluster whose founders have all been replaced, and start again together on empty directories. */
function replaced(): { readonly cluster: Cluster; readonly clusterId: string | undefined } {
  const cluster = new Cluster(founders, { foundersTicks: 20 });
  const leader = cluster.elect();
  for (const id of successors) cluster.start(id);
  cluster.reconfigureTo(leader, successors);
  cluster.converge(...successors);
  const { clusterId } = cluster.replica(4);
  for (const id of founders) {
    cluster.crash(id);
    cluster.wipe(id);
  }
  return { cluster, clusterId };
}

describe('former founders on empty directories', () => {
  it('form no second cluster where a member of the first calls', () => {
    const { cluster, clusterId } = replaced();
    for (const id of founders) cluster.start(id);
    cluster.tick(300);
    for (const id of founders) expect([undefined, clusterId]).toContain(cluster.replica(id).clusterId);
    for (const id of founders) expect(cluster.replica(id).voter, `node ${id} votes`).toBeUndefined();
    const leader = cluster.elect();
    expect(successors).toContain(leader);
    new Client(cluster, leader).putAcknowledged(leader, 'k', 'v');
  });

  it('form none where only one of them is in reach of a member', () => {
    const { cluster, clusterId } = replaced();
    cluster.cut(founders, successors);
    for (const id of founders) cluster.start(id);
    cluster.tick(10);
    cluster.healLink(2, 5);
    cluster.tick(300);
    for (const id of founders) expect([undefined, clusterId]).toContain(cluster.replica(id).clusterId);
    for (const id of founders) expect(cluster.replica(id).voter, `node ${id} votes`).toBeUndefined();
  });

  it('that were told of it join none that another of them has formed', () => {
    const { cluster, clusterId } = replaced();
    for (const id of founders) cluster.start(id);
    cluster.tick(300);
    const members = founders.map((id) => ({ id, address: `node-${id}:7000`, storageId: `d${id}.1` }));
    const configuration = { configurationId: 1, startIndex: 0, members };
    const payload = { type: 'Announce', clusterId: 'feedfeedfeedfeed', configuration } as const;
    cluster.replica(3).receive({ type: 'peerMessages', from: 2, messages: [{ configurationId: 1, payload }] });
    cluster.tick(5);
    expect([undefined, clusterId]).toContain(cluster.replica(3).clusterId);
    expect(cluster.notices(3).join()).toContain(
      `cluster feedfeedfeedfeed is not joined: this node was told of ${clusterId}`,
    );
  });

  it('say to each other that they form none', () => {
    const { cluster } = replaced();
    cluster.start(3);
    cluster.tick(300);
    expect(cluster.replica(3).hello().initialMembers).toEqual([]);
  });
});

describe('a node that belongs to no cluster yet', () => {
  it('leaves what concerns the members to others', () => {
    const cluster = new Cluster(founders);
    cluster.elect();
    cluster.crash(1);
    cluster.wipe(1);
    cluster.isolate(1);
    cluster.start(1);
    cluster.tick(20);
    for (const type of ['reconfigure', 'fill'] as const) {
      const answer = cluster.askNow(1, { type, nodes: founders.map((id) => ({ id })) });
      expect(answer).toMatchObject({ type: 'failed', code: 'notMember', outcome: 'notApplied' });
    }
  });
});
