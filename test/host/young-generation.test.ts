import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { YoungGeneration } from '../../src/host/young-generation.ts';
import { programOf } from './program.ts';

describe('the young generation', () => {
  it('grows from a little to 16 MiB, where V8 by itself would double it, and no further', async () => {
    const program = await programOf('young-generation');
    const sizesOf = (...args: string[]): number[] => {
      const { stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', program, ...args], {
        encoding: 'utf8',
      });
      return JSON.parse(stdout);
    };
    const between = (sizes: number[]) => sizes.filter((size) => size > 2 && size < 16);
    expect(between(sizesOf())).not.toEqual([]);
    const atOnce = sizesOf('at-once');
    expect(between(atOnce)).toEqual([]);
    expect(Math.max(...atOnce)).toBe(16);
  });

  it('may grow again once V8 has made it smaller', () => {
    let mebibytes = 0.98;
    const factors: number[] = [];
    const host = { capacity: () => mebibytes * 2 ** 20, setGrowthFactor: (factor: number) => factors.push(factor) };
    const youngGeneration = new YoungGeneration(host);
    const sizes = [0.98, 15.7, 16, 1, 4, 64];
    for (const [index, size] of sizes.entries()) {
      mebibytes = size;
      for (const ms of [0, 10]) youngGeneration.tick(1_000 * index + ms);
    }
    expect(factors).toEqual([16, 1, 16, 4, 1]);
  });
});
