import fc from 'fast-check';
import { expect, it } from 'vitest';
import { KeyIndex } from '../../src/storage/state/key-index.ts';

function indexOf(): { index: KeyIndex; number: (key: string) => number } {
  const keys: string[] = [];
  const index = new KeyIndex((number, key) => keys[number] === key);
  return {
    index,
    number: (key) => {
      const number = index.numberOf(key);
      if (number === keys.length) keys.push(key);
      return number;
    },
  };
}

it('numbers keys in the order in which they come, and knows them again', () => {
  const key = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
    maxLength: 3,
  });
  fc.assert(
    fc.property(fc.array(key, { maxLength: 600 }), (keys) => {
      const { index, number } = indexOf();
      const twin = new Map<string, number>();
      for (const each of keys) {
        expect(index.find(each)).toBe(twin.get(each) ?? -1);
        if (!twin.has(each)) twin.set(each, twin.size);
        expect(number(each)).toBe(twin.get(each));
        expect(index.size).toBe(twin.size);
      }
      for (const [each, expected] of twin) expect(index.find(each)).toBe(expected);
    }),
  );
});

it('keeps hundreds of thousands of keys apart, however like each other they are', () => {
  const { index, number } = indexOf();
  const count = 300_000;
  for (let at = 0; at < count; at++) number(`${'k'.repeat(at % 40)}/${at}`);
  for (let at = 0; at < count; at++) number(`${'k'.repeat(at % 40)}/${at}`);
  expect(index.size).toBe(count);
  expect(index.find('k/-1')).toBe(-1);
});
