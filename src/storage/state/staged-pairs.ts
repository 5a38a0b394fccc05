import type { ByteString } from '../../base/bytes.ts';
import type { ChangeLayer, KeyedChange, StagedChange } from '../../kv/overlay.ts';
import { KeyIndex } from './key-index.ts';
import { KeyRows, type RowMerge } from './key-rows.ts';
import { StagedKeyOrder } from './staged-key-order.ts';
import { type ChunkPool, StateBatch } from './state-batch.ts';
import { sealPair } from './state-codec.ts';

/** What a change costs in memory beside its operation, bytes: its number in tables that are half empty, its hash and its place. */
const changeOverheadBytes = 32;

/** Changes of pairs, kept as the batch that a checkpoint writes: to begin a checkpoint takes no work, however many they are. */
export class StagedPairs implements ChangeLayer {
  readonly batch: StateBatch;
  readonly #generation: number;
  /** Numbers of the keys, in the order in which they were changed first. */
  readonly #index: KeyIndex;
  /** By those numbers: where in the batch the last change is. */
  #places: Uint32Array = new Uint32Array(64);
  readonly #rows: KeyRows;

  /** Changes of the tables of `generation`. */
  constructor(pool: ChunkPool, generation: number) {
    this.batch = new StateBatch(pool);
    this.#generation = generation;
    this.#index = new KeyIndex((number, key) => this.batch.isKeyAt(this.#placeOf(number), key));
    this.#rows = new KeyRows(new StagedKeyOrder(this.batch, (number) => this.#placeOf(number)));
  }

  get bytes(): number {
    return this.batch.memoryBytes - this.batch.overtakenBytes + this.#overheadBytes;
  }

  get memoryBytes(): number {
    return this.batch.memoryBytes + this.#overheadBytes;
  }

  get size(): number {
    return this.#index.size;
  }

  /** A value is a copy. */
  get(key: ByteString): StagedChange | undefined {
    const number = this.#index.find(key);
    return number < 0 ? undefined : this.batch.pairAt(this.#placeOf(number));
  }

  set(key: ByteString, change: StagedChange): void {
    const { size } = this.#index;
    const number = this.#index.numberOf(key);
    const isNew = number === size;
    if (!isNew) {
      if (this.batch.replace(this.#placeOf(number), change)) return;
      this.batch.overtake(this.#placeOf(number));
    } else if (number === this.#places.length) {
      this.#places = grown(this.#places);
    }
    this.#places[number] = this.batch.pair(this.#generation, key, change);
    if (isNew) this.#rows.add(number);
  }

  *scan(from: ByteString, prefix: ByteString): Generator<KeyedChange, void, undefined> {
    const numbers = this.#rows.from(this.size, (number) => this.batch.compareKeyAt(this.#placeOf(number), from) < 0);
    for (let number = numbers.next(); number >= 0; number = numbers.next()) {
      const place = this.#placeOf(number);
      const key = this.batch.keyAt(place);
      if (!key.startsWith(prefix)) return;
      yield { key, change: this.batch.pairAt(place) };
    }
  }

  /** The changes as they are now, until they are closed. */
  freeze(): FrozenPairs {
    return new FrozenPairs(this.batch, this.#rows, this.#places.slice(0, this.size), this.bytes);
  }

  #placeOf(number: number): number {
    return this.#places[number] as number;
  }

  get #overheadBytes(): number {
    return this.size * changeOverheadBytes;
  }
}

function grown(places: Uint32Array): Uint32Array {
  const larger = new Uint32Array(2 * places.length);
  larger.set(places);
  return larger;
}

/** Changes that stay as they are while those that they were taken from go on. */
export class FrozenPairs {
  /** About how many bytes the changes come to. */
  readonly bytes: number;
  readonly #batch: StateBatch;
  readonly #places: Uint32Array;
  readonly #rows: KeyRows;

  /** `places` by the numbers of the keys, which `rows` has in order, maybe but for the last ones. */
  constructor(batch: StateBatch, rows: KeyRows, places: Uint32Array, bytes: number) {
    this.bytes = bytes;
    this.#batch = batch;
    this.#places = places;
    this.#rows = rows.copy(new StagedKeyOrder(batch, (number) => this.#placeOf(number)));
    batch.pin();
  }

  get size(): number {
    return this.#places.length;
  }

  /** `rows`, which are those behind `after` in order, as changed. A change that they have already does no harm. */
  *over(
    rows: Iterable<readonly [ByteString, Uint8Array]>,
    after: ByteString | undefined,
  ): Generator<readonly [ByteString, Uint8Array]> {
    const change = new ChangeCursor(this.#batch, this.#places, this.#behind(after));
    for (const row of rows) {
      for (; change.key !== undefined && change.key < row[0]; change.advance()) yield* change.row();
      if (change.key !== row[0]) {
        yield row;
        continue;
      }
      yield* change.row();
      change.advance();
    }
    for (; change.key !== undefined; change.advance()) yield* change.row();
  }

  /** The key `count` keys behind `after`, if there are so many. */
  keyBehind(after: ByteString | undefined, count: number): ByteString | undefined {
    const numbers = this.#behind(after);
    let number = numbers.next();
    for (let passed = 1; passed < count && number >= 0; passed++) number = numbers.next();
    return number < 0 ? undefined : this.#batch.keyAt(this.#placeOf(number));
  }

  /** Lets go of it. */
  close(): void {
    this.#batch.unpin();
  }

  #behind(after: ByteString | undefined): RowMerge {
    const isBefore = (number: number) =>
      after !== undefined && this.#batch.compareKeyAt(this.#placeOf(number), after) <= 0;
    return this.#rows.from(this.size, isBefore);
  }

  #placeOf(number: number): number {
    return this.#places[number] as number;
  }
}

/** Where in the changes, in the order of their keys, a reader is. */
class ChangeCursor {
  readonly #batch: StateBatch;
  readonly #places: Uint32Array;
  readonly #numbers: RowMerge;
  #place = 0;
  /** Undefined behind the last change. */
  key: ByteString | undefined;

  constructor(batch: StateBatch, places: Uint32Array, numbers: RowMerge) {
    this.#batch = batch;
    this.#places = places;
    this.#numbers = numbers;
    this.advance();
  }

  advance(): void {
    const number = this.#numbers.next();
    if (number >= 0) this.#place = this.#places[number] as number;
    this.key = number < 0 ? undefined : this.#batch.keyAt(this.#place);
  }

  /** What the table has of the key once it is changed: nothing if it goes. */
  *row(): Generator<readonly [ByteString, Uint8Array]> {
    const record = this.#batch.recordAt(this.#place);
    if (record && this.key !== undefined) yield [this.key, sealPair(this.key, record)];
  }
}
