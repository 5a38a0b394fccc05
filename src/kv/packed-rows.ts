import { ByteReader, type ByteString, ByteWriter, DecodeError } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { keyBytesMax } from './command-limits.ts';
import type { KvRecord, PackedRows, RowChunk, RowRange, SnapshotCursor } from './state-store.ts';

/*
 * Rows of a snapshot in bytes, one after the other:
 *
 *   pair:    0 · key (length first) · record (length first)
 *   session: 1 · id (varuint) · record (length first)
 *
 * A record is what a store on disk keeps under the key or id, so that it goes from disk to disk without being taken apart:
 *
 *   pair:    crc32 (4) · revision (varuint) · value (the rest)     checksum over the key, as UTF-8 text, and all that follows
 *   session: crc32 (4) · bytes (the rest)                          checksum over the id and all that follows
 */

const pairKind = 0;
const sessionKind = 1;
/** Most bytes of a varuint, see {@link ByteReader}. */
const varuintBytesMax = 8;
/** What a row weighs beside its key and record, bytes; a round number. */
export const rowOverheadBytes = 16;

/** A row with its record as it is stored. */
export type StoredRow =
  | { readonly type: 'pair'; readonly key: ByteString; readonly record: Uint8Array }
  | { readonly type: 'session'; readonly id: number; readonly record: Uint8Array };

/** Packs rows of `range` into `buffer` until they come to about `bytesMax`, one at least. `rows` are those behind `range.after`, in order. */
export function packRows(
  rows: Iterable<StoredRow>,
  range: RowRange,
  bytesMax: number,
  checksumOf: (bytes: Uint8Array) => number,
  buffer: Uint8Array = new Uint8Array(packedBytesHint(bytesMax)),
): RowChunk {
  const writer = new ByteWriter(buffer);
  let last: SnapshotCursor | undefined;
  let bytes = 0;
  let done = true;
  for (const row of rows) {
    if (isBehind(row, range.upTo)) break;
    bytes += row.record.length + (row.type === 'pair' ? row.key.length : 0) + rowOverheadBytes;
    if (last !== undefined && bytes > bytesMax) {
      done = false;
      break;
    }
    writeRow(writer, row);
    last = row.type === 'pair' ? { type: 'pair', key: row.key } : { type: 'session', id: row.id };
  }
  const packed = writer.finish();
  return { rows: { bytes: packed, checksum: checksumOf(packed) }, last, done };
}

/** Room that packed rows of about `bytesMax` bytes mostly fit into. */
export function packedBytesHint(bytesMax: number): number {
  return bytesMax + 4096;
}

