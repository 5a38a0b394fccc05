import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sessionWindowMax } from '../../src/kv/client-session.ts';
import type { Outcome } from '../../src/kv/outcome.ts';
import { SessionTable } from '../../src/kv/session-table.ts';
import type { SessionRow } from '../../src/kv/state-store.ts';

type Answer = Outcome | 'applied';
const refused = (reason: string) => ({ type: 'refused', reason });

/** Runs one command through the table as the state machine does. */
function run(table: SessionTable, index: number, id: number, number: number, acknowledgedBelow = 0): Answer {
  const session = table.use(id, index);
  if (session === undefined) return { type: 'refused', reason: 'sessionExpired' };
  const answer = session.admit(number, acknowledgedBelow);
  if (answer !== undefined) return answer;
  session.record(number, { type: 'put', revision: index + 1 });
  return 'applied';
}

/** What a store would hold after these changes. */
class Rows {
  readonly #rows = new Map<number, SessionRow>();

  take(table: SessionTable): SessionRow[] {
    for (const { id, bytes } of table.takeChanges()) {
      if (bytes === undefined) this.#rows.delete(id);
      else this.#rows.set(id, { id, bytes });
    }
    return [...this.#rows.values()];
  }
}

describe('a session', () => {
  it('has the index of its entry plus one as id, so that it is never 0 and never given twice', () => {
    const table = new SessionTable();
    expect(table.open(0)).toBe(1);
    expect(table.open(41)).toBe(42);
  });

  it('answers a number that it knows with the first outcome', () => {
    const table = new SessionTable();
    const id = table.open(0);
    expect(run(table, 1, id, 5)).toBe('applied');
    expect(run(table, 2, id, 5)).toEqual({ type: 'put', revision: 2 });
    expect(table.answerOf(id, 5)).toEqual({ type: 'put', revision: 2 });
    expect(table.answerOf(id, 6)).toBeUndefined();
    expect(table.answerOf(99, 5)).toBeUndefined();
  });

  it('refuses numbers that the client acknowledged, and keeps their outcomes no longer', () => {
    const table = new SessionTable();
    const id = table.open(0);
    run(table, 1, id, 0);
    run(table, 2, id, 1);
    expect(run(table, 3, id, 2, 2)).toBe('applied');
    expect(run(table, 4, id, 1)).toEqual(refused('numberForgotten'));
    expect(table.answerOf(id, 1)).toBeUndefined();
    expect(table.answerOf(id, 2)).toBeDefined();
  });

  it('never lowers what was acknowledged', () => {
    const table = new SessionTable();
    const id = table.open(0);
    run(table, 1, id, 9, 9);
    expect(run(table, 2, id, 10, 3)).toBe('applied');
    expect(run(table, 3, id, 8, 3)).toEqual(refused('numberForgotten'));
  });

  it('refuses a number past its window, does not store it, and takes it once the client has acknowledged', () => {
    const table = new SessionTable();
    const id = table.open(0);
    expect(run(table, 1, id, sessionWindowMax - 1)).toBe('applied');
    expect(run(table, 2, id, sessionWindowMax)).toEqual(refused('windowExceeded'));
    expect(table.answerOf(id, sessionWindowMax)).toBeUndefined();
    expect(run(table, 3, id, sessionWindowMax, 1)).toBe('applied');
  });

  it('forgets in a moment however far the client jumps', () => {
    const table = new SessionTable();
    const id = table.open(0);
    run(table, 1, id, 3);
    expect(run(table, 2, id, 2 ** 50, 2 ** 50)).toBe('applied');
    expect(table.answerOf(id, 3)).toBeUndefined();
  });

  it('that is not known is expired', () => {
    expect(run(new SessionTable(), 0, 7, 0)).toEqual(refused('sessionExpired'));
    expect(run(new SessionTable(), 0, 0, 0)).toEqual(refused('sessionExpired'));
  });
});

describe('a full table', () => {
  it('drops the least recently used session, and only that', () => {
    const table = new SessionTable({ sessionsMax: 3 });
    const [a, b, c] = [table.open(0), table.open(1), table.open(2)];
    run(table, 3, a, 0);
    run(table, 4, c, 0);
    table.open(5);
    expect(table.size).toBe(3);
    expect(run(table, 6, b, 0)).toEqual(refused('sessionExpired'));
    expect(run(table, 7, a, 1)).toBe('applied');
    expect(run(table, 8, c, 1)).toBe('applied');
  });

  it('counts a refused command and a retry as use', () => {
    const table = new SessionTable({ sessionsMax: 2 });
    const [a, b] = [table.open(0), table.open(1)];
    run(table, 2, a, sessionWindowMax);
    table.open(3);
    expect(table.use(b, 4)).toBeUndefined();
    expect(table.use(a, 5)).toBeDefined();
  });

  it('drops the same one after a restart from stored rows', () => {
    const table = new SessionTable({ sessionsMax: 3 });
    const [a, b, c] = [table.open(0), table.open(1), table.open(2)];
    run(table, 3, a, 0);
    run(table, 4, b, 0);
    const restarted = new SessionTable({ sessionsMax: 3 });
    restarted.load(new Rows().take(table).reverse());
    for (const twin of [table, restarted]) {
      twin.open(5);
      expect(twin.answerOf(a, 0)).toBeDefined();
      expect(twin.use(c, 6)).toBeUndefined();
    }
  });

  it('works with room for a single session', () => {
    const table = new SessionTable({ sessionsMax: 1 });
    const a = table.open(0);
    const b = table.open(1);
    expect(table.use(a, 2)).toBeUndefined();
    expect(table.use(b, 3)).toBeDefined();
  });
});

describe('changes for a checkpoint', () => {
  it('are the sessions touched since the last, and the dropped ones, in id order', () => {
    const table = new SessionTable({ sessionsMax: 2 });
    const [a, b] = [table.open(0), table.open(1)];
    expect(table.takeChanges().map((change) => change.id)).toEqual([a, b]);
    expect(table.takeChanges()).toEqual([]);
    run(table, 2, b, 0);
    expect(table.takeChanges().map((change) => change.id)).toEqual([b]);
    const c = table.open(3);
    const changes = table.takeChanges();
    expect(changes.map((change) => change.id)).toEqual([a, c]);
    expect(changes[0]?.bytes).toBeUndefined();
  });

  it('restore the very same table at any point, so that replicas and restarts agree', () => {
    const step = fc.oneof(
      fc.constant({ do: 'open' as const }),
      fc.constant({ do: 'checkpoint' as const }),
      fc.constant({ do: 'restart' as const }),
      fc.record({ do: fc.constant('run' as const), session: fc.nat(9), number: fc.nat(12), acknowledged: fc.nat(6) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const steady = new SessionTable({ sessionsMax: 3 });
        let restarting = new SessionTable({ sessionsMax: 3 });
        const rows = new Rows();
        steps.forEach((next, index) => {
          if (next.do === 'open') expect(restarting.open(index)).toBe(steady.open(index));
          if (next.do === 'checkpoint') rows.take(restarting);
          if (next.do === 'restart') {
            const stored = rows.take(restarting);
            restarting = new SessionTable({ sessionsMax: 3 });
            restarting.load(stored);
          }
          if (next.do === 'run') {
            const command = [next.session, next.number, next.acknowledged] as const;
            expect(run(restarting, index, ...command)).toEqual(run(steady, index, ...command));
          }
          expect(restarting.rows()).toEqual(steady.rows());
        });
      }),
    );
  });
});
