import { assert } from '../base/assert.ts';
import type { Ballot, NodeId } from './ballot.ts';
import { compareBallots } from './ballot.ts';
import type { Context } from './context.ts';
import type { Entry } from './entry.ts';
import { Fill } from './fill.ts';
import type { Accepted, Prepare, PromiseMessage } from './messages.ts';
import { forgetPromise, isComplete, newProgress, type Progress } from './progress.ts';
import { entriesSize, entrySize, type ProposalQueue } from './proposals.ts';
import {
  acceptSyncIndex,
  type CatchUpTarget,
  canSyncFrom,
  comparePositions,
  type DecidedPosition,
  isOver,
} from './sync.ts';
import { Undecided } from './undecided.ts';

interface PreparePhase {
  readonly name: 'prepare';
}

interface AcceptPhase {
  readonly name: 'accept';
  /** Where the adopted log ended, in which round it was accepted, and how much of it was decided. */
  readonly adopted: DecidedPosition;
  /** Accepted index at the end of the prepare phase: no read may be served below it. */
  readonly readFloor: number;
}

/** Resends after which a promiser that no longer answers is left out. */
const refreshesMax = 3;

/**
 * Every so many resends also those are asked that have answered all, or refused: an Accepted does not name its session, so a late one may pass for the
 * answer to an AcceptSync that was lost, and a late refusal for one of now.
 */
const resendsPerInquiry = 10;

/**
 * Messages of log in one turn to a follower which lacks many. All of them at once would keep a leader busy for more than an election timeout, where
 * a sync is long.
 */
const fillMessagesPerTurn = 4;

/**
 * A follower that was sent so many times what may be undecided, and has it not on disk yet, is out of step: others decide without it, and all that
 * is sent waits on its link.
 */
const outOfStepFactor = 2;

/** Most entries of one AcceptDecide, whatever their sizes: bounds what is read at once from a long log. */
const messageEntriesMax = 4096;

/** The leader's side of the protocol, for one ballot. */
export class Leader<T> {
  readonly role = 'leader';
  readonly ballot: Ballot;
  readonly #context: Context<T>;
  readonly #followers: Progress<T>[];
  readonly #byPid = new Map<NodeId, Progress<T>>();
  readonly #promiseWrite: number;
  #phase: PreparePhase | AcceptPhase = { name: 'prepare' };
  #catchUpTarget: CatchUpTarget | undefined;
  readonly #undecided = new Undecided();
  #resends = 0;
  #hasMore = false;
  /** What was appended last, mostly what is to be sent next: it need not be read again. */
  #appended: (SharedEntries<T> & { readonly size: number }) | undefined;

