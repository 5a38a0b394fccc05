import { type Configuration, historyOf, type Member } from '../../cluster/configuration.ts';
import { configurationOf, encodeMembers } from '../../cluster/stop-sign.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { ClientRequest, Failure, ResponseBody, TargetNode } from '../../wire/client-message.ts';
import { protocolVersion } from '../../wire/limits.ts';
import type { PeerHello } from '../../wire/peer-message.ts';
import type { ConnectionId } from '../events.ts';
import { failure, type Output } from '../output.ts';
import type { Voter } from '../voter.ts';
import { checkedTargets } from './target-nodes.ts';

/** Why a node could not be reached. */
interface Unreached {
  readonly reason: string;
  /** True if one of the two will not have the other: waiting does not help. */
  readonly isRefusal: boolean;
}

/** Election timeouts in which a newcomer, and a majority of the next members, must have been met. */
const timeoutsToMeet = 15;

/** Most of the time, and each tick asks. */
const nobody: ReadonlyMap<NodeId, string> = new Map();

interface PendingReconfiguration {
  readonly connection: ConnectionId;
  readonly requestId: number;
  readonly nodes: readonly TargetNode[];
  /** The configuration that it is to end; undefined until there is one. */
  configurationId: number | undefined;
  /** Directories that vote no more once it is done: of the members that are rebuilt. */
  readonly formerDirectories: readonly string[];
  readonly deadlineMs: number;
  /** When this node, being in that configuration, began to look whether it can be done. */
  sinceTick: number | undefined;
  /** Since when no leader is within its reach. */
  leaderlessTick: number | undefined;
  /** Tick of the last proposal. */
  proposedTick: number | undefined;
  /** True once it was proposed. */
  isProposed: boolean;
}

/** What a reconfiguration needs to know of the node. */
export interface ReconfigurationsView {
  readonly nodeId: NodeId;
  readonly voter: Voter | undefined;
  readonly configuration: Configuration | undefined;
  readonly tick: number;
  readonly nowMs: number;
  readonly resendTicks: number;
  readonly electionTimeoutTicks: number;
  /** Address of a node that is no member: the cluster file's. */
  knownAddress(nodeId: NodeId): string | undefined;
  /** The hello of a node that is connected. */
  helloOf(nodeId: NodeId): PeerHello | undefined;
  readonly isConnected: (nodeId: NodeId) => boolean;
  /** The hello of a member that runs with another data directory than it votes with. */
  replacementOf(nodeId: NodeId): PeerHello | undefined;
}

/**
 * The reconfiguration that a client of this node asked for: one at a time. Commands look before they ask, but they race; so it
 * is this node that proposes only what it knows to be sound: that every newcomer is there, speaks this version and belongs to
 * no other cluster, and that a majority of the next members is within its reach.
 */
export class Reconfigurations {
  readonly #output: Output;
  readonly #view: ReconfigurationsView;
  readonly #unreached = new Map<NodeId, Unreached>();
  #pending: PendingReconfiguration | undefined;
  /**
   * Proposals of this node in the present configuration that did not come back, whoever they were for: one that comes back late
   * must not pass for that of a later request.
   */
  #proposalsOut = 0;

  constructor(output: Output, view: ReconfigurationsView) {
    this.#output = output;
    this.#view = view;
  }

