import { RecentMap } from '../../base/recent-map.ts';
import { decodeOrigin } from '../../kv/command.ts';
import type { ConnectionId } from '../events.ts';

/** A write of one of this node's clients that has no answer yet. */
export interface PendingWrite {
  readonly session: number;
  readonly number: number;
  /** The command as the client encoded it. */
  readonly command: Uint8Array;
  /** Who waits for the answer; the latest asker, if the client asked again. */
  connection: ConnectionId;
  requestId: number;
  readonly deadlineMs: number;
  place: Place;
  /** How often it was proposed; 0 means that it cannot have been applied through this node. */
  proposals: number;
  /** When to propose it again, at the soonest, if nothing is heard of it, or once it came back. */
  retryTick: number;
  /** Its place among this node's proposals, as of its last one, and when that was; given by {@link PendingWrites.proposeHeld}. */
  proposalNumber: number;
  proposedTick: number;
  /** Its place in the order of arrival; given by {@link PendingWrites.add}. */
  order: number;
}

/**
 * Where a write is, as far as this node knows.
 *
 * - `here`: held. It was never proposed, or it was and is lost.
 * - `proposed`: in the hands of a leader, or in the log.
 * - `doubtful`: the same, or lost. It is held, and must not be proposed again before somebody has looked.
 */
type Place = 'here' | 'proposed' | 'doubtful';

/** Ticks that a write waits which came back, for the first time, and how often that is doubled. */
const returnPauseTicks = 5;
const returnDoublings = 2;

/** So much of what is away gets through in a tick, at the least. */
const bytesPerTickMin = 4096;

/** What is known when held writes are proposed. */
export interface ProposeLimits {
  readonly tick: number;
  /** Half of the ticks until the first retry; each later one waits twice as long. */
  readonly retryTicks: number;
  /** Most bytes that may be in the hands of a leader at a time, or one write. */
  readonly bytesMax: number;
}

/** When a write that was proposed is taken for lost. */
export interface RetryRule {
  /** False where nothing can be lost: the node leads itself. */
  readonly mayRetry: boolean;
  /** Ticks since it was proposed without a write that came through, from which on it may be; more where much is away. */
  readonly quietTicks: number;
}

/**
 * Writes of own clients on their way. A write stays here until its command is applied or its time is over, and is
 * proposed again whenever it may have been lost: sessions make a second proposal harmless.
 *
 * Not harmless is a second proposal of what is only slow: where links are, it makes them slower, and the more is proposed again. What is
 * proposed takes one way, in order. So as long as writes of this node come through, one is lost only if another that was proposed behind it was applied.
 */
