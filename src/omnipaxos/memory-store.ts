import { bottomBallot } from './ballot.ts';
import type { Entry } from './entry.ts';
import type { PaxosState, Sequence, Store } from './storage.ts';

/** The log in memory. */
export class MemorySequence<T> implements Sequence<T> {
  #entries: Entry<T>[] = [];
  #trimmed = 0;

  get trimmedIndex(): number {
    return this.#trimmed;
  }

  get endIndex(): number {
    return this.#trimmed + this.#entries.length;
  }

  append(entries: readonly Entry<T>[]): void {
    for (const entry of entries) this.#entries.push(entry);
  }

  truncate(index: number): void {
    this.#check(index);
    this.#entries.length = index - this.#trimmed;
  }

  read(from: number, to: number): Entry<T>[] {
    this.#check(from);
    this.#check(to);
    return this.#entries.slice(from - this.#trimmed, to - this.#trimmed);
  }

  trim(index: number): void {
    this.#check(index);
    this.#entries = this.#entries.slice(index - this.#trimmed);
    this.#trimmed = index;
  }

  reset(index: number): void {
    this.#entries = [];
    this.#trimmed = index;
  }

  #check(index: number): void {
    if (index < this.#trimmed || index > this.endIndex) {
      throw new RangeError(`log index ${index} is outside ${this.#trimmed}…${this.endIndex}`);
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
