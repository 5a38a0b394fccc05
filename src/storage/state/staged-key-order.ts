import { endianness } from 'node:os';
import { keyBytesMax } from '../../kv/command-limits.ts';
import type { KeyOrder } from './key-rows.ts';
import type { StateBatch } from './state-batch.ts';

/** Up to so many keys are compared with each other. */
const fewKeys = 8;
/** Bytes of each key by which they are sorted at a time. */
const sortedBytes = 6;
/** Their positions have the rest of eight. */
const positionBits = 16;
const positionsMax = 2 ** positionBits;

/** Which of the two words that a number of 64 bits takes in memory is the upper one. */
const upper = endianness() === 'LE' ? 1 : 0;
const lower = 1 - upper;

/**
 * The order of the keys in a batch. Many of them are sorted as numbers, since comparing them is slow: by six bytes behind those that
 * all have in common, and those which these do not tell apart in the same way by what is behind.
 */
export class StagedKeyOrder implements KeyOrder {
  readonly #batch: StateBatch;
  readonly #placeOf: (number: number) => number;

  /** `placeOf`: where in the batch a number's key is. */
  constructor(batch: StateBatch, placeOf: (number: number) => number) {
    this.#batch = batch;
    this.#placeOf = placeOf;
  }

  compare(number: number, other: number): number {
    return this.#batch.compareKeysAt(this.#placeOf(number), this.#placeOf(other));
  }

  sort(numbers: Uint32Array): void {
    this.#sortBehind(numbers, 0);
  }

  /** `known`: so many first bytes of the keys are the same, if what is behind the end of a key counts as zeros. */
  #sortBehind(numbers: Uint32Array, known: number): void {
    const isFewOrTooMany = numbers.length <= fewKeys || numbers.length > positionsMax;
    const common = isFewOrTooMany ? 0 : this.#commonBytes(numbers, known);
    // Zeros behind the end of one are in another: as numbers they would stay the same.
    if (isFewOrTooMany || common < known) numbers.sort((number, other) => this.compare(number, other));
    else this.#sortAsNumbers(numbers, common);
  }

  #sortAsNumbers(numbers: Uint32Array, common: number): void {
    const words = this.#sortedWords(numbers, common);
    const before = numbers.slice();
    let runStart = 0;
    for (let at = 0; at < numbers.length; at++) {
      numbers[at] = before[(words[2 * at + lower] as number) & (positionsMax - 1)] as number;
      if (at + 1 < numbers.length && isSameBytes(words, at, at + 1)) continue;
      if (at > runStart) this.#sortBehind(numbers.subarray(runStart, at + 1), common + sortedBytes);
      runStart = at + 1;
    }
  }

  #commonBytes(numbers: Uint32Array, known: number): number {
    const first = this.#placeOf(numbers[0] as number);
    let common = keyBytesMax;
    for (let at = 1; at < numbers.length && common > known; at++) {
      common = this.#batch.commonKeyBytes(first, this.#placeOf(numbers[at] as number), known, common);
    }
    return common;
  }

  /** For each number the six bytes and its position, in the order of the bytes: two words each. */
  #sortedWords(numbers: Uint32Array, skipped: number): Uint32Array {
    const words = new Uint32Array(2 * numbers.length);
    for (let at = 0; at < numbers.length; at++) {
      const place = this.#placeOf(numbers[at] as number);
      words[2 * at + upper] = this.#batch.keyWordAt(place, skipped);
      words[2 * at + lower] = (this.#batch.keyWordAt(place, skipped + 4) & ~(positionsMax - 1)) | at;
    }
    new BigUint64Array(words.buffer).sort();
    return words;
  }
}

function isSameBytes(words: Uint32Array, at: number, other: number): boolean {
  const difference = (words[2 * at + lower] as number) ^ (words[2 * other + lower] as number);
  return words[2 * at + upper] === words[2 * other + upper] && difference >>> positionBits === 0;
}
