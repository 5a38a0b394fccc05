import { afterAll, describe, expect, it } from 'vitest';
import type { KvRecord } from '../../src/kv/state-store.ts';
import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { checkState } from '../../src/storage/state/state-check.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const keys = 20_000;
const changesPerCheckpoint = 6_000;
const checkpoints = 8;
/** From a record that shares its page with forty others to one on pages of its own. */
const valueBytes = [10, 90, 1_024, 1_900, 2_500, 9_000];

/** Numbers that look random and are the same in each run (a linear congruence, Numerical Recipes' constants). */
class Draw {
  #state = 1;

  below(end: number): number {
    this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * end);
  }
}

function isSame(found: KvRecord | undefined, { value, revision }: KvRecord): boolean {
  return found?.revision === revision && Buffer.compare(found.value, value) === 0;
}

describe('checkpoints of many changes', () => {
  it('leave what a plain map holds, in a sound tree, while the pages of former ones are used again', async () => {
    const path = scratch.fresh();
    const expected = new Map<string, KvRecord>();
    const draw = new Draw();
    let store = await LmdbStateStore.open(path);
    let index = 0;
    for (let round = 1; round <= checkpoints; round++) {
      for (let change = 0; change < changesPerCheckpoint; change++) {
        const key = `key-${draw.below(keys)}`;
        index++;
        if (draw.below(5) === 0) {
          expected.delete(key);
          store.delete(key);
        } else {
          const value = new Uint8Array(valueBytes[draw.below(valueBytes.length)] as number).fill(index % 256);
          expected.set(key, { value, revision: index });
          store.put(key, value, index);
        }
      }
      await checkpointAt(store, index);
      if (round % 4 > 0) continue;
      await store.close();
      const { problems, keys: count, isWhole } = await checkState(path);
      expect({ problems, count, isWhole }).toEqual({ problems: [], count: expected.size, isWhole: true });
      store = await LmdbStateStore.open(path);
      expect([...expected].filter(([key, record]) => !isSame(store.get(key), record))).toEqual([]);
    }
    await store.close();
  });
});

describe('a checkpoint of more pages than one transaction may hold changed', () => {
  it('is written all the same', async () => {
    const path = scratch.fresh();
    const store = await LmdbStateStore.open(path);
    // Each value has pages of its own beside a place in a leaf.
    const count = 36_000;
    for (let at = 0; at < count; at++) store.put(`key-${at * 7919}`, new Uint8Array(2_100).fill(at % 256), at + 1);
    await checkpointAt(store, count);
    await store.close();
    const { problems, keys: found, isWhole } = await checkState(path);
    expect({ problems, found, isWhole }).toEqual({ problems: [], found: count, isWhole: true });
  });
});

describe('what a checkpoint writes', () => {
  it('is told in pages: of small changes as many as hold their keys, at most one for each and their bytes', async () => {
    const store = await LmdbStateStore.open(scratch.fresh());
    expect(store.rowPages).toBe(0);
    for (let at = 0; at < 4_000; at++) store.put(`key-${at}`, new Uint8Array(1_024), at + 1);
    // Of a store that is empty nothing is written anew: what comes to it fills pages of its own.
    expect(store.stagedPages).toBeGreaterThan(1_000);
    expect(store.stagedPages).toBeLessThan(1_300);
    await checkpointAt(store, 4_000);
    expect(store.stagedPages).toBe(0);
    // Two or three of them fit into a page.
    expect(store.rowPages).toBeGreaterThan(4_000 / 3);
    expect(store.rowPages).toBeLessThan(4_000 / 2 + 10);
    for (let at = 0; at < 100; at++) store.put(`key-${at * 40}`, new Uint8Array(10), 5_000 + at);
    expect(store.stagedPages).toBeGreaterThan(90);
    expect(store.stagedPages).toBeLessThan(105);
    await store.close();
  });
});
