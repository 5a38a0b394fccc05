/** Keys are put in order so many at a time. */
const shortRow = 256;
/** So many of those rows are then merged into a long one, which takes about a millisecond. */
const longRow = 8192;
const noNumbers = new Uint32Array(0);

/** The order of the keys that numbers stand for. */
export interface KeyOrder {
  /** Negative if the first number's key comes before that of the second. */
  compare(number: number, other: number): number;
  /** Puts numbers, each there once, in the order of their keys. */
  sort(numbers: Uint32Array): void;
}

/**
 * Numbers of keys, 0, 1 and so on, in rows that are each in the order of the keys. They are merged only as far as somebody reads, and from where
 * he begins: to put all of many keys in order at once would keep the node for as long as that takes.
 */
export class KeyRows {
  readonly #order: KeyOrder;
  /** Long ones, and then short ones. */
  readonly #rows: Uint32Array[];
  /** How many numbers are in rows: all below this. */
  #inRows: number;
  /** How many numbers are in long rows: all below this. */
  #inLongRows = 0;
  /** Those that are in no row yet, as far as somebody read them last, in order: a snapshot is read some thousand times. */
  #rest: Uint32Array = noNumbers;

  constructor(order: KeyOrder, rows: readonly Uint32Array[] = [], inRows = 0) {
    this.#order = order;
    this.#rows = [...rows];
    this.#inRows = inRows;
  }

  /** To be called with each number that is new, once its key can be compared. */
  add(number: number): void {
    if (number + 1 - this.#inRows < shortRow) return;
    this.#rows.push(this.#sorted(this.#inRows, shortRow));
    this.#inRows += shortRow;
    this.#rest = noNumbers;
    if (this.#inRows - this.#inLongRows < longRow) return;
    this.#rows.splice(-longRow / shortRow);
    this.#rows.push(this.#sorted(this.#inLongRows, longRow));
    this.#inLongRows += longRow;
  }

  /** The rows as they are, whatever is added here, for one whose keys are in `order`, and to which nothing is added. */
  copy(order: KeyOrder): KeyRows {
    return new KeyRows(order, this.#rows, this.#inRows);
  }

  /** All numbers below `size` in the order of their keys, but for those whose key `isBefore` where it begins. None may be added meanwhile. */
  from(size: number, isBefore: (number: number) => boolean): RowMerge {
    const count = size - this.#inRows;
    if (this.#rest.length !== count) this.#rest = this.#sorted(this.#inRows, count);
    return new RowMerge(count === 0 ? this.#rows : [...this.#rows, this.#rest], this.#order, isBefore);
  }

  #sorted(first: number, count: number): Uint32Array {
    const numbers = new Uint32Array(count);
    for (let at = 0; at < count; at++) numbers[at] = first + at;
    this.#order.sort(numbers);
    return numbers;
  }
}

/** Goes through rows as if they were one: a heap of them, the one with the least number on top. */
export class RowMerge {
  readonly #rows: Uint32Array[] = [];
  /** Of each row, the position of its next number. */
  readonly #positions: number[] = [];
  /** Indexes of the rows that have one. */
  readonly #heap: number[] = [];
  readonly #order: KeyOrder;

  /** See {@link KeyRows.from}. */
  constructor(rows: readonly Uint32Array[], order: KeyOrder, isBefore: (number: number) => boolean) {
    this.#order = order;
    for (const row of rows) {
      const position = countBefore(row, isBefore);
      if (position === row.length) continue;
      this.#heap.push(this.#rows.length);
      this.#rows.push(row);
      this.#positions.push(position);
    }
    for (let at = (this.#heap.length >>> 1) - 1; at >= 0; at--) this.#sink(at);
  }

  /** The next number, or -1 behind the last one. */
  next(): number {
    const heap = this.#heap;
    const [top] = heap;
    if (top === undefined) return -1;
    const row = this.#rows[top] as Uint32Array;
    const position = this.#positions[top] as number;
    this.#positions[top] = position + 1;
    if (position + 1 === row.length) {
      const last = heap.pop() as number;
      if (heap.length > 0) heap[0] = last;
    }
    this.#sink(0);
    return row[position] as number;
  }

  /** Lets the row at `from` of the heap go down to where it belongs. */
  #sink(from: number): void {
    const heap = this.#heap;
    if (from >= heap.length) return;
    const row = heap[from] as number;
    const number = this.#headOf(row);
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      let least = this.#headOf(heap[child] as number);
      if (child + 1 < heap.length) {
        const other = this.#headOf(heap[child + 1] as number);
        if (this.#order.compare(other, least) < 0) {
          child++;
          least = other;
        }
      }
      if (this.#order.compare(number, least) <= 0) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = row;
  }

  #headOf(row: number): number {
    return (this.#rows[row] as Uint32Array)[this.#positions[row] as number] as number;
  }
}

/** How many of the numbers of a row, which come first in it, are before the beginning. */
function countBefore(row: Uint32Array, isBefore: (number: number) => boolean): number {
  let low = 0;
  let high = row.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBefore(row[middle] as number)) low = middle + 1;
    else high = middle;
  }
  return low;
}