  /** The promise for `ballot` is staged as write `promiseWrite`. */
  constructor(context: Context<T>, ballot: Ballot, promiseWrite: number) {
    this.#context = context;
    this.ballot = ballot;
    this.#promiseWrite = promiseWrite;
    this.#followers = context.options.peers.map(newProgress<T>);
    for (const follower of this.#followers) this.#byPid.set(follower.pid, follower);
    for (const follower of this.#followers) this.#prepare(follower);
    this.#tryAdopt();
  }

  get phase(): 'prepare' | 'accept' {
    return this.#phase.name;
  }

  /** Sum of the sizes of what was appended and is not decided. */
  get undecidedSize(): number {
    return this.#undecided.size;
  }

  get catchUpTarget(): CatchUpTarget | undefined {
    return this.#catchUpTarget;
  }

  /** True if there was more to replicate than one turn should send: the next goes on, whatever it is for. */
  get hasMore(): boolean {
    return this.#hasMore;
  }

  /** From which index on a read that arrives now is linearizable; undefined before the accept phase or once stopped. */
  get readIndex(): number | undefined {
    const { log } = this.#context;
    if (this.#phase.name !== 'accept' || log.isStopped) return undefined;
    return Math.max(log.decidedIndex, this.#phase.readFloor);
  }

  /**
   * The follower, none of `except`, that would take over with the least delay. In the accept phase that is the one in session that has most
   * of the log on disk; in the prepare phase the one that has promised and has the newest log, or else any.
   */
  furthestFollower(except: ReadonlySet<NodeId>): NodeId | undefined {
    if (this.#phase.name === 'prepare') return this.#newestPromiser(except)?.pid;
    const synced = this.#followers.filter(({ pid, status }) => status === 'synced' && !except.has(pid));
    const inStep = synced.filter(({ fill }) => fill === undefined);
    return furthestOf(inStep.length > 0 ? inStep : synced)?.pid;
  }

  #newestPromiser(except: ReadonlySet<NodeId>): Progress<T> | undefined {
    let newest: Progress<T> | undefined;
    for (const follower of this.#followers) {
      if (except.has(follower.pid)) continue;
      const { promise } = follower;
      const isNewer = promise && (!newest?.promise || comparePositions(promise, newest.promise) > 0);
      if (newest === undefined || isNewer) newest = follower;
    }
    return newest;
  }

  onPromise(from: NodeId, message: PromiseMessage<T>): void {
    const follower = this.#follower(from);
    // A duplicate must not open a second session (mistake 18); only an outstanding Prepare can be answered.
    if (compareBallots(message.ballot, this.ballot) !== 0 || follower.status === 'synced') return;
    if (this.#phase.name === 'accept') {
      this.#sync(follower, message, this.#phase.adopted);
      return;
    }
    follower.status = 'promised';
    follower.promise = message;
    follower.unansweredRefreshes = 0;
    this.#tryAdopt();
  }

  onAccepted(from: NodeId, message: Accepted): void {
    const follower = this.#follower(from);
    if (this.#phase.name !== 'accept' || compareBallots(message.ballot, this.ballot) !== 0) return;
    // It caught up on what a higher ballot decided: this leader is of the past and does not know it yet.
    if (message.acceptedIndex > this.#context.log.acceptedIndex) return;
    follower.hasAnswered = true;
    follower.knownDecided = Math.max(follower.knownDecided, message.decidedIndex);
    if (message.acceptedIndex <= follower.acceptedIndex) return;
    follower.acceptedIndex = message.acceptedIndex;
    this.advanceDecided();
  }

  onNotAccepted(from: NodeId, promised: Ballot): void {
    if (compareBallots(promised, this.ballot) > 0) this.#follower(from).status = 'outranked';
  }

  /** A node that began as the leader may have come late: whoever leads has a higher ballot. */
  requestPrepare(): void {
    for (const { pid } of this.#followers)
      this.#context.outbox.send(pid, { type: 'PrepareRequest', ballot: this.ballot });
  }

  onPrepareRequest(from: NodeId, promised: Ballot): void {
    if (compareBallots(this.ballot, promised) < 0) return;
    const follower = this.#follower(from);
    if (follower.status !== 'promised') follower.status = 'unprepared';
    this.#prepare(follower);
  }

  /** What was on the link is lost; the follower sees the same and asks to be prepared. */
  onReconnected(pid: NodeId): void {
    const follower = this.#follower(pid);
    // One that promised higher may have crashed before that promise was durable.
    if (follower.status === 'synced' || follower.status === 'outranked') follower.status = 'unprepared';
    else if (follower.status === 'unprepared') this.#prepare(follower);
  }

  /** Decided entries or state came in from catch-up: compare logs afresh. */
  onCaughtUp(): void {
    const target = this.#catchUpTarget;
    if (!target || this.#context.log.decidedIndex < target.index) return;
    this.#catchUpTarget = undefined;
    for (const follower of this.#followers) {
      if (follower.status !== 'promised') continue;
      forgetPromise(follower);
      this.#prepare(follower);
    }
    this.#tryAdopt();
  }

  /** Repeats what may have been lost: nothing stays lost (mistake 8). */
  resend(): void {
    const { log, outbox } = this.#context;
    if (this.#catchUpTarget) this.#refreshPromises();
    this.#resends++;
    const isInquiry = this.#resends % resendsPerInquiry === 0;
    for (const follower of this.#followers) {
      if (this.#phase.name === 'accept') this.#tellOwnVote(follower.pid);
      if (follower.fill) follower.fill.look(follower.acceptedIndex, log.acceptedIndex - follower.acceptedIndex);
      else if (this.#isOutOfStep(follower)) this.#beginFilling(follower).takeUp(follower.sentIndex);
      // That of one which is outranked may be over: a NotAccepted that comes late tells of a promise that a crash undid.
      if (follower.status === 'unprepared' || (follower.status === 'outranked' && isInquiry)) this.#prepare(follower);
      else if (follower.status === 'behind') this.#sendBehind(follower);
      else if (
        follower.status === 'synced' &&
        (isInquiry || !isComplete(follower, log.acceptedIndex, log.decidedIndex))
      ) {
        const { session, counter } = follower;
        outbox.send(follower.pid, { type: 'Probe', ballot: this.ballot, session, counter });
      }
    }
  }

  /** No follower needs it to go on. It is for them to remember what this disk holds: one that has less later was rolled back. */
  #tellOwnVote(pid: NodeId): void {
    const { durableIndex, decidedIndex } = this.#context.log;
    this.#context.outbox.send(pid, {
      type: 'Accepted',
      ballot: this.ballot,
      acceptedIndex: durableIndex,
      decidedIndex,
    });
  }

  /** Takes waiting proposals into the log as far as there is room. Only in the accept phase and not after a StopSign. */
  acceptProposals(queue: ProposalQueue<T>): void {
    const { log, options } = this.#context;
    while (!queue.isEmpty && !log.isStopped) {
      const room = options.undecidedSizeMax - this.#undecided.size;
      if (room <= 0) return;
      const { entries, size } = queue.take(room);
      this.#appended = { from: log.acceptedIndex, entries, size };
      log.append(entries);
      this.#undecided.add(log.acceptedIndex, size);
    }
  }

  /** Decides what an accept quorum has on disk, this node's own disk included. */
  advanceDecided(): void {
    const { log, options } = this.#context;
    const decided = log.decidedIndex;
    let best = decided;
    if (this.#isAcceptedByQuorum(log.durableIndex, options.quorum.accept)) best = Math.max(best, log.durableIndex);
    for (const follower of this.#followers) {
      const index = follower.acceptedIndex;
      if (index > best && this.#isAcceptedByQuorum(index, options.quorum.accept)) best = index;
    }
    if (best === decided) return;
    log.decide(best);
    this.#undecided.decide(best);
  }

  /** Sends new entries and the decided index to everyone in session. */
  replicate(): void {
    const { log } = this.#context;
    const { acceptedIndex, decidedIndex } = log;
    let shared: SharedEntries<T> | undefined;
    this.#hasMore = false;
    for (const follower of this.#followers) {
      if (follower.status !== 'synced') continue;
      if (follower.fill && !this.#goesOnFilling(follower, follower.fill)) continue;
      while (follower.sentIndex < acceptedIndex) {
        if (shared?.from !== follower.sentIndex) shared = this.#nextMessageEntries(follower.sentIndex, acceptedIndex);
        this.#sendAcceptDecide(follower, shared, decidedIndex);
      }
      if (follower.sentDecided < decidedIndex) this.#sendDecide(follower, decidedIndex);
    }
  }

  #isOutOfStep({ status, hasAnswered, acceptedIndex }: Progress<T>): boolean {
    const { log, options } = this.#context;
    if (status !== 'synced' || !hasAnswered) return false;
    return isOver(log, options, Math.max(acceptedIndex, log.trimmedIndex), outOfStepFactor * options.undecidedSizeMax);
  }

  #beginFilling(follower: Progress<T>): Fill {
    follower.fill = new Fill();
    return follower.fill;
  }

  /** Sends one that is not in step what it is to have now. True once that is all. */
  #goesOnFilling(follower: Progress<T>, fill: Fill): boolean {
    const { log } = this.#context;
    // It may have pulled more than it was sent.
    follower.sentIndex = Math.max(follower.sentIndex, follower.acceptedIndex);
    fill.accepted(follower.acceptedIndex);
    if (follower.sentIndex < log.trimmedIndex) {
      // What it lacks is gone meanwhile: it has to say anew what that is, and will be told that it is behind.
      follower.status = 'unprepared';
      this.#prepare(follower);
      return false;
    }
    for (let count = 0; follower.sentIndex < log.acceptedIndex; count++) {
      if (!fill.hasRoom) return false;
      if (count === fillMessagesPerTurn) {
        this.#hasMore = true;
        return false;
      }
      const next = this.#nextMessageEntries(follower.sentIndex, log.acceptedIndex);
      this.#sendAcceptDecide(follower, next, log.decidedIndex);
      fill.sent(follower.sentIndex);
    }
    if (fill.isLow) follower.fill = undefined;
    return true;
  }

  /**
   * While it catches up on what one promiser has, that one may be gone for good, and the quorum that is left may do without it:
   * who does not answer again and again is left out, and the others answer to what this log has become.
   */
  #refreshPromises(): void {
    for (const follower of this.#followers) {
      if (follower.status !== 'promised') continue;
      if (follower.unansweredRefreshes >= refreshesMax) {
        forgetPromise(follower);
      } else {
        follower.unansweredRefreshes++;
        this.#prepare(follower);
      }
    }
    this.#catchUpTarget = undefined;
    this.#tryAdopt();
  }

  #prepare(follower: Progress<T>): void {
    const { log, outbox } = this.#context;
    const prepare: Prepare = {
      type: 'Prepare',
      ballot: this.ballot,
      decidedIndex: log.decidedIndex,
      acceptedRound: log.acceptedRound,
      acceptedIndex: log.acceptedIndex,
    };
    outbox.sendAfter(this.#promiseWrite, follower.pid, prepare);
  }

  /** With a prepare quorum: takes over the newest log of it and starts to accept (PROTOCOL: Adoption). */
  #tryAdopt(): void {
    if (this.#phase.name !== 'prepare') return;
    const { log, options } = this.#context;
    const promised = this.#followers.filter((follower) => follower.status === 'promised');
    if (promised.length + 1 < options.quorum.prepare) return;
    let source: Progress<T> | undefined;
    for (const follower of promised) {
      const { promise } = follower;
      assert(promise !== undefined, 'a promised follower has its promise kept');
      const newest = source?.promise;
      const order = comparePositions(promise, newest ?? log);
      if (order > 0 || (order === 0 && newest && newest.suffix === undefined)) source = follower;
    }
    if (source?.promise && source.promise.suffix === undefined) this.#catchUpOn(source, source.promise.decidedIndex);
    else this.#adopt(source?.promise);
  }

  /** The newest log is not at hand whole: decided entries up to `index` must come by catch-up first. */
  #catchUpOn(source: Progress<T>, index: number): void {
    if (index > this.#context.log.decidedIndex) {
      this.#catchUpTarget = { index, from: source.pid };
      return;
    }
    // An answer to what this node lacked before it caught up: ask once more.
    forgetPromise(source);
    this.#prepare(source);
  }

  /**
   * Takes the log of `newest`, or keeps its own. Decided is the higher index of these two: a third node may know a higher
   * one by catch-up from a later ballot, of which this log need not be a part. An accept quorum will tell.
   */
  #adopt(newest: PromiseMessage<T> | undefined): void {
    const { log, options } = this.#context;
    const { acceptedRound, acceptedIndex } = newest ?? log;
    if (newest) log.synchronize(this.ballot, newest.suffixFrom, newest.suffix ?? [], newest.decidedIndex);
    else log.synchronize(this.ballot, log.acceptedIndex, [], log.decidedIndex);
    const adopted = { acceptedRound, acceptedIndex, decidedIndex: log.decidedIndex };
    this.#catchUpTarget = undefined;
    this.#phase = { name: 'accept', adopted, readFloor: log.acceptedIndex };
    const undecided = log.read(log.decidedIndex, log.acceptedIndex);
    this.#undecided.add(log.acceptedIndex, entriesSize(undecided, options.sizeOf));
    for (const follower of this.#followers) {
      if (follower.status === 'promised' && follower.promise) this.#sync(follower, follower.promise, adopted);
    }
    this.advanceDecided();
  }

  /** Opens an accept session: from here on the follower's log is a prefix of ours. */
  #sync(follower: Progress<T>, promise: PromiseMessage<T>, adopted: DecidedPosition): void {
    const { log, options, outbox } = this.#context;
    follower.promise = undefined;
    const syncIndex = acceptSyncIndex(promise, this.ballot, adopted);
    if (syncIndex > log.acceptedIndex) {
      // It caught up on what a higher ballot decided: this leader is of the past and does not know it yet.
      follower.status = 'outranked';
      return;
    }
    if (!canSyncFrom(log, options, syncIndex, promise.decidedIndex)) {
      follower.status = 'behind';
      this.#sendBehind(follower);
      return;
    }
    const suffix = this.#firstOfSync(syncIndex, adopted.acceptedIndex);
    follower.status = 'synced';
    follower.session++;
    follower.counter = 0;
    follower.sentIndex = syncIndex + suffix.length;
    follower.sentDecided = Math.min(log.decidedIndex, follower.sentIndex);
    follower.hasAnswered = false;
    follower.fill = undefined;
    if (follower.sentIndex < log.acceptedIndex) this.#beginFilling(follower).sent(follower.sentIndex);
    outbox.send(follower.pid, {
      type: 'AcceptSync',
      ballot: this.ballot,
      session: follower.session,
      decidedIndex: follower.sentDecided,
      syncIndex,
      suffix,
    });
  }

  /**
   * The part of a sync that goes in its AcceptSync: as much as one message takes, but all of the log that this leader adopted, which ended at
   * `adoptedEnd`. A follower that has accepted in this round is taken to have that, by whoever leads next.
   */
  #firstOfSync(syncIndex: number, adoptedEnd: number): readonly Entry<T>[] {
    const { log } = this.#context;
    const { entries } = this.#nextMessageEntries(syncIndex, log.acceptedIndex);
    return syncIndex + entries.length >= adoptedEnd ? entries : log.read(syncIndex, adoptedEnd);
  }

  #sendBehind(follower: Progress<T>): void {
    const { decidedIndex } = this.#context.log;
    this.#context.outbox.send(follower.pid, { type: 'Behind', ballot: this.ballot, decidedIndex });
  }

  #sendAcceptDecide(follower: Progress<T>, { from, entries }: SharedEntries<T>, decidedIndex: number): void {
    follower.counter++;
    follower.sentIndex += entries.length;
    follower.sentDecided = Math.min(decidedIndex, follower.sentIndex);
    const { session, counter } = follower;
    const { ballot } = this;
    this.#context.outbox.send(follower.pid, {
      type: 'AcceptDecide',
      ballot,
      session,
      counter,
      decidedIndex,
      startIndex: from,
      entries,
    });
  }

  #sendDecide(follower: Progress<T>, decidedIndex: number): void {
    follower.counter++;
    follower.sentDecided = decidedIndex;
    const { session, counter } = follower;
    this.#context.outbox.send(follower.pid, { type: 'Decide', ballot: this.ballot, session, counter, decidedIndex });
  }

  /** The entries of the next AcceptDecide from `from` on: one array for all followers that are equally far. */
  #nextMessageEntries(from: number, to: number): SharedEntries<T> {
    const { log, options } = this.#context;
    const appended = this.#appended;
    if (appended?.from === from && from + appended.entries.length === to && this.#fitsInMessage(appended))
      return appended;
    const entries = log.read(from, Math.min(to, from + messageEntriesMax), options.messageSizeMax);
    let size = 0;
    let count = 0;
    while (count < entries.length) {
      size += entrySize(entries[count] as Entry<T>, options.sizeOf);
      if (count > 0 && size > options.messageSizeMax) break;
      count++;
    }
    return { from, entries: count === entries.length ? entries : entries.slice(0, count) };
  }

  #fitsInMessage({ entries, size }: { readonly entries: readonly Entry<T>[]; readonly size: number }): boolean {
    return entries.length <= messageEntriesMax && size <= this.#context.options.messageSizeMax;
  }

  #isAcceptedByQuorum(index: number, quorum: number): boolean {
    let count = this.#context.log.durableIndex >= index ? 1 : 0;
    for (const follower of this.#followers) if (follower.acceptedIndex >= index) count++;
    return count >= quorum;
  }

  #follower(pid: NodeId): Progress<T> {
    const follower = this.#byPid.get(pid);
    assert(follower !== undefined, 'a node is no peer', pid);
    return follower;
  }
}

interface SharedEntries<T> {
  readonly from: number;
  readonly entries: readonly Entry<T>[];
}

function furthestOf<T>(followers: readonly Progress<T>[]): Progress<T> | undefined {
  let furthest: Progress<T> | undefined;
  for (const follower of followers) {
    if (follower.acceptedIndex >= (furthest?.acceptedIndex ?? 0)) furthest = follower;
  }
  return furthest;
}
