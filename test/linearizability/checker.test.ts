import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkHistory, type Operation, type Verdict } from './checker.ts';

type Times = readonly [invoked: number, returned: number | undefined];

const put = (value: string, [invoked, returned]: Times): Operation => ({
  type: 'put',
  key: 'k',
  value,
  invoked,
  returned,
});
const remove = ([invoked, returned]: Times): Operation => ({ type: 'delete', key: 'k', invoked, returned });
const get = (value: string | undefined, [invoked, returned]: Times): Operation => ({
  ...{ type: 'get', key: 'k', value, invoked, returned },
});

describe('right histories', () => {
  const right: [string, Operation[]][] = [
    ['nothing at all', []],
    ['a key that is not there', [get(undefined, [0, 1])]],
    ['one after the other', [put('a', [0, 1]), get('a', [2, 3]), remove([4, 5]), get(undefined, [6, 7])]],
    ['a read that overlaps a put sees the old value', [put('a', [0, 1]), put('b', [2, 5]), get('a', [3, 4])]],
    ['a read that overlaps a put sees the new value', [put('a', [0, 1]), put('b', [2, 5]), get('b', [3, 4])]],
    ['concurrent puts in either order', [put('a', [0, 5]), put('b', [0, 5]), get('b', [6, 7]), get('b', [8, 9])]],
    ['times that touch are concurrent', [put('a', [0, 1]), get(undefined, [1, 2])]],
    [
      'an unknown put that is never seen',
      [put('a', [0, 1]), put('b', [2, undefined]), get('a', [3, 4]), get('a', [9, 10])],
    ],
    [
      'an unknown put that is seen later',
      [put('a', [0, 1]), put('b', [2, undefined]), get('a', [3, 4]), get('b', [9, 10])],
    ],
    [
      'an unknown put that takes effect after another put',
      [put('b', [0, undefined]), put('a', [1, 2]), get('b', [3, 4])],
    ],
    [
      'an unknown delete that is seen',
      [put('a', [0, 1]), remove([2, undefined]), get('a', [3, 4]), get(undefined, [5, 6])],
    ],
    ['a get without an answer', [put('a', [0, 1]), get(undefined, [2, undefined])]],
    ['a value written twice', [put('a', [0, 1]), put('b', [2, 3]), put('a', [4, 5]), get('a', [6, 7])]],
    [
      'the same value from two puts around another',
      [put('a', [0, 10]), put('a', [0, 10]), put('b', [0, 10]), get('a', [1, 2]), get('b', [3, 4]), get('a', [5, 6])],
    ],
    ['a put that is unseen between reads', [put('a', [0, 1]), put('b', [2, 9]), get('a', [3, 4]), get('a', [5, 10])]],
  ];
  it.each(right)('%s', (_name, history) => {
    expect(checkHistory(history)).toEqual({ ok: true });
    expect(isLinearizable(history)).toBe(true);
  });
});

