import type { BatchFormat, SharedChunk } from '../state-batch.ts';

/** Where operations are: of a batch there are tens of thousands and more. */
export interface Operations {
  /** Number of the chunk, and place in it, by turns. */
  readonly places: Uint32Array;
  readonly count: number;
}

/** The operations of a batch that count. All of it holds until the next batch is read. */
export interface GatheredOperations {
  readonly chunks: readonly Buffer[];
  /** Of whole tables. */
  readonly clears: Operations;
  /** Changes of single pairs. */
  readonly pairs: Operations;
  readonly others: Operations;
  /** Of keys and records of `pairs`. */
  readonly pairBytes: number;
  /** Of `pairs`, those that do not fit into half a page. */
  readonly largePairs: number;
}

/** Reads batches (state-batch.ts). A part of a program, see program-text.ts. */
export function batchOperations(format: BatchFormat, isPairs: readonly boolean[], pageBytes: number) {
  const { packedKind, clearKind, overtakenFlag, headerBytes } = format;
  /** The index of an operation has three bytes of a word. */
  const indexMax = 2 ** 24;

  /** Where the key of the operation at `at` begins. */
  const keyStart = (at: number) => at + headerBytes;
  /** Where it ends, and the record begins. */
  const keyEnd = (bytes: Buffer, at: number) => keyStart(at) + bytes.readUInt16LE(at + 2);
  /** Where that ends, and the next operation begins. */
  const recordEnd = (bytes: Buffer, at: number) => keyEnd(bytes, at) + bytes.readUInt32LE(at + 4);

  /**
   * Filled over and over, since new memory is dear: as arrays, which are copied when they grow, these lists were nine tenths of all new pages
   * of memory that nodes under load touched.
   */
  function operationList() {
    let places = new Uint32Array(2 * 1024);
    let count = 0;
    return {
      clear: () => {
        count = 0;
      },
      add: (chunk: number, at: number) => {
        if (2 * count === places.length) {
          const smaller = places;
          places = new Uint32Array(2 * smaller.length);
          places.set(smaller);
        }
        places[2 * count] = chunk;
        places[2 * count + 1] = at;
        count++;
      },
      all: (): Operations => ({ places, count }),
    };
  }

  const clears = operationList();
  const pairs = operationList();
  const others = operationList();
  let sorted = new BigUint64Array(1024);

  function gather(shared: readonly SharedChunk[]): GatheredOperations {
    for (const list of [clears, pairs, others]) list.clear();
    let pairBytes = 0;
    let largePairs = 0;
    const chunks = shared.map(({ memory }) => Buffer.from(memory));
    for (const [number, { used }] of shared.entries()) {
      const bytes = chunks[number] as Buffer;
      for (let at = 0; at < used; ) {
        const kind = bytes[at] as number;
        const table = bytes[at + 1] as number;
        const end = recordEnd(bytes, at);
        const size = end - keyStart(at);
        if ((table & overtakenFlag) === 0) {
          const isPair = isPairs[table] === true && kind !== packedKind && kind !== clearKind;
          const list = isPair ? pairs : kind === clearKind ? clears : others;
          list.add(number, at);
          if (isPair) pairBytes += size;
          if (isPair && 2 * size > pageBytes) largePairs++;
        }
        at = end;
      }
    }
    return { chunks, clears: clears.all(), pairs: pairs.all(), others: others.all(), pairBytes, largePairs };
  }

  /** How many bytes all keys begin with. */
  function commonKeyBytes(chunks: readonly Buffer[], { places, count }: Operations): number {
    const first = chunks[places[0] as number] as Buffer;
    const firstAt = places[1] as number;
    let length = keyEnd(first, firstAt) - keyStart(firstAt);
    for (let i = 1; i < count && length > 0; i++) {
      const bytes = chunks[places[2 * i] as number] as Buffer;
      const at = places[2 * i + 1] as number;
      length = Math.min(length, keyEnd(bytes, at) - keyStart(at));
      for (let j = 0; j < length; j++) {
        if (bytes[keyStart(at) + j] !== first[keyStart(firstAt) + j]) length = j;
      }
    }
    return length;
  }

  /**
   * About in the order of their keys, by the five bytes behind what all keys begin with: LMDB then finds each of its pages once, while it is
   * still in the processor's cache. Those of the same key keep their order.
   */
  function inOrder(chunks: readonly Buffer[], operations: Operations): Operations {
    const { places, count } = operations;
    if (count < 2 || count > indexMax) return operations;
    const skipped = commonKeyBytes(chunks, operations);
    if (sorted.length < count) sorted = new BigUint64Array(places.length / 2);
    // Five bytes of the key, then the index in three: sorted as numbers of 64 bits, the lower half of which comes first in memory.
    const words = new Uint32Array(sorted.buffer);
    for (let i = 0; i < count; i++) {
      const bytes = chunks[places[2 * i] as number] as Buffer;
      const at = places[2 * i + 1] as number;
      const from = keyStart(at) + skipped;
      const end = keyEnd(bytes, at);
      const byteAt = (n: number) => (from + n < end ? (bytes[from + n] as number) : 0);
      words[2 * i + 1] = (byteAt(0) << 24) | (byteAt(1) << 16) | (byteAt(2) << 8) | byteAt(3);
      words[2 * i] = (byteAt(4) << 24) | i;
    }
    sorted.subarray(0, count).sort();
    for (let i = 0; i < count; i++) {
      const index = (words[2 * i] as number) & (indexMax - 1);
      words[2 * i] = places[2 * index] as number;
      words[2 * i + 1] = places[2 * index + 1] as number;
    }
    return { places: words, count };
  }

  return { keyStart, keyEnd, recordEnd, gather, inOrder };
}
