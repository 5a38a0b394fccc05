import { expect, it } from 'vitest';
import { type KeyOrder, KeyRows, type RowMerge } from '../../src/storage/state/key-rows.ts';

function drain(merge: RowMerge): number[] {
  const numbers: number[] = [];
  for (let number = merge.next(); number >= 0; number = merge.next()) numbers.push(number);
  return numbers;
}

/** Keys without order, each once, by their numbers. */
function scatteredKeys(count: number): number[] {
  return Array.from({ length: count }, (_, number) => (number * 7919) % 100_003);
}

function orderOf(keys: readonly number[]): KeyOrder {
  const compare = (a: number, b: number) => (keys[a] as number) - (keys[b] as number);
  return { compare, sort: (numbers) => numbers.sort(compare) };
}

function expectInOrder(rows: KeyRows, keys: readonly number[], size: number): void {
  for (const start of [0, 1, 50_000, 100_003]) {
    const expected = keys
      .slice(0, size)
      .filter((key) => key >= start)
      .sort((a, b) => a - b);
    const found = drain(rows.from(size, (number) => (keys[number] as number) < start));
    expect(found.map((number) => keys[number])).toEqual(expected);
  }
}

it('goes through the numbers in the order of their keys, from any key on, however many there are', () => {
  const keys = scatteredKeys(40_000);
  const rows = new KeyRows(orderOf(keys));
  for (let number = 0; number < keys.length; number++) {
    if ([0, 1, 255, 256, 257, 1000, 8192, 16_384, 16_385, 33_333].includes(number)) expectInOrder(rows, keys, number);
    rows.add(number);
  }
  expectInOrder(rows, keys, keys.length);
});

it('a copy stays as it is while numbers are added', () => {
  const keys = scatteredKeys(20_000);
  const rows = new KeyRows(orderOf(keys));
  for (let number = 0; number < 10_000; number++) rows.add(number);
  const copy = rows.copy(orderOf(keys));
  const merge = copy.from(10_000, () => false);
  const first = merge.next();
  for (let number = 10_000; number < 20_000; number++) rows.add(number);
  const all = [first, ...drain(merge)];
  expect(all.map((number) => keys[number])).toEqual(keys.slice(0, 10_000).sort((a, b) => a - b));
  expectInOrder(copy, keys, 10_000);
});

it('keeps nothing of an earlier read that is not so any more', () => {
  const keys = scatteredKeys(1_000);
  const rows = new KeyRows(orderOf(keys));
  for (let number = 0; number < keys.length; number++) {
    // As many behind the last whole row each time, but others; and twice at the same place.
    if (number % 256 === 5) for (let times = 0; times < 2; times++) expectInOrder(rows, keys, number);
    rows.add(number);
  }
});
