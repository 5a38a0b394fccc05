/**
 * Sizes of what a leader has appended and not yet decided, by the index at which each append ended. A queue in one array
 * that is filled over and over: this happens for every proposal.
 */
export class Undecided {
  /** End index and size of each append, in turn. */
  #appends: number[] = [];
  /** Where the first that counts stands, and where the next goes. */
  #first = 0;
  #next = 0;
  #size = 0;

  /** Sum of the sizes. */
  get size(): number {
    return this.#size;
  }

  /** An append of `size` ended at `endIndex`. */
  add(endIndex: number, size: number): void {
    if (this.#first > 1024 && this.#first > this.#next / 2) this.#compact();
    this.#appends[this.#next] = endIndex;
    this.#appends[this.#next + 1] = size;
    this.#next += 2;
    this.#size += size;
  }

  /** All appends that ended at or below `decidedIndex` count no more. */
  decide(decidedIndex: number): void {
    while (this.#first < this.#next && (this.#appends[this.#first] as number) <= decidedIndex) {
      this.#size -= this.#appends[this.#first + 1] as number;
      this.#first += 2;
    }
    if (this.#first < this.#next) return;
    this.#first = 0;
    this.#next = 0;
  }

  #compact(): void {
    this.#appends = this.#appends.slice(this.#first, this.#next);
    this.#next -= this.#first;
    this.#first = 0;
  }
}
