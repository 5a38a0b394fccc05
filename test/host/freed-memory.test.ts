import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { programOf } from './program.ts';

const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
const isGlibc = header?.glibcVersionRuntime !== undefined;

it.skipIf(!isGlibc)('a large block is made of what another one left behind (on glibc alone)', async () => {
  const program = await programOf('freed-memory');
  const faults = (...args: string[]): number => {
    const flags = ['--expose-gc', '--no-concurrent-array-buffer-sweeping', '--input-type=module'];
    const { stdout } = spawnSync(process.execPath, [...flags, '-e', program, ...args], { encoding: 'utf8' });
    return Number(stdout);
  };
  // A page has 4 KiB, mostly.
  expect(faults()).toBeGreaterThan(1000);
  expect(faults('kept')).toBeLessThan(500);
});
