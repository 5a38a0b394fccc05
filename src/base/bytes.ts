import { crc32, crc32OfFixed, joinCrc32, rememberedCrc32 } from './crc32.ts';

/*
 * Reading and writing of bytes without any platform's own types, so that the pure rooms can use it.
 *
 * Numbers are unsigned. `varuint` is LEB128 with at most 8 bytes (53 bits, what a JavaScript number holds exactly).
 */

/** Bytes that are not what they should be. Raised by {@link ByteReader} and by every decoder built on it. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError';
  readonly code = 'malformed';
}

const initialCapacity = 256;

/** Bytes that are not copied into a buffer, and how much of the buffer comes before them. */
interface SharedBytes {
  readonly at: number;
  readonly bytes: Uint8Array;
}

/** Appends numbers and bytes to a buffer that grows. */
export class ByteWriter {
  #bytes: Uint8Array;
  /** Bytes of the buffer that were written to. */
  #length = 0;
  /** Where bytes lie whose checksum is remembered: start, end and checksum of each. */
  #known: number[] | undefined;
  readonly #sharedBytesMin: number;
  #shared: SharedBytes[] | undefined;
  #sharedLength = 0;

  /**
   * Begins with room for that many bytes, or writes over `buffer` as long as that has room. So many bytes as `sharedBytesMin` that come at once are
   * not copied but made a part of their own ({@link finishParts}); nobody may change them.
   */
  constructor(buffer: number | Uint8Array = initialCapacity, sharedBytesMin = Number.POSITIVE_INFINITY) {
    this.#bytes = typeof buffer === 'number' ? new Uint8Array(Math.max(buffer, 16)) : buffer;
    this.#sharedBytesMin = sharedBytesMin;
  }

  /** Count of bytes written so far. */
  get length(): number {
    return this.#length + this.#sharedLength;
  }

  u8(value: number): this {
    this.#reserve(1);
    this.#bytes[this.#length++] = value;
    return this;
  }

