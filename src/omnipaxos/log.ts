import { assert } from '../base/assert.ts';
import type { Ballot } from './ballot.ts';
import { bottomBallot, compareBallots } from './ballot.ts';
import type { Entry, StopSign } from './entry.ts';
import type { Store } from './storage.ts';

/** A log write that is on its way to the disk: once `write` is durable, so is the log up to `endIndex`. */
interface LogWrite {
  readonly write: number;
  readonly endIndex: number;
}

/**
 * The replica's log and promises as the algorithm sees them, over the store: one method a transition, one `commit()` each.
 *
 * It also knows how much of the log is durable *in the accepted round*, which is what Accepted may say and what a
 * leader may count as its own vote (PROTOCOL: durable before it is sent).
 */
export class Log<T> {
  readonly #store: Store<T>;
  /** First index of this configuration. */
  readonly startIndex: number;
  #stopSignIndex: number | undefined;
  /** Log writes not known to be durable, oldest first. */
  #writes: LogWrite[] = [];
  #durableIndex: number;
  #lastWrite: number;

  constructor(store: Store<T>, startIndex: number) {
    this.#store = store;
    this.startIndex = startIndex;
    const { sequence, state } = store;
    assert(
      sequence.endIndex >= startIndex,
      `log ends at ${sequence.endIndex}, the configuration starts at ${startIndex}`,
    );
    // The decided index may be lost in a crash; what was trimmed was decided.
    state.decidedIndex = Math.max(state.decidedIndex, startIndex, sequence.trimmedIndex);
    // Accepted nothing in this configuration yet: what lies behind is left over from before its StopSign.
    const isLeftOver = compareBallots(state.acceptedRound, bottomBallot) === 0;
    if (isLeftOver && sequence.endIndex > state.decidedIndex) sequence.truncate(state.decidedIndex);
    assert(state.decidedIndex <= sequence.endIndex, 'decided index is past the log that was recovered');
    this.#durableIndex = sequence.endIndex;
    this.#lastWrite = store.commit();
    this.#findStopSign();
  }

  get promise(): Ballot {
    return this.#store.state.promise;
  }

  get acceptedRound(): Ballot {
    return this.#store.state.acceptedRound;
  }

  get decidedIndex(): number {
    return this.#store.state.decidedIndex;
  }

  get acceptedIndex(): number {
    return this.#store.sequence.endIndex;
  }

  get trimmedIndex(): number {
    return this.#store.sequence.trimmedIndex;
  }

  /** Exclusive end of what is on disk in the accepted round. */
  get durableIndex(): number {
    return this.#durableIndex;
  }

  /** True once a StopSign is accepted, decided or not: nothing may be appended then. */
  get isStopped(): boolean {
    return this.#stopSignIndex !== undefined;
  }

  /** The StopSign of this configuration, if it is decided. */
  get decidedStopSign(): StopSign | undefined {
    const index = this.#stopSignIndex;
    return index !== undefined && index < this.decidedIndex ? this.acceptedStopSign : undefined;
  }

  /** The same, decided or not. */
  get acceptedStopSign(): StopSign | undefined {
    const index = this.#stopSignIndex;
    if (index === undefined) return undefined;
    const [entry] = this.#store.sequence.read(index, index + 1);
    assert(entry?.type === 'StopSign', `no StopSign at ${index}`);
    return entry.stopSign;
  }

  /** With `sizeMax` it may end early: see {@link Sequence.read}. */
  read(from: number, to: number, sizeMax?: number): Entry<T>[] {
    return this.#store.sequence.read(from, to, sizeMax);
  }

  /** About how large the log is from `from` to its end, if the store can tell: see {@link Sequence.sizeFrom}. */
  sizeFrom(from: number): number | undefined {
    return this.#store.sequence.sizeFrom?.(from);
  }

  /** Promises `ballot`. Returns the write that Prepare or Promise must wait for. */
  promiseTo(ballot: Ballot): number {
    assert(compareBallots(ballot, this.promise) > 0, 'a promise never goes back');
    this.#store.state.promise = ballot;
    return this.#commit();
  }

  /** Appends within the accepted round. At most one StopSign, and nothing after it. */
  append(entries: readonly Entry<T>[]): void {
    this.#stageAppend(entries);
    this.#logWritten(this.#commit());
  }

  /** Appends, then advances the decided index, in one write. */
  appendAndDecide(entries: readonly Entry<T>[], decidedIndex: number): void {
    const isAppend = entries.length > 0 && !this.#isSealed;
    if (isAppend) this.#stageAppend(entries);
    this.#stageDecided(Math.min(decidedIndex, this.acceptedIndex));
    const write = this.#commit();
    if (isAppend) this.#logWritten(write);
  }

  /** Advances the decided index to `index`, never back and never past the accepted index. */
  decide(index: number): void {
    const target = Math.min(index, this.acceptedIndex);
    if (target <= this.decidedIndex) return;
    this.#stageDecided(target);
    this.#commit();
  }

