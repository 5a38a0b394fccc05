import type { NodeStatus, TargetNode } from '../../wire/client-message.ts';
import { KvError } from '../call/errors.ts';

/** How long a node may take to tell which data directory it runs with, milliseconds. */
const askTimeoutMsMax = 1000;

/** How long to wait. */
interface Limits {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** What it takes of a client. */
export interface StatusClient {
  statusOf(endpoint: string, options: Limits): Promise<NodeStatus>;
}

/**
 * The same nodes, each of those that have an address with the data directory that answers there. So the members take in what was asked for, and not
 * what else runs under its id. Of one that does not answer the node that proposes knows whether that matters.
 */
export function meantNodes(
  client: StatusClient,
  nodes: readonly TargetNode[],
  { timeoutMs, signal }: Limits,
): Promise<TargetNode[]> {
  const limits = { timeoutMs: Math.min(timeoutMs, askTimeoutMsMax), signal };
  return Promise.all(nodes.map((node) => meantNode(client, node, limits)));
}

async function meantNode(client: StatusClient, node: TargetNode, limits: Limits): Promise<TargetNode> {
  const { id, address, isRebuilt, storageId: stated } = node;
  if (address === undefined || isRebuilt === true || stated !== undefined) return node;
  try {
    const { nodeId, storageId } = await client.statusOf(address, limits);
    return nodeId === id ? { ...node, storageId } : node;
  } catch (error) {
    if (error instanceof KvError) return node;
    throw error;
  }
}
