import { assert } from '../../base/assert.ts';
import { takeCopy } from '../../base/buffer-pool.ts';
import type { ByteString } from '../../base/bytes.ts';
import type { KvRecord } from '../../kv/state-store.ts';
import { type CommitSize, entryBytes } from './commit-size.ts';

/*
 * What one transaction of the state's environment writes, in memory that the thread which writes it shares
 * (programs/write-batches.ts): operations one behind the other, in chunks.
 *
 *   kind (1) · table (1) · length of the key (2) · length of the record (4) · key · record
 *
 * Rows of a snapshot go in as they travel (kv/packed-rows.ts): one operation without a key, whose record is all of them.
 * Lengths are little-endian. Tables are numbered as in stateTableNames; the highest bit of the table says that a later
 * operation of the same batch has overtaken this one. Records are those of state-codec.ts.
 */

/** What the thread must know of it. */
export const batchFormat = {
  /** A record that is complete. */
  putKind: 1,
  /** One whose checksum the thread puts into its first four bytes. */
  sealKind: 2,
  removeKind: 3,
  /** Removes all that is in the table. */
  clearKind: 4,
  /** Rows of a snapshot: pairs into the table, sessions into the one behind it. */
  packedKind: 5,
  overtakenFlag: 0x80,
  headerBytes: 8,
} as const;
export type BatchFormat = typeof batchFormat;

const { putKind, sealKind, removeKind, clearKind, packedKind, overtakenFlag, headerBytes } = batchFormat;
const sessionKeyBytes = 8;
const checksumBytes = 4;
const revisionBytesMax = 8;
/** Up to so many bytes are written sooner one by one than by a call that leaves JavaScript. */
const shortKeyBytes = 48;

/** All tables of the state's environment, as a batch numbers them. */
export const stateTableNames = ['heads', 'pairs0', 'sessions0', 'pairs1', 'sessions1'] as const;
const headsTable = 0;
const pairsTable = (generation: number): number => 1 + 2 * generation;
const sessionsTable = (generation: number): number => 2 + 2 * generation;

/** Size of a chunk; an operation that is larger gets one of its own. */
const chunkBytes = 256 * 1024;
/** A place has 32 bits. */
const placesMax = 2 ** 32;
/** Bytes of chunks kept for use again: about what a checkpoint holds at the most. */
const spareBytesMax = 128 * 1024 * 1024;

/** Memory with operations in its first `used` bytes, as the thread gets it. */
export interface SharedChunk {
  readonly memory: SharedArrayBuffer;
  readonly used: number;
}

interface BatchChunk extends SharedChunk {
  readonly bytes: Buffer;
  used: number;
}

/**
 * Chunks to be used again. Shared memory that is dropped comes back late: V8 does not count it as a reason to collect garbage,
 * and the thread, which has seen it too, makes little.
 */
export class ChunkPool {
  /** By size. */
  readonly #spare = new Map<number, BatchChunk[]>();
  #spareBytes = 0;

  /** An empty chunk with room for at least `bytes` bytes. */
  take(bytes: number): BatchChunk {
    let size = chunkBytes;
    while (size < bytes) size *= 2;
    const spare = this.#spare.get(size)?.pop();
    if (spare) {
      this.#spareBytes -= size;
      return spare;
    }
    const memory = new SharedArrayBuffer(size);
    return { memory, bytes: Buffer.from(memory), used: 0 };
  }

  /** Nobody looks at them any more. */
  give(chunks: readonly BatchChunk[]): void {
    for (const chunk of chunks) {
      const size = chunk.bytes.length;
      if (this.#spareBytes + size > spareBytesMax) continue;
      chunk.used = 0;
      this.#spareBytes += size;
      const same = this.#spare.get(size);
      if (same) same.push(chunk);
      else this.#spare.set(size, [chunk]);
    }
  }
}

/** Gathers the operations of one transaction. Keys have at most 1,978 bytes. Once it is given to the thread, nothing may be added. */
export class StateBatch {
  readonly #pool: ChunkPool;
  #chunks: BatchChunk[] = [];
  #changes = 0;
  #bytes = 0;
  #memory = 0;
  #overtaken = 0;
  #pins = 0;
  #isReleased = false;