  /**
   * Starts or continues round `ballot` with the leader's log: from `from` on it is `suffix`. Round, log and decided index
   * change in one write. Within the same round nothing is ever dropped: the log there only grows, so a late
   * duplicate must not shorten it.
   */
  synchronize(ballot: Ballot, from: number, suffix: readonly Entry<T>[], decidedIndex: number): void {
    const { sequence, state } = this.#store;
    const sameRound = compareBallots(state.acceptedRound, ballot) === 0;
    // What is decided here already is the same there (that is what deciding means), and may be trimmed.
    const keep = Math.max(sameRound ? this.acceptedIndex : from, state.decidedIndex);
    assert(
      from <= this.acceptedIndex && keep <= this.acceptedIndex,
      `sync from ${from} leaves a gap after ${this.acceptedIndex}`,
    );
    // Behind a decided StopSign nothing follows: a leader that has more is of the past.
    const rest = this.#isSealed ? [] : suffix.slice(keep - from);
    if (keep < this.acceptedIndex) sequence.truncate(keep);
    if (rest.length > 0) sequence.append(rest);
    state.acceptedRound = ballot;
    this.#findStopSign();
    this.#stageDecided(Math.min(Math.max(decidedIndex, state.decidedIndex), this.acceptedIndex));
    this.#roundWritten(this.#commit());
  }

  /**
   * Takes over entries that are known to be decided, from catch-up. Whatever lies behind them stays: it may have been
   * counted by a leader, and a vote once given must not be forgotten. Behind a StopSign there is nothing to vote for.
   */
  installDecided(from: number, entries: readonly Entry<T>[]): void {
    const { sequence } = this.#store;
    const decided = this.decidedIndex;
    const end = from + entries.length;
    if (end <= decided) return;
    assert(from <= decided, 'decided entries leave a gap: from, decided index', from, decided);
    const isSealing = entries[entries.length - 1]?.type === 'StopSign';
    const kept = end < this.acceptedIndex && !isSealing ? sequence.read(end, this.acceptedIndex) : [];
    if (decided < this.acceptedIndex) sequence.truncate(decided);
    sequence.append(entries.slice(decided - from));
    if (kept.length > 0) sequence.append(kept);
    this.#findStopSign();
    this.#stageDecided(end);
    this.#roundWritten(this.#commit());
  }

  /** All below `index` is known as state from now on. What was accepted at or above it stays, see {@link installDecided}. */
  installState(index: number): void {
    const { sequence } = this.#store;
    if (index <= this.decidedIndex) return;
    const kept = index < this.acceptedIndex ? sequence.read(index, this.acceptedIndex) : [];
    sequence.reset(index);
    if (kept.length > 0) sequence.append(kept);
    this.#findStopSign();
    this.#stageDecided(index);
    this.#roundWritten(this.#commit());
  }

  /** Drops the log below `index`, which must be decided. The StopSign stays: it says that this configuration is over. */
  trim(index: number): void {
    assert(index <= this.decidedIndex, `trim at ${index} is past the decided index ${this.decidedIndex}`);
    const end = Math.min(index, this.#stopSignIndex ?? index);
    if (end <= this.trimmedIndex) return;
    this.#store.sequence.trim(end);
    this.#commit();
  }

  /** Learns what the disk has finished. True if more of the log became durable. */
  refreshDurable(): boolean {
    const durable = this.#store.durableWrite();
    const before = this.#durableIndex;
    while (this.#writes.length > 0 && (this.#writes[0] as LogWrite).write <= durable) {
      this.#durableIndex = (this.#writes.shift() as LogWrite).endIndex;
    }
    return this.#durableIndex > before;
  }

  durableWrite(): number {
    return this.#store.durableWrite();
  }

  /** The last write staged: once it is durable, so is everything that this replica knows now. */
  get lastWrite(): number {
    return this.#lastWrite;
  }

  get #isSealed(): boolean {
    return this.#stopSignIndex !== undefined && this.#stopSignIndex < this.decidedIndex;
  }

  #commit(): number {
    this.#lastWrite = this.#store.commit();
    return this.#lastWrite;
  }

  #stageAppend(entries: readonly Entry<T>[]): void {
    assert(this.#stopSignIndex === undefined, 'nothing is appended after a StopSign');
    const start = this.acceptedIndex;
    for (let at = 0; at < entries.length; at++) {
      if ((entries[at] as Entry<T>).type !== 'StopSign') continue;
      assert(at === entries.length - 1, 'a StopSign is the last entry of its configuration');
      this.#stopSignIndex = start + at;
    }
    this.#store.sequence.append(entries);
  }

  #stageDecided(index: number): void {
    assert(index >= this.decidedIndex, 'the decided index goes back: from, to', this.decidedIndex, index);
    this.#store.state.decidedIndex = index;
  }

  #logWritten(write: number): void {
    if (write <= this.#store.durableWrite() && this.#writes.length === 0) this.#durableIndex = this.acceptedIndex;
    else this.#writes.push({ write, endIndex: this.acceptedIndex });
  }

  /** The round or the middle of the log changed: nothing counts as durable until this very write is. */
  #roundWritten(write: number): void {
    this.#writes = [];
    this.#durableIndex = Math.min(this.#durableIndex, this.startIndex);
    this.#logWritten(write);
  }

  #findStopSign(): void {
    this.#stopSignIndex = undefined;
    const last = this.acceptedIndex - 1;
    if (last < Math.max(this.startIndex, this.trimmedIndex)) return;
    const [entry] = this.#store.sequence.read(last, last + 1);
    if (entry?.type === 'StopSign') this.#stopSignIndex = last;
  }
}
