import { describe, expect, it } from 'vitest';
import { Fill } from '../../src/omnipaxos/fill.ts';

/** Sends as many messages of ten entries as there is room for; returns how many. */
function sendAll(fill: Fill, from: number): number {
  let count = 0;
  while (fill.hasRoom && count < 1000) fill.sent(from + 10 * ++count);
  return count;
}

describe('what is under way to a follower that lacks much', () => {
  it('is few messages, and more only as some are on its disk', () => {
    const fill = new Fill();
    expect(sendAll(fill, 0)).toBe(4);
    fill.accepted(9);
    expect(fill.hasRoom).toBe(false);
    fill.accepted(20);
    expect(sendAll(fill, 40)).toBe(2);
  });

  it('stays few where it comes closer, and where it stands still', () => {
    const fill = new Fill();
    for (const [acceptedIndex, lag] of [
      [10, 100],
      [20, 99],
      [20, 150],
    ] as const)
      fill.look(acceptedIndex, lag);
    expect(sendAll(fill, 20)).toBe(4);
  });

  it('is twice as much each time that it gets on and comes no closer for a while, up to 32 messages', () => {
    const fill = new Fill();
    const counts: number[] = [];
    for (let at = 0; at < 10; at++) {
      fill.look(100 * at, 500);
      fill.accepted(10_000);
      counts.push(sendAll(fill, 1000));
    }
    expect(counts).toEqual([4, 4, 8, 8, 16, 16, 32, 32, 32, 32]);
  });

  it('stays few where one burst sets it back', () => {
    const fill = new Fill();
    for (let at = 0; at < 100; at++) fill.look(at, at % 10 === 0 ? 2000 - at : 1000 - at);
    expect(sendAll(fill, 1000)).toBe(4);
  });
});
