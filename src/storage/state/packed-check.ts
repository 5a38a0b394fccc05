import { toByteString } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import { keyBytesMax } from '../../kv/command-limits.ts';
import { visitRows } from '../../kv/packed-rows.ts';
import type { PackedRows } from '../../kv/state-store.ts';
import { type CommitSize, entryBytes } from './commit-size.ts';
import { sessionSeed } from './state-codec.ts';

/** Bytes of a session's key in its table. */
const sessionKeyBytes = 8;
const checksumBytes = 4;

/**
 * What a commit of `rows` changes, if the checksum of all of them and that of each row fit: they are what a donor's disk was once given,
 * and what it sent. Undefined else.
 */
export function checkPacked({ bytes, checksum }: PackedRows): CommitSize | undefined {
  if (crc32(bytes) !== checksum) return undefined;
  const { buffer, byteOffset, byteLength } = bytes;
  const view = new DataView(buffer, byteOffset, byteLength);
  let changes = 0;
  let commitBytes = 0;
  const check = (seed: number, keyBytes: number, start: number, end: number): boolean => {
    changes++;
    commitBytes += entryBytes(keyBytes, end - start);
    const from = start + checksumBytes;
    return from <= end && view.getUint32(start) === crc32(bytes.subarray(from, end), seed);
  };
  const isIntact = visitRows(bytes, {
    pair(keyStart, keyEnd, start, end) {
      const keyBytes = keyEnd - keyStart;
      if (keyBytes < 1 || keyBytes > keyBytesMax) return false;
      return check(keySeed(bytes, keyStart, keyEnd), keyBytes, start, end);
    },
    session: (id, start, end) => check(sessionSeed(id), sessionKeyBytes, start, end),
  });
  return isIntact ? { changes, bytes: commitBytes } : undefined;
}

/** The checksum of a key's text, which has one character for each of its bytes. */
function keySeed(bytes: Uint8Array, start: number, end: number): number {
  const key = bytes.subarray(start, end);
  // In UTF-8 bytes stay what they are if they are ASCII.
  return crc32(key.every(isAscii) ? key : textEncoder.encode(toByteString(key)));
}

function isAscii(byte: number): boolean {
  return byte < 0x80;
}

const textEncoder = new TextEncoder();
