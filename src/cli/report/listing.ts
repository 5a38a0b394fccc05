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
function pairJson(pair: Pair): Record<string, string | number> {
  return { ...jsonBytes('key', pair.key), revision: pair.revision, ...jsonBytes('value', pair.value) };
}

/** Bytes that go to standard output at a time. */
const chunkBytes = 65_536;

type Pairs = Iterable<Pair> | AsyncIterable<Pair>;

/** All lines, in chunks that are worth a system call each. */
export function formatPairs(pairs: Pairs, format: PairFormat): AsyncGenerator<Uint8Array> {
  return inChunks(lines());

  async function* lines() {
    for await (const pair of pairs) yield formatPair(pair, format);
  }
}

/** The same as one JSON array, which as a whole may be longer than a string can be. `isForPeople`: each pair on lines of its own. */
export function formatPairsJson(pairs: Pairs, isForPeople: boolean): AsyncGenerator<Uint8Array> {
  return inChunks(parts());

  async function* parts() {
    let before = isForPeople ? '[\n' : '[';
    for await (const pair of pairs) {
      const text = JSON.stringify(pairJson(pair), undefined, isForPeople ? 2 : undefined);
      yield Buffer.from(before + (isForPeople ? text.replace(/^/gm, '  ') : text));
      before = isForPeople ? ',\n' : ',';
    }
    const isEmpty = before.startsWith('[');
    yield Buffer.from(isEmpty ? '[]\n' : isForPeople ? '\n]\n' : ']\n');
  }
}

async function* inChunks(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let gathered: Uint8Array[] = [];
  let byteCount = 0;
  for await (const piece of pieces) {
    gathered.push(piece);
    byteCount += piece.length;
    if (byteCount < chunkBytes) continue;
    yield Buffer.concat(gathered, byteCount);
    gathered = [];
    byteCount = 0;
  }
  if (byteCount > 0) yield Buffer.concat(gathered, byteCount);
}