  /** Addresses of newcomers to dial: they say in their hello which data directory they will vote with. */
  newcomers(): ReadonlyMap<NodeId, string> {
    if (this.#pending === undefined) return nobody;
    const found = new Map<NodeId, string>();
    for (const node of this.#pending.nodes) {
      const address = this.#addressOf(node);
      if (address !== undefined && !this.#member(node.id)) found.set(node.id, address);
    }
    return found;
  }

  receive(connection: ConnectionId, request: ClientRequest & { readonly type: 'reconfigure' }): void {
    const checked = checkedTargets(request.nodes);
    if (!Array.isArray(checked)) return this.#output.respond(connection, request.id, checked);
    const nodes = checked.map((node) => this.#asMeant(node));
    const behind = this.#behindProblem(request.ifConfigurationId);
    if (behind) return this.#output.respond(connection, request.id, failure('noMajority', 'notApplied', behind));
    const problem = this.#problem(nodes);
    if (problem) return this.#output.respond(connection, request.id, failure('invalid', 'notApplied', problem));
    if (this.#pending || this.#view.voter?.paxos.isStopped) {
      return this.#output.respond(connection, request.id, this.#busy());
    }
    this.#unreached.clear();
    this.#pending = {
      connection,
      requestId: request.id,
      nodes,
      configurationId: request.ifConfigurationId ?? this.#view.configuration?.configurationId,
      formerDirectories: nodes.flatMap(({ id, isRebuilt }) => (isRebuilt && this.#member(id)?.storageId) || []),
      deadlineMs: this.#view.nowMs + request.timeoutMs,
      sinceTick: undefined,
      leaderlessTick: undefined,
      proposedTick: undefined,
      isProposed: false,
    };
  }

  /** A node could not be dialled, or was refused, or refused us. */
  onUnreached(nodeId: NodeId, reason: string, isRefusal: boolean): void {
    if (this.#pending?.nodes.some(({ id }) => id === nodeId)) this.#unreached.set(nodeId, { reason, isRefusal });
  }

  /** A StopSign that this node proposed came back: another one was first, or whom it was sent to does not lead. */
  onReturned(): void {
    this.#proposalsOut = Math.max(0, this.#proposalsOut - 1);
  }

  /** What was proposed in the configuration before has come about or never will. */
  onConfiguration(): void {
    this.#proposalsOut = 0;
  }

  /** Proposes when everyone new has been met and a leader is in reach; answers when the outcome is known. */
  pump(): void {
    const pending = this.#pending;
    const { configuration, voter, tick, nowMs } = this.#view;
    if (!pending) return;
    if (!configuration) return nowMs >= pending.deadlineMs ? this.#expire(pending) : undefined;
    if (isTarget(configuration, pending)) {
      const { configurationId } = configuration;
      return this.#answer(pending, { type: 'reconfigured', configurationId });
    }
    pending.configurationId ??= configuration.configurationId;
    if (configuration.configurationId > pending.configurationId) {
      return this.#answer(pending, overtaken(pending, pending.configurationId + 1, configuration));
    }
    if (nowMs >= pending.deadlineMs) return this.#expire(pending);
    if (!this.#isOut(pending)) {
      const refusal = this.#refusal(pending, configuration);
      if (refusal) return this.#answer(pending, refusal);
      if (this.#reachProblem(pending.nodes) !== undefined) return;
    }
    if (!voter?.canReachLeader(this.#view.isConnected)) return this.#leaveToOthers(pending);
    pending.leaderlessTick = undefined;
    const isDue = pending.proposedTick === undefined || tick - pending.proposedTick >= this.#view.resendTicks;
    const members = this.#nextMembers(pending.nodes);
    if (!isDue || !members) return;
    const nodeIds = members.map((member) => member.id);
    if (!voter.paxos.proposeReconfiguration(nodeIds, encodeMembers(members)).ok) return;
    pending.proposedTick = tick;
    pending.isProposed = true;
    this.#proposalsOut++;
  }

  /** Of a half-broken network: others may reach a leader, and the one who asks goes on to them. */
  #leaveToOthers(pending: PendingReconfiguration): void {
    const { tick, electionTimeoutTicks } = this.#view;
    pending.leaderlessTick ??= tick;
    const isPatient = tick - pending.leaderlessTick < timeoutsToMeet * electionTimeoutTicks;
    if (isPatient || pending.isProposed) return;
    this.#answer(pending, this.#noLeader());
  }

  #noLeader(): Failure {
    const message = `no leader with a majority of the members was within the reach of node ${this.#view.nodeId}`;
    return failure('noMajority', 'notApplied', message);
  }

  /** Why what is not on its way had better not be. Refusals of the network are final; what may only be slow gets some time. */
  #refusal(pending: PendingReconfiguration, configuration: Configuration): Failure | undefined {
    if (this.#view.voter?.paxos.isStopped) return failure('reconfiguring', 'notApplied', underWay('another one'));
    const { tick, electionTimeoutTicks } = this.#view;
    pending.sinceTick ??= tick;
    const isPatient = tick - pending.sinceTick < timeoutsToMeet * electionTimeoutTicks;
    const unfit = this.#unfitProblem(pending.nodes, configuration);
    if (unfit !== undefined) return failure('unreachable', 'notApplied', unfit);
    if (isPatient) return undefined;
    const problem = this.#missingProblem(pending.nodes) ?? this.#reachProblem(pending.nodes);
    if (problem === undefined) return undefined;
    // What one that is cut off does not reach others may: the one who asks goes on to them.
    return failure(this.#isCutOff(configuration) ? 'noMajority' : 'unreachable', 'notApplied', problem);
  }

  /** True while a proposal for it may yet be decided. One of two copies may have come back, and the other be in the log. */
  #isOut(pending: PendingReconfiguration): boolean {
    if (!pending.isProposed) return false;
    const accepted = this.#view.voter?.paxos.acceptedStopSign;
    return this.#proposalsOut > 0 || (accepted !== undefined && isTarget(configurationOf(accepted, 0), pending));
  }

  /** A newcomer that can be no member, however long one waits. */
  #unfitProblem(nodes: readonly TargetNode[], configuration: Configuration): string | undefined {
    for (const { id } of nodes.filter((node) => !this.#member(node.id))) {
      const hello = this.#view.helloOf(id);
      const unreached = this.#unreached.get(id);
      if (hello) {
        const problem = newcomerProblem(hello, configuration);
        if (problem !== undefined) return problem;
      } else if (unreached?.isRefusal) return cannotBeMember(id, unreached.reason);
    }
    return undefined;
  }

  #missingProblem(nodes: readonly TargetNode[]): string | undefined {
    const [first] = this.#missing(nodes);
    if (first === undefined) return undefined;
    const { id, isRebuilt } = first;
    const unreached = this.#unreached.get(id);
    const other = this.#otherDirectoryProblem(first);
    if (other !== undefined) return other;
    if (isRebuilt && unreached?.isRefusal) return `node ${id} cannot vote with what it runs with: ${unreached.reason}`;
    const why = unreached === undefined ? '' : ` (${unreached.reason})`;
    const from = `node ${this.#view.nodeId}`;
    if (isRebuilt)
      return (
        `node ${id} has not come to ${from} with another data directory${why}: ` +
        `start it with \`kv start --id ${id} --rebuild\`; if it runs with one, see that it and ${from} reach each other`
      );
    return (
      `node ${id} does not answer ${from} at ${this.#addressOf(first) ?? 'any known address'}${why}: ` +
      `start it with \`kv start --id ${id}\`; if it runs, see that ${from} reaches it there`
    );
  }

  /** Nothing would go on in a configuration of which no majority is there. */
  #reachProblem(nodes: readonly TargetNode[]): string | undefined {
    const isThere = ({ id, isRebuilt }: TargetNode): boolean =>
      id === this.#view.nodeId || this.#view.isConnected(id) || (isRebuilt === true && !!this.#view.replacementOf(id));
    const away = nodes.filter((node) => !isThere(node));
    if (2 * (nodes.length - away.length) > nodes.length) return undefined;
    const names = away.map(({ id }) => id).join(', ');
    return `of the next ${nodes.length} members no majority is within the reach of node ${this.#view.nodeId}: it has no link to ${names}`;
  }

  /** No majority of the present members is within reach of this node. */
  #isCutOff({ members }: Configuration): boolean {
    const { nodeId, isConnected } = this.#view;
    const there = members.filter(({ id }) => id === nodeId || isConnected(id));
    return 2 * there.length <= members.length;
  }

  #busy(): Failure {
    const target = this.#pending?.nodes.map(({ id }) => id).join(', ');
    return failure(
      'reconfiguring',
      'notApplied',
      underWay(target === undefined ? 'one' : `one to the members ${target}`),
    );
  }

  #expire(pending: PendingReconfiguration): void {
    const missing = this.#missingProblem(pending.nodes);
    if (this.#isOut(pending)) {
      const message = 'the reconfiguration was proposed but not decided in time: look at `kv status`';
      this.#answer(pending, failure('timeout', 'unknown', message));
    } else if (missing !== undefined) {
      this.#answer(pending, failure('unreachable', 'notApplied', missing));
    } else {
      this.#answer(pending, this.#noLeader());
    }
  }

  #answer(pending: PendingReconfiguration, body: Parameters<Output['respond']>[2]): void {
    this.#pending = undefined;
    this.#output.respond(pending.connection, pending.requestId, body);
  }

