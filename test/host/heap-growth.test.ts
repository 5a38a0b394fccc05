import { expect, it } from 'vitest';
import { HeapGrowth } from '../../src/host/heap-growth.ts';

/** What the heap may grow by, and when it is marked, after each period of two seconds, given how often it was collected in each. */
function settings(collections: readonly number[], isBackground = (_tick: number) => false) {
  let growth = 0;
  let marking = 0;
  let tick = 0;
  const host = {
    collections: () => (tick % 20 === 0 ? (collections[tick / 20] ?? 0) : 0),
    setGrowth: (percent: number) => {
      growth = percent;
    },
    setMarking: (percent: number) => {
      marking = percent;
    },
  };
  const heap = new HeapGrowth(host);
  const growths: number[] = [];
  const markings: number[] = [];
  for (; tick <= 20 * (collections.length - 1); tick++) {
    heap.tick(isBackground(tick), 2_000 + tick * 100);
    if (tick % 20 !== 0) continue;
    growths.push(growth);
    markings.push(marking);
  }
  return { growths, markings };
}

it('a heap grows by little until it is collected often, and then until it hardly is', () => {
  expect(settings([0, 1, 3, 4, 9, 3, 1, 0, 1]).growths).toEqual([70, 70, 70, 300, 300, 300, 300, 70, 70]);
});

it('after each trial of little that failed it is much for twice as many calm periods, until little has been enough for long', () => {
  const { growths } = settings([4, 0, 4, 0, 0, 4, 0, 0, 1, 0, 0, 0, 0, ...Array(17).fill(0), 4, 0, 0]);
  const [until, from] = [13, 30];
  expect(growths.slice(0, until)).toEqual([300, 70, 300, 300, 70, 300, 300, 300, 300, 300, 300, 300, 70]);
  expect(growths.slice(until, from)).toEqual(Array(17).fill(70));
  expect(growths.slice(from)).toEqual([300, 70, 70]);
});

it('a node that catches up lets it grow from the first moment', () => {
  expect(settings([0, 0, 0, 0, 0], (tick) => tick < 50).growths).toEqual([300, 300, 300, 70, 70]);
});

it('a heap that was not collected for two and a half seconds is marked early, until it is, unless the node catches up', () => {
  expect(settings([1, 0, 0, 0, 0, 1, 0]).markings).toEqual([0, 0, 20, 20, 20, 0, 0]);
  expect(settings([0, 0, 0, 0, 0, 0, 0], (tick) => tick < 50).markings).toEqual([0, 0, 0, 0, 20, 20, 20]);
});
