import type { ByteString } from '../base/bytes.ts';
import { FrozenChanges } from '../kv/frozen-changes.ts';
import type { ChangeLayer, KeyedChange, KvChange } from '../kv/overlay.ts';
import { SortedKeys } from '../kv/sorted-keys.ts';
import { KeyIndex } from './key-index.ts';
import { type ChunkPool, StateBatch } from './state-batch.ts';
import { sealPair } from './state-codec.ts';

/** What a change costs in memory beside its operation, bytes: its number in tables that are half empty, its hash and its place. */
const changeOverheadBytes = 32;

/** Keys in a row: to put it in order takes about a millisecond. */
const rowKeys = 2048;

/** Changes of pairs, kept as the batch that a checkpoint writes: to begin a checkpoint takes no work, however many they are. */
export class StagedPairs implements ChangeLayer {
  readonly batch: StateBatch;
  readonly #generation: number;
  /** Numbers of the keys, in the order in which they were changed first. */
  readonly #index: KeyIndex;
  /** By those numbers: where in the batch the last change is. */
  #places: Uint32Array = new Uint32Array(64);
  /**
   * All numbers, in rows that are each in the order of the keys but for the last one: to put many in order at once would take long, and
   * to merge such rows, which is what `sort` does with their keys, does not.
   */
  readonly #rows: Uint32Array[] = [];
  /** Those that were ever listed, and how many that are. */
  readonly #listed = new SortedKeys();
  #listedCount = 0;

  /** Changes of the tables of `generation`. */
  constructor(pool: ChunkPool, generation: number) {
    this.batch = new StateBatch(pool);
    this.#generation = generation;
    this.#index = new KeyIndex((number, key) => this.batch.isKeyAt(this.#places[number] as number, key));
  }

  get bytes(): number {
    return this.batch.memoryBytes - this.batch.overtakenBytes + this.#overheadBytes;
  }

  get memoryBytes(): number {
    return this.batch.memoryBytes + this.#overheadBytes;
  }

  get overwrittenBytes(): number {
    return this.batch.overtakenBytes + this.batch.replacedBytes;
  }

  get size(): number {
    return this.#index.size;
  }

  /** A value is a copy. */
  get(key: ByteString): KvChange | undefined {
    const number = this.#index.find(key);
    return number < 0 ? undefined : this.batch.pairAt(this.#places[number] as number);
  }

  set(key: ByteString, change: KvChange): void {
    const { size } = this.#index;
    const number = this.#index.numberOf(key);
    const isNew = number === size;
    if (!isNew) {
      if (this.batch.replace(this.#places[number] as number, change)) return;
      this.batch.overtake(this.#places[number] as number);
    } else if (number === this.#places.length) {
      this.#places = grown(this.#places);
    }
    this.#places[number] = this.batch.pair(this.#generation, key, change);
    if (isNew && this.size % rowKeys === 0) this.#addRow();
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
    return new FrozenPairs(this.batch, [...this.#rows], this.#index, this.#places.slice(0, this.size));
  }

  /** The newest keys are a row now. */
  #addRow(): void {
    const first = this.#rows.length * rowKeys;
    const row = new Uint32Array(rowKeys).map((_, at) => first + at);
    const place = (number: number) => this.#places[number] as number;
    this.#rows.push(row.sort((a, b) => this.batch.compareKeysAt(place(a), place(b))));
  }

  #list(): void {
    if (this.#listedCount === 0) {
      for (const key of keysOf(this.batch, this.#rows, this.#places)) this.#listed.add(key);
      this.#listedCount = this.#rows.length * rowKeys;
    }
    for (; this.#listedCount < this.size; this.#listedCount++) {
      this.#listed.add(this.batch.keyAt(this.#places[this.#listedCount] as number));
    }
  }

  get #overheadBytes(): number {
    return this.size * changeOverheadBytes;
  }
}

/** The keys with these numbers. */
function keysOf(batch: StateBatch, rows: readonly Uint32Array[], places: Uint32Array): ByteString[] {
  return rows.flatMap((row) => Array.from(row, (number) => batch.keyAt(places[number] as number)));
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

  /** `index` of the keys, of which there may come more; `places` by their numbers; `rows` of those, but for the last ones. */
  constructor(batch: StateBatch, rows: readonly Uint32Array[], index: KeyIndex, places: Uint32Array) {
    this.#batch = batch;
    this.#changes = new FrozenChanges({
      size: places.length,
      keysInOrder: () => {
        const rest = Array.from(places.subarray(rows.length * rowKeys), (place) => batch.keyAt(place));
        return [...keysOf(batch, rows, places), ...rest.sort()].sort();
      },
      rowOf: (key) => {
        const record = batch.recordAt(places[index.find(key)] as number);
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
