import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { programOf } from './program.ts';

it('the young generation grows from a little to all, where V8 by itself would double it', async () => {
  const program = await programOf('young-generation');
  const sizesOf = (...args: string[]): number[] => {
    const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program, ...args], {
      encoding: 'utf8',
    });
    return JSON.parse(stdout);
  };
  const byItself = sizesOf();
  const atOnce = sizesOf('at-once');
  const most = Math.max(...atOnce);
  const between = (sizes: number[]) => sizes.filter((size) => size > 4 && size < most);
  expect(between(byItself)).not.toEqual([]);
  expect(between(atOnce)).toEqual([]);
});