  constructor(pool: ChunkPool) {
    this.#pool = pool;
  }

  /** What it changes, without what was overtaken. */
  get size(): CommitSize {
    return { changes: this.#changes, bytes: this.#bytes };
  }

  /** Bytes of memory that its operations take, with what was overtaken. */
  get memoryBytes(): number {
    return this.#memory;
  }

  /** Bytes of memory that overtaken ones take. */
  get overtakenBytes(): number {
    return this.#overtaken;
  }

  get chunks(): readonly BatchChunk[] {
    return this.#chunks;
  }

  /** Key and record into the pairs of a generation, or the key out of them. Returns the operation's place. */
  pair(generation: number, key: ByteString, record: KvRecord | null): number {
    const table = pairsTable(generation);
    if (record === null) return this.#keyed(removeKind, table, key, 0).place;
    const { value, revision } = record;
    const recordBytes = checksumBytes + varuintBytes(revision) + value.length;
    const { chunk, place, recordAt } = this.#keyed(sealKind, table, key, recordBytes);
    chunk.bytes.set(value, writeVaruint(chunk.bytes, recordAt + checksumBytes, revision));
    return place;
  }

  /**
   * Another record for the key at a place that {@link pair} gave, where it takes as much memory as the one that is there, and nobody goes on
   * reading that. False otherwise, and nothing done.
   */
  replace(place: number, record: KvRecord | null): boolean {
    if (record === null || this.#pins > 0) return false;
    const { value, revision } = record;
    const { chunk, at } = this.#find(place);
    const { start, end } = recordOf(chunk.bytes, at);
    const recordBytes = checksumBytes + varuintBytes(revision) + value.length;
    if (chunk.bytes[at] !== sealKind || end - start !== recordBytes) return false;
    chunk.bytes.set(value, writeVaruint(chunk.bytes, start + checksumBytes, revision));
    return true;
  }

  /** The change at a place that {@link pair} gave; the value is a copy. */
  pairAt(place: number): KvRecord | null {
    const { chunk, at } = this.#find(place);
    if (chunk.bytes[at] === removeKind) return null;
    const { start, end } = recordOf(chunk.bytes, at);
    const { revision, valueAt } = readRevision(chunk.bytes, start + checksumBytes);
    return { value: takeCopy(chunk.bytes, valueAt, end), revision };
  }

  /** The record at a place that {@link pair} gave, a copy whose checksum is still to be made; undefined if the key goes. */
  recordAt(place: number): Uint8Array | undefined {
    const { chunk, at } = this.#find(place);
    if (chunk.bytes[at] === removeKind) return undefined;
    const { start, end } = recordOf(chunk.bytes, at);
    return takeCopy(chunk.bytes, start, end);
  }

  /** The key at a place that {@link pair} gave. */
  keyAt(place: number): ByteString {
    const { chunk, at } = this.#find(place);
    return chunk.bytes.toString('latin1', at + headerBytes, at + headerBytes + keyBytesAt(chunk.bytes, at));
  }

  /** True if the key at a place that {@link pair} gave is `key`. */
  isKeyAt(place: number, key: ByteString): boolean {
    const { chunk, at } = this.#find(place);
    const { bytes } = chunk;
    const keyAt = at + headerBytes;
    if (keyBytesAt(bytes, at) !== key.length) return false;
    for (let byte = 0; byte < key.length; byte++) {
      if (bytes[keyAt + byte] !== key.charCodeAt(byte)) return false;
    }
    return true;
  }

  /** Negative if the key at the first of two places comes before that at the other, 0 if they are the same. */
  compareKeysAt(place: number, otherPlace: number): number {
    const { chunk, at } = this.#find(place);
    const { chunk: otherChunk, at: otherAt } = this.#find(otherPlace);
    const length = keyBytesAt(chunk.bytes, at);
    const otherLength = keyBytesAt(otherChunk.bytes, otherAt);
    for (let byte = headerBytes; byte < headerBytes + Math.min(length, otherLength); byte++) {
      const difference = (chunk.bytes[at + byte] as number) - (otherChunk.bytes[otherAt + byte] as number);
      if (difference !== 0) return difference;
    }
    return length - otherLength;
  }

  /**
   * How many bytes the keys at two places have in common from their beginning on, but `most` at the most. The first `known` are the same in
   * both as far as they go: less than that is returned only if one of them is shorter.
   */
  commonKeyBytes(place: number, otherPlace: number, known: number, most: number): number {
    const { chunk, at } = this.#find(place);
    const { chunk: otherChunk, at: otherAt } = this.#find(otherPlace);
    const end = Math.min(most, keyBytesAt(chunk.bytes, at), keyBytesAt(otherChunk.bytes, otherAt));
    let byte = Math.min(known, end);
    while (byte < end && chunk.bytes[at + headerBytes + byte] === otherChunk.bytes[otherAt + headerBytes + byte])
      byte++;
    return byte;
  }

  /** Four bytes of the key at a place that {@link pair} gave, behind the first `skipped`, as a number; zeros behind its end. */
  keyWordAt(place: number, skipped: number): number {
    const { chunk, at } = this.#find(place);
    const { bytes } = chunk;
    const start = at + headerBytes + skipped;
    const length = keyBytesAt(bytes, at) - skipped;
    if (length >= 4) return bytes.readUInt32BE(start);
    let word = 0;
    for (let byte = 0; byte < 4; byte++) word = (word << 8) | (byte < length ? (bytes[start + byte] as number) : 0);
    return word >>> 0;
  }

  /** Negative if the key at a place that {@link pair} gave comes before `key`, 0 if it is that. */
  compareKeyAt(place: number, key: ByteString): number {
    const { chunk, at } = this.#find(place);
    const length = keyBytesAt(chunk.bytes, at);
    for (let byte = 0; byte < Math.min(length, key.length); byte++) {
      const difference = (chunk.bytes[at + headerBytes + byte] as number) - key.charCodeAt(byte);
      if (difference !== 0) return difference;
    }
    return length - key.length;
  }

  /** A later operation does for the same key what counts: this one need not be run. What it says can still be read. */
  overtake(place: number): void {
    const { chunk, at } = this.#find(place);
    const keyBytes = keyBytesAt(chunk.bytes, at);
    const recordBytes = chunk.bytes.readUInt32LE(at + 4);
    this.#changes--;
    this.#bytes -= entryBytes(keyBytes, recordBytes);
    this.#overtaken += headerBytes + keyBytes + recordBytes;
    chunk.bytes[at + 1] = (chunk.bytes[at + 1] as number) | overtakenFlag;
  }

  /** A session into those of a generation, or out of them. */
  session(generation: number, id: number, bytes: Uint8Array | undefined): void {
    const kind = bytes === undefined ? removeKind : sealKind;
    const recordBytes = bytes === undefined ? 0 : checksumBytes + bytes.length;
    const { chunk, recordAt } = this.#numbered(kind, sessionsTable(generation), id, recordBytes);
    if (bytes !== undefined) chunk.bytes.set(bytes, recordAt + checksumBytes);
  }

  /** Rows of a snapshot into a generation, of whose commit `size` is told. */
  packedRows(generation: number, rows: Uint8Array, { changes, bytes }: CommitSize): void {
    const { chunk, recordAt } = this.#place(packedKind, pairsTable(generation), 0, rows.length);
    this.#changes += changes;
    this.#bytes += bytes;
    chunk.bytes.set(rows, recordAt);
  }

  /** A record into the table of heads, or out of it. */
  head(key: ByteString, record: Uint8Array | undefined): void {
    const kind = record === undefined ? removeKind : putKind;
    const { chunk, recordAt } = this.#keyed(kind, headsTable, key, record?.length ?? 0);
    if (record !== undefined) chunk.bytes.set(record, recordAt);
  }

  /** Removes all of a generation: to come before what puts anything into it. */
  clear(generation: number): void {
    for (const table of [pairsTable(generation), sessionsTable(generation)]) this.#begin(clearKind, table, 0, 0);
  }

  /** Somebody goes on reading places after the batch is released. */
  pin(): void {
    this.#pins++;
  }

  unpin(): void {
    this.#pins--;
    this.#recycle();
  }

  /** The thread is done with it, and nobody adds to it any more. */
  release(): void {
    this.#isReleased = true;
    this.#recycle();
  }

  #recycle(): void {
    if (!this.#isReleased || this.#pins > 0) return;
    this.#pool.give(this.#chunks);
    this.#chunks = [];
  }

  #keyed(kind: number, table: number, key: ByteString, recordBytes: number) {
    const begun = this.#begin(kind, table, key.length, recordBytes);
    const { bytes } = begun.chunk;
    const start = begun.at + headerBytes;
    if (key.length > shortKeyBytes) bytes.write(key, start, 'latin1');
    else for (let at = 0; at < key.length; at++) bytes[start + at] = key.charCodeAt(at);
    return begun;
  }

  #numbered(kind: number, table: number, id: number, recordBytes: number) {
    const begun = this.#begin(kind, table, sessionKeyBytes, recordBytes);
    const at = begun.at + headerBytes;
    begun.chunk.bytes.writeUInt32BE(Math.floor(id / 2 ** 32), at);
    begun.chunk.bytes.writeUInt32BE(id >>> 0, at + 4);
    return begun;
  }

