/** All keys of a benchmark begin with it, so that they are told from others and can be listed. */
const prefix = 'bench/';

/** Fewest bytes in which so many keys differ. */
export function keyBytesMin(keys: number): number {
  return prefix.length + `${keys - 1}`.length;
}

/** The keys of a benchmark: `bench/`, zeros, and the key's number in decimal. */
export class KeySpace {
  readonly keys: number;
  readonly #template: Uint8Array;
  /** State of xorshift32: never 0. */
  #random: number;

  /** `seed`: the same one gives the same keys in the same order. */
  constructor(keys: number, keyBytes: number, seed: number) {
    this.keys = keys;
    this.#template = new TextEncoder().encode(prefix.padEnd(keyBytes, '0'));
    this.#random = seed | 0 || 1;
  }

  /** A buffer for {@link write}. */
  newKey(): Uint8Array {
    return this.#template.slice();
  }

  /** Writes the key of a number into a buffer of {@link newKey}. */
  write(key: Uint8Array, number: number): void {
    let rest = number;
    for (let at = key.length - 1; at >= prefix.length; at--) {
      const next = Math.floor(rest / 10);
      key[at] = 0x30 + rest - next * 10;
      rest = next;
    }
  }

  /** The number of a key, each as likely as the others. */
  pick(): number {
    return Math.floor(this.#next() * this.keys);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    if (probability <= 0) return false;
    return probability >= 1 || this.#next() < probability;
  }

  /** 0 up to 1, without 1. Math.random would do, but not give the same run twice. */
  #next(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return (x >>> 0) / 2 ** 32;
  }
}
