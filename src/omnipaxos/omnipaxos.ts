import { assert, assertNever } from '../base/assert.ts';
import type { Ballot, NodeId } from './ballot.ts';
import { bottomBallot, compareBallots } from './ballot.ts';
import {
  checkWhole,
  nodesProblem,
  type OmniPaxosOptions,
  type ResolvedOptions,
  resolveOptions,
} from './configuration.ts';
import type { Entry, StopSign } from './entry.ts';
import { Follower } from './follower.ts';
import { Leader } from './leader.ts';
import { Log } from './log.ts';
import type { PaxosMessage, Prepare } from './messages.ts';
import { Outbox } from './outbox.ts';
import { ProposalQueue } from './proposals.ts';
import { ReadIndex, type ReadView, type ReadyRead } from './read-index.ts';
import type { CatchUpTarget } from './sync.ts';

/**
 * What became of a proposal. `ok`: it is on its way, which is not yet *decided*.
 *
 * - `stopped`: a StopSign is accepted here; propose in the next configuration.
 * - `full`: `undecidedSizeMax` is reached; propose later.
 * - `invalid`: a reconfiguration names no proper set of nodes; `detail` says why.
 */
export type ProposeResult =
  | { readonly ok: true }
  | { readonly ok: false; readonly reason: 'stopped' | 'full' }
  | { readonly ok: false; readonly reason: 'invalid'; readonly detail: string };

const proposed: ProposeResult = { ok: true };

/**
 * One replica of one configuration: Sequence Paxos, sans I/O. Its owner calls `handleLeader` with what the election says,
 * `handle` with what the network brings, `tick` as time goes by, and sends what `getOutgoingMsgs` returns.
 *
 * Every event is handled synchronously and whole, and the invariants are checked after each.
 * Source: PROTOCOL (docs/PROTOCOL.md); OmniPaxos, EuroSys 2023, §4–6.
 */
export class OmniPaxos<T> {
  readonly #options: ResolvedOptions<T>;
  readonly #log: Log<T>;
  readonly #outbox: Outbox<T>;
  readonly #queue: ProposalQueue<T>;
  readonly #reads: ReadIndex<T>;
  readonly #peers: ReadonlySet<NodeId>;
  #role: Leader<T> | Follower<T>;
  #returned: Entry<T>[] = [];
  #ticksToResend: number;
  #lastPromise: Ballot;
  #lastDecided: number;
  /** Something happened since `getOutgoingMsgs` was called; false lets a call that has nothing to do end at once. */
  #hasNews = true;
  /** The last durable write that `getOutgoingMsgs` has seen. */
  #seenWrite = -1;

