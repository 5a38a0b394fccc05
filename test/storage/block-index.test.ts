import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BlockIndex } from '../../src/storage/log/block-index.ts';

type Block = readonly [first: number, segment: number, offset: number, length: number];

const steps = fc.array(
  fc.oneof(
    {
      weight: 20,
      arbitrary: fc.record({ type: fc.constant('push' as const), entries: fc.integer({ min: 1, max: 5 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        type: fc.constant('dropBelow' as const),
        share: fc.double({ min: 0, max: 1, noNaN: true }),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ type: fc.constant('cut' as const), share: fc.double({ min: 0.5, max: 1, noNaN: true }) }),
    },
  ),
  { maxLength: 600 },
);

test('blocks are found as in a list of them, whatever is pushed, cut and dropped', () => {
  fc.assert(
    fc.property(steps, (run) => {
      const index = new BlockIndex();
      let blocks: Block[] = [];
      let end = 0;
      for (const step of run) {
        const at = (share: number): number => {
          const from = blocks[0]?.[0] ?? end;
          return from + Math.round(share * (end - from));
        };
        if (step.type === 'push') {
          const block: Block = [end, Math.floor(end / 50), end % 50, step.entries];
          index.push(...block);
          blocks.push(block);
          end += step.entries;
        } else if (step.type === 'dropBelow') {
          const below = at(step.share);
          index.dropBelow(below, end);
          blocks = blocks.filter((_, position) => (blocks[position + 1]?.[0] ?? end) > below);
        } else {
          end = at(step.share);
          index.cut(end);
          blocks = blocks.filter(([first]) => first < end);
        }
        expect(index.count).toBe(blocks.length);
      }
      blocks.forEach(([first, segment, offset, length], position) => {
        expect(index.first(position)).toBe(first);
        expect(index.place(position)).toEqual({ segment, offset, length });
        expect(index.find(first)).toBe(position);
        expect(index.find((blocks[position + 1]?.[0] ?? end) - 1)).toBe(position);
        expect(index.firstIn(segment)).toBe(blocks.find(([, other]) => other >= segment)?.[0]);
      });
      expect(index.first(blocks.length)).toBeUndefined();
      expect(index.segment(blocks.length)).toBeUndefined();
    }),
    { numRuns: 200 },
  );
});

test('room is used again: many blocks that come and go take no more than those that are there at a time', () => {
  const index = new BlockIndex();
  for (let first = 0; first < 100_000; first++) {
    index.push(first, 1, first, 1);
    if (first >= 100) index.dropBelow(first - 100, first + 1);
  }
  expect(index.count).toBe(101);
  expect(index.first(0)).toBe(99_899);
  expect(index.place(100)).toEqual({ segment: 1, offset: 99_999, length: 1 });
});
