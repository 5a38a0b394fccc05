import { expect, test } from 'vitest';
import { behindQueued, giveBuffer, takeBuffer, takeCopy } from '../../src/base/buffer-pool.ts';

test.each([
  [100_000, 130_000],
  [200_000, 600_000],
  [700_000, 1_100_000],
])('a large buffer that is given back is used again, whole, by one that is of its size: %i and %i', (bytes, next) => {
  const first = takeBuffer(bytes);
  expect(first.length).toBeGreaterThanOrEqual(next);
  expect(first.length).toBeLessThan(5 * bytes);
  giveBuffer(first.subarray(0, 10));
  expect(takeBuffer(2 * next).buffer).not.toBe(first.buffer);
  const second = takeBuffer(next);
  expect(second.buffer).toBe(first.buffer);
  expect(second.length).toBe(first.length);
  expect(takeBuffer(next).buffer).not.toBe(first.buffer);
});

test('buffers of other sizes are new, as large as asked for, and not kept', () => {
  for (const bytes of [2_000, 10_000, 2_000_000]) {
    const buffer = takeBuffer(bytes);
    expect(buffer.length).toBe(bytes);
    giveBuffer(buffer);
    expect(takeBuffer(bytes).buffer).not.toBe(buffer.buffer);
  }
});

test.each([
  [100_000, 16],
  [500_000, 8],
  [1_000_000, 8],
])('no more than a few of %i bytes are kept', (bytes, kept) => {
  const taken = Array.from({ length: 40 }, () => takeBuffer(bytes));
  for (const buffer of taken) giveBuffer(buffer);
  const again = new Set(Array.from({ length: 40 }, () => takeBuffer(bytes).buffer));
  expect(again.size).toBe(40);
  expect(taken.filter(({ buffer }) => again.has(buffer))).toHaveLength(kept);
});

test('small buffers lie beside each other, and none is given out twice', () => {
  const buffers = Array.from({ length: 1_000 }, (_, at) => takeBuffer(at % 100).fill(at % 251));
  for (const buffer of buffers) giveBuffer(buffer);
  const more = Array.from({ length: 1_000 }, (_, at) => takeBuffer(at % 100).fill(255));
  buffers.forEach((buffer, at) => {
    expect(buffer.length).toBe(at % 100);
    expect(buffer.every((byte) => byte === at % 251)).toBe(true);
  });
  expect(new Set([...buffers, ...more].map(({ buffer }) => buffer)).size).toBeLessThan(20);
});

test('bytes that have to wait keep no slab alive', () => {
  const small = takeBuffer(10).fill(7);
  expect(behindQueued(0, small)).toBe(small);
  const waiting = behindQueued(1, small);
  expect(waiting).toEqual(small);
  expect(waiting.buffer.byteLength).toBe(10);
  const large = takeBuffer(5_000);
  expect(behindQueued(1, large)).toBe(large);
});

test('a copy is of the length of what was copied, and no view of it', () => {
  for (const length of [0, 1, 1_000, 5_000, 100_000]) {
    const bytes = Uint8Array.from({ length: length + 2 }, (_, at) => at % 251);
    const copy = takeCopy(bytes, 1, length + 1);
    const expected = bytes.slice(1, length + 1);
    bytes.fill(255);
    expect(copy).toEqual(expected);
  }
});
