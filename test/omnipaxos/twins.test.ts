import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Ballot, Entry } from '../../src/omnipaxos/index.ts';
import { compareBallots, MemorySequence, majority, quorumProblem } from '../../src/omnipaxos/index.ts';
import { acceptSyncIndex, comparePositions, promiseSuffixFrom } from '../../src/omnipaxos/sync.ts';

/** A slow, obvious second implementation beside each rule. */
const ballots: fc.Arbitrary<Ballot> = fc.record({
  n: fc.nat(3),
  priority: fc.nat(2),
  pid: fc.integer({ min: 1, max: 4 }),
});

describe('dumb twins', () => {
  it('ballots are ordered as the text of their parts', () => {
    const text = ({ n, priority, pid }: Ballot) =>
      [n, priority, pid].map((part) => String(part).padStart(9, '0')).join();
    fc.assert(
      fc.property(ballots, ballots, (a, b) => {
        const twin = text(a) < text(b) ? -1 : text(a) > text(b) ? 1 : 0;
        expect(Math.sign(compareBallots(a, b))).toBe(twin);
      }),
    );
  });

  it('quorum sizes are sound exactly if no two disjoint sets of those sizes exist', () => {
    for (let n = 1; n <= 7; n++) {
      expect(quorumProblem(majority(n), n)).toBeUndefined();
      for (let prepare = 0; prepare <= n + 1; prepare++) {
        for (let accept = 0; accept <= n + 1; accept++) {
          const isPossible = prepare >= 1 && accept >= 1 && prepare <= n && accept <= n;
          expect(quorumProblem({ prepare, accept }, n) === undefined).toBe(
            isPossible && !hasDisjoint(n, prepare, accept),
          );
        }
      }
    }
  });

  it('the newest log is the last when sorted by round, then by length', () => {
    const positions = fc.record({ acceptedRound: ballots, acceptedIndex: fc.nat(5) });
    fc.assert(
      fc.property(fc.array(positions, { minLength: 1 }), (logs) => {
        const newest = logs.reduce((best, log) => (comparePositions(log, best) > 0 ? log : best));
        for (const log of logs) {
          const round = compareBallots(log.acceptedRound, newest.acceptedRound);
          expect(round < 0 || (round === 0 && log.acceptedIndex <= newest.acceptedIndex)).toBe(true);
        }
      }),
    );
  });

  it('after Promise, adoption and AcceptSync both logs are the same, whatever they were', () => {
    fc.assert(
      fc.property(histories, (history) => expectSynchronized(history)),
      { numRuns: 2000 },
    );
  });

  it('the log in memory does what an array does', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ do: fc.constant('append' as const), count: fc.nat(4) }),
        fc.record({ do: fc.constantFrom('truncate' as const, 'trim' as const), at: fc.nat(100) }),
      ),
    );
    fc.assert(
      fc.property(steps, (todo) => {
        const sequence = new MemorySequence<number>();
        let twin: { index: number; entry: number }[] = [];
        let [trimmed, end] = [0, 0];
        for (const step of todo) {
          if (step.do === 'append') {
            const entries = Array.from({ length: step.count }, (_, at) => end + at);
            twin.push(...entries.map((entry) => ({ index: entry, entry })));
            sequence.append(entries.map((entry): Entry<number> => ({ type: 'Normal', entry })));
            end += step.count;
            continue;
          }
          const index = trimmed + (step.at % (end - trimmed + 1));
          sequence[step.do](index);
          twin = twin.filter((item) => (step.do === 'trim' ? item.index >= index : item.index < index));
          if (step.do === 'trim') trimmed = index;
          else end = index;
        }
        expect([sequence.trimmedIndex, sequence.endIndex]).toEqual([trimmed, end]);
        const read = sequence.read(trimmed, end).map((entry) => (entry.type === 'Normal' ? entry.entry : -1));
        expect(read).toEqual(twin.map(({ entry }) => entry));
      }),
    );
  });
});

