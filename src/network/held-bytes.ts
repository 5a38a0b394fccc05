/** A client for whom bytes are held in memory. */
export interface Holder {
  /** How many these are now. */
  readonly heldBytes: number;
  /** Ends it, so that nothing is held for it any more. */
  cut(problem: string): void;
}

/** All are looked at each time that this part of the limit may have come on top. */
const lookShare = 1 / 16;

/**
 * Limits what is held in memory for all clients together: for each it may be little enough, and for all at once too much. Over the
 * limit, by up to a sixteenth, those for whom the most is held are cut.
 */
export class HeldBytes {
  readonly #holders: ReadonlySet<Holder>;
  readonly #bytesMax: number;
  #sinceLook = 0;

  constructor(holders: ReadonlySet<Holder>, bytesMax: number) {
    this.#holders = holders;
    this.#bytesMax = bytesMax;
  }

  /** `bytes` more are held for one of them, if only for a moment. May cut any, that one among them. */
  add(bytes: number): void {
    this.#sinceLook += bytes;
    if (this.#sinceLook < this.#bytesMax * lookShare) return;
    this.#sinceLook = 0;
    let total = 0;
    for (const holder of this.#holders) total += holder.heldBytes;
    if (total > this.#bytesMax) this.#cutUntilWithin(total);
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
