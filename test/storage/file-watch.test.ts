import { expect, it } from 'vitest';
import { FileWatch } from '../../src/storage/directory/file-watch.ts';

const taken = new Error('was taken by another process');

it('looks on the first timer, on each fifth from then on, and at once behind a standstill', () => {
  let looks = 0;
  const watch = new FileWatch({ checkFiles: () => void looks++ }, () => {});
  const looksAfter = (stoodStill: boolean) => {
    expect(watch.onTimer(stoodStill)).toBe(true);
    return looks;
  };
  expect([1, 2, 3, 4, 5, 6].map(() => looksAfter(false))).toEqual([1, 1, 1, 1, 1, 2]);
  expect([true, false, false, false, false, false].map(looksAfter)).toEqual([3, 3, 3, 3, 3, 4]);
});

it('says that nothing more may be read, and tells its owner why', () => {
  const told: unknown[] = [];
  const checkFiles = () => {
    throw taken;
  };
  const watch = new FileWatch({ checkFiles }, (error) => told.push(error));
  expect([watch.look(), watch.onTimer(false)]).toEqual([false, false]);
  expect(told).toEqual([taken, taken]);
});
