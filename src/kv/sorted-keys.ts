import type { ByteString } from '../base/bytes.ts';

/**
 * Keys in byte order. Adding is cheap and puts the order off until it is asked for: state machines add far more
 * often than they list. Each key is added once, by an owner who knows which are there.
 */
export class SortedKeys {
  #keys: ByteString[] = [];
  #sorted = 0;

  get length(): number {
    return this.#keys.length;
  }

  /** Adds a key that is not here yet. */
  add(key: ByteString): void {
    const last = this.#keys[this.#keys.length - 1];
    const extendsOrder = this.#sorted === this.#keys.length && (last === undefined || last < key);
    this.#keys.push(key);
    if (extendsOrder) this.#sorted++;
  }

  /** The key at `position` in order. */
  at(position: number): ByteString | undefined {
    this.#settle();
    return this.#keys[position];
  }

  /** Position of the first key at or above `key`. */
  lowerBound(key: ByteString): number {
    this.#settle();
    let low = 0;
    let high = this.#keys.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#keys[middle] as ByteString) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Keeps only the keys that `isKept`. */
  filter(isKept: (key: ByteString) => boolean): void {
    this.#settle();
    this.#keys = this.#keys.filter(isKept);
    this.#sorted = this.#keys.length;
  }

  /** A copy that goes its own way. */
  clone(): SortedKeys {
    const copy = new SortedKeys();
    copy.#keys = this.#keys.slice();
    copy.#sorted = this.#sorted;
    return copy;
  }

  #settle(): void {
    if (this.#sorted === this.#keys.length) return;
    // What is sorted already is one run of the merge sort, so this costs a sort of the new keys and one merge.
    this.#keys.sort();
    this.#sorted = this.#keys.length;
  }
}
