import { describe, expect, test } from 'vitest';
import { type Ending, endingOf, nearnessOf, newsOf, type ToldEnding } from '../../src/tls/ending.ts';
import { tlsBelow, tlsOf } from './identities.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const soon = Date.UTC(2020, 0, 2);
const late = Date.UTC(2219, 10, 14);

/** The end of what is valid for so long. */
function validFor(lifeMs: number): Ending {
  return { part: 'cert', fromMs: 1e12, toMs: 1e12 + lifeMs };
}

describe('what ends first', () => {
  test.each([
    ['is the certificate', tlsOf('node'), 'cert', late],
    [
      'is the certificate of a client, whose authority it may not know',
      { ...tlsOf('node'), ca: tlsOf('stranger').ca },
      'cert',
      late,
    ],
    ['is its authority', tlsBelow(['ended-ca'], 'outlasting'), 'ca', soon],
    ['is no authority beside one that lasts', tlsBelow(['ended-ca', 'ended-ca-anew'], 'outlasting'), 'cert', late],
    ['is the authority behind one in between', tlsBelow(['ended-ca'], 'below', 'between'), 'ca', soon],
    ['is one in between', tlsBelow(['ended-ca-anew'], 'below', 'ended-between'), 'cert', soon],
    [
      'is none in between beside one that lasts',
      tlsBelow(['ended-ca-anew'], 'below', 'ended-between', 'between'),
      'cert',
      late,
    ],
  ])('%s', (_, identity, part, toMs) => {
    expect(endingOf(identity)).toEqual({ part, fromMs: Date.UTC(2020, 0, 1), toMs });
  });
});

test.each<[string, number, number, string]>([
  ['a year', 365 * dayMs, 14 * dayMs + 1, 'far'],
  ['a year', 365 * dayMs, 14 * dayMs, 'near'],
  ['a year', 365 * dayMs, dayMs, 'near'],
  ['a year', 365 * dayMs, dayMs - 1, 'lastDay'],
  ['a year', 365 * dayMs, 0, 'lastDay'],
  ['a year', 365 * dayMs, -1, 'over'],
  ['30 days', 30 * dayMs, 3 * dayMs + 1, 'far'],
  ['30 days', 30 * dayMs, 3 * dayMs, 'near'],
  ['a day', dayMs, 2.4 * hourMs + 1, 'far'],
  ['a day', dayMs, 2.4 * hourMs, 'lastDay'],
  ['a day', dayMs, -400 * dayMs, 'over'],
])('of %s (%i ms) with %i ms left the end is %s', (_, lifeMs, leftMs, nearness) => {
  const ending = validFor(lifeMs);
  expect(nearnessOf(ending, ending.toMs - leftMs)).toBe(nearness);
});

/** Hours before the end at which it is told of, by looks each quarter of an hour from `fromHours` before it to `toHours`. */
function toldAt(ending: Ending, fromHours: number, toHours: number): number[] {
  const times: number[] = [];
  let told: ToldEnding | undefined;
  for (let left = fromHours; left >= toHours; left -= 0.25) {
    const news = newsOf(ending, told, ending.toMs - left * hourMs);
    if (news !== undefined) times.push(left);
    told = news ?? told;
  }
  return times;
}

describe('an end is told of', () => {
  const ending = validFor(365 * dayMs);

  test('once a day from two weeks before on', () => {
    expect(toldAt(ending, 20 * 24, 11 * 24)).toEqual([14 * 24, 13 * 24, 12 * 24, 11 * 24]);
  });

  test('once an hour in the last day and when it is over, and at once when it comes so far', () => {
    expect(toldAt(ending, 30, 21)).toEqual([30, 23.75, 22.75, 21.75]);
    expect(toldAt(ending, 0.5, -2.5)).toEqual([0.5, -0.25, -1.25, -2.25]);
  });

  test('at once if it is another, though not a later one', () => {
    const nowMs = ending.toMs - 5 * dayMs;
    const told = newsOf(ending, undefined, nowMs);
    expect(newsOf(ending, told, nowMs)).toBeUndefined();
    expect(newsOf({ ...ending, toMs: ending.toMs - 1 }, told, nowMs)).toBeDefined();
  });

  test('though the clock was set back', () => {
    const told = newsOf(ending, undefined, ending.toMs - 2 * dayMs);
    expect(newsOf(ending, told, ending.toMs - 2.5 * dayMs)).toBeUndefined();
    expect(newsOf(ending, told, ending.toMs - 3 * dayMs)).toBeDefined();
  });
});
