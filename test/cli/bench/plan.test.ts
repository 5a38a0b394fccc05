import { describe, expect, test } from 'vitest';
import { KeySpace, keyBytesMin } from '../../../src/cli/bench/key-space.ts';
import { type BenchFlags, planBench } from '../../../src/cli/bench/plan.ts';
import { keyBytesMax, valueBytesMax } from '../../../src/kv/command-limits.ts';

const flags: BenchFlags = {
  outstanding: '64',
  keys: '10000',
  'key-size': '16',
  'value-size': '100',
  duration: '10s',
  'warm-up': '1s',
  reads: '50',
  consistency: 'linearizable',
  fill: true,
};

describe('planBench', () => {
  test('one client to each endpoint, but none without an operation', () => {
    expect(planBench('put', flags, 3).clients).toBe(3);
    expect(planBench('put', { ...flags, outstanding: '2' }, 3).clients).toBe(2);
    expect(planBench('put', { ...flags, clients: '10' }, 3).clients).toBe(10);
  });

  test('what is read is filled in first, unless told not to', () => {
    expect(planBench('put', flags, 1)).toMatchObject({ readShare: 0, isFilled: false });
    expect(planBench('get', flags, 1)).toMatchObject({ readShare: 1, isFilled: true });
    expect(planBench('mix', { ...flags, reads: '90', fill: false }, 1)).toMatchObject({
      readShare: 0.9,
      isFilled: false,
    });
  });

  test('the limits of keys and values are those of the store', () => {
    const sizes = (key: number, value: number) => ({ ...flags, 'key-size': `${key}`, 'value-size': `${value}` });
    expect(planBench('put', sizes(keyBytesMax, valueBytesMax), 1)).toMatchObject({
      keyBytes: 1024,
      valueBytes: 1024 * 1024,
    });
    expect(() => planBench('put', sizes(keyBytesMax + 1, 0), 1)).toThrow(
      '--key-size "1025" is not a size from 10 to 1KiB: write bytes, or a number with KiB, MiB, GiB or TiB',
    );
    expect(() => planBench('put', sizes(16, valueBytesMax + 1), 1)).toThrow('--value-size "1048577"');
  });

  test.each([
    [{ outstanding: '0' }, '--outstanding "0" is not a whole number from 1 to 65536'],
    [{ clients: '65' }, '--clients 65 is more than --outstanding 64: each client needs'],
    [{ rate: '1.5' }, '--rate "1.5" is not a whole number'],
    [{ keys: '-1' }, '--keys "-1" is not a whole number'],
    [
      { 'key-size': '9' },
      '--key-size "9" is not a size from 10 to 1KiB: write bytes, or a number with KiB, MiB, GiB or TiB',
    ],
    [{ duration: 'soon' }, '--duration "soon" is not a duration'],
    [{ reads: '101' }, '--reads "101" is not a whole number from 0 to 100'],
  ])('refuses %j in one line', (wrong, message) => {
    expect(() => planBench('mix', { ...flags, ...wrong }, 3)).toThrow(message);
  });
});

describe('KeySpace', () => {
  test('keys have the length asked for, are all different, and leave nothing of the one before', () => {
    const keySpace = new KeySpace(1000, keyBytesMin(1000), 7);
    const key = keySpace.newKey();
    const seen = new Set<string>();
    for (let number = 999; number >= 0; number--) {
      keySpace.write(key, number);
      seen.add(Buffer.from(key).toString());
    }
    expect(seen.size).toBe(1000);
    expect([...seen].at(0)).toBe('bench/999');
    expect([...seen].at(-1)).toBe('bench/000');
  });

  test('every key is picked about as often as the others', () => {
    const keySpace = new KeySpace(10, 16, 42);
    const times = new Array<number>(10).fill(0);
    for (let i = 0; i < 100_000; i++) times[keySpace.pick()]!++;
    for (const count of times) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });

  test('a chance of 0 or 1 is none', () => {
    const keySpace = new KeySpace(10, 16, 1);
    const shares = [0, 0.25, 1].map(
      (share) => Array.from({ length: 10_000 }, () => keySpace.chance(share)).filter(Boolean).length,
    );
    expect(shares[0]).toBe(0);
    expect(Math.abs(shares[1]! - 2500)).toBeLessThan(200);
    expect(shares[2]).toBe(10_000);
  });
});
