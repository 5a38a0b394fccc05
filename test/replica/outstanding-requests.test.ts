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
