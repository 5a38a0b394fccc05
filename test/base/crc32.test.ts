import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { crc32, crc32OfShortAscii } from '../../src/base/crc32.ts';

test('the checksum of any bytes is that of zlib, in one piece, in two, or as a part of more', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 300 }), fc.nat({ max: 300 }), (bytes, cut, end) => {
      expect(crc32(bytes)).toBe(zlibCrc32(bytes));
      expect(crc32(bytes.subarray(cut), crc32(bytes.subarray(0, cut)))).toBe(zlibCrc32(bytes));
      const [from, to] = [cut, end].map((at) => Math.min(at, bytes.length)).sort((a, b) => a - b) as [number, number];
      expect(crc32(bytes, crc32(bytes, 0, 0, from), from, to)).toBe(zlibCrc32(bytes.subarray(0, to)));
    }),
  );
});

test('the checksum of a short ASCII text is that of zlib; of any other there is none', () => {
  const ascii = fc.string({ unit: 'binary-ascii', maxLength: 255 });
  fc.assert(
    fc.property(ascii, (text) => {
      expect(crc32OfShortAscii(text)).toBe(zlibCrc32(text));
    }),
  );
  expect(crc32OfShortAscii('caf\u00e9')).toBeUndefined();
  expect(crc32OfShortAscii('\u0080')).toBeUndefined();
  expect(crc32OfShortAscii('a'.repeat(256))).toBeUndefined();
});
