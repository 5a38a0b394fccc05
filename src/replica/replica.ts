import { assert, assertNever } from '../base/assert.ts';
import type { Configuration } from '../cluster/configuration.ts';
import { laterConfigurationOf } from '../cluster/state-configuration.ts';
import { configurationOf } from '../cluster/stop-sign.ts';
import { KvStateMachine } from '../kv/state-machine.ts';
import type { StateStore } from '../kv/state-store.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { StopSign } from '../omnipaxos/entry.ts';
import { Log } from '../omnipaxos/log.ts';
import type { ClientRequest, NodeStatus } from '../wire/client-message.ts';
import type { PeerHello, PeerMessage } from '../wire/peer-message.ts';
import { Donor } from './catch-up/donor.ts';
import { type DonorRequest, DonorService } from './catch-up/donor-service.ts';
import { Backups } from './clients/backups.ts';
import { Clients } from './clients/clients.ts';
import { ConsensusExchange } from './consensus-exchange.ts';
import type { ConnectionId, ReplicaEvent, SpaceMeasured, TurnOutput } from './events.ts';
import { FlushTimes } from './lead/flush-times.ts';
import { LeadKeeper } from './lead/lead-keeper.ts';
import type { LogStore } from './log-store.ts';
import { Admission } from './membership/admission.ts';
import { CatchUpControl } from './membership/catch-up-control.ts';
import { Fillings } from './membership/fillings.ts';
import type { InitialCluster } from './membership/formation.ts';
import { Greeting } from './membership/greeting.ts';
import { Membership, newcomersOf } from './membership/membership.ts';
import { Openings } from './membership/openings.ts';
import { Peers } from './membership/peers.ts';
import { PeersToDial, staleAddresses } from './membership/peers-to-dial.ts';
import { Recipient } from './membership/recipient.ts';
import { Reconfigurations } from './membership/reconfigurations.ts';
import { nodeStatus } from './node-status.ts';
import { NodeView } from './node-view.ts';
import { Output } from './output.ts';
import { Readiness, stoppingFailure } from './readiness.ts';
import type { ReplicaSettings } from './settings.ts';
import { Applier } from './state/applier.ts';
import { Expirer } from './state/expirer.ts';
import { Space } from './state/space.ts';
import { StateKeeper } from './state/state-keeper.ts';
import type { Voter } from './voter.ts';

export interface ReplicaOptions {
  readonly initial: InitialCluster;
  /** Where this node is reached. */
  readonly address: string;
  readonly logStore: LogStore;
  readonly stateStore: StateStore;
  readonly settings: ReplicaSettings;
  /** Nominal milliseconds between ticks: for clients' deadlines and for what is told or measured in time, such as slow disks. */
  readonly tickMs: number;
  /** A new directory stands by until it is taken in, also that of a node of the first configuration: it is to be rebuilt. */
  readonly standsBy?: boolean;
  /** True while so much waits to be sent to a client that it had better get no more answers; never if left out. */
  readonly isCongested?: (connection: ConnectionId) => boolean;
  /** Where a node is that no file and no configuration names, if there is a rule for it. */
  readonly defaultAddress?: (nodeId: NodeId) => string | undefined;
}

/** A newcomer counts as filled with so many times the lag with which a node votes: it gets the rest in a moment. */
const fillLag = 4;
/** Election timeouts until the end of a key is proposed again: a leader's own log loses nothing, but for a change of members. */
const expiryRetryTimeouts = 100;
/** Ticks between sweeps of deadlines. */
const sweepTicks = 5;

/**
 * One node of the store, sans I/O. Sockets, disks and timers put events into the inbox with `receive`; `turn` takes all
 * that wait, runs them synchronously, and returns what may leave. Between the two the owner makes the log store's staged
 * writes durable and says so with `flushed`; what depends on them leaves in a later turn (the core's gate sees to that).
 */
