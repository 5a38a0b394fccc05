/** A client for whom bytes are held in memory. */
export interface Holder {
  /** How many these are now. */
  readonly heldBytes: number;
  /** Ends it: all that is held for it goes with its socket. */
  cut(problem: string): void;
}

/** All are looked at each time that this part of the limit may have come on top. */
const lookShare = 1 / 16;
/** From this part of the limit on those for whom more than their share is held get no more. */
const tightShare = 1 / 2;
/** While that is so they are looked at this often, milliseconds, as nothing may come on top. */
const lookAgainMs = 50;

/**
 * Limits what is held in memory for all clients together: for each it may be little enough, and for all at once too much. Over the
 * limit, by up to a sixteenth, those for whom the most is held are cut.
 */
export class HeldBytes {
  readonly #holders: ReadonlySet<Holder>;
  readonly #bytesMax: number;
  #sinceLook = 0;
  #lookedAtMs = 0;
  #isTight = false;

  constructor(holders: ReadonlySet<Holder>, bytesMax: number) {
    this.#holders = holders;
    this.#bytesMax = bytesMax;
  }

  /** True while much is held in all, and `bytes`, which are for one of them, are more than its share of that. */
  isTight(bytes: number, nowMs: number): boolean {
    if (this.#isTight && nowMs - this.#lookedAtMs >= lookAgainMs) {
      this.#lookedAtMs = nowMs;
      this.#look();
    }
    return this.#isTight && bytes > (this.#bytesMax * tightShare) / this.#holders.size;
  }

  /** `bytes` more are held for one of them, if only for a moment. May cut any, that one among them. */
  add(bytes: number): void {
    this.#sinceLook += bytes;
    if (this.#sinceLook < this.#bytesMax * lookShare) return;
    const total = this.#look();
    if (total > this.#bytesMax) this.#cutUntilWithin(total);
  }

  #look(): number {
    this.#sinceLook = 0;
    let total = 0;
    for (const { heldBytes } of this.#holders) total += heldBytes;
    this.#isTight = total > this.#bytesMax * tightShare;
    return total;
  }

  #cutUntilWithin(total: number): void {
    let left = total;
    const most = [...this.#holders].sort((a, b) => b.heldBytes - a.heldBytes);
    for (const holder of most) {
      if (left <= this.#bytesMax) return;
      const { heldBytes } = holder;
      left -= heldBytes;
      holder.cut(
        `${total} bytes are held for all clients, at most ${this.#bytesMax} are allowed: ${heldBytes} for this one`,
      );
    }
  }
}
