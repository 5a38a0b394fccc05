import { escapeBytes, jsonBytes } from '../output.ts';

/** A key with its value, as a listing has it. */
export interface Pair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly revision: number;
}

/** How a listing is written. */
export interface PairFormat {
  /** A tab and the value after each key. */
  readonly withValue: boolean;
  /** Make what could upset a terminal visible instead. */
  readonly escape: boolean;
}

/** One line: the key, and the value if wanted. */
function formatPair(pair: Pair, format: PairFormat): Uint8Array {
  const bytes = (part: Uint8Array) => (format.escape ? Buffer.from(escapeBytes(part), 'utf8') : part);
  const value = format.withValue ? [Buffer.from('\t'), bytes(pair.value)] : [];
  return Buffer.concat([bytes(pair.key), ...value, Buffer.from('\n')]);
}

/** One element of `kv list --json`. */
export function pairJson(pair: Pair): Record<string, string | number> {
  return { ...jsonBytes('key', pair.key), revision: pair.revision, ...jsonBytes('value', pair.value) };
}

/** Bytes that go to standard output at a time. */
const chunkBytes = 65_536;

/** All lines, in chunks that are worth a system call each. */
export async function* formatPairs(
  pairs: Iterable<Pair> | AsyncIterable<Pair>,
  format: PairFormat,
): AsyncGenerator<Uint8Array> {
  let lines: Uint8Array[] = [];
  let byteCount = 0;
  for await (const pair of pairs) {
    const line = formatPair(pair, format);
    lines.push(line);
    byteCount += line.length;
    if (byteCount < chunkBytes) continue;
    yield Buffer.concat(lines, byteCount);
    lines = [];
    byteCount = 0;
  }
  if (byteCount > 0) yield Buffer.concat(lines, byteCount);
}
