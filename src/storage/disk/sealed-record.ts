import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';

/** The bytes that `write` appends, with their CRC-32 in front. */
export function sealRecord(write: (writer: ByteWriter) => void): Uint8Array {
  const writer = new ByteWriter().u32(0);
  write(writer);
  const bytes = writer.finish();
  writer.patchU32(0, crc32(bytes.subarray(4)));
  return bytes;
}

/** A reader of what {@link sealRecord} sealed, or `undefined` if the checksum does not fit. */
export function openRecord(bytes: Uint8Array): ByteReader | undefined {
  if (bytes.length < 4) return undefined;
  // lmdb gives a Buffer. What is read most are plain arrays, and V8 would compile the reader anew for both.
  const reader = new ByteReader(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length));
  return reader.u32() === crc32(bytes.subarray(4)) ? reader : undefined;
}