describe('wrong histories', () => {
  const wrong: [string, Operation[]][] = [
    ['a stale read', [put('a', [0, 1]), put('b', [2, 3]), get('a', [4, 5])]],
    ['a stale read of nothing', [put('a', [0, 1]), get(undefined, [2, 3])]],
    ['a lost update', [put('a', [0, 1]), put('b', [2, 3]), get('a', [4, 5]), get('a', [6, 7])]],
    ['a lost delete', [put('a', [0, 1]), remove([2, 3]), get('a', [4, 5])]],
    ['a value from nowhere', [put('a', [0, 1]), get('z', [2, 3])]],
    ['a value from the future', [get('a', [0, 1]), put('a', [2, 3])]],
    ['a read that goes back', [put('a', [0, 1]), put('b', [2, 9]), get('b', [3, 4]), get('a', [5, 6])]],
    ['two readers who see two orders', [put('a', [0, 1]), put('b', [0, 1]), get('a', [2, 3]), get('b', [4, 5])]],
    [
      'an unknown put that comes and goes',
      [put('a', [0, 1]), put('b', [2, undefined]), get('b', [3, 4]), get('a', [5, 6])],
    ],
    ['an unknown put that is seen before it began', [get('b', [0, 1]), put('b', [2, undefined])]],
    [
      'an unknown put that takes effect twice',
      [put('b', [0, undefined]), get('b', [1, 2]), put('a', [3, 4]), get('a', [5, 6]), get('b', [7, 8])],
    ],
    ['a delete that is undone', [put('a', [0, 1]), remove([2, undefined]), get(undefined, [3, 4]), get('a', [5, 6])]],
  ];
  it.each(wrong)('%s', (_name, history) => {
    expect(checkHistory(history)).toMatchObject({ ok: false, key: 'k' });
    expect(isLinearizable(history)).toBe(false);
  });

  it('are explained', () => {
    const history = [put('a', [0, 1]), put('b', [2, 3]), { ...get('a', [4, 5]), client: 7 }];
    const { explanation } = checkHistory(history) as Exclude<Verdict, { ok: true }>;
    expect(explanation).toContain('at most 1 can be put in order');
    expect(explanation).toContain('the value is "a"');
    expect(explanation).toContain('client 7 get → "a" [4, 5]');
  });

  it('are found on the one key among many', () => {
    const fine = Array.from({ length: 20 }, (_, at) => ({ ...put('a', [0, 1]), key: `k${at}` }));
    const stale = { ...get(undefined, [2, 3]), key: 'k13' };
    expect(checkHistory([...fine, stale])).toMatchObject({ ok: false, key: 'k13' });
  });
});

it('refuses what is no history', () => {
  expect(() => checkHistory([put('a', [2, 1])])).toThrow('returned at 1, before its invocation at 2');
  expect(() => checkHistory([{ ...put('a', [0, 1]), value: undefined }])).toThrow('has no value');
});

describe('the dumb twin, which tries every order,', () => {
  const times = fc.tuple(fc.nat(12), fc.nat(5)).map(([invoked, length]): Times => [invoked, invoked + length]);
  const maybeUnknown = fc.oneof(
    { weight: 4, arbitrary: times },
    times.map(([invoked]): Times => [invoked, undefined]),
  );
  const value = fc.constantFrom('a', 'b', 'c');
  const anyOperation = fc.oneof(
    { weight: 3, arbitrary: fc.tuple(value, maybeUnknown).map(([v, when]) => put(v, when)) },
    { weight: 1, arbitrary: maybeUnknown.map(remove) },
    { weight: 4, arbitrary: fc.tuple(fc.option(value, { nil: undefined }), times).map(([v, when]) => get(v, when)) },
  );

  it('agrees on any small history', () => {
    const counts = { right: 0, wrong: 0 };
    fc.assert(
      fc.property(fc.array(anyOperation, { maxLength: 8 }), (history) => {
        const expected = isLinearizable(history);
        counts[expected ? 'right' : 'wrong']++;
        expect(checkHistory(history).ok).toBe(expected);
      }),
      { numRuns: 4000 },
    );
    expect(Math.min(counts.right, counts.wrong)).toBeGreaterThan(400);
  });

  it('agrees on small histories that are nearly right', () => {
    const counts = { right: 0, wrong: 0 };
    fc.assert(
      fc.property(fc.integer(), fc.nat(5), (seed, changes) => {
        const random = randomOf(seed);
        const history = run(random, { count: 8, clients: 3, values: 3, unknownShare: 0.1 });
        for (let change = 0; change < changes; change++) corrupt(history, random);
        const expected = isLinearizable(history);
        counts[expected ? 'right' : 'wrong']++;
        expect(checkHistory(history).ok).toBe(expected);
      }),
      { numRuns: 4000 },
    );
    expect(Math.min(counts.right, counts.wrong)).toBeGreaterThan(400);
  });
});

