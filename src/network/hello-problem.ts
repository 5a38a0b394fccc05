import { formerClusterProblem } from '../cluster/origin.ts';
import type { PeerHello } from '../wire/peer-message.ts';
import { isDialAddress } from './peer-target.ts';

/** Whom the two ends of a connection mean, as far as they said so: the end that opened it does. */
export interface MeantNodes {
  /** By this node, which dialled it. */
  readonly dialledNodeId: number | undefined;
  /** By the other end, which did. */
  readonly meantNodeId: number | undefined;
}

/** Why a node that says hello is nobody to be linked with, in one line for both ends; undefined if it may be. */
export function helloProblem(own: PeerHello, other: PeerHello, meant: MeantNodes): string | undefined {
  const { dialledNodeId, meantNodeId } = meant;
  // One that is meant for another must never take the place of this node's own: the address may have been that one's.
  if (meantNodeId !== undefined && meantNodeId !== own.nodeId) return otherNodeThere(meantNodeId, own.nodeId);
  if (other.nodeId === own.nodeId) return `both ends say that they are node ${own.nodeId}`;
  if (dialledNodeId !== undefined && other.nodeId !== dialledNodeId) {
    return otherNodeThere(dialledNodeId, other.nodeId);
  }
  if (other.clusterName !== own.clusterName) {
    return `node ${other.nodeId} is of cluster "${other.clusterName}", node ${own.nodeId} of "${own.clusterName}"`;
  }
  // Others dial it there, and it stands in the configuration of which it becomes a member.
  if (!isDialAddress(other.address))
    return `node ${other.nodeId} says that it is at "${other.address}", which is no host:port`;
  const problem = clusterProblem(own.clusterId, other.clusterId);
  return problem && (formerClusterProblem(own, other) ?? problem);
}

/** Why two nodes of these clusters have nothing to tell each other. One that belongs to none yet may talk to any. */
export function clusterProblem(own: string | undefined, other: string | undefined): string | undefined {
  if (own === undefined || other === undefined || own === other) return undefined;
  return `the nodes belong to different clusters, ${other} and ${own}`;
}

function otherNodeThere(expected: number, found: number): string {
  return `node ${expected} was expected at this address, node ${found} is there`;
}
