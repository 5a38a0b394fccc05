import type { Entry } from '../omnipaxos/entry.ts';
import { type Codec, listCodec } from './codec.ts';
import { decodeEntry, encodeEntry, entryBytesMax } from './entry-codec.ts';
import { entriesPerMessageMax } from './limits.ts';

/**
 * Entries, count first.
 *
 * An array that goes to several followers is encoded for each: to keep its bytes beside it was measured (a WeakMap), and costs
 * what it saves with two followers, and saves 0.03 µs an entry with four.
 */
export const entriesCodec: Codec<readonly Entry<Uint8Array>[]> = listCodec(
  { encode: encodeEntry, decode: decodeEntry },
  entriesPerMessageMax,
);

/** At least as many bytes as {@link entriesCodec} writes. */
export function entriesBytesMax(entries: readonly Entry<Uint8Array>[]): number {
  let bytesMax = 8;
  for (const entry of entries) bytesMax += entryBytesMax(entry);
  return bytesMax;
}
