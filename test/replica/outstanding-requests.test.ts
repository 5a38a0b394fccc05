import { describe, expect, it } from 'vitest';
import { OutstandingRequests } from '../../src/replica/catch-up/outstanding-requests.ts';

const patience = 10;
const patienceOf = () => patience;

function ask(...things: string[]): OutstandingRequests<string> {
  const requests = new OutstandingRequests<string>();
  for (const thing of things) requests.ask(thing, 1);
  return requests;
}

/** Ticks until a donor's time is over, `limit` at most. */
function ticksToSlow(requests: OutstandingRequests<string>, limit = 1000): number {
  for (let ticks = 1; ticks <= limit; ticks++) if (requests.tick(patienceOf).size > 0) return ticks;
  return Number.POSITIVE_INFINITY;
}

describe('patience with a donor', () => {
  it('is over once it has not answered for so long', () => {
    expect(ticksToSlow(ask('a', 'b'))).toBe(patience);
  });

  it('begins anew with each answer, for what it was asked beside that, too', () => {
    const requests = ask('a', 'b', 'c', 'd');
    for (const thing of ['a', 'b', 'c']) {
      expect(ticksToSlow(requests, patience - 1)).toBe(Number.POSITIVE_INFINITY);
      requests.heard(1);
      requests.end(thing);
    }
    expect(requests.countOf(1)).toBe(1);
    expect(ticksToSlow(requests)).toBe(patience);
    expect(requests.has('d')).toBe(false);
  });

  it('is not that with another one', () => {
    const requests = ask('a');
    requests.ask('b', 2);
    expect(ticksToSlow(requests, patience - 1)).toBe(Number.POSITIVE_INFINITY);
    requests.heard(2);
    expect(requests.tick(patienceOf)).toEqual(new Set([1]));
    expect([requests.has('a'), requests.has('b')]).toEqual([false, true]);
  });

  it('begins with the question at the soonest', () => {
    const requests = ask();
    requests.heard(1);
    ticksToSlow(requests, 100);
    requests.ask('a', 1);
    expect(ticksToSlow(requests)).toBe(patience);
  });

  it('has an end where it answers everything else: that answer is lost', () => {
    const requests = ask('lost');
    let ticks = 0;
    do requests.heard(1);
    while (++ticks < 1000 && requests.tick(patienceOf).size === 0);
    expect(ticks).toBe(8 * patience);
  });

  it('may be longer with one than with another', () => {
    const requests = ask('a');
    requests.ask('b', 2);
    const tick = () => requests.tick((donor) => donor * patience);
    const slow = Array.from({ length: 2 * patience }, () => [...tick()]);
    expect(slow.map((ids) => ids.join()).filter((ids) => ids !== '')).toEqual(['1', '2']);
  });
});

describe('the time of an answer', () => {
  it('is that of the last one of each donor', () => {
    const requests = ask('a', 'b');
    expect(requests.answerTicksOf(1)).toBe(Number.POSITIVE_INFINITY);
    for (let at = 0; at < 3; at++) requests.tick(patienceOf);
    requests.heard(1, 'a');
    requests.heard(1);
    expect([requests.answerTicksOf(1), requests.answerTicksOf(2)]).toEqual([3, Number.POSITIVE_INFINITY]);
  });
});

describe('how many requests may wait for a donor', () => {
  /** The window after `count` answers, each of which took so many ticks. */
  function windowAfter(requests: OutstandingRequests<string>, count: number, ticks: number): number {
    for (let nth = 0; nth < count; nth++) {
      requests.ask('a', 1);
      ticksToSlow(requests, ticks);
      requests.heard(1, 'a');
      requests.end('a');
    }
    return requests.windowOf(1);
  }

  it('grows with each answer where the way is long, up to a limit', () => {
    const requests = ask();
    expect(requests.windowOf(1)).toBe(8);
    expect(windowAfter(requests, 1, 5)).toBe(9);
    expect(windowAfter(requests, 10, 6)).toBe(19);
    expect(windowAfter(requests, 100, 7)).toBe(32);
    expect(requests.windowOf(2), 'of another one').toBe(8);
  });

  it('stays as it is where the way is short', () => {
    expect(windowAfter(ask(), 100, 2)).toBe(8);
  });

  it('shrinks again where answers wait behind others', () => {
    const requests = ask();
    windowAfter(requests, 10, 4);
    expect(windowAfter(requests, 3, 7)).toBe(15);
    expect(windowAfter(requests, 100, 9)).toBe(8);
  });
});