  /** The one who asks knows of a later configuration: this node would look at what is over, and others know better. */
  #behindProblem(ifConfigurationId: number | undefined): string | undefined {
    const known = this.#view.configuration?.configurationId;
    if (known === undefined || ifConfigurationId === undefined || known >= ifConfigurationId) return undefined;
    return `node ${this.#view.nodeId} has not heard of configuration ${ifConfigurationId} yet: it knows ${known}`;
  }

  #problem(nodes: readonly TargetNode[]): string | undefined {
    const problem = this.#rebuildProblem(nodes);
    if (problem) return problem;
    const unknown = nodes.find((node) => this.#addressOf(node) === undefined);
    if (unknown) return `no address is known for node ${unknown.id}: write ${unknown.id}=host:port`;
    return sharedAddressProblem(nodes.map((node) => ({ id: node.id, address: this.#addressOf(node) })));
  }

  /** Who votes with a directory that is whole must not lose that vote by a mistake. */
  #rebuildProblem(nodes: readonly TargetNode[]): string | undefined {
    for (const { id, isRebuilt } of nodes) {
      if (!isRebuilt) continue;
      const member = this.#member(id);
      if (!member) return `node ${id} is no member: only a member is rebuilt`;
      if (id !== this.#view.nodeId && this.#view.helloOf(id)?.storageId !== member.storageId) continue;
      return (
        `node ${id} runs and votes with its data directory (${member.storageId}): there is nothing to rebuild; ` +
        `if that directory is damaged, stop the node and start it with \`kv start --id ${id} --rebuild\``
      );
    }
    return undefined;
  }

  #missing(nodes: readonly TargetNode[]): TargetNode[] {
    return nodes.filter((node) => !this.#directoryOf(node));
  }

  /** The data directory that a node of the next configuration votes with, as far as it is known, if it is the one that is meant. */
  #directoryOf(node: TargetNode): string | undefined {
    const found = this.#knownDirectoryOf(node);
    return node.storageId === undefined || node.storageId === found ? found : undefined;
  }

  #knownDirectoryOf({ id, isRebuilt }: TargetNode): string | undefined {
    if (isRebuilt) return this.#view.replacementOf(id)?.storageId;
    return this.#member(id)?.storageId ?? this.#view.helloOf(id)?.storageId;
  }

  /** A member that stays where it is need not be there, nor run with what it votes with. */
  #asMeant(node: TargetNode): TargetNode {
    const { storageId: _, ...others } = node;
    const member = this.#member(node.id);
    const stays = member !== undefined && (node.address === undefined || node.address === member.address);
    return stays && !node.isRebuilt ? others : node;
  }

  /** One that was taken out and runs on, say, keeps a newcomer of its id from being linked. */
  #otherDirectoryProblem(node: TargetNode): string | undefined {
    const { id, storageId } = node;
    const known = this.#knownDirectoryOf(node);
    if (storageId === undefined || known === undefined) return undefined;
    const what = `at ${this.#addressOf(node)} node ${id} runs with data directory ${storageId}`;
    if (this.#member(id)) return `${what}, and votes with ${known}: start it with that one`;
    return `${what}, and another one, ${known}, runs as node ${id} at ${this.#view.helloOf(id)?.address}: stop that one`;
  }

  /** Undefined while a newcomer has not been met. */
  #nextMembers(nodes: readonly TargetNode[]): Member[] | undefined {
    const members: Member[] = [];
    for (const node of nodes) {
      const address = this.#addressOf(node);
      const storageId = this.#directoryOf(node);
      if (address === undefined || storageId === undefined) return undefined;
      members.push({ id: node.id, address, storageId });
    }
    return members.sort((a, b) => a.id - b.id);
  }

  #member(nodeId: NodeId): Member | undefined {
    return this.#view.configuration?.members.find((member) => member.id === nodeId);
  }

  #addressOf(node: TargetNode): string | undefined {
    return (
      node.address ??
      this.#member(node.id)?.address ??
      this.#view.knownAddress(node.id) ??
      this.#view.helloOf(node.id)?.address
    );
  }
}

