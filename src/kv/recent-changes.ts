import type { ByteString } from '../base/bytes.ts';

/** How much is remembered: of both, whichever is reached first. */
export interface RecentChangesLimits {
  readonly changesMax: number;
  /** Bytes of keys, each change counted. */
  readonly keyBytesMax: number;
}

/**
 * Which keys changed last, and at which revision each did: enough to tell somebody who has seen the state as of some revision what is different
 * now. Values are not in it: those are in the state.
 */
export class RecentChanges {
  readonly #limits: RecentChangesLimits;
  /** Both in a ring, the oldest at `#first`, in the order of the log. */
  readonly #keys: ByteString[] = [];
  readonly #revisions: number[] = [];
  /** Of each key in there the last. */
  readonly #lastRevisions = new Map<ByteString, number>();
  #first = 0;
  #count = 0;
  #keyBytes = 0;
  #knownFrom: number;

  /** Knows what changes from `revision` on. */
  constructor(revision: number, limits: RecentChangesLimits) {
    this.#knownFrom = revision;
    this.#limits = limits;
  }

  /** A key changed. Revisions only grow. */
  note(key: ByteString, revision: number): void {
    const { changesMax, keyBytesMax } = this.#limits;
    while (this.#count === changesMax || (this.#count > 0 && this.#keyBytes + key.length > keyBytesMax))
      this.#forgetOldest();
    const at = (this.#first + this.#count) % changesMax;
    this.#keys[at] = key;
    this.#revisions[at] = revision;
    this.#lastRevisions.set(key, revision);
    this.#count++;
    this.#keyBytes += key.length;
  }

  /** The state is another: nothing is known of how it came from what was before `revision`. */
  restart(revision: number): void {
    this.#keys.length = 0;
    this.#revisions.length = 0;
    this.#lastRevisions.clear();
    this.#first = 0;
    this.#count = 0;
    this.#keyBytes = 0;
    this.#knownFrom = revision;
  }

  /**
   * The keys that `isWanted` names which changed behind revision `since`, each with the revision of its last change, in the order of those.
   * Undefined if that is not known: something behind `since` was forgotten, or happened elsewhere.
   */
  since(since: number, isWanted: (key: ByteString) => boolean): Map<ByteString, number> | undefined {
    if (since < this.#knownFrom) return undefined;
    const found = new Map<ByteString, number>();
    for (let nth = this.#firstBehind(since); nth < this.#count; nth++) {
      const at = (this.#first + nth) % this.#limits.changesMax;
      const key = this.#keys[at] as ByteString;
      if (!isWanted(key)) continue;
      // To the end of the order, as the last change of its key.
      found.delete(key);
      found.set(key, this.#revisions[at] as number);
    }
    return found;
  }

  /** The same of one key alone, without a look at the others. */
  ofKey(key: ByteString, since: number): Map<ByteString, number> | undefined {
    if (since < this.#knownFrom) return undefined;
    const revision = this.#lastRevisions.get(key);
    return new Map(revision === undefined || revision <= since ? [] : [[key, revision]]);
  }

  /** How many changes `since` looks at. */
  countBehind(since: number): number {
    return since < this.#knownFrom ? 0 : this.#count - this.#firstBehind(since);
  }

  #forgetOldest(): void {
    const key = this.#keys[this.#first] as ByteString;
    this.#knownFrom = this.#revisions[this.#first] as number;
    if (this.#lastRevisions.get(key) === this.#knownFrom) this.#lastRevisions.delete(key);
    this.#keyBytes -= key.length;
    this.#keys[this.#first] = '';
    this.#first = (this.#first + 1) % this.#limits.changesMax;
    this.#count--;
  }

  /** Which of the changes, counted from the oldest, is the first behind `since`. */
  #firstBehind(since: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const revision = this.#revisions[(this.#first + middle) % this.#limits.changesMax] as number;
      if (revision <= since) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
