import type { Configuration, Member } from '../cluster/configuration.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import { nodesProblem } from '../omnipaxos/configuration.ts';
import type { ClientRequest, TargetNode } from '../wire/client-message.ts';
import { membersMax } from '../wire/limits.ts';
import type { PeerHello } from '../wire/peer-message.ts';
import type { ConnectionId } from './events.ts';
import { failure, type Output } from './output.ts';
import { encodeMembers } from './stop-sign.ts';
import type { Voter } from './voter.ts';

interface PendingReconfiguration {
  readonly connection: ConnectionId;
  readonly requestId: number;
  readonly nodes: readonly TargetNode[];
  /** The configuration that it is to end. */
  readonly configurationId: number;
  readonly deadlineMs: number;
  /** Leader ballot and tick of the last proposal. */
  proposedTick: number | undefined;
}

/** What a reconfiguration needs to know of the node. */
export interface ReconfigurationsView {
  readonly voter: Voter | undefined;
  readonly configuration: Configuration | undefined;
  readonly tick: number;
  readonly nowMs: number;
  readonly resendTicks: number;
  /** Address of a node that is no member: the cluster file's. */
  knownAddress(nodeId: NodeId): string | undefined;
  /** The hello of a node that is connected. */
  helloOf(nodeId: NodeId): PeerHello | undefined;
  isConnected(nodeId: NodeId): boolean;
}

/** The reconfiguration that a client of this node asked for: one at a time. */
export class Reconfigurations {
  readonly #output: Output;
  readonly #view: ReconfigurationsView;
  #pending: PendingReconfiguration | undefined;

  constructor(output: Output, view: ReconfigurationsView) {
    this.#output = output;
    this.#view = view;
  }

  /** Addresses of newcomers to dial: they say in their hello which data directory they will vote with. */
  newcomers(): ReadonlyMap<NodeId, string> {
    const found = new Map<NodeId, string>();
    for (const node of this.#pending?.nodes ?? []) {
      const address = this.#addressOf(node);
      if (address !== undefined && !this.#member(node.id)) found.set(node.id, address);
    }
    return found;
  }

  receive(connection: ConnectionId, request: ClientRequest & { readonly type: 'reconfigure' }): void {
    const problem = this.#problem(request.nodes);
    if (problem) return this.#output.respond(connection, request.id, failure('invalid', 'notApplied', problem));
    if (this.#pending || this.#view.voter?.paxos.isStopped) {
      const message = 'a reconfiguration is under way: wait until it is done, then look at `kv status`';
      return this.#output.respond(connection, request.id, failure('reconfiguring', 'notApplied', message));
    }
    this.#pending = {
      connection,
      requestId: request.id,
      nodes: request.nodes,
      configurationId: this.#view.configuration?.configurationId ?? 0,
      deadlineMs: this.#view.nowMs + request.timeoutMs,
      proposedTick: undefined,
    };
  }

  /** Proposes when everyone new has been met and a leader is in reach; answers when the outcome is known. */
  pump(): void {
    const pending = this.#pending;
    const { configuration, voter, tick, nowMs } = this.#view;
    if (!pending) return;
    if (!configuration) return nowMs >= pending.deadlineMs ? this.#expire(pending) : undefined;
    if (isTarget(configuration, pending.nodes)) {
      const { configurationId } = configuration;
      return this.#answer(pending, { type: 'reconfigured', configurationId });
    }
    if (configuration.configurationId !== pending.configurationId) {
      const message = `another reconfiguration came first: the members are ${ids(configuration)} now`;
      return this.#answer(pending, failure('reconfiguring', 'notApplied', message));
    }
    if (nowMs >= pending.deadlineMs) return this.#expire(pending);
    if (!voter?.canReachLeader((id) => this.#view.isConnected(id))) return;
    const isDue = pending.proposedTick === undefined || tick - pending.proposedTick >= this.#view.resendTicks;
    const members = this.#nextMembers(pending.nodes);
    if (!isDue || !members) return;
    const nodeIds = members.map((member) => member.id);
    if (voter.paxos.proposeReconfiguration(nodeIds, encodeMembers(members)).ok) pending.proposedTick = tick;
  }

  #expire(pending: PendingReconfiguration): void {
    const missing = this.#missing(pending.nodes);
    if (pending.proposedTick !== undefined) {
      const message = 'the reconfiguration was proposed but not decided in time: look at `kv status`';
      this.#answer(pending, failure('timeout', 'unknown', message));
    } else if (missing.length > 0) {
      const [first] = missing;
      const address = first && this.#addressOf(first);
      const message = `node ${first?.id} does not answer at ${address ?? 'any known address'}: start it with \`kv start --id ${first?.id}\``;
      this.#answer(pending, failure('unreachable', 'notApplied', message));
    } else {
      this.#answer(
        pending,
        failure('noMajority', 'notApplied', 'no leader with a majority of the members was in reach'),
      );
    }
  }

  #answer(pending: PendingReconfiguration, body: Parameters<Output['respond']>[2]): void {
    this.#pending = undefined;
    this.#output.respond(pending.connection, pending.requestId, body);
  }

  #problem(nodes: readonly TargetNode[]): string | undefined {
    if (nodes.length > membersMax) return `${nodes.length} members: at most ${membersMax} are allowed`;
    const problem = nodesProblem(nodes.map((node) => node.id));
    if (problem) return problem;
    const unknown = nodes.find((node) => this.#addressOf(node) === undefined);
    return unknown && `no address is known for node ${unknown.id}: write ${unknown.id}=host:port`;
  }

  #missing(nodes: readonly TargetNode[]): TargetNode[] {
    return nodes.filter((node) => !this.#member(node.id) && !this.#view.helloOf(node.id));
  }

  /** Undefined while a newcomer has not been met. */
  #nextMembers(nodes: readonly TargetNode[]): Member[] | undefined {
    const members: Member[] = [];
    for (const node of nodes) {
      const address = this.#addressOf(node);
      const storageId = this.#member(node.id)?.storageId ?? this.#view.helloOf(node.id)?.storageId;
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

function isTarget(configuration: Configuration, nodes: readonly TargetNode[]): boolean {
  if (configuration.members.length !== nodes.length) return false;
  return nodes.every((node) => {
    const member = configuration.members.find(({ id }) => id === node.id);
    return member !== undefined && (node.address === undefined || node.address === member.address);
  });
}

function ids(configuration: Configuration): string {
  return configuration.members.map((member) => member.id).join(', ');
}