/** Where one of the two will not have the other. */
export function cannotBeMember(id: NodeId, reason: string): string {
  return `node ${id} cannot be a member: ${reason}`;
}

function underWay(which: string): string {
  return `a reconfiguration is refused while ${which} is under way: look at \`kv status\` when it is done`;
}

/** The answer where the configuration that was to be ended is over: was it this that ended it, or another one? */
function overtaken(
  { nodes, isProposed, formerDirectories }: PendingReconfiguration,
  nextId: number,
  configuration: Configuration,
): ResponseBody {
  const next = historyOf(configuration).find(({ configurationId }) => configurationId === nextId);
  const hasFormer = configuration.members.some(({ storageId }) => formerDirectories.includes(storageId));
  const hasOurIds = next?.memberIds.length === nodes.length && nodes.every(({ id }) => next.memberIds.includes(id));
  const isOurs = hasOurIds && !hasFormer;
  // It came about, and more after it before this node heard of it. An address that differs does not show in the past.
  if (isProposed && isOurs && nextId < configuration.configurationId) {
    return { type: 'reconfigured', configurationId: nextId };
  }
  const outcome = isProposed && next === undefined ? 'unknown' : 'notApplied';
  return cameFirst(configuration, outcome);
}

/** The answer to who wants to change the members, if these are not those any more from which the change was worked out. */
export function cameFirst(configuration: Configuration, outcome: Failure['outcome']): Failure {
  const { configurationId } = configuration;
  const message = `another reconfiguration came first: configuration ${configurationId} has the members ${ids(configuration)}`;
  return failure('reconfiguring', outcome, message);
}

