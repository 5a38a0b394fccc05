import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Call } from '../../src/client/call.ts';
import { SentCalls } from '../../src/client/sent-calls.ts';

/** Any object will do: only which one it is counts. */
const call = (): Call => ({}) as Call;

/** Steps on ids that count up: a new call, the end of one that is so many before the newest, and no more of any. */
const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ type: fc.constant('set' as const), skip: fc.nat({ max: 70 }) }) },
    { weight: 6, arbitrary: fc.record({ type: fc.constant('delete' as const), back: fc.nat({ max: 400 }) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('clear' as const) }) },
  ),
  { maxLength: 400 },
);

describe('calls on their way', () => {
  it('are those of a map, whatever comes and goes', () => {
    fc.assert(
      fc.property(steps, (run) => {
        const calls = new SentCalls();
        const map = new Map<number, Call>();
        let newest = 0;
        for (const step of run) {
          if (step.type === 'set') {
            newest += 1 + step.skip;
            const added = call();
            calls.set(newest, added);
            map.set(newest, added);
          } else if (step.type === 'delete') {
            calls.delete(newest - step.back);
            map.delete(newest - step.back);
          } else {
            calls.clear();
            map.clear();
          }
          expect(calls.size).toBe(map.size);
          expect(calls.get(newest)).toBe(map.get(newest));
        }
        expect(new Map(calls)).toEqual(map);
        for (const [id, each] of map) expect(calls.get(id)).toBe(each);
        expect(new Set(calls.values())).toEqual(new Set(map.values()));
      }),
    );
  });

  it('may be deleted while all are gone through, and set twice', () => {
    const calls = new SentCalls();
    // The first is overtaken by a round of the ring, again and again.
    const first = call();
    for (const id of [1, 65, 129, 193, 2, 3]) calls.set(id, id === 1 ? first : call());
    calls.set(1, first);
    expect(calls.size).toBe(6);
    const seen: number[] = [];
    for (const [id] of calls) {
      seen.push(id);
      calls.delete(id);
    }
    expect(seen.sort((a, b) => a - b)).toEqual([1, 2, 3, 65, 129, 193]);
    expect(calls.size).toBe(0);
    expect([...calls]).toEqual([]);
  });
});
