import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RecentMap } from '../../src/base/recent-map.ts';

/** Steps on keys that count up: a new entry, another value or the end of one that is so many before the newest, and no more of any. */
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('add' as const), skip: fc.nat({ max: 70 }) }) },
    { weight: 2, arbitrary: fc.record({ type: fc.constant('set' as const), back: fc.nat({ max: 300 }) }) },
    { weight: 6, arbitrary: fc.record({ type: fc.constant('delete' as const), back: fc.nat({ max: 300 }) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('clear' as const) }) },
  ),
  { maxLength: 400 },
);

describe('a map of what is recent', () => {
  it('has the entries of a map, in order, whatever comes and goes', () => {
    fc.assert(
      fc.property(steps, (run) => {
        const recent = new RecentMap<object>();
        const map = new Map<number, object>();
        let newest = 0;
        for (const step of run) {
          if (step.type === 'add') newest += step.skip;
          const key = Math.max(0, newest - ('back' in step ? step.back : 0));
          if (step.type === 'add' || step.type === 'set') {
            const value = {};
            recent.set(key, value);
            map.set(key, value);
          } else if (step.type === 'delete') expect(recent.delete(key)).toBe(map.delete(key));
          else {
            recent.clear();
            map.clear();
          }
          expect(recent.size).toBe(map.size);
          expect(recent.get(key)).toBe(map.get(key));
        }
        const inOrder = [...map].sort(([a], [b]) => a - b);
        expect([...recent]).toEqual(inOrder);
        expect([...recent.keys()]).toEqual(inOrder.map(([key]) => key));
        expect([...recent.values()]).toEqual(inOrder.map(([, value]) => value));
        for (const [key, value] of map) expect(recent.get(key)).toBe(value);
      }),
      { numRuns: 300 },
    );
  });

  it('may lose entries while it is gone through', () => {
    const recent = new RecentMap<string>();
    // The first is overtaken by rounds of the ring, again and again.
    for (const key of [1, 65, 129, 193, 2, 3]) recent.set(key, `${key}`);
    const seen: number[] = [];
    for (const [key] of recent) {
      seen.push(key);
      recent.delete(key);
      recent.delete(3);
    }
    expect(seen).toEqual([1, 2, 65, 129, 193]);
    expect(recent.size).toBe(0);
  });
});