  /** Throws a RangeError that names the first option that is wrong. */
  constructor(options: OmniPaxosOptions<T>) {
    this.#options = resolveOptions(options);
    const { store, startIndex, pid, configurationId, sizeOf, undecidedSizeMax, resendTicks, peers } = this.#options;
    this.#log = new Log(store, startIndex);
    this.#outbox = new Outbox(pid, configurationId);
    this.#queue = new ProposalQueue(sizeOf, undecidedSizeMax);
    this.#reads = new ReadIndex(this.#context);
    this.#peers = new Set(peers);
    this.#ticksToResend = resendTicks;
    this.#lastPromise = this.#log.promise;
    this.#lastDecided = this.#log.decidedIndex;
    const isFresh = compareBallots(this.#log.promise, bottomBallot) === 0;
    const follower = new Follower(this.#context, isFresh ? 'idle' : 'recover');
    this.#role = follower;
    // Whatever role it had before the crash: it asks to be brought up to date, and repeats that until answered.
    if (!isFresh) follower.recover();
    this.#checkInvariants();
  }

  get configurationId(): number {
    return this.#options.configurationId;
  }

  get pid(): NodeId {
    return this.#options.pid;
  }

  /** Highest ballot promised. */
  get promise(): Ballot {
    return this.#log.promise;
  }

  /** Count of decided entries: those below this index never change. */
  get decidedIndex(): number {
    return this.#log.decidedIndex;
  }

  /** Exclusive end of the log, decided or not. */
  get acceptedIndex(): number {
    return this.#log.acceptedIndex;
  }

  /** Below this the log is gone. */
  get trimmedIndex(): number {
    return this.#log.trimmedIndex;
  }

  /** The round in which the log was last accepted. */
  get acceptedRound(): Ballot {
    return this.#log.acceptedRound;
  }

  get isLeader(): boolean {
    return this.#role.role === 'leader';
  }

  /** True for a leader that has its prepare quorum: the election then asks for an accept quorum only. */
  get isLeaderInAcceptPhase(): boolean {
    return this.#role.role === 'leader' && this.#role.phase === 'accept';
  }

  /** Sum of the sizes (`entrySize`) of what this node leads and is not decided; 0 elsewhere. */
  get undecidedSize(): number {
    return this.#role.role === 'leader' ? this.#role.undecidedSize : 0;
  }

  get phase(): Leader<T>['phase'] | Follower<T>['phase'] {
    return this.#role.phase;
  }

  /** The ballot that is followed, and so the node that leads as far as this one knows; undefined before the first. */
  get currentLeader(): Ballot | undefined {
    return compareBallots(this.#log.promise, bottomBallot) === 0 ? undefined : this.#log.promise;
  }

  /** While this node leads: the follower, none of `except`, to hand the lead to, see `BallotLeaderElection.takeOver`. */
  furthestFollower(except: ReadonlySet<NodeId> = new Set()): NodeId | undefined {
    return this.#role.role === 'leader' ? this.#role.furthestFollower(except) : undefined;
  }

  /** True once a StopSign is accepted here, decided or not. */
  get isStopped(): boolean {
    return this.#log.isStopped;
  }

  /** The StopSign that is accepted here, decided or not: if it is not, another may come in its place. */
  get acceptedStopSign(): StopSign | undefined {
    return this.#log.acceptedStopSign;
  }

  /** The decided StopSign that ended this configuration, if there is one. */
  isReconfigured(): StopSign | undefined {
    return this.#log.decidedStopSign;
  }

  /**
   * Set while this node lacks more than a sync may carry, or what others have trimmed: fetch decided entries
   * (or state) at least up to the index, from any node that has them, and hand them to `installDecided` or `installState`.
   */
  get catchUpTarget(): CatchUpTarget | undefined {
    return this.#role.catchUpTarget;
  }

  /** The election reports a leader. Becomes leader itself if the ballot is its own and above every promise. */
  handleLeader(ballot: Ballot): void {
    if (compareBallots(ballot, this.#log.promise) <= 0) return;
    if (ballot.pid !== this.pid) {
      // Its Prepare is on the way; until it comes, what was promised stands.
      return;
    }
    const write = this.#log.promiseTo(ballot);
    this.#outbox.dropWaiting();
    this.#role = new Leader(this.#context, ballot, write);
    this.#reads.onLeaderChange(this.#readView());
    this.#checked();
  }

  /** Proposes an entry. Entries of one node keep their order unless one is returned. */
  proposeNormal(entry: T): ProposeResult {
    return this.#propose({ type: 'Normal', entry });
  }

  /** Proposes that this configuration ends and `nodes` go on. `metadata` is handed to the next configuration as it is. */
  proposeReconfiguration(nodes: readonly NodeId[], metadata?: Uint8Array): ProposeResult {
    const detail = nodesProblem(nodes);
    if (detail) return { ok: false, reason: 'invalid', detail };
    const stopSign = { configId: this.configurationId + 1, nodes: [...nodes], ...(metadata && { metadata }) };
    return this.#propose({ type: 'StopSign', stopSign });
  }

  /**
   * Entries proposed here that will not be decided by that proposal: a StopSign overtook them, the leader had no room, or
   * whom they were sent to leads no more. Propose them again. Proposals lost on a broken link are not among them.
   */
  takeReturnedProposals(): Entry<T>[] {
    const taken = this.#returned;
    this.#returned = [];
    return taken;
  }

  /**
   * Takes back those of the Normal entries proposed here that `isToGo` and that have gone nowhere yet, neither into the log nor to a leader, as if
   * they had not been proposed: for an owner that proposes them again where a leader may have lost them.
   */
  withdrawProposals(isToGo: (entry: T) => boolean): void {
    this.#queue.withdraw(this.pid, isToGo);
  }

  /** Takes in a message. One of another configuration, or not from a peer, is ignored. */
  handle(message: PaxosMessage<T>): void {
    if (message.configurationId !== this.configurationId || message.to !== this.pid) return;
    if (!this.#peers.has(message.from)) return;
    this.#dispatch(message);
    this.#checked();
  }

  /** A link to `pid` is new: whatever was under way on the old one is lost. */
  reconnected(pid: NodeId): void {
    if (!this.#peers.has(pid)) return;
    this.#hasNews = true;
    if (this.#role.role === 'leader') this.#role.onReconnected(pid);
    else if (this.#log.promise.pid === pid || this.#role.phase === 'recover') this.#role.onReconnected();
  }

  /** Asks the leader to prepare this node now, and not with the next `resendTicks`: for one that votes later than the others, to whom its Prepare was lost; also if it began in office itself. */
  requestPrepare(): void {
    if (this.isLeaderInAcceptPhase) return;
    this.#hasNews = true;
    this.#role.requestPrepare();
  }

  /** One step of time. Repeats, every `resendTicks`, whatever may have been lost. */
  tick(): void {
    this.#ticksToResend--;
    if (this.#ticksToResend > 0) return;
    this.#ticksToResend = this.#options.resendTicks;
    this.#hasNews = true;
    this.#role.resend();
    this.#reads.resend(this.#readView());
  }

  /**
   * Messages to send now. Call it after every event or batch of events, and after the store made something durable.
   * Those that depend on a write that is not durable yet stay here.
   */
  getOutgoingMsgs(): PaxosMessage<T>[] {
    const durableWrite = this.#log.durableWrite();
    if (!this.#hasNews && durableWrite === this.#seenWrite) return [];
    this.#handOverProposals();
    const role = this.#role;
    this.#log.refreshDurable();
    if (role.role === 'follower') role.report();
    else if (role.phase === 'accept') {
      role.advanceDecided();
      role.replicate();
    }
    if (this.#reads.isRoundDue) this.#reads.pump(this.#readView());
    this.#checkInvariants();
    // What found no room may find it next time.
    this.#hasNews = !this.#queue.isEmpty || (role.role === 'leader' && role.hasMore);
    this.#seenWrite = this.#log.durableWrite();
    return this.#outbox.take(this.#seenWrite);
  }

  /** Decided entries from `from` (default: the first still in the log) to the decided index. */
  getDecidedEntries(from = this.#log.trimmedIndex): Entry<T>[] {
    return this.#log.read(Math.min(from, this.#log.decidedIndex), this.#log.decidedIndex);
  }

  /** Any part of the log between trimmed and accepted index. */
  readEntries(from: number, to: number): Entry<T>[] {
    return this.#log.read(from, to);
  }

  /**
   * Drops the log below `index`, at most the decided index. Only if the owner's own durable state covers it: another node
   * that needs it then gets state. Throws a RangeError if `index` is none, or not decided.
   */
  trim(index: number): void {
    checkWhole('the index to trim at', index, 0);
    if (index > this.#log.decidedIndex) {
      throw new RangeError(`trim at ${index}: only ${this.#log.decidedIndex} entries are decided`);
    }
    this.#log.trim(index);
  }

  /**
   * Takes over entries known to be decided (from catch-up), the first at `from`, which must not be past the decided index.
   * What follows a StopSign is of the next configuration and left out. Throws a RangeError if `from` leaves a gap, or is no index.
   */
  installDecided(from: number, entries: readonly Entry<T>[]): void {
    checkWhole('the index of decided entries', from, 0);
    if (from > this.#log.decidedIndex) {
      throw new RangeError(`decided entries from ${from}: only ${this.#log.decidedIndex} are decided here`);
    }
    // Nobody knows more of what is decided than the leader itself.
    if (this.isLeaderInAcceptPhase || this.isReconfigured()) return;
    const stopSignAt = entries.findIndex((entry) => entry.type === 'StopSign');
    this.#log.installDecided(from, stopSignAt < 0 ? entries : entries.slice(0, stopSignAt + 1));
    this.#role.onCaughtUp();
    this.#checked();
  }

  /**
   * All below `index` is known as state now (from catch-up): the log goes on there. Never past the StopSign's own index: that
   * entry must come by `installDecided`, else this node would not know that its configuration is over. Throws a RangeError for what
   * is no index.
   */
  installState(index: number): void {
    checkWhole('the index of a state', index, 0);
    if (this.isLeaderInAcceptPhase) return;
    this.#log.installState(index);
    this.#role.onCaughtUp();
    this.#checked();
  }

  /**
   * Begins a linearizable read. When its id comes back from `takeReadyReads()`, serve it as soon as everything below its
   * index is applied. One id can stand for many reads that began before this call. Undefined: too many are waiting.
   */
  requestRead(): number | undefined {
    this.#hasNews = true;
    return this.#reads.request(this.#readView());
  }

  cancelRead(readId: number): void {
    this.#reads.cancel(readId);
  }

  takeReadyReads(): ReadyRead[] {
    return this.#reads.takeReady();
  }

  get #context() {
    return { options: this.#options, log: this.#log, outbox: this.#outbox };
  }

  #propose(entry: Entry<T>): ProposeResult {
    if (this.#log.isStopped) return { ok: false, reason: 'stopped' };
    if (!this.#queue.add(this.pid, entry)) return { ok: false, reason: 'full' };
    this.#hasNews = true;
    return proposed;
  }

  #dispatch(message: PaxosMessage<T>): void {
    const { from, payload } = message;
    const role = this.#role;
    switch (payload.type) {
      // The most frequent first.
      case 'AcceptDecide':
        return this.#asFollower(from, payload.ballot)?.onAcceptDecide(payload);
      case 'Decide':
        return this.#asFollower(from, payload.ballot)?.onDecide(payload);
      case 'Accepted':
        return role.role === 'leader' ? role.onAccepted(from, payload) : undefined;
      case 'Prepare':
        return this.#onPrepare(from, payload);
      case 'AcceptSync':
        return this.#asFollower(from, payload.ballot)?.onAcceptSync(payload);
      case 'Probe':
        return this.#asFollower(from, payload.ballot)?.onProbe(payload);
      case 'Behind':
        return this.#asFollower(from, payload.ballot)?.onBehind(from, payload);
      case 'Promise':
        return role.role === 'leader' ? role.onPromise(from, payload) : undefined;
      case 'NotAccepted':
        return role.role === 'leader' ? role.onNotAccepted(from, payload.ballot) : undefined;
      case 'PrepareRequest':
        return role.role === 'leader' ? role.onPrepareRequest(from, payload.ballot) : undefined;
      case 'ForwardProposals':
        return this.#onForwarded(from, payload.entries);
      case 'ReturnProposals':
        for (const entry of payload.entries) this.#returned.push(entry);
        return;
      case 'ReadIndexRequest':
        return this.#reads.onReadIndexRequest(from, payload, this.#readView());
      case 'ConfirmRequest':
        return this.#asFollower(from, payload.ballot) ? this.#reads.onConfirmRequest(from, payload) : undefined;
      case 'Confirm':
        return this.#reads.onConfirm(from, payload.ballot, payload.round, this.#readView());
      case 'ReadIndexReply':
        return this.#reads.onReply(payload);
      default:
        return assertNever(payload, 'message');
    }
  }

  #onPrepare(from: NodeId, prepare: Prepare): void {
    const order = compareBallots(prepare.ballot, this.#log.promise);
    if (order < 0 || prepare.ballot.pid !== from) {
      this.#outbox.send(from, { type: 'NotAccepted', ballot: this.#log.promise });
      return;
    }
    if (order > 0) {
      this.#log.promiseTo(prepare.ballot);
      this.#outbox.dropWaiting();
      this.#role = new Follower(this.#context, 'promised');
      this.#reads.onLeaderChange(this.#readView());
    }
    assert(this.#role.role === 'follower', 'nobody else owns the ballot that this node leads with');
    this.#role.answerPrepare(from, prepare);
  }

  /** This node as a follower of `ballot`, or undefined, with an answer to a leader of the past. */
  #asFollower(from: NodeId, ballot: Ballot): Follower<T> | undefined {
    const order = compareBallots(ballot, this.#log.promise);
    if (order < 0) this.#outbox.send(from, { type: 'NotAccepted', ballot: this.#log.promise });
    return order === 0 && ballot.pid === from && this.#role.role === 'follower' ? this.#role : undefined;
  }

  #onForwarded(from: NodeId, entries: readonly Entry<T>[]): void {
    const refused: Entry<T>[] = [];
    for (const entry of entries) {
      const isTaken = this.isLeader && !this.#log.isStopped && this.#queue.add(from, entry);
      if (!isTaken) refused.push(entry);
    }
    if (refused.length > 0) this.#outbox.send(from, { type: 'ReturnProposals', entries: refused });
  }

  /** Waiting proposals go into the log, to the leader, or back to whoever made them. */
  #handOverProposals(): void {
    if (this.#queue.isEmpty) return;
    const role = this.#role;
    if (role.role === 'leader' && role.phase === 'accept') role.acceptProposals(this.#queue);
    if (this.#queue.isEmpty) return;
    if (this.#log.isStopped) this.#returnAll();
    else if (role.role === 'follower' && this.currentLeader !== undefined) this.#forwardAll(this.#log.promise.pid);
  }

  #returnAll(): void {
    for (const { from, entries } of this.#queue.takeAll()) {
      if (from !== this.pid) this.#outbox.send(from, { type: 'ReturnProposals', entries });
      else for (const entry of entries) this.#returned.push(entry);
    }
  }

  /** Own proposals go on to the leader; those of others go back, so that each is answered for by the node that made it. */
  #forwardAll(leader: NodeId): void {
    // A leader that crashed and came back follows no one yet, least of all itself.
    if (leader === this.pid) return;
    for (const { from, entries } of this.#queue.takeAll()) {
      if (from === this.pid) this.#outbox.send(leader, { type: 'ForwardProposals', entries });
      else this.#outbox.send(from, { type: 'ReturnProposals', entries });
    }
  }

  #readView(): ReadView {
    const role = this.#role;
    const readIndex = role.role === 'leader' ? role.readIndex : undefined;
    if (role.role !== 'leader' || readIndex === undefined) return { leading: undefined };
    return { leading: { ballot: role.ballot, readIndex } };
  }

  /** An event was handled: there may be something to send. */
  #checked(): void {
    this.#hasNews = true;
    this.#checkInvariants();
  }

  /** What must hold after every event, in production too. */
  #checkInvariants(): void {
    const { promise, decidedIndex, acceptedIndex, acceptedRound, trimmedIndex } = this.#log;
    assert(decidedIndex <= acceptedIndex, 'decided index is past the accepted index');
    assert(trimmedIndex <= decidedIndex, 'the log is trimmed past the decided index');
    assert(decidedIndex >= this.#lastDecided, 'decided index went back');
    assert(compareBallots(promise, this.#lastPromise) >= 0, 'promise went back');
    assert(compareBallots(promise, acceptedRound) >= 0, 'accepted round is above the promise');
    assert(
      this.#role.role !== 'leader' || compareBallots(this.#role.ballot, promise) === 0,
      'leads under another promise',
    );
    this.#lastDecided = decidedIndex;
    this.#lastPromise = promise;
  }
}
