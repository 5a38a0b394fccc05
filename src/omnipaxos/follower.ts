import type { NodeId } from './ballot.ts';
import { bottomBallot, compareBallots } from './ballot.ts';
import type { Context } from './context.ts';
import type { AcceptDecide, AcceptSync, Behind, Decide, Prepare, Probe } from './messages.ts';
import { type CatchUpTarget, canSyncFrom, promiseSuffixFrom } from './sync.ts';

/**
 * - `idle`: new, has promised nobody.
 * - `recover`: lost track of the leader (crash, reconnect, gap); asks for Prepare until it comes.
 * - `behind`: lacks more than a sync may carry; catches up on decided entries, then asks.
 * - `promised`: answered Prepare, waits for AcceptSync.
 * - `accept`: in an accept session; `counter` is that of the last message taken.
 */
type Phase =
  | { readonly name: 'idle' }
  | { readonly name: 'recover' }
  | { readonly name: 'behind'; readonly target: CatchUpTarget }
  | { readonly name: 'promised' }
  | { readonly name: 'accept'; counter: number };

/** The follower's side of the protocol. Every handler here is called with a ballot equal to the promise. */
export class Follower<T> {
  readonly role = 'follower';
  readonly #context: Context<T>;
  #phase: Phase;
  /** Highest accept session seen under the promised ballot. */
  #session = 0;
  /** What the leader was last told by Accepted. */
  #reportedIndex = -1;
  #mustReport = false;

  constructor(context: Context<T>, phase: 'idle' | 'recover' | 'promised') {
    this.#context = context;
    this.#phase = { name: phase };
  }

  get phase(): Phase['name'] {
    return this.#phase.name;
  }

  get catchUpTarget(): CatchUpTarget | undefined {
    return this.#phase.name === 'behind' ? this.#phase.target : undefined;
  }

  /** Answers a Prepare whose ballot is promised by now (the promise is staged; the answer waits for it). */
  answerPrepare(from: NodeId, prepare: Prepare): void {
    const { log, options, outbox } = this.#context;
    const suffixFrom = promiseSuffixFrom(log, prepare);
    const isAtHand = canSyncFrom(log, options, suffixFrom, prepare.decidedIndex);
    outbox.sendAfter(log.lastWrite, from, {
      type: 'Promise',
      ballot: prepare.ballot,
      decidedIndex: log.decidedIndex,
      acceptedRound: log.acceptedRound,
      acceptedIndex: log.acceptedIndex,
      suffixFrom,
      suffix: isAtHand ? log.read(suffixFrom, log.acceptedIndex) : undefined,
    });
    // In an accept session the session goes on: the leader may have lost track of us, not we of it.
    if (this.#phase.name !== 'accept') this.#phase = { name: 'promised' };
  }

  onAcceptSync(message: AcceptSync<T>): void {
    if (message.session <= this.#session) {
      this.#mustReport = true;
      return;
    }
    const { log } = this.#context;
    if (message.syncIndex > log.acceptedIndex) {
      this.recover();
      return;
    }
    log.synchronize(message.ballot, message.syncIndex, message.suffix, message.decidedIndex);
    this.#session = message.session;
    this.#phase = { name: 'accept', counter: 0 };
    this.#reportedIndex = -1;
    this.#mustReport = true;
  }

  onAcceptDecide(message: AcceptDecide<T>): void {
    if (!this.#isNext(message)) return;
    const { log } = this.#context;
    const known = log.acceptedIndex - message.startIndex;
    if (known < 0) {
      this.recover();
      return;
    }
    const fresh = known === 0 ? message.entries : message.entries.slice(known);
    log.appendAndDecide(fresh, Math.max(message.decidedIndex, log.decidedIndex));
  }

  onDecide(message: Decide): void {
    if (this.#isNext(message)) this.#context.log.decide(message.decidedIndex);
  }

  onProbe(message: Probe): void {
    const phase = this.#phase;
    if (phase.name === 'behind') return;
    // The leader has us in a session, so if we are in none, or in an older one, something is lost.
    const isInSession = phase.name === 'accept' && message.session <= this.#session;
    if (!isInSession || (message.session === this.#session && message.counter > phase.counter)) this.recover();
    else this.#mustReport = true;
  }

  onBehind(from: NodeId, message: Behind): void {
    // A session that the leader has given up, or an old duplicate of this message: the leader is asked which. It says this as long as it waits,
    // and of a session that began with an AcceptSync that came late it knows nothing, however much is decided here.
    if (this.#phase.name === 'accept') return this.recover();
    // The first goal stays: one that moved on with each repetition would be out of reach as long as much is decided meanwhile.
    if (this.#phase.name === 'behind') return this.onCaughtUp();
    if (message.decidedIndex <= this.#context.log.decidedIndex) return this.recover();
    this.#phase = { name: 'behind', target: { index: message.decidedIndex, from } };
  }

  /** Decided entries or state came in from catch-up. */
  onCaughtUp(): void {
    const target = this.catchUpTarget;
    if (target && this.#context.log.decidedIndex >= target.index) this.recover();
  }

  /** Something was lost: ask to be prepared again. */
  recover(): void {
    if (compareBallots(this.#context.log.promise, bottomBallot) === 0) return;
    this.#phase = { name: 'recover' };
    this.#requestPrepare();
  }

  /** The leader's link came back: what it sent meanwhile is lost. */
  onReconnected(): void {
    if (this.#phase.name !== 'idle' && this.#phase.name !== 'behind') this.recover();
  }

  resend(): void {
    this.requestPrepare();
  }

  /** A new node asks too: it may have promised and forgotten in a crash, and be written off by the leader. */
  requestPrepare(): void {
    if (this.#phase.name === 'recover' || this.#phase.name === 'idle') this.#requestPrepare();
  }

  /** Tells the leader what became durable. */
  report(): void {
    if (this.#phase.name !== 'accept') return;
    const { log, outbox } = this.#context;
    const acceptedIndex = log.durableIndex;
    if (acceptedIndex <= this.#reportedIndex && !this.#mustReport) return;
    this.#reportedIndex = acceptedIndex;
    this.#mustReport = false;
    const { promise, decidedIndex } = log;
    outbox.send(promise.pid, { type: 'Accepted', ballot: promise, acceptedIndex, decidedIndex });
  }

  /** After a crash the owner of the promised ballot may lead no more, or be this node itself: everyone is asked. */
  #requestPrepare(): void {
    const { log, options, outbox } = this.#context;
    const ballot = log.promise;
    for (const peer of options.peers) outbox.send(peer, { type: 'PrepareRequest', ballot });
  }

  /** True if the message is the next of the session. Anything else is answered or mended here. */
  #isNext(message: { readonly session: number; readonly counter: number }): boolean {
    const phase = this.#phase;
    if (message.session > this.#session) {
      // The AcceptSync that opened this session is lost.
      if (phase.name !== 'recover' && phase.name !== 'behind') this.recover();
      return false;
    }
    if (phase.name !== 'accept') return false;
    if (message.session < this.#session || message.counter <= phase.counter) {
      this.#mustReport = true;
      return false;
    }
    if (message.counter > phase.counter + 1) {
      this.recover();
      return false;
    }
    phase.counter++;
    return true;
  }
}
