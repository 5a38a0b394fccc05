/** `tables[n][b]`: what byte `b` does to the checksum `n` bytes further on. */
const tables = makeTables();
const [table0, table1, table2, table3, table4, table5, table6, table7] = tables as [
  ...[Uint32Array, Uint32Array, Uint32Array, Uint32Array],
  ...[Uint32Array, Uint32Array, Uint32Array, Uint32Array],
];

function makeTables(): Uint32Array[] {
  const first = new Uint32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let value = byte;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    first[byte] = value;
  }
  const made = [first];
  for (let at = 1; at < 8; at++) {
    made.push((made[at - 1] as Uint32Array).map((value) => (value >>> 8) ^ (first[value & 0xff] as number)));
  }
  return made;
}

type Crc32 = (bytes: Uint8Array, seed: number) => number;

/** Of fewer bytes the tables make the checksum sooner than the platform can be called. */
const platformBytesMin = 256;
let platform: Crc32 | undefined;

/** Has `zlib.crc32`, which gives the same numbers, make the checksums of many bytes in this process: pure rooms cannot name it. */
export function usePlatformCrc32(crc32OfPlatform: Crc32): void {
  platform = crc32OfPlatform;
}

/**
 * CRC-32 (IEEE 802.3, as zlib's) of `bytes` from `start` to `end`, going on from `seed`. Pure; eight bytes a step (M. E. Kounavis,
 * F. L. Berry: "Novel table lookup-based algorithms for high-performance CRC generation", 2008).
 */
export function crc32(bytes: Uint8Array, seed = 0, start = 0, end = bytes.length): number {
  if (platform !== undefined && end - start >= platformBytesMin) return platform(bytes.subarray(start, end), seed);
  let crc = ~seed;
  let at = start;
  for (; at + 8 <= end; at += 8) {
    crc =
      (table7[(crc ^ (bytes[at] as number)) & 0xff] as number) ^
      (table6[((crc >>> 8) ^ (bytes[at + 1] as number)) & 0xff] as number) ^
      (table5[((crc >>> 16) ^ (bytes[at + 2] as number)) & 0xff] as number) ^
      (table4[(crc >>> 24) ^ (bytes[at + 3] as number)] as number) ^
      (table3[bytes[at + 4] as number] as number) ^
      (table2[bytes[at + 5] as number] as number) ^
      (table1[bytes[at + 6] as number] as number) ^
      (table0[bytes[at + 7] as number] as number);
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (table0[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

/** The same of a text of so few characters that it is soon done, all of them ASCII; undefined for any other. */
export function crc32OfShortAscii(text: string): number | undefined {
  if (text.length >= platformBytesMin) return undefined;
  let crc = ~0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code > 0x7f) return undefined;
    crc = (crc >>> 8) ^ (table0[(crc ^ code) & 0xff] as number);
  }
  return ~crc >>> 0;
}
