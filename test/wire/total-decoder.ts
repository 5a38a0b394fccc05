import fc from 'fast-check';
import { expect } from 'vitest';
import { DecodeError } from '../../src/base/bytes.ts';
import { sealed } from './sealed.ts';

/** Bytes of the version and the checksum. */
const headBytes = 5;

/** What damage does to a valid frame. */
const damage = fc.oneof(
  fc.record({ type: fc.constant('cut' as const), at: fc.nat() }),
  fc.record({ type: fc.constant('flip' as const), at: fc.nat(), bit: fc.nat(7) }),
  fc.record({ type: fc.constant('set' as const), at: fc.nat(), byte: fc.constantFrom(0, 1, 0x7f, 0x80, 0xff) }),
  fc.record({ type: fc.constant('add' as const), tail: fc.uint8Array({ minLength: 1, maxLength: 20 }) }),
);

/** Proves that `decode` gives a value or a {@link DecodeError} for random bytes and for damaged frames, and nothing else. */
export function expectTotal(decode: (bytes: Uint8Array) => unknown, frame: fc.Arbitrary<Uint8Array>): void {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => expectValueOrDecodeError(decode, bytes)));
  // Version and checksum right, the rest at random, behind a cluster id or not: gets past the head.
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.constantFrom(0, 8), (bytes, zeros) =>
      expectValueOrDecodeError(decode, resealed(Uint8Array.of(2, 0, 0, 0, 0, ...new Uint8Array(zeros), ...bytes))),
    ),
  );
  fc.assert(
    fc.property(frame, fc.array(damage, { minLength: 1, maxLength: 4 }), (bytes, damages) => {
      const bad = damages.reduce(damaged, bytes);
      expectValueOrDecodeError(decode, bad);
      expectValueOrDecodeError(decode, resealed(bad));
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(frame, fc.nat(), fc.nat(7), (bytes, at, bit) => {
      const flipped = damaged(bytes, { type: 'flip', at, bit });
      expect(() => decode(flipped), 'one bit is always seen').toThrow(DecodeError);
    }),
  );
}

/** Proves that no true prefix of a frame with one item decodes to that item. */
export function expectNoPrefixDecodes(
  decode: (bytes: Uint8Array) => readonly unknown[],
  frame: Uint8Array,
  headerBytes: number,
): void {
  for (let length = 0; length < frame.length; length++) {
    expect(() => decode(frame.subarray(0, length)), `prefix of ${length}`).toThrow(DecodeError);
    const prefix = resealed(frame.slice(0, length));
    if (length === headerBytes) expect(decode(prefix)).toEqual([]);
    else expect(() => decode(prefix), `prefix of ${length}, with a checksum that fits`).toThrow(DecodeError);
  }
}

function resealed(frame: Uint8Array): Uint8Array {
  return frame.length < headBytes ? frame : sealed(frame);
}

type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function damaged(bytes: Uint8Array, what: Damage): Uint8Array {
  if (what.type === 'add') return Uint8Array.of(...bytes, ...what.tail);
  if (bytes.length === 0) return bytes;
  const at = what.at % bytes.length;
  if (what.type === 'cut') return bytes.slice(0, at);
  const changed = bytes.slice();
  changed[at] = what.type === 'set' ? what.byte : (changed[at] as number) ^ (1 << what.bit);
  return changed;
}

function expectValueOrDecodeError(decode: (bytes: Uint8Array) => unknown, bytes: Uint8Array): void {
  try {
    decode(bytes);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
  }
}
