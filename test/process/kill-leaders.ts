import type { ProcessCluster } from './cluster.ts';

/** Kills whoever leads, and starts it again, until the load is over. How often. */
export async function killLeaders(nodes: ProcessCluster, load: { readonly isOver: boolean }): Promise<number> {
  let kills = 0;
  while (!load.isOver) {
    const leader = await nodes.leader();
    await nodes.kill(leader);
    kills++;
    await nodes.start(leader);
    await nodes.until(({ members }) => members.every(({ role }) => role !== 'unreachable'));
  }
  return kills;
}
