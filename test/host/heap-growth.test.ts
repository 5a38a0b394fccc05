import { expect, it } from 'vitest';
import { HeapGrowth } from '../../src/host/heap-growth.ts';

/** What the heap may grow by after each tick, one every 100 ms, given how often it was collected in each period of two seconds. */
function growths(collections: readonly number[], isBackground = (_tick: number) => false): number[] {
  let growth = 0;
  let period = 0;
  const host = {
    collections: () => collections[period++] ?? 0,
    setGrowth: (percent: number) => {
      growth = percent;
    },
  };
  const heap = new HeapGrowth(host);
  const found: number[] = [];
  for (let tick = 0; tick <= 20 * (collections.length - 1); tick++) {
    heap.tick(isBackground(tick), 2_000 + tick * 100);
    if (tick % 20 === 0) found.push(growth);
  }
  return found;
}

it('a heap grows by little until it is collected often, and then until it hardly is', () => {
  expect(growths([0, 1, 3, 4, 9, 3, 1, 0, 1])).toEqual([70, 70, 70, 300, 300, 300, 300, 70, 70]);
});

it('a node that catches up lets it grow from the first moment', () => {
  expect(growths([0, 0, 0, 0, 0], (tick) => tick < 50)).toEqual([300, 300, 300, 70, 70]);
});
