import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SortedKeys } from '../../src/kv/sorted-keys.ts';

/** Byte strings that often begin alike, as keys do, and are often each other's prefixes. */
const key = fc
  .tuple(fc.constantFrom('', 'svc/', 'svc/api/', '\0', '\xff\xff'), fc.array(fc.constantFrom(0, 1, 97, 98, 255)))
  .map(([prefix, bytes]) => prefix + String.fromCharCode(...bytes));

const manyKeys = fc.array(key, { minLength: 600, maxLength: 1500 });

it('lists what was added, in order, however adding, listing and filtering alternate', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(manyKeys, key, fc.boolean()), { maxLength: 8 }), (steps) => {
      const keys = new SortedKeys();
      let model = new Set<string>();
      for (const [added, start, isFiltered] of steps) {
        for (const each of new Set(added)) if (!model.has(each)) keys.add(each);
        model = new Set([...model, ...added]);
        if (isFiltered) {
          const isKept = (each: string) => each.length % 2 === 0;
          keys.filter(isKept);
          model = new Set([...model].filter(isKept));
        }
        const expected = [...model].filter((each) => each >= start).sort();
        expect([...keys.from(start)]).toEqual(expected);
        expect([...keys.clone().from(start)]).toEqual(expected);
      }
    }),
    { numRuns: 50 },
  );
});
