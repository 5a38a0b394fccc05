import { expect, it } from 'vitest';
import { Ticks } from '../../src/replica/ticks.ts';

it('gives a tick to the first turn behind the timer, as long as the time since the last', () => {
  const ticks = new Ticks(100);
  expect(ticks.take(119), 'none is due').toBe(0);
  expect(ticks.onTimer()).toBe(false);
  expect(ticks.take(120)).toBe(20);
  expect(ticks.take(140)).toBe(0);
});

it('wants a turn for one that still waits, and drops what is more than two', () => {
  const ticks = new Ticks(0);
  expect([1, 2, 3, 4].map(() => ticks.onTimer())).toEqual([false, true, true, true]);
  expect(
    [80, 81, 90, 100].map((nowMs) => ticks.take(nowMs)),
    'never two at once',
  ).toEqual([80, 0, 10, 0]);
});

it('tells a standstill by the time since the last tick', () => {
  const ticks = new Ticks(0);
  expect([1000, 1001].map((nowMs) => ticks.stoodStill(nowMs))).toEqual([false, true]);
  ticks.onTimer();
  ticks.take(1001);
  expect(ticks.stoodStill(1002)).toBe(false);
});
