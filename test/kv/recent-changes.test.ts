import fc from 'fast-check';
import { expect, it } from 'vitest';
import { RecentChanges } from '../../src/kv/recent-changes.ts';

const key = fc.constantFrom('a', 'b', 'ab', 'abc', 'long'.repeat(8));
/** A change of this key so many revisions behind the last one; a restart instead of every tenth. */
const step = fc.record({ key, skipped: fc.integer({ min: 1, max: 3 }), isRestart: fc.nat(9).map((n) => n === 0) });

it('tells exactly what changed behind a revision, or that it does not know', () => {
  fc.assert(
    fc.property(
      fc.array(step, { maxLength: 60 }),
      fc.integer({ min: 1, max: 12 }),
      fc.integer({ min: 1, max: 60 }),
      (steps, changesMax, keyBytesMax) => {
        const recent = new RecentChanges(5, { changesMax, keyBytesMax });
        let all: { key: string; revision: number }[] = [];
        let knownFrom = 5;
        let revision = 5;
        for (const { key: changed, skipped, isRestart } of steps) {
          revision += skipped;
          if (isRestart) {
            recent.restart(revision);
            all = [];
            knownFrom = revision;
          } else {
            recent.note(changed, revision);
            all.push({ key: changed, revision });
          }
        }
        for (let since = 0; since <= revision + 1; since++) {
          const isWanted = (name: string) => name.startsWith('a');
          const told = recent.since(since, isWanted);
          if (since < knownFrom) expect(told).toBeUndefined();
          if (told === undefined) continue;
          const behind = all.filter((change) => change.revision > since && isWanted(change.key));
          const last = new Map(behind.map((change) => [change.key, change.revision]));
          expect([...told]).toEqual([...last].sort(([, a], [, b]) => a - b));
          for (const name of ['a', 'ab', 'c']) {
            const only = recent.since(since, (changed) => changed === name);
            expect(recent.ofKey(name, since)).toEqual(only);
          }
          expect(recent.countBehind(since)).toBe(all.filter((change) => change.revision > since).length);
        }
      },
    ),
  );
});

it('remembers as many changes, and bytes of keys, as it may', () => {
  const recent = new RecentChanges(0, { changesMax: 3, keyBytesMax: 10 });
  for (let revision = 1; revision <= 5; revision++) recent.note('k', revision);
  expect(
    recent.since(1, () => true),
    'revision 2 is forgotten',
  ).toBeUndefined();
  expect(recent.since(2, () => true)).toEqual(new Map([['k', 5]]));
  recent.note('123456789', 6);
  expect(recent.since(4, () => true)).toEqual(
    new Map([
      ['k', 5],
      ['123456789', 6],
    ]),
  );
  recent.note('more than ten bytes', 7);
  expect(recent.since(5, () => true)).toBeUndefined();
  expect(recent.since(6, () => true)).toEqual(new Map([['more than ten bytes', 7]]));
});
