import { setTimeout as delay } from 'node:timers/promises';
import type { KvClient } from '../client/client.ts';
import { KvError } from '../client/errors.ts';
import type { NodeStatus } from '../wire/client-message.ts';
import { CommandError } from './exit-codes.ts';

const pollMs = 200;
/** A node that does not get on for so long is given up, milliseconds; how long the whole takes depends on the data. */
const standstillMsMax = 60_000;

/**
 * Waits until the rebuilt node votes; gives its applied index. Shows on a terminal how far it is. Throws {@link CommandError}
 * if it does not get on: the reconfiguration stands all the same.
 */
export async function awaitRebuilt(
  client: KvClient,
  { nodeId, address, configurationId }: { nodeId: number; address: string; configurationId: number },
): Promise<number> {
  const isLive = process.stderr.isTTY === true;
  let last = '';
  for (let changedMs = performance.now(); performance.now() - changedMs < standstillMsMax; await delay(pollMs)) {
    const status = await statusOrSilence(client, address);
    const now = `node ${nodeId}: ${status === undefined ? 'no answer' : `${status.state}, applied ${status.appliedIndex}`}`;
    if (isLive) process.stderr.write(`\r\x1b[K${now}`);
    if (status?.state === 'member' && status.configurationId >= configurationId && status.nodeId === nodeId) {
      if (isLive) process.stderr.write('\r\x1b[K');
      return status.appliedIndex;
    }
    if (now !== last) changedMs = performance.now();
    last = now;
  }
  throw new CommandError(
    'unknown',
    'timeout',
    `configuration ${configurationId} has begun, but node ${nodeId} at ${address} has not come on for ${standstillMsMax / 1000} s (${last}): see its log`,
  );
}

async function statusOrSilence(client: KvClient, address: string): Promise<NodeStatus | undefined> {
  try {
    return await client.statusOf(address, { timeoutMs: 1000 });
  } catch (error) {
    if (error instanceof KvError) return undefined;
    throw error;
  }
}
