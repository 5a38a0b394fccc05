import { setTimeout as delay } from 'node:timers/promises';
import { KvError } from '../../client/call/errors.ts';
import type { TlsIdentity } from '../../tls/identity.ts';

const pollMs = 100;
const attemptTimeoutMs = 1000;

/** Resolves when a node at one of the endpoints that `find` gives says that there is a leader; rejects when `signal` is aborted. */
export async function waitForLeader(
  find: () => readonly string[],
  tls: TlsIdentity | undefined,
  signal: AbortSignal,
): Promise<void> {
  while (!(await hasLeader(find(), tls))) await delay(pollMs, undefined, { signal });
}

async function hasLeader(endpoints: readonly string[], tls: TlsIdentity | undefined): Promise<boolean> {
  if (endpoints.length === 0) return false;
  const { KvClient } = await import('../../client/client.ts');
  try {
    const client = await KvClient.connect({
      endpoints: [...endpoints],
      timeoutMs: attemptTimeoutMs,
      ...(tls !== undefined && { tls }),
    });
    try {
      return (await client.clusterStatus()).leader !== undefined;
    } finally {
      await client.close();
    }
  } catch (error) {
    // Not yet: nodes are starting. Anything that is no answer of a client is a defect.
    if (error instanceof KvError) return false;
    throw error;
  }
}
