import { crc32 as crc32OfText } from 'node:zlib';
import type { ByteString } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import type { KvRecord } from '../kv/state-store.ts';
import { DamagedError } from './storage-error.ts';

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
  return seal(record, crc32OfText(key));
}

/** The record of `key`; its value is a view into `bytes`. Throws {@link DamagedError}, naming `file` and key. */
export function decodePair(file: string, key: ByteString, bytes: Uint8Array): KvRecord {
  if (!isIntact(bytes, crc32OfText(key))) throw damagedPair(file, key);
  let revision = 0;
  let at = 4;
  // By hand rather than with a ByteReader: reads come by the hundred thousand, and the checksum has vouched for the bytes.
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) throw damagedPair(file, key);
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
  const stored = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
  return stored === crc32(bytes.subarray(4), seed);
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

function seal(record: Uint8Array, seed: number): Uint8Array {
  new DataView(record.buffer, record.byteOffset).setUint32(0, crc32(record.subarray(4), seed));
  return record;
}
