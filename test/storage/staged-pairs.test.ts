import { expect, it } from 'vitest';
import { StagedPairs } from '../../src/storage/state/staged-pairs.ts';
import { ChunkPool } from '../../src/storage/state/state-batch.ts';

const recordOf = (byte: number, length = 100) => ({ value: new Uint8Array(length).fill(byte), revision: 5 });

it('a change of the same size is written over the one before', () => {
  const staged = new StagedPairs(new ChunkPool(), 0);
  staged.set('key', recordOf(0));
  const { memoryBytes } = staged;
  for (let byte = 1; byte <= 50; byte++) staged.set('key', recordOf(byte));
  expect(staged.memoryBytes).toBe(memoryBytes);
  expect(staged.get('key')).toEqual(recordOf(50));
});

it('but not while a snapshot reads that, nor where it takes another size or the key goes', () => {
  const staged = new StagedPairs(new ChunkPool(), 0);
  staged.set('key', recordOf(1));
  const frozen = staged.freeze();
  staged.set('key', recordOf(2));
  const [row] = [...frozen.over([], undefined)];
  expect(row?.[1].subarray(-100)).toEqual(recordOf(1).value);
  frozen.close();
  for (const change of [recordOf(3, 99), null, recordOf(4), null]) {
    const { memoryBytes } = staged;
    staged.set('key', change);
    expect(staged.memoryBytes).toBeGreaterThan(memoryBytes);
    expect(staged.get('key')).toEqual(change);
  }
});

/** Keys of several lengths, some of which begin with others, and what each becomes: every seventh goes. */
function manyChanges(count: number): Map<string, ReturnType<typeof recordOf> | null> {
  const keyOf = (number: number) => `k${((number * 7919) % 9973).toString(36)}${number % 3 === 0 ? '\xff' : ''}`;
  return new Map(Array.from({ length: count }, (_, at) => [keyOf(at), at % 7 === 0 ? null : recordOf(at % 256, 8)]));
}

it('changes are listed in the order of their keys, from any key on, and within a prefix', () => {
  const changes = manyChanges(5_000);
  const staged = new StagedPairs(new ChunkPool(), 0);
  for (const [key, change] of changes) staged.set(key, change);
  for (const [from, prefix] of [
    ['k', 'k'],
    ['k5', 'k5'],
    ['k5zz', 'k'],
    ['l', 'l'],
  ] as const) {
    const expected = [...changes.keys()].filter((key) => key >= from && key.startsWith(prefix)).sort();
    const listed = [...staged.scan(from, prefix)];
    expect(listed.map(({ key }) => key)).toEqual(expected);
    for (const { key, change } of listed) expect(change).toEqual(changes.get(key));
  }
});

it('a snapshot of many changes hides, joins and removes rows of the table, from any key on', () => {
  const changes = manyChanges(5_000);
  const staged = new StagedPairs(new ChunkPool(), 0);
  for (const [key, change] of changes) staged.set(key, change);
  const frozen = staged.freeze();
  // What comes later is none of its business.
  for (const key of [...changes.keys(), 'k', 'zz']) staged.set(key, null);
  const old = new Uint8Array([1]);
  const table = new Map(
    ['a', ...[...changes.keys()].filter((_, at) => at % 2 === 0), 'k0!', 'z'].map((key) => [key, old]),
  );
  const kept = [...table.keys(), ...changes.keys()].filter((key) => changes.get(key) !== null);
  for (const after of [undefined, 'a', 'k5', [...changes.keys()].sort()[1234], 'zzz']) {
    const isBehind = (key: string) => after === undefined || key > after;
    const rows = [...table].filter(([key]) => isBehind(key)).sort(([a], [b]) => (a < b ? -1 : 1));
    const seen = [...frozen.over(rows, after)];
    expect(seen.map(([key]) => key)).toEqual([...new Set(kept.filter(isBehind))].sort());
    for (const [key, record] of seen) {
      const change = changes.get(key);
      expect(record.subarray(-8)).toEqual(change ? change.value : old);
    }
  }
  const keys = [...changes.keys()].sort();
  expect(frozen.keyBehind(undefined, 1)).toBe(keys[0]);
  expect(frozen.keyBehind(keys[9], 3_000)).toBe(keys[3_009]);
  expect(frozen.keyBehind(keys[9], keys.length)).toBeUndefined();
  frozen.close();
});
