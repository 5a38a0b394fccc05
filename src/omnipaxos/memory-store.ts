import { bottomBallot } from './ballot.ts';
import type { Entry } from './entry.ts';
import type { PaxosState, Sequence, Store } from './storage.ts';

/** Entries of a full chunk: one array of all would be copied whole each time that it grows. */
const chunkEntries = 1024;

/** The log in memory, in chunks that are all full but the last. */
export class MemorySequence<T> implements Sequence<T> {
  /** In the first, what was trimmed is undefined, so that nothing keeps it. */
  #chunks: (Entry<T> | undefined)[][] = [];
  /** Index of the first place of the first chunk: trimmed or not. */
  #base = 0;
  #trimmed = 0;
  #end = 0;

  get trimmedIndex(): number {
    return this.#trimmed;
  }

  get endIndex(): number {
    return this.#end;
  }

  append(entries: readonly Entry<T>[]): void {
    let last = this.#chunks[this.#chunks.length - 1];
    for (const entry of entries) {
      if (last === undefined || last.length === chunkEntries) {
        last = [];
        this.#chunks.push(last);
      }
      last.push(entry);
    }
    this.#end += entries.length;
  }

  truncate(index: number): void {
    this.#check(index);
    this.#chunks.length = Math.ceil((index - this.#base) / chunkEntries);
    const last = this.#chunks[this.#chunks.length - 1];
    if (last) last.length = index - this.#base - (this.#chunks.length - 1) * chunkEntries;
    this.#end = index;
  }

  read(from: number, to: number): Entry<T>[] {
    this.#check(from);
    this.#check(to);
    // What is wanted is mostly in one chunk, and a copy of a part of that is all there is to do then.
    const entries = from < to ? this.#readChunk(from, to) : [];
    while (from + entries.length < to) entries.push(...this.#readChunk(from + entries.length, to));
    return entries;
  }

  trim(index: number): void {
    this.#check(index);
    const emptied = Math.floor((index - this.#base) / chunkEntries);
    this.#chunks.splice(0, emptied);
    this.#base += emptied * chunkEntries;
    this.#chunks[0]?.fill(undefined, Math.max(this.#trimmed - this.#base, 0), index - this.#base);
    this.#trimmed = index;
  }

  reset(index: number): void {
    this.#chunks = [];
    this.#base = index;
    this.#trimmed = index;
    this.#end = index;
  }

  /** Entries `from` to `to` as far as they are in the chunk of the first. */
  #readChunk(from: number, to: number): Entry<T>[] {
    const place = from - this.#base;
    const start = place % chunkEntries;
    const chunk = this.#chunks[(place - start) / chunkEntries] as Entry<T>[];
    return chunk.slice(start, start + to - from);
  }

  #check(index: number): void {
    if (index < this.#trimmed || index > this.#end) {
      throw new RangeError(`log index ${index} is outside ${this.#trimmed}…${this.#end}`);
    }
  }
}

/** A store in memory: durable at once, gone with the process. For tests, examples and simulation. */
export class MemoryStore<T> implements Store<T> {
  readonly sequence = new MemorySequence<T>();
  readonly state: PaxosState = { promise: bottomBallot, acceptedRound: bottomBallot, decidedIndex: 0 };
  #writes = 0;

  commit(): number {
    return ++this.#writes;
  }

  durableWrite(): number {
    return this.#writes;
  }
}