describe('long histories with 64 clients on one key', () => {
  const shapes = [
    ['distinct values', { values: Infinity, unknownShare: 0.02 }],
    ['few values, often repeated', { values: 5, unknownShare: 0.02 }],
    ['many unknown outcomes', { values: Infinity, unknownShare: 0.3 }],
  ] as const;

  it.each(shapes)('with %s are accepted', (_name, shape) => {
    for (let seed = 1; seed <= 3; seed++) {
      expect(checkHistory(run(randomOf(seed), { count: 5000, clients: 64, ...shape }))).toEqual({ ok: true });
    }
  });

  it.each(shapes)('with %s: one read that is wrong is found', (_name, shape) => {
    for (let seed = 1; seed <= 3; seed++) {
      const history = run(randomOf(seed), { count: 5000, clients: 64, ...shape });
      history.push(get('never written', [100, 101]));
      expect(checkHistory(history)).toMatchObject({ ok: false });
    }
  });

  it('with distinct values: one stale read is found, early or late', () => {
    for (const share of [0.1, 0.5, 0.9]) {
      const history = run(randomOf(5), { count: 5000, clients: 64, values: Infinity, unknownShare: 0.02 });
      const reads = history.filter((op) => op.type === 'get' && op.returned !== undefined && op.value !== undefined);
      const stale = reads[Math.floor(reads.length * share)] as Operation;
      const end = Math.max(...history.map((op) => op.returned ?? 0));
      // What was read once is read again when all is over, though much was written since.
      history.push(get(stale.value, [end + 1, end + 2]));
      expect(checkHistory(history)).toMatchObject({ ok: false });
    }
  });
});

// What the tests above are made of

/** Tries every order. */
function isLinearizable(history: readonly Operation[], value?: string): boolean {
  const mustCome = history.filter((op) => op.returned !== undefined);
  if (mustCome.length === 0) return true;
  const horizon = Math.min(...mustCome.map((op) => op.returned as number));
  return history.some((op, at) => {
    if (op.invoked > horizon || (op.type === 'get' && op.returned !== undefined && op.value !== value)) return false;
    const next = op.type === 'get' ? value : op.type === 'put' ? op.value : undefined;
    return isLinearizable(history.toSpliced(at, 1), next);
  });
}

type Random = () => number;

/** A small generator with a seed (mulberry32). */
function randomOf(seed: number): Random {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

interface RunShape {
  readonly count: number;
  readonly clients: number;
  /** How many different values are written; Infinity: each one once. */
  readonly values: number;
  readonly unknownShare: number;
}

/** What clients would see of one correct register: each operation takes effect at a moment between its two times. */
function run(random: Random, { count, clients, values, unknownShare }: RunShape): Operation[] {
  const free = new Array<number>(clients).fill(0);
  const planned = Array.from({ length: count }, (_, at) => {
    const client = free.indexOf(Math.min(...free));
    const invoked = (free[client] ?? 0) + random();
    const takesEffect = invoked + random() * 10;
    const returned = takesEffect + random() * 10;
    free[client] = returned;
    return { at, client, invoked, takesEffect, returned };
  });
  planned.sort((a, b) => a.takesEffect - b.takesEffect);
  let value: string | undefined;
  return planned.map(({ at, client, invoked, returned }) => {
    const isUnknown = random() < unknownShare;
    const base = { key: 'k', client, invoked, returned: isUnknown ? undefined : returned };
    const dice = random();
    if (dice < 0.5) return { ...base, type: 'get', value };
    const next = dice < 0.55 ? undefined : values === Infinity ? `v${at}` : `v${Math.floor(random() * values)}`;
    // Half of what is unknown never took effect.
    if (!isUnknown || random() < 0.5) value = next;
    return next === undefined ? { ...base, type: 'delete' } : { ...base, type: 'put', value: next };
  });
}

/** Changes what one read saw. */
function corrupt(history: Operation[], random: Random): void {
  const at = Math.floor(random() * history.length);
  const operation = history[at];
  const other = history[Math.floor(random() * history.length)];
  if (operation?.type === 'get') history[at] = { ...operation, value: other?.value };
}
