import type { Configuration } from '../cluster/configuration.ts';
import type { KvStateMachine } from '../kv/state-machine.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { NodeStatus } from '../wire/client-message.ts';
import type { PeerHello } from '../wire/peer-message.ts';
import type { LogStore } from './log-store.ts';
import type { InitialCluster } from './membership/formation.ts';
import type { Membership } from './membership/membership.ts';
import type { Peers } from './membership/peers.ts';
import type { ReplicaSettings } from './settings.ts';
import type { Voter } from './voter.ts';

/** What a view looks at: the parts of its node, each of which the node has one of, and what the node was given. */
export interface NodeViewParts {
  readonly store: LogStore;
  readonly machine: KvStateMachine;
  readonly membership: Membership;
  readonly peers: Peers;
  readonly initial: InitialCluster;
  readonly settings: ReplicaSettings;
  /** Nominal milliseconds between ticks. */
  readonly tickMs: number;
  /** Where a node is that no file and no configuration names, if there is a rule for it. */
  readonly defaultAddress: ((nodeId: NodeId) => string | undefined) | undefined;
}

/** So many of the last entries tell how large entries are. */
const recentEntries = 16;

/**
 * What any part of a node may know of it: who it is, what time it is there, what it votes in, how far it has come, and with whom it is
 * linked. Each part says what of it it needs, by an interface of its own.
 */
export class NodeView {
  readonly nodeId: NodeId;
  /** How often the node's directory was opened. */
  readonly incarnation: number;
  readonly clusterName: string;
  readonly tickMs: number;
  readonly resendTicks: number;
  readonly electionTimeoutTicks: number;
  readonly handoverPauseTicks: number;
  readonly prepareTimeouts: number;
  readonly isConnected = (nodeId: NodeId): boolean => this.#peers.has(nodeId);
  readonly #store: LogStore;
  readonly #machine: KvStateMachine;
  readonly #membership: Membership;
  readonly #peers: Peers;
  readonly #initial: InitialCluster;
  readonly #defaultAddress: NodeViewParts['defaultAddress'];
  #tick = 0;
  #nowMs = 0;

  constructor({ store, machine, membership, peers, initial, settings, tickMs, defaultAddress }: NodeViewParts) {
    this.nodeId = store.identity.nodeId;
    this.incarnation = store.incarnation;
    this.clusterName = initial.name;
    this.tickMs = tickMs;
    this.resendTicks = settings.resendTicks;
    this.electionTimeoutTicks = settings.electionTimeoutTicks;
    this.handoverPauseTicks = settings.handoverPauseTicks;
    this.prepareTimeouts = settings.prepareTimeouts;
    this.#store = store;
    this.#machine = machine;
    this.#membership = membership;
    this.#peers = peers;
    this.#initial = initial;
    this.#defaultAddress = defaultAddress;
  }

  /** A tick is here, `elapsedMs` after the last one. */
  onTick(elapsedMs: number): void {
    this.#tick++;
    this.#nowMs += elapsedMs;
  }

  /** Ticks since the node began. */
  get tick(): number {
    return this.#tick;
  }

  /** Milliseconds since then, as of the last tick. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** The consensus of the present configuration, while this node votes. */
  get voter(): Voter | undefined {
    return this.#membership.voter;
  }

  /** The one that this node has taken up. */
  get configuration(): Configuration | undefined {
    return this.#store.configuration;
  }

  /** The members of that; before there is one, the nodes of the cluster file. */
  get members(): NodeStatus['members'] {
    const members = this.configuration?.members;
    if (members) return members.map(({ id, address, storageId }) => ({ id, address, storageId }));
    return [...this.#initial.nodes].map(([id, address]) => ({ id, address }));
  }

  /** The cluster that this node belongs to, once it does. */
  get clusterId(): string | undefined {
    return this.#store.identity.clusterId;
  }

  get decidedIndex(): number {
    return this.#store.state.decidedIndex;
  }

  get appliedIndex(): number {
    return this.#machine.appliedIndex;
  }

  /** Of the last decided entries: how many bytes one has, on average. Reads them. */
  recentEntryBytes(): number {
    const { sequence, state } = this.#store;
    const { decidedIndex } = state;
    const entries = sequence.read(Math.max(sequence.trimmedIndex, decidedIndex - recentEntries), decidedIndex);
    let bytes = 0;
    for (const entry of entries) if (entry.type === 'Normal') bytes += entry.entry.length;
    return bytes / Math.max(1, entries.length);
  }

  /** This node needs a state that it has no room for. */
  get lacksRoomForState(): boolean {
    return this.#membership.catchUp?.lacksRoom ?? false;
  }

  /** Of a node that is linked. */
  helloOf(nodeId: NodeId): PeerHello | undefined {
    return this.#peers.helloOf(nodeId);
  }

  /** Of a member that runs with another data directory than it votes with. */
  replacementOf(nodeId: NodeId): PeerHello | undefined {
    return this.#peers.replacementOf(nodeId, this.#nowMs);
  }

  /** Of a node that is no member. */
  knownAddress(nodeId: NodeId): string | undefined {
    return this.#initial.nodes.get(nodeId) ?? this.#defaultAddress?.(nodeId);
  }
}
