import { expect, it } from 'vitest';
import { StagedPairs } from '../../src/storage/staged-pairs.ts';
import { ChunkPool } from '../../src/storage/state-batch.ts';

const recordOf = (byte: number, length = 100) => ({ value: new Uint8Array(length).fill(byte), revision: 5 });

it('a change of the same size is written over the one before, and counted', () => {
  const staged = new StagedPairs(new ChunkPool(), 0);
  staged.set('key', recordOf(0));
  const { memoryBytes } = staged;
  for (let byte = 1; byte <= 50; byte++) staged.set('key', recordOf(byte));
  expect(staged.memoryBytes).toBe(memoryBytes);
  expect(staged.overwrittenBytes).toBeGreaterThan(50 * 100);
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
