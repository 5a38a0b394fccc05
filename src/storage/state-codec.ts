import { crc32 } from 'node:zlib';
import type { ByteString } from '../base/bytes.ts';
import { ByteReader } from '../base/bytes.ts';
import type { KvRecord } from '../kv/state-store.ts';
import { DamagedError, messageOf } from './storage-error.ts';

/*
 * Values in the state's tables:
 *
 *   pair:    crc32 (4) · revision (varuint) · value (the rest)     checksum over the key and all that follows
 *   session: crc32 (4) · bytes (the rest)                          checksum over the id and all that follows
 */

const slabBytes = 256 * 1024;
const headerBytesMax = 4 + 8;

/** Encodes records into large shared buffers: LMDB handles many small parts of a few buffers much faster than many buffers. */
export class StateEncoder {
  #slab = new Uint8Array(0);
  #view = new DataView(this.#slab.buffer);
  #at = 0;

  pair(key: ByteString, record: KvRecord): Uint8Array {
    const start = this.#reserve(headerBytesMax + record.value.length);
    this.#at = writeVaruint(this.#slab, start + 4, record.revision);
    return this.#seal(start, record.value, crc32(key));
  }

  session(id: number, bytes: Uint8Array): Uint8Array {
    const start = this.#reserve(headerBytesMax + bytes.length);
    this.#at = start + 4;
    return this.#seal(start, bytes, sessionSeed(id));
  }

  #reserve(bytes: number): number {
    if (this.#at + bytes > this.#slab.length) {
      this.#slab = new Uint8Array(Math.max(bytes, slabBytes));
      this.#view = new DataView(this.#slab.buffer);
      this.#at = 0;
    }
    return this.#at;
  }

  #seal(start: number, body: Uint8Array, seed: number): Uint8Array {
    this.#slab.set(body, this.#at);
    this.#at += body.length;
    this.#view.setUint32(start, crc32(this.#slab.subarray(start + 4, this.#at), seed));
    return this.#slab.subarray(start, this.#at);
  }
}

/** The record of `key`; its value is a view into `bytes`. Throws {@link DamagedError}, naming `file` and key. */
export function decodePair(file: string, key: ByteString, bytes: Uint8Array): KvRecord {
  const reader = openSealed(bytes, crc32(key), () => damagedPair(file, key, 'the checksum does not fit'));
  try {
    return { revision: reader.varuint(), value: reader.rest() };
  } catch (error) {
    throw damagedPair(file, key, messageOf(error));
  }
}

/** The bytes of session `id`, a view into `bytes`. Throws {@link DamagedError}. */
export function decodeSession(file: string, id: number, bytes: Uint8Array): Uint8Array {
  const damaged = () => new DamagedError(file, `session ${id}`, 'the checksum does not fit');
  return openSealed(bytes, sessionSeed(id), damaged).rest();
}

function openSealed(bytes: Uint8Array, seed: number, damaged: () => DamagedError): ByteReader {
  if (bytes.length < 4) throw damaged();
  const reader = new ByteReader(bytes);
  if (reader.u32() !== crc32(bytes.subarray(4), seed)) throw damaged();
  return reader;
}

function damagedPair(file: string, key: ByteString, problem: string): DamagedError {
  return new DamagedError(file, `key ${JSON.stringify(key)}`, problem);
}

function sessionSeed(id: number): number {
  return id >>> 0;
}

function writeVaruint(target: Uint8Array, start: number, value: number): number {
  let at = start;
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) target[at++] = (rest % 128) | 0x80;
  target[at++] = rest;
  return at;
}
