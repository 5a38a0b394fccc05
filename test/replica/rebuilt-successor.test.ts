import { describe, expect, it } from 'vitest';
import { Client, Cluster } from './cluster.ts';

describe('a rebuilt member with the lowest id', () => {
  it('follows the leader at once, and never takes itself for it', () => {
    const cluster = new Cluster([1, 2, 3], { electionTimeoutTicks: 10, resendTicks: 10 });
    const leader = cluster.elect();
    expect(leader).toBe(3);
    const client = new Client(cluster, leader);
    for (let at = 0; at < 20; at++) client.putAcknowledged(leader, `k${at}`, 'v');
    cluster.crash(1);
    cluster.wipe(1);
    cluster.start(1);
    cluster.tick(30);
    const nodes = [{ id: 1, isRebuilt: true }, { id: 2 }, { id: 3 }];
    cluster.ask(leader, { type: 'reconfigure', nodes }, 60_000);
    cluster.until('it votes', () => cluster.replica(1).voter?.configurationId === 2);
    expect(cluster.notices(1).join('\n')).not.toContain('node 1 leads');
    cluster.tick(1);
    expect(cluster.replica(1).voter?.leader?.pid).toBe(leader);
  });
});