export class Replica {
  readonly #options: ReplicaOptions;
  readonly #settings: ReplicaSettings;
  readonly #logStore: LogStore;
  readonly #stateStore: StateStore;
  readonly #machine: KvStateMachine;
  readonly #donor: Donor;
  readonly #keeper: StateKeeper;
  readonly #applier: Applier;
  readonly #donorService: DonorService;
  readonly #backups: Backups;
  readonly #peers = new Peers();
  readonly #openings: Openings;
  readonly #admission: Admission;
  readonly #greeting: Greeting;
  readonly #output = new Output();
  readonly #clients: Clients;
  readonly #reconfigurations: Reconfigurations;
  readonly #fillings: Fillings;
  readonly #space: Space;
  readonly #expirer: Expirer;
  readonly #view: NodeView;
  readonly #readiness: Readiness;
  readonly #flushTimes = new FlushTimes();
  readonly #leadKeeper: LeadKeeper;
  readonly #peersToDial: PeersToDial;
  readonly #membership: Membership;
  readonly #recipient: Recipient;
  readonly #exchange: ConsensusExchange;
  #inbox: ReplicaEvent[] = [];
  /** This turn has something for clients or for the algorithm. */
  #isTurnBusy = false;

  /** Goes on from what the stores hold. Throws if they do not belong together. */
  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#settings = options.settings;
    this.#logStore = options.logStore;
    this.#stateStore = options.stateStore;
    this.#peersToDial = new PeersToDial(this.#logStore.identity.nodeId, options.address, options.initial.nodes);
    this.#greeting = new Greeting(this.#logStore, options.initial, options.address);
    this.#openings = new Openings(this.#logStore);
    this.#admission = this.#makeAdmission();
    this.#recoverLog();
    this.#machine = new KvStateMachine(this.#stateStore);
    this.#donor = new Donor(this.#machine, this.#settings);
    this.#keeper = new StateKeeper(this.#machine, this.#stateStore, this.#logStore, this.#donor, this.#settings);
    this.#applier = this.#makeApplier();
    this.#donorService = this.#makeDonorService();
    this.#membership = this.#makeMembership();
    const view = this.#makeView();
    this.#view = view;
    this.#space = new Space(this.#machine, this.#output, view, 2 * this.#settings.electionTimeoutTicks);
    this.#expirer = new Expirer(this.#machine, view, expiryRetryTimeouts * this.#settings.electionTimeoutTicks);
    this.#backups = new Backups(this.#stateStore, this.#keeper, this.#settings, this.#output, view);
    this.#readiness = this.#makeReadiness();
    this.#clients = new Clients(this.#machine, this.#backups, this.#settings, this.#output, this.#readiness);
    this.#reconfigurations = new Reconfigurations(this.#output, view);
    this.#fillings = new Fillings(this.#output, view, fillLag * this.#settings.voteLagEntries);
    this.#leadKeeper = new LeadKeeper(this.#output, view);
    this.#recipient = this.#makeRecipient();
    this.#exchange = this.#makeExchange();
    this.#enterConfigurationOfState();
    const stale = staleAddresses(options.initial.nodes, this.#configuration);
    if (stale !== undefined) this.#output.notice('warn', stale);
  }

  /** What this node says of itself on a new link, as of now. */
  hello(): PeerHello {
    return this.#greeting.hello(this.#membership.mayForm);
  }

  /** The cluster that this node belongs to, once it does. */
  get clusterId(): string | undefined {
    return this.#logStore.identity.clusterId;
  }

  /** Puts an event into the inbox. False, and the event dropped, if the inbox is full; ticks and disk answers always fit. */
  receive(event: ReplicaEvent): boolean {
    const canBeDropped = event.type === 'peerMessages' || event.type === 'requests';
    if (canBeDropped && this.#inbox.length >= this.#settings.inboxMax) {
      if (event.type === 'requests') this.#clients.turnAway(event.connection, event.requests);
      return false;
    }
    this.#inbox.push(event);
    return true;
  }

  /** Takes all events that wait and runs them. Throws an InvariantError if what must hold does not: the node must end. */
  turn(): TurnOutput {
    const events = this.#inbox;
    this.#inbox = [];
    this.#isTurnBusy = false;
    this.#applier.beginTurn();
    this.#clients.beginTurn();
    this.#exchange.beginTurn();
    for (const event of events) this.#handle(event);
    const hasMore = this.#advance();
    return this.#output.take(this.#view.isConnected, this.#keeper.durableConfigurationId, hasMore);
  }

