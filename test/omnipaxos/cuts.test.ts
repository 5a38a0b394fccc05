import { describe, expect, it } from 'vitest';
import { Cluster, electionTimeoutTicks } from './cluster.ts';

/** The three cuts of PROTOCOL: progress within 4 election timeouts, and then no further leader change. */
describe('the three cuts', () => {
  it('quorum-loss: all links are cut but those of one hub, which is not the leader', () => {
    const cluster = new Cluster({ nodes: 5 });
    const leader = cluster.elect();
    for (const hub of cluster.ids.filter((pid) => pid !== leader)) {
      const fresh = new Cluster({ nodes: 5 });
      expect(fresh.elect()).toBe(leader);
      fresh.cutAllBut(...fresh.ids.filter((pid) => pid !== hub).map((pid) => [hub, pid] as const));
      expectProgressAndPeace(fresh, hub);
      expect(fresh.leader).toBe(hub);
      expectNoGapAfterHealing(fresh);
    }
  });

  it('constrained election: the hub with an old log is the only possible leader', () => {
    const cluster = new Cluster({ nodes: 5 });
    const leader = cluster.elect();
    const [hub, b, d, e] = cluster.ids.filter((pid) => pid !== leader) as [number, number, number, number];
    cluster.cut(leader, hub);
    cluster.propose(leader, 'the hub lacks this');
    cluster.tick(Math.floor(electionTimeoutTicks / 2));
    expect(cluster.paxos(hub).decidedIndex).toBe(0);
    expect(cluster.paxos(b).decidedIndex).toBe(1);
    cluster.cutAllBut([hub, b], [hub, d], [hub, e]);
    expectProgressAndPeace(cluster, hub);
    expect(cluster.leader).toBe(hub);
    expect(cluster.decidedOf(hub)[0]).toBe('the hub lacks this');
    expectNoGapAfterHealing(cluster);
  });

  it('chained: only leader–follower is cut; no leader change at all', () => {
    const cluster = new Cluster();
    const leader = cluster.elect();
    const [end] = cluster.ids.filter((pid) => pid !== leader) as [number];
    const before = cluster.leaderships.length;
    cluster.cut(leader, end);
    expectProgressAndPeace(cluster, leader);
    expect(cluster.leaderships, 'no leader change').toHaveLength(before);
    expectNoGapAfterHealing(cluster);
    expect(cluster.leaderships, 'none after the link came back').toHaveLength(before);
  });

  it('a healthy idle cluster has no leader change at all', () => {
    const cluster = new Cluster({ nodes: 5 });
    cluster.elect();
    const before = cluster.leaderships.length;
    cluster.timeouts(100);
    expect(cluster.leaderships).toHaveLength(before);
  });

  it('among equals the one with the highest priority leads', () => {
    const cluster = new Cluster({ priorities: { 1: 0, 2: 5, 3: 0 } });
    expect(cluster.elect()).toBe(2);
  });
});

function expectProgressAndPeace(cluster: Cluster, at: number): void {
  const before = cluster.decided.length;
  cluster.timeouts(4);
  cluster.propose(at, 'during the cut');
  cluster.settle();
  expect(cluster.decided.length, 'progress within 4 election timeouts').toBeGreaterThan(before);
  const leaders = cluster.leaderships.length;
  cluster.timeouts(30);
  expect(cluster.leaderships, 'no further leader change with stable links').toHaveLength(leaders);
}

function expectNoGapAfterHealing(cluster: Cluster): void {
  cluster.healAll();
  cluster.timeouts(6);
  const { leader } = cluster;
  cluster.propose(leader as number, 'after the cut');
  cluster.timeouts(2);
  expect(cluster.decidedOf(leader as number).at(-1)).toBe('after the cut');
  cluster.expectDecided(cluster.decidedOf(leader as number));
  const leaders = cluster.leaderships.length;
  cluster.timeouts(20);
  expect(cluster.leaderships, 'none after recovery').toHaveLength(leaders);
}
