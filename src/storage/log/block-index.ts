/** Of a block: its first log index, its segment, its offset there and its length. */
const numbersPerBlock = 4;
const blocksMin = 64;

/**
 * Where on disk the blocks of the log lie, in the order of the log: four numbers each in one array of numbers, which V8 need not look
 * into, since a lone small entry a flush makes a block each. Segments only go up along the log.
 */
export class BlockIndex {
  #numbers = new Float64Array(blocksMin * numbersPerBlock);
  /** Blocks in front that are no longer there. */
  #dropped = 0;
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** Adds a block behind all others. */
  push(firstIndex: number, segment: number, offset: number, length: number): void {
    if ((this.#dropped + this.#count + 1) * numbersPerBlock > this.#numbers.length) this.#makeRoom();
    const start = (this.#dropped + this.#count) * numbersPerBlock;
    const numbers = this.#numbers;
    numbers[start] = firstIndex;
    numbers[start + 1] = segment;
    numbers[start + 2] = offset;
    numbers[start + 3] = length;
    this.#count++;
  }

  /** First log index of block `at`, or undefined behind the last. */
  first(at: number): number | undefined {
    return at < this.#count ? this.#number(at, 0) : undefined;
  }

  /** Segment of block `at`, or undefined behind the last. */
  segment(at: number): number | undefined {
    return at < this.#count ? this.#number(at, 1) : undefined;
  }

  /** First log index of the first block that lies in `segment` or behind it. */
  firstIn(segment: number): number | undefined {
    return this.first(this.#countWhile((at) => this.#number(at, 1) < segment));
  }

  /** Where block `at`, which must be there, lies. */
  place(at: number): { readonly segment: number; readonly offset: number; readonly length: number } {
    return { segment: this.#number(at, 1), offset: this.#number(at, 2), length: this.#number(at, 3) };
  }

  /** Position of the block that holds log index `index`; 0 if that is below the first. */
  find(index: number): number {
    return Math.max(this.#countUpTo(index) - 1, 0);
  }

  /** Takes off the blocks that begin at `index` or above. A block that it cuts through stays. */
  cut(index: number): void {
    this.#count = this.#countUpTo(index - 1);
  }

  /** Takes off the blocks that end at or below `index`; the last one ends at `end`. */
  dropBelow(index: number, end: number): void {
    const count = end <= index ? this.#count : Math.max(this.#countUpTo(index) - 1, 0);
    this.#dropped += count;
    this.#count -= count;
  }

  /** Count of the blocks that begin at or below `index`. */
  #countUpTo(index: number): number {
    return this.#countWhile((at) => this.#number(at, 0) <= index);
  }

  /** How many of the first blocks are so, if all behind the first that is not so are not, either. */
  #countWhile(isSo: (at: number) => boolean): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (isSo(middle)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #number(at: number, which: number): number {
    return this.#numbers[(this.#dropped + at) * numbersPerBlock + which] as number;
  }

  /** Leaves at least half of the array free behind the last block, and not much more. */
  #makeRoom(): void {
    const from = this.#dropped * numbersPerBlock;
    const present = this.#numbers.subarray(from, from + this.#count * numbersPerBlock);
    const wanted = Math.max(2 * present.length, blocksMin * numbersPerBlock);
    const isFit = this.#numbers.length >= wanted && this.#numbers.length <= 8 * wanted;
    const numbers = isFit ? this.#numbers : new Float64Array(2 * wanted);
    numbers.set(present);
    this.#numbers = numbers;
    this.#dropped = 0;
  }
}
