import { setTimeout as delay } from 'node:timers/promises';
import type { KvClient } from '../../client/client.ts';
import type { ClusterStatus } from '../../client/members/cluster-status.ts';

/** How long the election of a leader may take. */
const leaderPatienceMs = 5000;
const pollMs = 100;

/** Right after a leader has gone there is none for a moment: that is no reason to give up. */
export async function statusWithLeader(
  client: Pick<KvClient, 'clusterStatus'>,
  timeoutMs: number,
): Promise<ClusterStatus> {
  const deadlineMs = performance.now() + Math.min(timeoutMs, leaderPatienceMs);
  for (;;) {
    const status = await client.clusterStatus({ timeoutMs });
    if (status.leader !== undefined || performance.now() >= deadlineMs) return status;
    await delay(pollMs);
  }
}
