import { describe, expect, it } from 'vitest';
import { Client, Cluster } from './cluster.ts';

/** A node whose disk needs a page for each change, of `rowPages`, after 40 puts of as many keys: how many of them are durable. */
function durableChanges(rowPages: number, ticksBetweenPuts = 5): number {
  const cluster = new Cluster([1], { checkpointTicks: 1_000_000, checkpointPagesMax: 8 });
  const leader = cluster.elect();
  const state = cluster.state(leader);
  Object.defineProperty(state, 'stagedPages', { get: () => state.stagedChanges });
  Object.defineProperty(state, 'rowPages', { get: () => rowPages });
  const client = new Client(cluster, leader);
  for (let at = 0; at < 40; at++) {
    client.putAcknowledged(leader, `k${at}`, 'v');
    cluster.tick(ticksBetweenPuts);
  }
  return 40 - state.stagedChanges;
}

describe('a checkpoint', () => {
  it('is made once it writes many pages, if a later one would write about a page for each change as well', () => {
    expect(durableChanges(1_000_000)).toBeGreaterThan(30);
  });

  it('is made for that no more often than twice a second, for where keys are not random it is many for nothing', () => {
    expect(durableChanges(1_000_000, 0)).toBeLessThan(30);
  });

  it('waits for more changes where these would be of the same pages', () => {
    expect(durableChanges(10)).toBe(0);
  });
});
