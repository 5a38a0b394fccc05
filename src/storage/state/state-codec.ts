import { crc32 as platformCrc32 } from 'node:zlib';
import { type ByteString, putU32, u32At } from '../../base/bytes.ts';
import { crc32, crc32OfShortAscii } from '../../base/crc32.ts';
import type { KvRecord } from '../../kv/state-store.ts';
import { DamagedError } from '../disk/storage-error.ts';

/*
 * Values in the state's tables:
 *
 *   pair:    crc32 (4) · revision (varuint) · value (the rest)     checksum over the key and all that follows
 *   session: crc32 (4) · bytes (the rest)                          checksum over the id and all that follows
 */

/** The record of session `id`. */
export function encodeSession(id: number, bytes: Uint8Array): Uint8Array {
  const record = new Uint8Array(4 + bytes.length);
  record.set(bytes, 4);
  return seal(record, sessionSeed(id));
}

/** `record` of `key`, with its checksum put into its first four bytes. */
export function sealPair(key: ByteString, record: Uint8Array): Uint8Array {
  return seal(record, pairSeed(key));
}

/** The record of `key`; its value is a view into `bytes`. Throws {@link DamagedError}, naming `file` and key. */
export function decodePair(file: string, key: ByteString, bytes: Uint8Array): KvRecord {
  if (!isIntact(bytes, pairSeed(key))) throw damagedPair(file, key);
  let revision = 0;
  let at = 4;
  // By hand rather than with a ByteReader: reads come by the hundred thousand, and the checksum has vouched for the bytes.
  for (let factor = 1; ; factor *= 128) {
    if (at >= bytes.length) throw damagedPair(file, key);
    const byte = bytes[at++] as number;
    revision += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
  }
  return { revision, value: viewOf(bytes, at) };
}

/** The bytes of session `id`, a view into `bytes`. Throws {@link DamagedError}. */
export function decodeSession(file: string, id: number, bytes: Uint8Array): Uint8Array {
  if (!isIntact(bytes, sessionSeed(id))) throw new DamagedError(file, `session ${id}`, 'the checksum does not fit');
  return viewOf(bytes, 4);
}

function isIntact(bytes: Uint8Array, seed: number): boolean {
  if (bytes.length < 4) return false;
  // LMDB's own buffer is longer than what is in it: its length is only that of the value.
  return u32At(bytes, 0) === crc32(bytes, seed, 4, bytes.length);
}

/** A plain array, whatever class of LMDB's or Node's `bytes` is. */
function viewOf(bytes: Uint8Array, from: number): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset + from, bytes.length - from);
}

function damagedPair(file: string, key: ByteString): DamagedError {
  return new DamagedError(file, `key ${JSON.stringify(key)}`, 'the checksum does not fit');
}

/** What the checksum of session `id` begins with. */
export function sessionSeed(id: number): number {
  return id >>> 0;
}

/** What the checksum of the pair of `key` begins with: that of the key as UTF-8, each of its bytes taken for a character. */
function pairSeed(key: ByteString): number {
  return crc32OfShortAscii(key) ?? platformCrc32(key);
}

function seal(record: Uint8Array, seed: number): Uint8Array {
  putU32(record, 0, crc32(record, seed, 4));
  return record;
}
