import { KvError } from '../../client/call/errors.ts';
import type { KvClient } from '../../client/client.ts';
import type { ReconfigurationPlan } from '../arguments/reconfiguration-plan.ts';
import type { Answer } from './checks.ts';

/** How long a node may take to answer, milliseconds. */
const askTimeoutMsMax = 2000;

/** Asks all that are to come or to move, where they are said to be. One whose address is not known here is left out. */
export function askNodes(
  client: Pick<KvClient, 'statusOf'>,
  plan: ReconfigurationPlan,
  timeoutMs: number,
): Promise<Answer[]> {
  const asked = [
    ...plan.added.flatMap(({ id, address }) => (address === undefined ? [] : [{ id, address }])),
    ...plan.moved.map(({ id, to }) => ({ id, address: to })),
  ];
  return Promise.all(asked.map((node) => askNode(client, node, Math.min(timeoutMs, askTimeoutMsMax))));
}

async function askNode(
  client: Pick<KvClient, 'statusOf'>,
  node: { readonly id: number; readonly address: string },
  timeoutMs: number,
): Promise<Answer> {
  try {
    const status = await client.statusOf(node.address, { timeoutMs });
    return { ...node, status, reason: undefined, isNoNode: false };
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    const isNoNode = error.code === 'notKvNode' || error.code === 'untrusted';
    return { ...node, status: undefined, reason: withoutAddress(error.message, node.address), isNoNode };
  }
}

/** The address is in the sentence around it already. */
function withoutAddress(message: string, address: string): string {
  const start = [`${address}: `, `${address} `].find((one) => message.startsWith(one));
  return start === undefined ? message : message.slice(start.length);
}