  u32(value: number): this {
    this.#reserve(4);
    putU32(this.#bytes, this.#length, value);
    this.#length += 4;
    return this;
  }

  /** Overwrites four bytes written before, at `offset`: for lengths and checksums known only afterwards. */
  patchU32(offset: number, value: number): this {
    if (offset + 4 > this.length) throw new RangeError(`patch at ${offset} is past the ${this.length} bytes written`);
    putU32(this.#bytes, this.#placeOf(offset), value);
    return this;
  }

  /** An unsigned integer of up to 53 bits in 1 to 8 bytes. */
  varuint(value: number): this {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an unsigned 53-bit integer: ${value}`);
    this.#reserve(8);
    const bytes = this.#bytes;
    let at = this.#length;
    let rest = value;
    while (rest > 0x7fff_ffff) {
      bytes[at++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    while (rest > 0x7f) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.#length = at;
    return this;
  }

  /** The bytes as they are, without a length. */
  raw(bytes: Uint8Array): this {
    if (bytes.length >= this.#sharedBytesMin) return this.#share(bytes);
    this.#reserve(bytes.length);
    const start = this.#length;
    this.#bytes.set(bytes, start);
    this.#length = start + bytes.length;
    const checksum = rememberedCrc32(bytes);
    if (checksum === undefined) return this;
    this.#known ??= [];
    this.#known.push(start, this.#length, checksum);
    return this;
  }

  /** Length as varuint, then the bytes. */
  bytes(bytes: Uint8Array): this {
    return this.varuint(bytes.length).raw(bytes);
  }

  /** A byte string, length first: the same bytes as `bytes(fromByteString(text))`, without an array in between. */
  byteString(text: ByteString): this {
    this.varuint(text.length);
    this.#reserve(text.length);
    const bytes = this.#bytes;
    let at = this.#length;
    for (let character = 0; character < text.length; character++) bytes[at++] = text.charCodeAt(character);
    this.#length = at;
    return this;
  }

  /** UTF-8 text, length first. */
  text(text: string): this {
    return this.bytes(textEncoder.encode(text));
  }

  /**
   * CRC-32 of what was written from `start` to `end`, going on from `seed`. Bytes that were given whole, and whose checksum is remembered
   * (`crc32OfFixed`), are not read again: {@link patchU32} must have left them alone.
   */
  crc32(seed: number, start: number, end = this.length): number {
    if (this.#shared === undefined) return this.#crc32OfBuffer(seed, start, end);
    let checksum = seed;
    let at = this.#placeOf(start);
    let sharedBefore = 0;
    for (const { at: sharedAt, bytes } of this.#shared) {
      const from = sharedAt + sharedBefore;
      sharedBefore += bytes.length;
      if (from < start || from + bytes.length > end) continue;
      checksum = joinCrc32(this.#crc32OfBuffer(checksum, at, sharedAt), crc32OfFixed(bytes), bytes.length);
      at = sharedAt;
    }
    return this.#crc32OfBuffer(checksum, at, this.#placeOf(end));
  }

  #crc32OfBuffer(seed: number, start: number, end: number): number {
    const known = this.#known ?? [];
    let checksum = seed;
    let at = start;
    for (let n = 0; n < known.length; n += 3) {
      const [from, to, own] = [known[n], known[n + 1], known[n + 2]] as [number, number, number];
      if (from < at || to > end) continue;
      checksum = joinCrc32(crc32(this.#bytes, checksum, at, from), own, to - from);
      at = to;
    }
    return crc32(this.#bytes, checksum, at, end);
  }

  /** What was written, without a copy; the writer must not be used afterwards. Throws a RangeError if it has parts: see {@link finishParts}. */
  finish(): Uint8Array {
    if (this.#shared !== undefined) throw new RangeError('what was written is in several parts');
    return this.#bytes.subarray(0, this.#length);
  }

  /** What was written, as one array or several, without a copy; the writer must not be used afterwards. */
  finishParts(): Uint8Array[] {
    const parts: Uint8Array[] = [];
    let from = 0;
    for (const { at, bytes } of this.#shared ?? []) {
      if (at > from) parts.push(this.#bytes.subarray(from, at));
      parts.push(bytes);
      from = at;
    }
    if (from < this.#length || parts.length === 0) parts.push(this.#bytes.subarray(from, this.#length));
    return parts;
  }

  #share(bytes: Uint8Array): this {
    this.#shared ??= [];
    this.#shared.push({ at: this.#length, bytes });
    this.#sharedLength += bytes.length;
    return this;
  }

  /** Where in the buffer that is which is at `offset` of all that was written, and not in what is shared. */
  #placeOf(offset: number): number {
    let place = offset;
    for (const { at, bytes } of this.#shared ?? []) {
      if (place <= at) break;
      place -= bytes.length;
      if (place < at) throw new RangeError(`offset ${offset} is within bytes that are shared`);
    }
    return place;
  }

  #reserve(count: number): void {
    const wanted = this.#length + count;
    if (wanted <= this.#bytes.length) return;
    const grown = new Uint8Array(Math.max(wanted, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

/** Reads what {@link ByteWriter} wrote. Every method throws {@link DecodeError} rather than read past the end. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, offset = 0) {
    this.#bytes = bytes;
    this.#at = offset;
  }

  /** Offset of the next byte to read. */
  get offset(): number {
    return this.#at;
  }

  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  u8(): number {
    this.#need(1);
    return this.#bytes[this.#at++] as number;
  }

  u32(): number {
    this.#need(4);
    this.#at += 4;
    return u32At(this.#bytes, this.#at - 4);
  }

  varuint(): number {
    let value = 0;
    let factor = 1;
    for (let count = 0; count < 8; count++) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) {
        if (value > Number.MAX_SAFE_INTEGER) break;
        return value;
      }
      factor *= 128;
    }
    throw new DecodeError('a number is over 53 bits');
  }

  /** The next `length` bytes as a view into the buffer read from: copy what must outlive it. */
  raw(length: number): Uint8Array {
    this.#need(length);
    const start = this.#at;
    this.#at += length;
    return this.#bytes.subarray(start, this.#at);
  }

  /** A length as varuint, then that many bytes (a view). `max` bounds the length. */
  bytes(max = Number.MAX_SAFE_INTEGER): Uint8Array {
    const length = this.varuint();
    if (length > max) throw new DecodeError(`${length} bytes where at most ${max} are allowed`);
    return this.raw(length);
  }

  /** A length as varuint, then a byte string of that many bytes. `max` bounds the length. */
  byteString(max = Number.MAX_SAFE_INTEGER): ByteString {
    return toByteString(this.bytes(max));
  }

  text(max = Number.MAX_SAFE_INTEGER): string {
    return textDecoder.decode(this.bytes(max));
  }

  /** Everything that is left, as a view. */
  rest(): Uint8Array {
    return this.raw(this.remaining);
  }

  /** A count of items that need at least one byte each: bounds what a decoder allocates. */
  count(max: number): number {
    const count = this.varuint();
    if (count > max || count > this.remaining) throw new DecodeError(`${count} items where at most ${max} fit`);
    return count;
  }

  /** Call when all should have been read. */
  end(): void {
    if (this.remaining !== 0) throw new DecodeError(`${this.remaining} bytes too many`);
  }

  #need(count: number): void {
    if (this.#at + count > this.#bytes.length) {
      throw new DecodeError(`${count} bytes expected at offset ${this.#at}, ${this.remaining} are left`);
    }
  }
}

/** Writes four bytes, big-endian. By hand, since a `DataView` costs more than a short message has work, and is garbage at once. */
export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Four bytes, big-endian, as {@link putU32} writes them. The caller sees to it that they are there. */
export function u32At(bytes: Uint8Array, at: number): number {
  const high = ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  const low = ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number);
  return high * 0x1_0000 + low;
}

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder('utf-8', { fatal: false });

/**
 * A string with one char code (0–255) a byte. It orders as the bytes do and works as a `Map` key;
 * state-machine keys are held so.
 */
export type ByteString = string;

/** Bytes that fit onto the stack as parameters. */
const spreadMax = 4096;

type Latin1Slice = (this: Uint8Array, start: number, end: number) => string;
let platformSlice: Latin1Slice | undefined;

/** Has `Buffer.prototype.latin1Slice`, which gives the same strings in half of the time, make them: pure rooms cannot name it. */
export function usePlatformByteStrings(latin1Slice: Latin1Slice): void {
  platformSlice = latin1Slice;
}

/** The byte string of `bytes`. */
export function toByteString(bytes: Uint8Array): ByteString {
  if (platformSlice !== undefined) return platformSlice.call(bytes, 0, bytes.length);
  if (bytes.length <= spreadMax) return String.fromCharCode.apply(null, bytes as unknown as number[]);
  let text = '';
  for (let at = 0; at < bytes.length; at += spreadMax) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + spreadMax) as unknown as number[]);
  }
  return text;
}

/** The bytes of a byte string. */
export function fromByteString(text: ByteString): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}
