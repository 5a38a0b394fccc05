import { memberAddress } from '../../cluster/address.ts';
import { InputError } from '../../cluster/input-error.ts';
import { nodeIdMax, refuseTwice } from '../../cluster/node-list.ts';
import { nodesProblem } from '../../omnipaxos/configuration.ts';
import type { Failure, TargetNode } from '../../wire/client-message.ts';
import { membersMax } from '../../wire/limits.ts';
import { failure } from '../output.ts';

/**
 * The nodes that a request names as the next members, each address written in the one way, or what is wrong with them. What a client
 * has not checked must not get into a configuration: every node reads it at each start.
 */
export function checkedTargets(nodes: readonly TargetNode[]): TargetNode[] | Failure {
  const problem = idsProblem(nodes);
  if (problem !== undefined) return failure('invalid', 'notApplied', problem);
  try {
    const checked = nodes.map(withCheckedAddress);
    refuseTwice(checked);
    return checked;
  } catch (error) {
    if (error instanceof InputError) return failure('invalid', 'notApplied', error.message);
    throw error;
  }
}

function idsProblem(nodes: readonly TargetNode[]): string | undefined {
  if (nodes.length > membersMax) return `${nodes.length} members: at most ${membersMax} are allowed`;
  const tooHigh = nodes.find(({ id }) => id > nodeIdMax);
  if (tooHigh) return `node id ${tooHigh.id} is too high: at most ${nodeIdMax} is allowed`;
  return nodesProblem(nodes.map(({ id }) => id));
}

function withCheckedAddress(node: TargetNode): TargetNode {
  if (node.address === undefined) return node;
  return { ...node, address: memberAddress(node.address, `the address of node ${node.id},`) };
}
