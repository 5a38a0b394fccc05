import fc from 'fast-check';
import { expect } from 'vitest';
import { DecodeError } from '../../src/base/bytes.ts';

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
  // The version right, the rest at random: gets past the first byte.
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) =>
      expectValueOrDecodeError(decode, Uint8Array.of(1, ...new Uint8Array(8), ...bytes)),
    ),
  );
  fc.assert(
    fc.property(frame, fc.array(damage, { minLength: 1, maxLength: 4 }), (bytes, damages) =>
      expectValueOrDecodeError(decode, damages.reduce(damaged, bytes)),
    ),
    { numRuns: 500 },
  );
}

/** Proves that no true prefix of a frame with one item decodes to that item. */
export function expectNoPrefixDecodes(
  decode: (bytes: Uint8Array) => readonly unknown[],
  frame: Uint8Array,
  headerBytes: number,
): void {
  for (let length = 0; length < frame.length; length++) {
    if (length === headerBytes) expect(decode(frame.subarray(0, length))).toEqual([]);
    else expect(() => decode(frame.subarray(0, length)), `prefix of ${length}`).toThrow(DecodeError);
  }
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
