import type { Configuration } from '../cluster/configuration.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import { majority } from '../omnipaxos/quorum.ts';

/** What of a data directory says whether its node can go on. */
export interface LeftNode {
  readonly identity: { readonly nodeId: NodeId; readonly storageId: string };
  /** The configuration that its node had taken up. */
  readonly configuration: Configuration | undefined;
  /** It was rolled back, and its node is refused. */
  readonly olderCopy: string | undefined;
  readonly head: { readonly decidedIndex: number };
  readonly state: { readonly durableIndex: number };
}

/** Nodes that, started as they are, go on together and lose nothing. */
export interface EnoughLeft {
  readonly configuration: Configuration;
  /** Those of its members that are left: a quorum. */
  readonly members: readonly NodeId[];
  /** Others without whom no member has all that was decided before its configuration, or knows of that; empty where the members need nobody. */
  readonly givers: readonly NodeId[];
  /** Those of them that no configuration names together with a member: cluster files have to, or they do not find each other. */
  readonly strangers: readonly NodeId[];
}

/** Up to where what a node left is known to be decided: its decided index on disk may lag behind its state. */
export function knownDecidedIndex({ head, state }: LeftNode): number {
  return Math.max(head.decidedIndex, state.durableIndex);
}

/** The newest configuration that any of them knows. */
export function newestConfiguration(left: readonly LeftNode[]): Configuration | undefined {
  const byId = (a: Configuration, b: Configuration) => b.configurationId - a.configurationId;
  return left.flatMap(({ configuration }) => configuration ?? []).sort(byId)[0];
}

/** True for a member that had not got all that was decided before its configuration: it does not vote before it has. */
export function isJoining(node: LeftNode): boolean {
  const { configuration } = node;
  return isMember(node, configuration) && knownDecidedIndex(node) < (configuration?.startIndex ?? 0);
}

/**
 * Who can go on, if they are enough for that: a quorum of the newest configuration, and somebody who has all that was decided before it,
 * member or not. One such node is enough, as it gives the others what they lack before they vote (PROTOCOL: Reconfiguration 4); without one
 * they wait for ever.
 */
export function enoughLeft(left: readonly LeftNode[]): EnoughLeft | undefined {
  const configuration = newestConfiguration(left);
  if (configuration === undefined) return undefined;
  const sound = left.filter(({ olderCopy }) => olderCopy === undefined);
  const members = quorumLeft(configuration, sound);
  const holders = holdersBefore(configuration, sound);
  if (members === undefined || holders === undefined) return undefined;
  const ids = members.map(idOf);
  const others = (found: readonly NodeId[]): NodeId[] => found.filter((id) => !ids.includes(id));
  const isOneComplete = members.some((node) => hasAllBefore(node, configuration, tellers(configuration, members)));
  if (isOneComplete) return { configuration, members: ids, givers: [], strangers: [] };
  const givers = [...new Set([...others(holders), ...others(tellers(configuration, sound).map(idOf))])];
  const isStranger = (node: LeftNode) => givers.includes(idOf(node)) && !isNamedWith(node, ids, configuration);
  return { configuration, members: ids, givers, strangers: sound.filter(isStranger).map(idOf) };
}

/** Nodes dial the members of the configuration that they have taken up. */
function isNamedWith(node: LeftNode, members: readonly NodeId[], configuration: Configuration): boolean {
  const names = (one: Configuration | undefined, id: NodeId) =>
    one?.members.some((member) => member.id === id) === true;
  return names(configuration, idOf(node)) || members.some((id) => names(node.configuration, id));
}

/**
 * True if the newest configuration may have decided something that none of these nodes voted for. Those that are joining it, or have not
 * heard of it, did not vote in it: where the others are too few for a quorum, nothing was decided in it.
 */
export function mayHaveGoneOn(left: readonly LeftNode[]): boolean {
  const newest = newestConfiguration(left);
  if (newest === undefined) return false;
  const members = left.filter((node) => isMember(node, newest) && node.olderCopy === undefined);
  const hasVoted = (node: LeftNode) =>
    node.configuration?.configurationId === newest.configurationId && knownDecidedIndex(node) >= newest.startIndex;
  if (left.some((node) => isMember(node, newest) && hasVoted(node))) return false;
  const { accept } = newest.quorum ?? majority(newest.members.length);
  return newest.members.length - members.length >= accept;
}

/** Members that can still vote in a configuration: who has taken up a later one does not. */
function quorumLeft(configuration: Configuration, sound: readonly LeftNode[]): LeftNode[] | undefined {
  const { configurationId, quorum } = configuration;
  const { prepare, accept } = quorum ?? majority(configuration.members.length);
  const members = sound.filter(
    (node) => isMember(node, configuration) && (node.configuration?.configurationId ?? 0) <= configurationId,
  );
  return members.length >= Math.max(prepare, accept) ? members : undefined;
}

/** Who has, or comes to have, all that was decided before a configuration. */
function holdersBefore(configuration: Configuration, sound: readonly LeftNode[]): NodeId[] | undefined {
  const told = tellers(configuration, sound);
  const holders = sound.filter((node) => hasAllBefore(node, configuration, told));
  if (holders.length > 0) return holders.map(idOf);
  // A quorum of the configuration before decides it once more, though no member of it knows now that it is decided.
  const before = sound.find((node) => node.configuration?.configurationId === configuration.configurationId - 1);
  if (before?.configuration === undefined) return undefined;
  const voters = quorumLeft(before.configuration, sound);
  const theirs = voters && holdersBefore(before.configuration, sound);
  return theirs && [...new Set([...voters.map(idOf), ...theirs])];
}

/** Those who have taken the configuration up: they tell the others of it. */
function tellers({ configurationId }: Configuration, nodes: readonly LeftNode[]): LeftNode[] {
  return nodes.filter((node) => node.configuration?.configurationId === configurationId);
}

function hasAllBefore(node: LeftNode, configuration: Configuration, tellers: readonly LeftNode[]): boolean {
  const decided = knownDecidedIndex(node);
  const { configurationId, startIndex } = configuration;
  if (decided >= startIndex) return true;
  // A voter that lacks nothing but the StopSign, and is told of its successors, knows that to be decided.
  const isVoterBefore = node.configuration?.configurationId === configurationId - 1 && !isJoining(node);
  return isVoterBefore && isMember(node, node.configuration) && decided === startIndex - 1 && tellers.length > 0;
}

function isMember({ identity }: LeftNode, configuration: Configuration | undefined): boolean {
  const { nodeId, storageId } = identity;
  return configuration?.members.some((member) => member.id === nodeId && member.storageId === storageId) ?? false;
}

function idOf({ identity }: LeftNode): NodeId {
  return identity.nodeId;
}
