import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ByteReader, ByteWriter } from '../../src/base/bytes.ts';
import { crc32 } from '../../src/base/crc32.ts';

const sharedBytesMin = 10;

const step = fc.oneof(
  fc.record({ type: fc.constant('number' as const), value: fc.nat() }),
  fc.record({ type: fc.constant('bytes' as const), value: fc.uint8Array({ maxLength: 3 * sharedBytesMin }) }),
);

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

test('a writer that shares large arrays writes the same bytes, with the same checksum and patches, as one that copies them', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 12 }), fc.nat(), fc.nat(), (steps, patched, value) => {
      const copying = new ByteWriter(16);
      const sharing = new ByteWriter(16, sharedBytesMin);
      const patchable = [4];
      copying.u32(0).u32(1);
      sharing.u32(0).u32(1);
      for (const { type, value } of steps) {
        patchable.push(copying.length);
        for (const writer of [copying, sharing]) {
          if (type === 'number') writer.u32(value).varuint(value);
          else writer.u32(0).bytes(value);
        }
        expect(sharing.length).toBe(copying.length);
      }
      const at = patchable[patched % patchable.length] as number;
      for (const writer of [copying, sharing]) {
        writer.patchU32(at, value);
        writer.patchU32(0, writer.crc32(0, 4));
      }
      const expected = copying.finish();
      expect(joined(sharing.finishParts())).toEqual(expected);
      expect(new ByteReader(expected).u32()).toBe(crc32(expected, 0, 4));
    }),
  );
});

test('what is shared is no copy, and all else comes in as few parts as that leaves', () => {
  const large = new Uint8Array(sharedBytesMin).fill(7);
  const small = large.subarray(1);
  const writer = new ByteWriter(16, sharedBytesMin).raw(small).raw(large).raw(large).raw(small).raw(small);
  const parts = writer.finishParts();
  expect(parts.map(({ length }) => length)).toEqual([9, 10, 10, 18]);
  expect(parts[1]).toBe(large);
  expect(parts[2]).toBe(large);
  expect(new ByteWriter(16, sharedBytesMin).finishParts().map(({ length }) => length)).toEqual([0]);
});

test('shared bytes are neither patched nor handed out as one array', () => {
  const writer = new ByteWriter(16, sharedBytesMin).u8(1).raw(new Uint8Array(sharedBytesMin)).u32(0);
  expect(() => writer.patchU32(5, 1)).toThrow(/within bytes that are shared/);
  expect(() => writer.patchU32(12, 1)).toThrow(RangeError);
  expect(() => writer.finish()).toThrow(/several parts/);
  expect(writer.patchU32(11, 0x01020304).finishParts().at(-1)).toEqual(Uint8Array.of(1, 2, 3, 4));
});
