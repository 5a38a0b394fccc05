/**
 * Where on disk the blocks of the log lie, in the order of the log. Four numbers a block in arrays of numbers, since a
 * lone small entry a flush makes a block each. Segments only go up along the log.
 */
export class BlockIndex {
  #firsts: number[] = [];
  #segments: number[] = [];
  #offsets: number[] = [];
  #lengths: number[] = [];

  get count(): number {
    return this.#firsts.length;
  }

  /** Adds a block behind all others. */
  push(firstIndex: number, segment: number, offset: number, length: number): void {
    this.#firsts.push(firstIndex);
    this.#segments.push(segment);
    this.#offsets.push(offset);
    this.#lengths.push(length);
  }

  /** First log index of block `at`, or undefined behind the last. */
  first(at: number): number | undefined {
    return this.#firsts[at];
  }

  /** Segment of block `at`, or undefined behind the last. */
  segment(at: number): number | undefined {
    return this.#segments[at];
  }

  /** First log index of the first block that lies in `segment` or behind it. */
  firstIn(segment: number): number | undefined {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle] as number) < segment) low = middle + 1;
      else high = middle;
    }
    return this.#firsts[low];
  }

  /** Where block `at`, which must be there, lies. */
  place(at: number): { readonly segment: number; readonly offset: number; readonly length: number } {
    return {
      segment: this.#segments[at] as number,
      offset: this.#offsets[at] as number,
      length: this.#lengths[at] as number,
    };
  }

  /** Position of the block that holds log index `index`; 0 if that is below the first. */
  find(index: number): number {
    return Math.max(this.#countUpTo(index) - 1, 0);
  }

  /** Takes off the blocks that begin at `index` or above. A block that it cuts through stays. */
  cut(index: number): void {
    this.#keep(0, this.#countUpTo(index - 1));
  }

  /** Takes off the blocks that end at or below `index`; the last one ends at `end`. */
  dropBelow(index: number, end: number): void {
    let count = this.#countUpTo(index) - 1;
    if (end <= index) count = this.count;
    if (count > 0) this.#keep(count, this.count);
  }

  /** Count of the blocks that begin at or below `index`. */
  #countUpTo(index: number): number {
    let low = 0;
    let high = this.#firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#firsts[middle] as number) <= index) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #keep(from: number, to: number): void {
    for (const numbers of [this.#firsts, this.#segments, this.#offsets, this.#lengths]) {
      numbers.length = to;
      if (from > 0) numbers.splice(0, from);
    }
  }
}
