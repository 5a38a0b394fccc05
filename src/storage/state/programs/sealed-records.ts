/** CRC-32 of `bytes`, or of a text as UTF-8, going on from `seed`. */
type Crc32 = (bytes: Uint8Array | string, seed?: number) => number;

/**
 * Makes records (state-codec.ts) in memory of its own, since lmdb takes the address of what it writes, and shared memory has none for it.
 * What is returned holds until the next call. A part of a program, see program-text.ts.
 *
 * Over many keys this is a quarter of all that members do. So no change makes a view of memory where it can be helped: those of a pair serve
 * as long as the lengths stay the same.
 */
export function sealedRecords(crc32: Crc32) {
  let scratch = Buffer.allocUnsafeSlow(64 * 1024);
  let viewKeyBytes = -1;
  let viewRecordBytes = -1;
  let covered = scratch;
  let sealed = scratch;

  function makeRoom(bytes: number): void {
    if (bytes <= scratch.length) return;
    scratch = Buffer.allocUnsafeSlow(bytes);
    viewKeyBytes = -1;
  }

  function copy(bytes: Buffer, start: number, end: number): Buffer {
    makeRoom(end - start);
    return scratch.subarray(0, bytes.copy(scratch, 0, start, end));
  }

  /** The record from `middle` to `end` of the key from `start` to `middle`, with its checksum. */
  function sealPair(bytes: Buffer, start: number, middle: number, end: number): Buffer {
    const keyBytes = middle - start;
    const recordBytes = end - middle;
    makeRoom(end - start);
    if (keyBytes !== viewKeyBytes || recordBytes !== viewRecordBytes) {
      viewKeyBytes = keyBytes;
      viewRecordBytes = recordBytes;
      covered = scratch.subarray(4, keyBytes + recordBytes);
      sealed = scratch.subarray(keyBytes, keyBytes + recordBytes);
    }
    // It is over the key and what follows it, which therefore come to lie behind four bytes; it then takes the last four of the key.
    bytes.copy(scratch, 0, start, end);
    let highest = 0;
    for (let at = keyBytes - 1; at >= 0; at--) {
      const byte = scratch[at] as number;
      scratch[at + 4] = byte;
      highest |= byte;
    }
    // Over the key as a text of one character a byte.
    const isAscii = highest < 0x80;
    const checksum = isAscii
      ? crc32(covered)
      : crc32(sealed.subarray(4), crc32(bytes.toString('latin1', start, middle)));
    scratch.writeUInt32BE(checksum, keyBytes);
    return sealed;
  }

  /** The record from `middle` to `end` of the session whose id is from `start` to `middle`, with its checksum. */
  function sealSession(bytes: Buffer, start: number, middle: number, end: number): Buffer {
    const record = copy(bytes, middle, end);
    record.writeUInt32BE(crc32(record.subarray(4), bytes.readUInt32BE(start + 4)), 0);
    return record;
  }

  return { copy, sealPair, sealSession };
}