export class PendingWrites {
  readonly #countMax: number;
  readonly #bytesMax: number;
  /** By session, then by number. A session without any stays until the next sweep: mostly its next write comes at once. */
  readonly #sessions = new Map<number, RecentMap<PendingWrite>>();
  /** Writes to be proposed, in order of arrival. */
  #held: PendingWrite[] = [];
  /** They are not in that order. */
  #isUnordered = false;
  #lastOrder = 0;
  #lastProposal = 0;
  /** The latest proposal of which it is certain that it was applied, and the last tick in which any was. */
  #appliedProposal = 0;
  #appliedTick = 0;
  /** Since when some of them may be doubtful. */
  #doubtfulSinceTick: number | undefined;
  #count = 0;
  #bytes = 0;
  /** Of those that are not `here`. */
  #bytesAway = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get isFull(): boolean {
    return this.#count >= this.#countMax || this.#bytes >= this.#bytesMax;
  }

  find(session: number, number: number): PendingWrite | undefined {
    return this.#sessions.get(session)?.get(number);
  }

  add(write: PendingWrite): void {
    let numbers = this.#sessions.get(write.session);
    if (!numbers) {
      numbers = new RecentMap();
      this.#sessions.set(write.session, numbers);
    }
    numbers.set(write.number, write);
    this.#count++;
    this.#bytes += write.command.length;
    this.#lastOrder++;
    write.order = this.#lastOrder;
    this.#held.push(write);
  }

  /** Takes the write that `command`, now applied, answers: undefined if no client of this node waits for it. */
  takeApplied(command: Uint8Array, tick: number): PendingWrite | undefined {
    if (this.#count === 0) return undefined;
    const origin = decodeOrigin(command);
    const write = this.find(origin.session, origin.number);
    if (write === undefined) return undefined;
    this.#appliedTick = tick;
    // Of several proposals nobody knows which one came through.
    if (write.proposals === 1) this.#appliedProposal = Math.max(this.#appliedProposal, write.proposalNumber);
    this.remove(write);
    return write;
  }

  remove(write: PendingWrite): void {
    const numbers = this.#sessions.get(write.session);
    if (!numbers?.delete(write.number)) return;
    this.#count--;
    this.#bytes -= write.command.length;
    if (write.place !== 'here') this.#bytesAway -= write.command.length;
  }

  /**
   * Hands held writes to `propose`, in the order of their arrival, until it returns false, enough are away, or one is doubtful or came back
   * just now: that one and the rest stay held.
   */
  proposeHeld(limits: ProposeLimits, propose: (command: Uint8Array) => boolean): void {
    if (this.#held.length === 0) return;
    if (this.#isUnordered) this.#held.sort((a, b) => a.order - b.order);
    this.#isUnordered = false;
    let count = 0;
    for (const write of this.#held) {
      if (this.#isWaiting(write)) {
        const isOver = this.#bytesAway > 0 && this.#bytesAway + write.command.length > limits.bytesMax;
        if (write.place === 'doubtful' || write.retryTick > limits.tick || isOver || !propose(write.command)) break;
        this.#bytesAway += write.command.length;
        write.proposals++;
        write.proposalNumber = ++this.#lastProposal;
        write.proposedTick = limits.tick;
        this.#onProposed(write, limits);
      }
      count++;
    }
    this.#held = count === this.#held.length ? [] : this.#held.slice(count);
  }

  /** How many ticks longer than usual what is away may take, by its size. */
  get slownessTicks(): number {
    return Math.floor(this.#bytesAway / bytesPerTickMin);
  }

  /** Since when held writes may be doubtful: {@link settleDoubts} is due. Undefined: none is. */
  get doubtfulSinceTick(): number | undefined {
    return this.#doubtfulSinceTick;
  }

  /** Doubtful writes that are in the log, as `isInLog` says, are not to be proposed again; the others are. */
  settleDoubts(limits: ProposeLimits, isInLog: (write: PendingWrite) => boolean): void {
    this.#doubtfulSinceTick = undefined;
    const held: PendingWrite[] = [];
    for (const write of this.#held) {
      if (!this.#isWaiting(write)) continue;
      if (write.place === 'doubtful' && isInLog(write)) this.#onProposed(write, limits);
      else {
        if (write.place === 'doubtful') this.#putBack(write, 0);
        held.push(write);
      }
    }
    this.#held = held;
  }

  #isWaiting(write: PendingWrite): boolean {
    return write.place !== 'proposed' && this.find(write.session, write.number) === write;
  }

  #onProposed(write: PendingWrite, { tick, retryTicks }: ProposeLimits): void {
    write.place = 'proposed';
    // Back off: what is slow must not be proposed over and over.
    write.retryTick = tick + retryTicks * 2 ** Math.min(write.proposals, 6);
  }

  #hold(write: PendingWrite, tick: number): void {
    if (write.proposals > 0) {
      if (write.place === 'here') this.#bytesAway += write.command.length;
      write.place = 'doubtful';
      this.#doubtfulSinceTick ??= tick;
    }
    this.#isUnordered = true;
    this.#held.push(write);
  }

  #putBack(write: PendingWrite, retryTick: number): void {
    write.place = 'here';
    write.retryTick = retryTick;
    this.#bytesAway -= write.command.length;
  }

  /** Everything may have been lost (new leader, new link, new configuration): all are held, in order. */
  holdAll(tick: number): void {
    this.#held = [];
    for (const write of this.all()) this.#hold(write, tick);
  }

  /** A proposal came back: it is due again after a pause, and later each time, lest two nodes play ball with it. Those that came later wait. */
  returned(session: number, number: number, tick: number): void {
    const write = this.find(session, number);
    if (write?.place !== 'proposed') return;
    this.#putBack(write, tick + returnPauseTicks * 2 ** Math.min(write.proposals - 1, returnDoublings));
    this.#isUnordered = true;
    this.#held.push(write);
  }

  /** Holds what was proposed long ago and may be lost, and takes out what is over its deadline. `quietTicks`: without a write that came through. */
  sweep(nowMs: number, tick: number, { mayRetry, quietTicks }: RetryRule): PendingWrite[] {
    const expired: PendingWrite[] = [];
    // What is large takes its time by itself.
    const quietBefore = tick - quietTicks - this.slownessTicks;
    const isQuiet = (since: number) => Math.max(since, this.#appliedTick) <= quietBefore;
    for (const write of this.all()) {
      if (write.deadlineMs <= nowMs) expired.push(write);
      else if (mayRetry && (isQuiet(write.proposedTick) || write.proposalNumber < this.#appliedProposal))
        this.#holdLate(write, tick);
    }
    for (const write of expired) this.remove(write);
    this.#forgetRemoved();
    for (const [session, numbers] of this.#sessions) if (numbers.size === 0) this.#sessions.delete(session);
    return expired;
  }

  #holdLate(write: PendingWrite, tick: number): void {
    if (write.place === 'proposed' && write.retryTick <= tick) this.#hold(write, tick);
  }

  /** Without a leader in reach nothing is proposed, and what is over its time would be held for ever. */
  #forgetRemoved(): void {
    if (this.#held.length <= 2 * this.#count) return;
    this.#held = this.#held.filter((write) => this.find(write.session, write.number) === write);
  }

  takeAll(): PendingWrite[] {
    const taken = [...this.all()];
    for (const write of taken) this.remove(write);
    this.#held = [];
    return taken;
  }

  /** In order of arrival in each session. */
  *all(): Iterable<PendingWrite> {
    for (const numbers of this.#sessions.values()) yield* numbers.values();
  }
}