/** The link has seen to it that it is of this cluster or of none: see `strangerProblem`. */
function newcomerProblem(hello: PeerHello, configuration: Configuration): string | undefined {
  const { nodeId, storageId } = hello;
  if (hello.protocolVersion !== protocolVersion) {
    return `node ${nodeId} speaks protocol version ${hello.protocolVersion}, the members ${protocolVersion}: run the same release of kv`;
  }
  const namesake = configuration.members.find((member) => member.storageId === storageId);
  return (
    namesake &&
    `node ${nodeId} came with data directory ${storageId}, which node ${namesake.id} votes with: start it with one of its own`
  );
}

/** True if the members are those that were asked for. `formerDirectories`: of those that are rebuilt. */
export function isTarget(
  configuration: Configuration,
  { nodes, formerDirectories }: Pick<PendingReconfiguration, 'nodes' | 'formerDirectories'>,
): boolean {
  if (configuration.members.length !== nodes.length) return false;
  if (configuration.members.some(({ storageId }) => formerDirectories.includes(storageId))) return false;
  return nodes.every((node) => {
    const member = configuration.members.find(({ id }) => id === node.id);
    const isMeant = node.storageId === undefined || node.storageId === member?.storageId;
    return member !== undefined && isMeant && (node.address === undefined || node.address === member.address);
  });
}

/** Two members at one address are one process. */
function sharedAddressProblem(nodes: readonly { readonly id: NodeId; readonly address: string | undefined }[]) {
  for (const [at, { id, address }] of nodes.entries()) {
    const other = nodes.slice(0, at).find((node) => node.address === address);
    if (other) return `nodes ${other.id} and ${id} would have the same address ${address}: each node needs its own`;
  }
  return undefined;
}

function ids(configuration: Configuration): string {
  return configuration.members.map((member) => member.id).join(', ');
}
