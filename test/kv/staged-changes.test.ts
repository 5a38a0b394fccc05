import { describe, expect, it } from 'vitest';
import { MemoryStateDisk } from '../../src/kv/memory-state-store.ts';
import { Overlay } from '../../src/kv/overlay.ts';
import { StagedChanges } from '../../src/kv/staged-changes.ts';

const value = new Uint8Array([7]);
const everything = { prefix: '', limit: 100, bytesMax: 1_000_000 };

/** `a`, `b` and `c` at revision 1. */
function tableOfThree() {
  const { table } = new MemoryStateDisk();
  const overlay = new Overlay();
  for (const key of ['a', 'b', 'c']) overlay.set(key, { value, revision: 1 });
  table.apply(overlay, []);
  return table;
}

/** Over that: `b` is deleted and `c` put in a layer that is sealed, `b` and `d` put in one that is not, and `a` deleted. */
function twoLayers() {
  const staged = new StagedChanges(() => new Overlay());
  staged.set('b', null);
  staged.set('c', { value, revision: 2 });
  staged.seal(2, []);
  staged.set('b', { value, revision: 3 });
  staged.set('d', { value, revision: 4 });
  staged.set('a', null);
  return staged;
}

describe('staged changes', () => {
  it('hide older ones and the table, and leave to it what they do not change', () => {
    const table = tableOfThree();
    const staged = twoLayers();
    expect(['a', 'b', 'c', 'd', 'e'].map((key) => staged.get(key, table)?.revision)).toEqual([
      undefined,
      3,
      2,
      4,
      undefined,
    ]);
    staged.clear();
    expect(['a', 'b', 'c', 'd'].map((key) => staged.get(key, table)?.revision)).toEqual([1, 1, 1, undefined]);
  });

  it('are listed with the table as one, in order, each key once', () => {
    const { pairs, more, skipped } = twoLayers().range(everything, tableOfThree());
    expect(pairs.map(({ key, revision }) => [key, revision])).toEqual([
      ['b', 3],
      ['c', 2],
      ['d', 4],
    ]);
    expect({ more, skipped }).toEqual({ more: false, skipped: 1 });
  });

  it('are listed from behind a key on', () => {
    const { pairs } = twoLayers().range({ ...everything, after: 'b' }, tableOfThree());
    expect(pairs.map(({ key }) => key)).toEqual(['c', 'd']);
  });

  it('hide the table until what a checkpoint wrote of them is in it', () => {
    const table = tableOfThree();
    const staged = twoLayers();
    const { layer, appliedIndex } = staged.beginWrite();
    expect([appliedIndex, staged.get('c', table)?.revision, staged.sealedLayers]).toEqual([2, 2, 0]);
    table.apply(layer, []);
    staged.endWrite();
    expect(staged.layers().length).toBe(1);
    expect(['b', 'c'].map((key) => staged.get(key, table)?.revision)).toEqual([3, 2]);
  });
});