/** What `open` makes of each row, or undefined if a checksum, of all or of a row (`open` gives undefined), does not fit. */
export function unpackRows<Opened>(
  { bytes, checksum }: PackedRows,
  checksumOf: (bytes: Uint8Array) => number,
  open: (row: StoredRow) => Opened | undefined,
): Opened[] | undefined {
  if (checksumOf(bytes) !== checksum) return undefined;
  const opened: Opened[] = [];
  try {
    for (const reader = new ByteReader(bytes); reader.remaining > 0; ) {
      const row = open(readRow(reader));
      if (row === undefined) return undefined;
      opened.push(row);
    }
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
  return opened;
}

/** Told where in packed rows each of them is, in order. False ends it. */
export interface RowVisitor {
  pair(keyStart: number, keyEnd: number, recordStart: number, recordEnd: number): boolean;
  session(id: number, recordStart: number, recordEnd: number): boolean;
}

/**
 * Shows `visitor` all rows without making anything of them: a newcomer looks at hundreds of thousands. False if they are cut
 * off or no rows, or the visitor said so.
 */
export function visitRows(bytes: Uint8Array, visitor: RowVisitor): boolean {
  for (const places = new RowPlaces(bytes); !places.isAtEnd; ) {
    const kind = places.byte();
    if (kind !== pairKind && kind !== sessionKind) return false;
    const first = places.varuint();
    const keyStart = places.at;
    if (kind === pairKind) places.skip(first);
    const keyEnd = places.at;
    const recordBytes = places.varuint();
    const recordStart = places.at;
    places.skip(recordBytes);
    if (!places.isSound) return false;
    const isAccepted =
      kind === pairKind
        ? visitor.pair(keyStart, keyEnd, recordStart, places.at)
        : visitor.session(first, recordStart, places.at);
    if (!isAccepted) return false;
  }
  return true;
}

/** Goes through bytes. What would lie past their end makes it unsound. */
class RowPlaces {
  at = 0;
  isSound = true;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  byte(): number {
    return this.#bytes[this.at++] ?? this.#spoil();
  }

  /** As {@link ByteReader.varuint}. */
  varuint(): number {
    let value = 0;
    for (let factor = 1, count = 0; count < varuintBytesMax; factor *= 128, count++) {
      const byte = this.byte();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return Number.isSafeInteger(value) ? value : this.#spoil();
    }
    return this.#spoil();
  }

  skip(count: number): void {
    this.at += count;
    if (this.at > this.#bytes.length) this.#spoil();
  }

  #spoil(): number {
    this.isSound = false;
    return 0;
  }
}

/** Its record is a view into the bytes. Throws DecodeError. */
function readRow(reader: ByteReader): StoredRow {
  const kind = reader.u8();
  if (kind === pairKind) return { type: 'pair', key: reader.byteString(keyBytesMax), record: reader.bytes() };
  if (kind === sessionKind) return { type: 'session', id: reader.varuint(), record: reader.bytes() };
  throw new DecodeError(`unknown kind of row ${kind}`);
}

/** True for a row that comes after `cursor`; nothing comes after the end (undefined). */
function isBehind(row: StoredRow, cursor: SnapshotCursor | undefined): boolean {
  if (cursor === undefined) return false;
  if (row.type === 'pair') return cursor.type === 'pair' && row.key > cursor.key;
  return cursor.type === 'pair' || row.id > cursor.id;
}

export function isSameCursor(a: SnapshotCursor | undefined, b: SnapshotCursor | undefined): boolean {
  if (a?.type === 'pair' && b?.type === 'pair') return a.key === b.key;
  if (a?.type === 'session' && b?.type === 'session') return a.id === b.id;
  return a === b;
}

/** The record of a pair. Pure, and slow: a store on disk has its own. */
export function pairRecord(key: ByteString, { revision, value }: KvRecord): Uint8Array {
  const record = new ByteWriter(12 + value.length).u32(0).varuint(revision).raw(value);
  return sealed(record, pairSeed(key));
}

export function sessionRecord(id: number, bytes: Uint8Array): Uint8Array {
  return sealed(new ByteWriter(12 + bytes.length).u32(0).raw(bytes), id >>> 0);
}

/** What a pair's record says; undefined if its checksum does not fit. */
export function openPairRecord(key: ByteString, record: Uint8Array): KvRecord | undefined {
  if (!isSealed(record, pairSeed(key))) return undefined;
  const reader = new ByteReader(record, 4);
  return { revision: reader.varuint(), value: reader.rest() };
}

export function openSessionRecord(id: number, record: Uint8Array): Uint8Array | undefined {
  return isSealed(record, id >>> 0) ? record.subarray(4) : undefined;
}

function pairSeed(key: ByteString): number {
  return crc32(textEncoder.encode(key));
}

function sealed(writer: ByteWriter, seed: number): Uint8Array {
  const record = writer.finish();
  writer.patchU32(0, crc32(record.subarray(4), seed));
  return record;
}

function isSealed(record: Uint8Array, seed: number): boolean {
  return record.length >= 4 && new ByteReader(record).u32() === crc32(record.subarray(4), seed);
}

function writeRow(writer: ByteWriter, row: StoredRow): void {
  if (row.type === 'pair') writer.u8(pairKind).byteString(row.key).bytes(row.record);
  else writer.u8(sessionKind).varuint(row.id).bytes(row.record);
}

const textEncoder = new TextEncoder();
