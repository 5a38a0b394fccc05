import { randomBytes } from 'node:crypto';
import type { ByteString } from '../../base/bytes.ts';

const slotsMin = 128;
/** Nobody who chooses keys is to know which of them meet. */
const seed = randomBytes(4).readUInt32LE(0);

/**
 * Numbers of keys, in the order in which they came, from 0 on. The keys themselves are kept by the owner: what is here is a hash table
 * in arrays of numbers. A `Map` of as many strings is for V8 to copy and to trace, again and again while it grows.
 */
export class KeyIndex {
  readonly #isKey: (number: number, key: ByteString) => boolean;
  /** By hash: the number plus 1, or 0. At most half of them are used. */
  #slots = new Uint32Array(slotsMin);
  /** By number. */
  #hashes = new Uint32Array(slotsMin / 2);
  #size = 0;

  /** `isKey`: whether `key` is the one with that number. */
  constructor(isKey: (number: number, key: ByteString) => boolean) {
    this.#isKey = isKey;
  }

  /** How many keys have a number. */
  get size(): number {
    return this.#size;
  }

  /** The number of `key`, or -1 if it has none. */
  find(key: ByteString): number {
    return (this.#slots[this.#slotOf(key, hashOf(key))] as number) - 1;
  }

  /** The number of `key`. If it had none it is the next one, and whoever asked must know it by that from now on. */
  numberOf(key: ByteString): number {
    const hash = hashOf(key);
    const slot = this.#slotOf(key, hash);
    const found = this.#slots[slot] as number;
    if (found !== 0) return found - 1;
    const number = this.#size++;
    this.#hashes[number] = hash;
    this.#slots[slot] = number + 1;
    if (this.#size === this.#hashes.length) this.#grow();
    return number;
  }

  /** Where the number of `key` is, or would be put. */
  #slotOf(key: ByteString, hash: number): number {
    const last = this.#slots.length - 1;
    let slot = hash & last;
    for (;;) {
      const found = this.#slots[slot] as number;
      if (found === 0 || (this.#hashes[found - 1] === hash && this.#isKey(found - 1, key))) return slot;
      slot = (slot + 1) & last;
    }
  }

  #grow(): void {
    const hashes = new Uint32Array(2 * this.#hashes.length);
    hashes.set(this.#hashes);
    this.#hashes = hashes;
    this.#slots = new Uint32Array(2 * this.#slots.length);
    const last = this.#slots.length - 1;
    for (let number = 0; number < this.#size; number++) {
      let slot = (hashes[number] as number) & last;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & last;
      this.#slots[slot] = number + 1;
    }
  }
}

/** FNV-1a from a seed, its bits mixed as at the end of MurmurHash3. */
function hashOf(key: ByteString): number {
  let hash = seed;
  for (let at = 0; at < key.length; at++) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
