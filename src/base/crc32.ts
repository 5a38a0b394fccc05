/** CRC-32's polynomial (IEEE 802.3), its highest power in the lowest bit. */
const polynomial = 0xedb88320;

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
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1;
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

/** Of fewer bytes the checksum is made again sooner than it is remembered: what V8 collects for a WeakMap costs more than the two. */
export const rememberedBytesMin = 8 * 1024;
const remembered = new WeakMap<Uint8Array, number>();

/**
 * {@link crc32} of bytes that never change: of many of them it is remembered as long as this very array lives, so that what carries them on need
 * not read them again. What changes them all the same is found by the next to read them.
 */
export function crc32OfFixed(bytes: Uint8Array, seed = 0): number {
  if (bytes.length < rememberedBytesMin) return crc32(bytes, seed);
  let checksum = remembered.get(bytes);
  if (checksum === undefined) {
    checksum = crc32(bytes);
    remembered.set(bytes, checksum);
  }
  return joinCrc32(seed, checksum, bytes.length);
}

/** The checksum of `bytes`, which are as many as are remembered, is `checksum`, which was just made or proven. */
export function rememberCrc32(bytes: Uint8Array, checksum: number): void {
  remembered.set(bytes, checksum);
}

/** What is remembered of {@link crc32OfFixed} for this very array. */
export function rememberedCrc32(bytes: Uint8Array): number | undefined {
  return bytes.length < rememberedBytesMin ? undefined : remembered.get(bytes);
}

const one = 0x8000_0000;
/** x to the power of 2 to the power of n. */
const squares = makeSquares();
/** The powers of x that were asked for last, by how many bytes they stand for. */
const powerLengths = new Float64Array(64).fill(-1);
const powers = new Uint32Array(64);

function makeSquares(): Uint32Array {
  const made = new Uint32Array(32);
  made[0] = one >>> 1;
  for (let n = 1; n < 32; n++) made[n] = product(made[n - 1] as number, made[n - 1] as number);
  return made;
}

/**
 * The checksum of bytes whose first part has checksum `first` (or which go on from it), and whose second, of `secondBytes` bytes, has `second`:
 * neither is read. A checksum is the remainder of a polynomial, and bytes behind it multiply that by a power of x (M. Adler: `crc32_combine` of zlib).
 */
export function joinCrc32(first: number, second: number, secondBytes: number): number {
  if (first === 0) return second;
  return (product(powerOf(secondBytes), first) ^ second) >>> 0;
}

/** x to the power of the bits in so many bytes. */
function powerOf(bytes: number): number {
  const slot = bytes % powers.length;
  if (powerLengths[slot] === bytes) return powers[slot] as number;
  let power = one;
  // Of eight bits each: from the fourth square on. Those repeat after the 32nd.
  for (let rest = bytes, n = 3; rest > 0; rest = Math.floor(rest / 2), n++) {
    if (rest % 2 === 1) power = product(squares[n % 32] as number, power);
  }
  powerLengths[slot] = bytes;
  powers[slot] = power;
  return power;
}

/** The remainder of a product of two polynomials whose highest power is in the lowest bit. */
function product(a: number, b: number): number {
  let sum = 0;
  for (let rest = a, multiple = b; rest !== 0; rest <<= 1) {
    if (rest < 0 || rest >= one) sum ^= multiple;
    multiple = multiple & 1 ? (multiple >>> 1) ^ polynomial : multiple >>> 1;
  }
  return sum >>> 0;
}
