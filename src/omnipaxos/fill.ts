/**
 * Messages of log under way at once to a follower that is not in step, at first and at most. Few, for what is more urgent waits behind them; more only
 * as long as it does not come closer, on a long way or under much load. The most is as much as the replica has a sync carry.
 */
const windowMin = 4;
const windowMax = 32;
/** To one that was in step, and takes what it is sent too slowly, no more than was under way to it then: more would only stand on its link for longer. */
const windowMaxSlow = 16;
/** One burst of writes is no reason. */
const looksToWiden = 2;

/** What is under way to one follower that lacks more of the log than one message carries, or has on its disk much less than it was sent. */
export class Fill {
  /** Where each message ended that it has not on disk yet. */
  readonly #ends: number[] = [];
  #window = windowMin;
  #windowMax = windowMax;
  /** Up to here it was sent before this began. */
  #takenUpTo = 0;
  #lag = Number.POSITIVE_INFINITY;
  #acceptedIndex = -1;
  /** Looks in a row at which it had got on and come no closer. */
  #looks = 0;

  /** A message that ends at `endIndex` was sent. */
  sent(endIndex: number): void {
    this.#ends.push(endIndex);
  }

  /** It has all below `acceptedIndex` on disk. */
  accepted(acceptedIndex: number): void {
    while (this.#ends.length > 0 && (this.#ends[0] as number) <= acceptedIndex) this.#ends.shift();
  }

  /** All that was sent up to `endIndex` counts as much as may be under way: there is room once it has that on disk. */
  takeUp(endIndex: number): void {
    while (this.hasRoom) this.sent(endIndex);
    this.#takenUpTo = endIndex;
    this.#windowMax = windowMaxSlow;
  }

  get hasRoom(): boolean {
    return this.#ends.length < this.#window;
  }

  /** So little is under way that it is in step once it was sent all. */
  get isLow(): boolean {
    return this.#ends.length <= windowMin / 2;
  }

  /**
   * To be called now and then: one that gets on but comes no closer, twice in a row, gets more at once. Else it would be out of step as long as so
   * much is written.
   */
  look(acceptedIndex: number, lag: number): void {
    if (acceptedIndex < this.#takenUpTo) return;
    const comesNoCloser = acceptedIndex > this.#acceptedIndex && lag >= this.#lag;
    this.#looks = comesNoCloser ? this.#looks + 1 : 0;
    if (this.#looks === looksToWiden) {
      this.#window = Math.min(2 * this.#window, this.#windowMax);
      this.#looks = 0;
    }
    this.#acceptedIndex = acceptedIndex;
    this.#lag = lag;
  }
}
