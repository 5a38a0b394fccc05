import { expect, test } from 'vitest';
import { fillingProblem } from '../../src/client/filling.ts';

const linked = { id: 4, isLinked: true, isFilled: false };
const away = { id: 4, isLinked: false, isFilled: false };

test('newcomers that have all data, or of which there are none, are no problem', async () => {
  expect(await fillingProblem(async () => [], 1000)).toBeUndefined();
  let steps = 0;
  const step = async () => [{ ...linked, isFilled: ++steps > 2 }];
  expect(await fillingProblem(step, 5000)).toBeUndefined();
  expect(steps).toBe(3);
});

test('one that was never reached is left to whoever proposes, after some time from the first answer on', async () => {
  const beganMs = performance.now();
  expect(await fillingProblem(async () => [away], 60_000)).toBeUndefined();
  expect(performance.now() - beganMs).toBeGreaterThan(1500);
});

test('one that was reached once is waited for, and nothing is proposed when the time is over', async () => {
  let steps = 0;
  const step = async () => [++steps === 1 ? linked : away];
  expect(await fillingProblem(step, 3000)).toBe(
    'node 4 does not have all data after 3 s: nothing was changed; ask again, and it goes on from there',
  );
});
