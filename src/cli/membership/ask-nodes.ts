import type { KvClient } from '../../client/client.ts';
import { KvError } from '../../client/errors.ts';
import type { ReconfigurationPlan } from '../reconfiguration-plan.ts';
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
    return { ...node, status: await client.statusOf(node.address, { timeoutMs }), reason: undefined };
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    return { ...node, status: undefined, reason: withoutAddress(error.message, node.address) };
  }
}

/** The address is in the sentence around it already. */
function withoutAddress(message: string, address: string): string {
  return message.startsWith(`${address}: `) ? message.slice(address.length + 2) : message;
}
