import { crc32 as zlibCrc32 } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteWriter } from '../../src/base/bytes.ts';
import { crc32, crc32OfFixed, crc32OfShortAscii, joinCrc32 } from '../../src/base/crc32.ts';

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

test('two checksums joined are that of both parts, however long the second is', () => {
  const lengths = fc.oneof(fc.nat({ max: 300 }), fc.nat({ max: 3_000_000 }));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), lengths, fc.nat({ max: 255 }), (first, length, byte) => {
      const second = Buffer.alloc(length, byte);
      expect(joinCrc32(zlibCrc32(first), zlibCrc32(second), length)).toBe(zlibCrc32(second, zlibCrc32(first)));
    }),
  );
});

test('a remembered checksum is that of zlib, from any seed, and a writer makes that of what it wrote with it', () => {
  const parts = fc.array(
    fc.tuple(fc.integer({ min: 8150, max: 8250 }), fc.boolean(), fc.uint8Array({ maxLength: 9 })),
    {
      maxLength: 5,
    },
  );
  fc.assert(
    fc.property(parts, fc.nat({ max: 0xffff_ffff }), fc.nat({ max: 20_000 }), (given, seed, start) => {
      const writer = new ByteWriter();
      for (const [length, isRemembered, rest] of given) {
        const bytes = new Uint8Array(length).fill(length);
        if (isRemembered) expect(crc32OfFixed(bytes, seed)).toBe(zlibCrc32(bytes, seed));
        expect(crc32OfFixed(bytes, seed)).toBe(zlibCrc32(bytes, seed));
        writer.raw(rest).bytes(bytes);
      }
      const end = writer.length;
      const from = Math.min(start, end);
      writer.raw(new Uint8Array(3));
      expect(writer.crc32(seed, from, end)).toBe(zlibCrc32(writer.finish().subarray(from, end), seed));
    }),
  );
});

test('bytes that are changed although their checksum is remembered are found by who reads them', () => {
  const bytes = new Uint8Array(20_000);
  crc32OfFixed(bytes);
  bytes[1000] = 1;
  const writer = new ByteWriter().raw(bytes);
  expect(writer.crc32(0, 0)).not.toBe(zlibCrc32(writer.finish()));
});
