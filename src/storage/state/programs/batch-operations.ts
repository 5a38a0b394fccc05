import type { BatchFormat, SharedChunk } from '../state-batch.ts';

/** The bytes of a chunk, and where in them an operation begins, by turns: of a batch there are tens of thousands. */
export type Operations = (Buffer | number)[];

/** The operations of a batch that count. */
export interface GatheredOperations {
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

  function gather(chunks: readonly SharedChunk[]): GatheredOperations {
    const clears: Operations = [];
    const pairs: Operations = [];
    const others: Operations = [];
    let pairBytes = 0;
    let largePairs = 0;
    for (const { memory, used } of chunks) {
      const bytes = Buffer.from(memory);
      for (let at = 0; at < used; ) {
        const kind = bytes[at] as number;
        const table = bytes[at + 1] as number;
        const end = recordEnd(bytes, at);
        const size = end - keyStart(at);
        if ((table & overtakenFlag) === 0) {
          const isPair = isPairs[table] === true && kind !== packedKind && kind !== clearKind;
          (isPair ? pairs : kind === clearKind ? clears : others).push(bytes, at);
          if (isPair) pairBytes += size;
          if (isPair && 2 * size > pageBytes) largePairs++;
        }
        at = end;
      }
    }
    return { clears, pairs, others, pairBytes, largePairs };
  }

  /** How many bytes all keys begin with. */
  function commonKeyBytes(operations: Operations): number {
    const first = operations[0] as Buffer;
    const firstAt = operations[1] as number;
    let length = keyEnd(first, firstAt) - keyStart(firstAt);
    for (let i = 2; i < operations.length && length > 0; i += 2) {
      const bytes = operations[i] as Buffer;
      const at = operations[i + 1] as number;
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
  function inOrder(operations: Operations): Operations {
    const count = operations.length / 2;
    if (count < 2 || count > indexMax) return operations;
    const skipped = commonKeyBytes(operations);
    // Five bytes of the key, then the index in three: sorted as numbers of 64 bits, the lower half of which comes first in memory.
    const words = new Uint32Array(2 * count);
    for (let i = 0; i < count; i++) {
      const bytes = operations[2 * i] as Buffer;
      const at = operations[2 * i + 1] as number;
      const from = keyStart(at) + skipped;
      const end = keyEnd(bytes, at);
      const byteAt = (n: number) => (from + n < end ? (bytes[from + n] as number) : 0);
      words[2 * i + 1] = (byteAt(0) << 24) | (byteAt(1) << 16) | (byteAt(2) << 8) | byteAt(3);
      words[2 * i] = (byteAt(4) << 24) | i;
    }
    new BigUint64Array(words.buffer).sort();
    const ordered: Operations = [];
    for (let i = 0; i < count; i++) {
      const index = (words[2 * i] as number) & (indexMax - 1);
      ordered.push(operations[2 * index] as Buffer, operations[2 * index + 1] as number);
    }
    return ordered;
  }

  return { keyStart, keyEnd, recordEnd, gather, inOrder };
}
