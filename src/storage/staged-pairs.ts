import type { ByteString } from '../base/bytes.ts';
import { FrozenChanges } from '../kv/frozen-changes.ts';
import type { ChangeLayer, KeyedChange, KvChange } from '../kv/overlay.ts';
import { SortedKeys } from '../kv/sorted-keys.ts';
import { type ChunkPool, StateBatch } from './state-batch.ts';
import { sealPair } from './state-codec.ts';

/** What a change costs in memory beside its operation, bytes: its key as a string, and its place in two tables. */
const changeOverheadBytes = 96;

/** Keys in a row. */
const rowKeys = 8192;

/** Changes of pairs, kept as the batch that a checkpoint writes: to begin a checkpoint takes no work, however many they are. */
export class StagedPairs implements ChangeLayer {
  readonly batch: StateBatch;
  readonly #generation: number;
  /** Keys in the order in which they were changed first, each with its number in that order. */
  readonly #numbers = new Map<ByteString, number>();
  /** By those numbers: where in the batch the last change is. */
  #places: Uint32Array = new Uint32Array(64);
  /**
   * All keys, in rows that are each in order but for the last one: to put many in order at once would take long, and to merge such
   * rows, which is what `sort` does with them, does not.
   */
  readonly #rows: ByteString[][] = [[]];
  /** Those that were ever listed, how many that are, and the keys from there on; it must not be asked for more than there are. */
  readonly #listed = new SortedKeys();
  #listedCount = 0;
  readonly #unlisted = this.#numbers.keys();

  /** Changes of the tables of `generation`. */
  constructor(pool: ChunkPool, generation: number) {
    this.batch = new StateBatch(pool);
    this.#generation = generation;
  }

  get bytes(): number {
    return this.batch.memoryBytes - this.batch.overtakenBytes + this.#overheadBytes;
  }

  get memoryBytes(): number {
    return this.batch.memoryBytes + this.#overheadBytes;
  }

  get size(): number {
    return this.#numbers.size;
  }

  /** A value is a copy. */
  get(key: ByteString): KvChange | undefined {
    const number = this.#numbers.get(key);
    return number === undefined ? undefined : this.batch.pairAt(this.#places[number] as number);
  }

  set(key: ByteString, change: KvChange): void {
    let number = this.#numbers.get(key);
    if (number === undefined) {
      number = this.#numbers.size;
      this.#numbers.set(key, number);
      this.#addToRows(key);
      if (number === this.#places.length) this.#places = grown(this.#places);
    } else {
      this.batch.overtake(this.#places[number] as number);
    }
    this.#places[number] = this.batch.pair(this.#generation, key, change);
  }

  *scan(from: ByteString, prefix: ByteString): Generator<KeyedChange, void, undefined> {
    this.#list();
    for (const key of this.#listed.from(from)) {
      if (!key.startsWith(prefix)) return;
      yield { key, change: this.get(key) as KvChange };
    }
  }

  /** The changes as they are now, until they are closed. */
  freeze(): FrozenPairs {
    const rows = [...this.#rows.slice(0, -1), (this.#rows.at(-1) as ByteString[]).slice()];
    return new FrozenPairs(this.batch, rows, this.#numbers, this.#places.slice(0, this.#numbers.size));
  }

  #addToRows(key: ByteString): void {
    const last = this.#rows.at(-1) as ByteString[];
    last.push(key);
    if (last.length < rowKeys) return;
    last.sort();
    this.#rows.push([]);
  }

  #list(): void {
    const isFirst = this.#listedCount === 0;
    if (isFirst) for (const row of this.#rows) for (const key of row) this.#listed.add(key);
    for (; this.#listedCount < this.#numbers.size; this.#listedCount++) {
      const key = this.#unlisted.next().value as ByteString;
      if (!isFirst) this.#listed.add(key);
    }
  }

  get #overheadBytes(): number {
    return this.#numbers.size * changeOverheadBytes;
  }
}

function grown(places: Uint32Array): Uint32Array {
  const larger = new Uint32Array(2 * places.length);
  larger.set(places);
  return larger;
}

/** Changes that stay as they are while those that they were taken from go on. */
export class FrozenPairs {
  readonly #batch: StateBatch;
  readonly #changes: FrozenChanges<ByteString, Uint8Array>;

  /** `rows` of the keys; their `numbers`, of which there may come more; `places` by those numbers. */
  constructor(
    batch: StateBatch,
    rows: readonly (readonly ByteString[])[],
    numbers: ReadonlyMap<ByteString, number>,
    places: Uint32Array,
  ) {
    this.#batch = batch;
    this.#changes = new FrozenChanges({
      size: places.length,
      keysInOrder: () => rows.flat().sort(),
      rowOf: (key) => {
        const record = batch.recordAt(places[numbers.get(key) as number] as number);
        return record && sealPair(key, record);
      },
    });
    batch.pin();
  }

  get size(): number {
    return this.#changes.size;
  }

  /** `rows`, which are those behind `after`, as changed. */
  over(
    rows: Iterable<readonly [ByteString, Uint8Array]>,
    after: ByteString | undefined,
  ): Iterable<readonly [ByteString, Uint8Array]> {
    return this.#changes.over(rows, after);
  }

  /** The key `count` keys behind `after`, if there are so many. */
  keyBehind(after: ByteString | undefined, count: number): ByteString | undefined {
    return this.#changes.keyBehind(after, count);
  }

  /** Lets go of it. */
  close(): void {
    this.#batch.unpin();
  }
}
