import type { ByteString } from '../base/bytes.ts';

/** For fewer, comparing strings is as quick. */
const countMin = 512;
/** An index has 24 bits. */
const indexMax = 2 ** 24;

/**
 * Sorts keys into byte order. Many are sorted as numbers first: by the five bytes behind what they all begin with, which is some
 * ten times as fast as comparing strings; those that have the same five are then compared.
 */
export function sortKeys(keys: ByteString[]): ByteString[] {
  const count = keys.length;
  if (count < countMin || count > indexMax) return keys.sort();
  const ordered = inPrefixOrder(keys);
  const sorted: ByteString[] = [];
  for (let start = 0; start < count; ) {
    let end = start + 1;
    while (end < count && ordered.prefixesEqual(start, end)) end++;
    if (end === start + 1) sorted.push(ordered.key(start));
    else for (const key of ordered.keys(start, end).sort()) sorted.push(key);
    start = end;
  }
  return sorted;
}

function inPrefixOrder(keys: readonly ByteString[]) {
  const from = commonLength(keys);
  // Per key 64 bits, the lower half first as all processors that Node runs on have it: five bytes of the key above the index.
  const words = new Uint32Array(2 * keys.length);
  for (let at = 0; at < keys.length; at++) {
    const key = keys[at] as ByteString;
    const byte = (n: number): number => (from + n < key.length ? key.charCodeAt(from + n) : 0);
    words[2 * at + 1] = (byte(0) << 24) | (byte(1) << 16) | (byte(2) << 8) | byte(3);
    words[2 * at] = (byte(4) << 24) | at;
  }
  new BigUint64Array(words.buffer).sort();
  const low = (at: number): number => words[2 * at] as number;
  const key = (at: number): ByteString => keys[low(at) & (indexMax - 1)] as ByteString;
  return {
    key,
    keys: (start: number, end: number): ByteString[] => Array.from({ length: end - start }, (_, at) => key(start + at)),
    prefixesEqual: (a: number, b: number): boolean =>
      words[2 * a + 1] === words[2 * b + 1] && low(a) >>> 24 === low(b) >>> 24,
  };
}

/** How many bytes all keys begin with. */
function commonLength(keys: readonly ByteString[]): number {
  const first = keys[0] as ByteString;
  let length = first.length;
  for (const key of keys) {
    if (key.startsWith(first.slice(0, length))) continue;
    let same = 0;
    while (same < length && key.charCodeAt(same) === first.charCodeAt(same)) same++;
    length = same;
  }
  return length;
}
