import type { ByteString } from '../base/bytes.ts';

/** So many keys are kept beside the others, so that listing while keys are added does not go through all of them. */
const recentMax = 4096;

/**
 * Keys in byte order. Adding is cheap and puts the order off until it is asked for: state machines add far more
 * often than they list. Each key is added once, by an owner who knows which are there.
 */
export class SortedKeys {
  /** In order. */
  #keys: ByteString[] = [];
  /** In order, and none of the others. */
  #recent: ByteString[] = [];
  /** In the order in which they came. */
  #added: ByteString[] = [];

  /** Adds a key that is not here yet. */
  add(key: ByteString): void {
    this.#added.push(key);
  }

  /** Keys at or above `start`. None may be added meanwhile. */
  *from(start: ByteString): Generator<ByteString, void, undefined> {
    this.#settle();
    const keys = this.#keys;
    const recent = this.#recent;
    let next = lowerBound(recent, start);
    for (let at = lowerBound(keys, start); at < keys.length; at++) {
      const key = keys[at] as ByteString;
      for (; next < recent.length && (recent[next] as ByteString) < key; next++) yield recent[next] as ByteString;
      yield key;
    }
    for (; next < recent.length; next++) yield recent[next] as ByteString;
  }

  /** Keeps only the keys that `isKept`. */
  filter(isKept: (key: ByteString) => boolean): void {
    this.#keys = this.#keys.filter(isKept);
    this.#recent = this.#recent.filter(isKept);
    this.#added = this.#added.filter(isKept);
  }

  /** A copy that goes its own way. */
  clone(): SortedKeys {
    const copy = new SortedKeys();
    copy.#keys = this.#keys.slice();
    copy.#recent = this.#recent.slice();
    copy.#added = this.#added.slice();
    return copy;
  }

  #settle(): void {
    if (this.#added.length === 0) return;
    this.#recent = merge(this.#recent, this.#added.sort());
    this.#added = [];
    if (this.#recent.length <= recentMax) return;
    this.#keys = merge(this.#keys, this.#recent);
    this.#recent = [];
  }
}

/** Two rows in order as one. */
function merge(left: ByteString[], right: ByteString[]): ByteString[] {
  if (left.length === 0) return right;
  const merged: ByteString[] = [];
  let at = 0;
  for (const key of right) {
    for (; at < left.length && (left[at] as ByteString) < key; at++) merged.push(left[at] as ByteString);
    merged.push(key);
  }
  for (; at < left.length; at++) merged.push(left[at] as ByteString);
  return merged;
}

/** Position of the first of `keys` at or above `key`. */
function lowerBound(keys: readonly ByteString[], key: ByteString): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as ByteString) < key) low = middle + 1;
    else high = middle;
  }
  return low;
}