  /** Nodes that this one wants a link with, and where they are. While nothing changes it is the same map: each tick asks for it. */
  peersToDial(): ReadonlyMap<NodeId, string> {
    return this.#peersToDial.with(
      this.#configuration,
      this.#fillings.newcomers(),
      this.#reconfigurations.newcomers(),
      this.#membership.membersToldOf(),
    );
  }

  /** The configuration that this node has taken up; 0 before the first. */
  get configurationId(): number {
    return this.#membership.configurationId;
  }

  status(): NodeStatus {
    return nodeStatus({
      store: this.#logStore,
      appliedIndex: this.#machine.appliedIndex,
      address: this.#options.address,
      mode: this.#membership.mode,
      leader: this.#readiness.leader,
      members: this.#view.members,
      connected: this.#peers.ids(),
      disk: this.#flushTimes.status(),
      logHeld: this.#donor.logHeld,
      space: this.#space,
    });
  }

  /** After `stopping`: nothing here is worth waiting for any more. */
  get canStop(): boolean {
    const { canBeSucceeded, isCutOff } = this.#leadKeeper;
    return !canBeSucceeded && (isCutOff || !this.#clients.hasPendingWrites);
  }

  /** True while nobody waits for this node: it is no member, and gives nobody its state. It may be getting data to become one. */
  get isUnhurried(): boolean {
    return this.#membership.mode.name === 'standby' && !this.#donor.isGiving;
  }

  /** For tests and the simulator: a hash of the state at the applied index. */
  stateHash(): string {
    return this.#machine.stateHash();
  }

  get appliedIndex(): number {
    return this.#machine.appliedIndex;
  }

  /** The consensus of the present configuration, while this node votes. */
  get voter(): Voter | undefined {
    return this.#membership.voter;
  }

  /** Lets go of snapshots. The stores are the owner's to close. */
  close(): void {
    this.#donor.close();
    this.#backups.closeAll();
  }

  /** The one that this node has taken up. */
  get #configuration(): Configuration | undefined {
    return this.#logStore.configuration;
  }

  /**
   * The state may be ahead of the log on disk, which then holds entries of no account below it: they were decided, and
   * their effect is in the state. The log goes on from there; votes at and above that index stand.
   */
  #recoverLog(): void {
    const { durableIndex } = this.#stateStore;
    const { state, sequence } = this.#logStore;
    assert(
      durableIndex >= sequence.trimmedIndex,
      `the state ends at ${durableIndex}, the log begins at ${sequence.trimmedIndex}`,
    );
    if (durableIndex > state.decidedIndex) new Log(this.#logStore, 0).installState(durableIndex);
  }

  #enterConfigurationOfState(): void {
    const later = laterConfigurationOf(this.#machine.configuration, this.#configuration);
    if (later) this.#membership.enter(later);
  }

  #makeAdmission(): Admission {
    const parts = { store: this.#logStore, peers: this.#peers, openings: this.#openings, output: this.#output };
    return new Admission({ ...parts, clusterName: this.#options.initial.name });
  }

  #makeApplier(): Applier {
    const parts = {
      ...{ machine: this.#machine, keeper: this.#keeper, holds: this.#donor },
      ...{ logStore: this.#logStore, settings: this.#settings },
    };
    return new Applier(parts, {
      onApplied: (command, outcome) => this.#clients.onApplied(command, outcome),
      onStopSign: (stopSign, index) => this.#onStopSign(stopSign, index),
    });
  }

  #makeDonorService(): DonorService {
    const parts = { donor: this.#donor, machine: this.#machine, keeper: this.#keeper, store: this.#logStore };
    return new DonorService({ ...parts, output: this.#output }, this.#settings.catchUpBytesMax);
  }

  #makeMembership(): Membership {
    const parts = {
      ...{ store: this.#logStore, keeper: this.#keeper },
      catchUpControl: new CatchUpControl(this.#logStore, this.#stateStore, this.#keeper, this.#settings),
      ...{ peers: this.#peers, openings: this.#openings, output: this.#output },
    };
    const { initial, settings, standsBy = false } = this.#options;
    return new Membership(parts, {
      ...{ initial, settings, standsBy },
      onEntered: () => {
        this.#unlinkOlderCopies();
        this.#clients.onConfigurationEnd();
        this.#reconfigurations.onConfiguration();
      },
      onSteppedBack: () => {
        const { refusal } = this.#readiness;
        if (refusal) this.#clients.failAll(refusal);
      },
    });
  }

  #makeView(): NodeView {
    const { initial, settings, tickMs, defaultAddress } = this.#options;
    return new NodeView({
      ...{ store: this.#logStore, machine: this.#machine, membership: this.#membership, peers: this.#peers },
      ...{ initial, settings, tickMs, defaultAddress },
    });
  }

  #makeReadiness(): Readiness {
    const { isCongested = () => false } = this.#options;
    const parts = { view: this.#view, membership: this.#membership, space: this.#space };
    return new Readiness({ ...parts, isCongested, status: () => this.status() });
  }

  #makeRecipient(): Recipient {
    return new Recipient({
      ...{ membership: this.#membership, keeper: this.#keeper, machine: this.#machine, store: this.#logStore },
      ...{ peers: this.#peers, space: this.#space, output: this.#output },
    });
  }

  #makeExchange(): ConsensusExchange {
    return new ConsensusExchange({
      ...{ view: this.#view, membership: this.#membership, applier: this.#applier, donorService: this.#donorService },
      ...{ clients: this.#clients, reconfigurations: this.#reconfigurations, output: this.#output },
    });
  }

  #handle(event: ReplicaEvent): void {
    switch (event.type) {
      case 'tick':
        this.#onTick(event.elapsedMs);
        return this.#leadKeeper.tick(event.flushingMs, event.flushingBytes);
      case 'peerConnected':
        return this.#onPeerConnected(event.hello);
      case 'peerDisconnected':
        this.#donor.forget(event.nodeId);
        this.#membership.catchUp?.onLinkLost(event.nodeId);
        return this.#peers.disconnect(event.nodeId);
      case 'peerUnreached':
        this.#membership.onUnreached(event.nodeId, event.isRefusal ? event.reason : undefined);
        return this.#onUnreached(event.nodeId, event.reason, event.isRefusal);
      case 'peerMessages':
        if (!this.#peers.has(event.from)) return;
        for (const message of event.messages) this.#onPeerMessage(event.from, message);
        return;
      case 'requests':
        for (const request of event.requests) this.#onRequest(event.connection, request);
        return;
      case 'clientGone':
        return this.#clients.forget(event.connection);
      case 'flushed':
        return this.#onFlushed(event.durationMs, event.bytes);
      case 'checkpointed':
        this.#keeper.onCheckpointed();
        return this.#trimLog();
      case 'space':
        return this.#onSpace(event);
      case 'stateInstalled':
        return this.#onStateInstalled(event.index);
      case 'stopping':
        this.#readiness.onStopping();
        return this.#leadKeeper.onStopping();
      case 'stopped':
        return this.#clients.failAll(stoppingFailure);
      default:
        return assertNever(event, 'event');
    }
  }

  #onSpace(measured: SpaceMeasured): void {
    this.#space.onMeasured(measured);
    this.#keeper.onSpace(measured);
    this.#recipient.onSpace();
    this.#donorService.onSpace(measured);
    this.#backups.onSpace(measured);
    this.#trimLog();
  }

  /** Not while joining: the log up to the StopSign is to be seen. Who stands by owes nobody its log. */
  #trimLog(): void {
    const configuration = this.#membership.mode.name === 'standby' ? this.#configuration : this.voter?.configuration;
    if (configuration) this.#keeper.trimLog(configuration);
  }

  #onRequest(connection: ConnectionId, request: ClientRequest): void {
    this.#isTurnBusy = true;
    if (request.type !== 'reconfigure' && request.type !== 'fill') return this.#clients.receive(connection, request);
    const refusal = this.#readiness.refusal ?? this.#readiness.formingRefusal;
    if (refusal) this.#output.respond(connection, request.id, refusal);
    else if (request.type === 'fill') this.#fillings.receive(connection, request);
    else this.#reconfigurations.receive(connection, request);
  }

  #onFlushed(durationMs: number, bytes: number): void {
    this.#flushTimes.add(durationMs);
    this.#leadKeeper.onFlushed(durationMs, bytes);
  }

  #onTick(elapsedMs: number): void {
    this.#view.onTick(elapsedMs);
    const { voter } = this;
    this.#membership.tick();
    voter?.tick();
    if (voter) this.#recipient.tellLog(voter);
    this.#expirer.tick(elapsedMs);
    this.#tickDonor(elapsedMs);
    this.#backups.tick();
    const { tick, resendTicks } = this.#view;
    if (tick % sweepTicks === 0) this.#clients.sweep();
    if (tick % resendTicks === 0) this.#membership.announceToUnheard();
  }

  #tickDonor(elapsedMs: number): void {
    const { entries, bytes } = this.#applier.takeSinceTick();
    const isServing = entries > 0 || this.#clients.hasPendingWrites;
    const lateness = elapsedMs / this.#options.tickMs;
    this.#donorService.tick({ isServing, lateness, appliedBytes: bytes });
  }

  /** Moves everything on as far as it goes: proposals, messages, decided entries, reads, catch-up, checkpoints. True if there is more to do at once. */
  #advance(): boolean {
    this.#exchange.noticeLeader();
    this.#clients.pump();
    this.#reconfigurations.pump();
    this.#space.pump();
    this.#exchange.advance();
    let hasMore = this.#clients.settleDoubts();
    if (this.#clients.serveReads()) hasMore = true;
    if (this.#membership.advance()) hasMore = true;
    this.#recipient.advance();
    if (this.#donorService.serve(this.#isTurnBusy, this.#applier.bytesInTurn)) hasMore = true;
    this.#backups.advance();
    this.#keeper.advance(this.#view.tick, this.isUnhurried, this.#output);
    return hasMore || this.#exchange.hasMoreToDo;
  }

  /** A decided StopSign was reached (PROTOCOL: Reconfiguration 2, 3, 6). False for one that is history here already. */
  #onStopSign(stopSign: StopSign, index: number): boolean {
    const before = this.#configuration;
    const next = configurationOf(stopSign, index);
    this.#machine.beginConfiguration(index, next.configurationId, stopSign.metadata);
    if (next.configurationId <= this.#membership.configurationId) return false;
    // All who pass here hold the same state: newcomers pull it from all of them.
    if (newcomersOf(next, before).length > 0) this.#donor.holdHere();
    this.#membership.enter(next);
    return true;
  }

  #onPeerConnected(hello: PeerHello): void {
    const refused = this.#admission.admit(hello, this.#view.nowMs);
    if (refused !== undefined) return this.#onUnreached(hello.nodeId, refused, true);
    this.#membership.catchUp?.onLinkLost(hello.nodeId);
    this.#unlinkOlderCopies();
    const wasVoter = this.voter;
    this.#membership.onPeerConnected(hello);
    if (wasVoter?.leader?.pid === hello.nodeId) this.#clients.proposeAgain();
    if (hello.clusterId === undefined) this.#membership.announce(hello.nodeId);
  }

  /** A newcomer, maybe. */
  #onUnreached(nodeId: NodeId, reason: string, isRefusal: boolean): void {
    this.#fillings.onUnreached(nodeId, reason, isRefusal);
    this.#reconfigurations.onUnreached(nodeId, reason, isRefusal);
  }

  #unlinkOlderCopies(): void {
    this.#admission.unlinkOlderCopies((nodeId) => this.#donor.forget(nodeId));
  }

  #onPeerMessage(from: NodeId, message: PeerMessage): void {
    const { configurationId, payload } = message;
    this.#peers.heard(from, configurationId);
    const hello = this.#peers.helloOf(from);
    if (hello && this.#configuration) this.#openings.heard(hello, message, this.#configuration);
    switch (payload.type) {
      case 'Announce':
        return this.#membership.onAnnounce(from, payload);
      case 'TakeOver':
        return this.#leadKeeper.onTakeOver(from, configurationId);
      case 'DonorQuery':
      case 'SnapshotRequest':
      case 'CutsRequest':
      case 'StateRequest':
      case 'LogRequest':
        return this.#onDonorRequest(from, configurationId, payload);
      case 'Fill':
        return this.#membership.onFill(from, payload);
      case 'DonorStanding':
        this.#fillings.onStanding(from, payload);
        return this.#recipient.receive(from, configurationId, payload);
      case 'LogSegment':
      case 'SnapshotOffer':
      case 'Cuts':
      case 'StateChunk':
        return this.#recipient.receive(from, configurationId, payload);
      default:
        this.#isTurnBusy = true;
        return this.#exchange.receive(from, message);
    }
  }

  /**
   * What is decided is for everyone. Who does not know this configuration learns of it, too, and has to before it can use what comes
   * from behind its StopSign.
   */
  #onDonorRequest(from: NodeId, configurationId: number, request: DonorRequest): void {
    if (configurationId < this.#membership.configurationId) this.#membership.announce(from);
    this.#donorService.take(from, request, this.voter?.paxos.isLeader ?? false);
  }

  #onStateInstalled(index: number): void {
    this.#recipient.onStateInstalled(index);
    // What lies in it is never applied here one by one: its session tells what came of it.
    this.#clients.proposeAgain();
    this.#donorService.reached();
  }
}