/** Two nodes' logs that may come to be: a decided prefix that both agree on, and a tail of the round in which each last accepted. */
interface TwoLogs {
  /** What is decided for good, by index. */
  readonly decided: readonly string[];
  readonly leader: TwinLog;
  readonly follower: TwinLog;
}

interface TwinLog {
  readonly round: number;
  readonly decidedIndex: number;
  readonly entries: readonly string[];
}

/** Round 2 adopted everything decided in round 1 and went on; a tail of round 1 may diverge beyond it. */
const histories: fc.Arbitrary<TwoLogs> = fc
  .record({ decidedBy1: fc.nat(4), decidedBy2: fc.nat(4), extra: fc.nat(4) })
  .chain(({ decidedBy1, decidedBy2, extra }) => {
    const first = Array.from({ length: decidedBy1 }, (_, at) => `d${at}`);
    const round1 = [...first, ...Array.from({ length: 4 + decidedBy2 }, (_, at) => `one${at}`)];
    const decided = [...first, ...Array.from({ length: decidedBy2 }, (_, at) => `two${at}`)];
    const round2 = [...decided, ...Array.from({ length: extra }, (_, at) => `tail${at}`)];
    const log = fc
      .record({ round: fc.constantFrom(1, 2), length: fc.nat(12), known: fc.nat(12), caughtUp: fc.boolean() })
      .map(({ round, length, known, caughtUp }): TwinLog => {
        const source = round === 1 ? round1 : round2;
        const entries = source.slice(0, length);
        // By catch-up a node may know decisions of round 2 while its own round is still 1.
        const knowable = round === 2 || caughtUp ? decided.length : Math.min(first.length, entries.length);
        const decidedIndex = Math.min(known, knowable);
        return { round, decidedIndex, entries: [...decided.slice(0, decidedIndex), ...entries.slice(decidedIndex)] };
      });
    return fc.record({ decided: fc.constant(decided), leader: log, follower: log });
  });

function expectSynchronized({ decided, leader, follower }: TwoLogs): void {
  const [mine, other] = [position(leader), position(follower)];
  const suffixFrom = promiseSuffixFrom(other, mine);
  expect(suffixFrom).toBeLessThanOrEqual(other.acceptedIndex);
  const isNewer = comparePositions(other, mine) > 0;
  const source = isNewer ? follower : leader;
  const keep = Math.max(suffixFrom, mine.decidedIndex);
  const adopted = isNewer ? [...leader.entries.slice(0, keep), ...follower.entries.slice(keep)] : [...leader.entries];
  const decidedIndex = Math.max(mine.decidedIndex, isNewer ? other.decidedIndex : 0);
  expect(adopted.slice(0, decidedIndex), 'what the leader calls decided is').toEqual(decided.slice(0, decidedIndex));

  const from = acceptSyncIndex(other, ballot(9), { ...position(source), decidedIndex });
  // A follower that has decided more than the adopted log holds shows that this leader is of the past.
  if (from > adopted.length) return;
  expect(from, 'no gap').toBeLessThanOrEqual(other.acceptedIndex);
  const kept = Math.max(from, other.decidedIndex);
  const synced = [...follower.entries.slice(0, kept), ...adopted.slice(kept)];
  const both = Math.max(decidedIndex, other.decidedIndex);
  expect(synced.slice(0, both), 'what the follower calls decided is').toEqual(decided.slice(0, both));
  if (other.decidedIndex <= decidedIndex) expect(synced, 'one log').toEqual(adopted);
}

function position({ round, entries, decidedIndex }: TwinLog) {
  return { acceptedRound: ballot(round), acceptedIndex: entries.length, decidedIndex };
}

function ballot(n: number): Ballot {
  return { n, priority: 0, pid: 1 };
}

/** Tries all pairs of sets of these sizes. */
function hasDisjoint(n: number, prepare: number, accept: number): boolean {
  const sets = Array.from({ length: 2 ** n }, (_, set) => set);
  const size = (set: number) => [...set.toString(2)].filter((bit) => bit === '1').length;
  return sets.some((a) => size(a) === prepare && sets.some((b) => size(b) === accept && (a & b) === 0));
}
