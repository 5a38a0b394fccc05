import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Backoff } from '../../src/network/backoff.ts';
import { PeerTarget } from '../../src/network/peer-target.ts';
import { helloOf } from './test-node.ts';

const address = '127.0.0.1:7000';
const elsewhere = helloOf(2, { address: '127.0.0.1:9' });

class Attempt {
  peer: ReturnType<typeof helloOf> | undefined;
  problem: string | undefined;

  cut(problem: string): void {
    this.problem = problem;
  }
}

let target: PeerTarget;
let dialled: number;
const dial = () => void dialled++;

beforeEach(() => {
  vi.useFakeTimers();
  target = new PeerTarget(2, address, new Backoff(100, 800));
  dialled = 0;
});
afterEach(() => void vi.useRealTimers());

/** How long it took until the next attempt, milliseconds. */
function pauseMs(): number {
  const before = dialled;
  target.dialLater(dial);
  let ms = 0;
  for (; dialled === before; ms++) vi.advanceTimersByTime(1);
  return ms;
}

describe('a node that is to be dialled', () => {
  it('is, after pauses that grow until they begin anew', () => {
    for (const wholeMs of [100, 200, 400, 800, 800]) {
      const ms = pauseMs();
      expect(ms).toBeGreaterThanOrEqual(wholeMs / 2);
      expect(ms).toBeLessThanOrEqual(wholeMs + 1);
    }
    target.resetPause();
    expect(pauseMs()).toBeLessThanOrEqual(101);
  });

  it('is not dialled twice at a time', () => {
    expect(target.isDialled).toBe(false);
    target.dialLater(dial);
    expect(target.isDialled).toBe(true);
    vi.advanceTimersByTime(100);
    expect([dialled, target.isDialled]).toEqual([1, false]);
    const attempt = new Attempt();
    target.begin(attempt);
    target.forget(new Attempt());
    expect(target.isDialled).toBe(true);
    target.forget(attempt);
    expect(target.isDialled).toBe(false);
  });

  it('is not dialled any more once there is a link to it, or it is given up', () => {
    target.dialLater(dial);
    target.onLinked(helloOf(2));
    expect(target.isDialled).toBe(false);
    target.dialLater(dial);
    target.giveUp();
    vi.advanceTimersByTime(10_000);
    expect(dialled).toBe(0);
  });

  it('loses an attempt under way where it is given up, and no link', () => {
    const attempt = new Attempt();
    target.begin(attempt);
    target.giveUp();
    expect(attempt.problem).toBe('no longer dialled');
    const link = Object.assign(new Attempt(), { peer: helloOf(2) });
    target.begin(link);
    target.giveUp();
    expect(link.problem).toBeUndefined();
  });

  it('tells the same reason once, until it was linked', () => {
    expect(['refused', 'refused', 'silent', 'refused'].map((reason) => target.noteReason(reason))).toEqual([
      true,
      false,
      true,
      true,
    ]);
    target.onLinked(helloOf(2));
    expect(target.noteReason('refused')).toBe(true);
  });
});

describe('a node that comes from another address', () => {
  it('is taken for it once nobody was reached at the known one for long enough', () => {
    const problem = `node 2 is known at ${address}, not 127.0.0.1:9: it is looked for there first, for 10 s`;
    expect(target.movedProblem(elsewhere, 0, 10_000)).toBe(problem);
    target.onUnreached(1_000);
    target.onUnreached(9_000);
    expect(target.movedProblem(elsewhere, 10_999, 10_000)).toBe(problem);
    expect(target.movedProblem(elsewhere, 11_000, 10_000)).toBeUndefined();
    target.onLinked(helloOf(2, { address, storageId: '77' }));
    expect(target.movedProblem(elsewhere, 11_000, 10_000)).toBe(problem);
  });

  it('is taken for it at once where it was met there, comes from there, or there is no cluster yet', () => {
    expect(target.movedProblem(helloOf(2, { address }), 0, 10_000)).toBeUndefined();
    expect(target.movedProblem({ ...elsewhere, clusterId: undefined }, 0, 10_000)).toBeUndefined();
    target.onMet(elsewhere);
    expect(target.movedProblem(elsewhere, 0, 10_000)).toBeUndefined();
  });
});