  #begin(kind: number, table: number, keyBytes: number, recordBytes: number) {
    this.#changes++;
    this.#bytes += entryBytes(keyBytes, recordBytes);
    return this.#place(kind, table, keyBytes, recordBytes);
  }

  #place(kind: number, table: number, keyBytes: number, recordBytes: number) {
    const bytes = headerBytes + keyBytes + recordBytes;
    const chunk = this.#reserve(bytes);
    const at = chunk.used;
    chunk.used += bytes;
    this.#memory += bytes;
    chunk.bytes[at] = kind;
    chunk.bytes[at + 1] = table;
    chunk.bytes.writeUInt16LE(keyBytes, at + 2);
    chunk.bytes.writeUInt32LE(recordBytes, at + 4);
    // The place of an operation in a chunk of its own is where that begins.
    const place = (this.#chunks.length - 1) * chunkBytes + at;
    assert(place < placesMax, 'a batch is larger than its places can tell');
    return { chunk, at, place, recordAt: at + headerBytes + keyBytes };
  }

  #reserve(bytes: number): BatchChunk {
    const last = this.#chunks.at(-1);
    if (last && last.used + bytes <= last.bytes.length && last.used < chunkBytes) return last;
    const next = this.#pool.take(bytes);
    this.#chunks.push(next);
    return next;
  }

  #find(place: number): { readonly chunk: BatchChunk; readonly at: number } {
    const chunk = this.#chunks[Math.floor(place / chunkBytes)];
    assert(chunk !== undefined, 'a batch that was released was read');
    return { chunk, at: place % chunkBytes };
  }
}

/** Length of the key of the operation at `at`. */
function keyBytesAt(bytes: Buffer, at: number): number {
  return (bytes[at + 2] as number) | ((bytes[at + 3] as number) << 8);
}

function recordOf(bytes: Buffer, at: number): { readonly start: number; readonly end: number } {
  const start = at + headerBytes + keyBytesAt(bytes, at);
  return { start, end: start + bytes.readUInt32LE(at + 4) };
}

function varuintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest > 0x7f; rest = shifted(rest)) bytes++;
  assert(bytes <= revisionBytesMax, 'a revision is too large', value);
  return bytes;
}

function writeVaruint(target: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest > 0x7f; rest = shifted(rest)) target[at++] = (rest % 128) | 0x80;
  target[at++] = rest;
  return at;
}

/** `value` without its lowest seven bits. */
function shifted(value: number): number {
  return value <= 0x7fff_ffff ? value >>> 7 : Math.floor(value / 128);
}

function readRevision(bytes: Uint8Array, start: number): { readonly revision: number; readonly valueAt: number } {
  let revision = 0;
  let at = start;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at++] as number;
    revision += (byte & 0x7f) * factor;
    if (byte < 0x80) return { revision, valueAt: at };
  }
}
