import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { Random } from './random.ts';
import { simulate } from './simulation.ts';
import { main } from './worker.ts';

const script = fileURLToPath(new URL('./simulate.mjs', import.meta.url));
const seeds = 300;

describe('the simulator', () => {
  it('gives the same trace for the same seed, and another for another', () => {
    const [first, again, other] = [simulate(6), simulate(6), simulate(7)];
    expect(again).toEqual(first);
    expect(other.traceHash).not.toBe(first.traceHash);
  });

  it('draws the same numbers on every machine', () => {
    const random = new Random(1);
    expect([random.bits(), random.bits(), random.below(1000), random.between(5, 9)]).toEqual([
      176324547, 2733444519, 613, 5,
    ]);
  });

  it('prints a result a line in its own process', async () => {
    const lines: string[] = [];
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((line: unknown, written: unknown) => {
      lines.push(String(line));
      if (typeof written === 'function') written();
      return true;
    });
    await main(['run', '6', '9', '2']);
    write.mockRestore();
    expect(lines.map((line) => JSON.parse(line).seed)).toEqual([6, 8]);
    expect(JSON.parse(lines[0] ?? '')).toEqual(JSON.parse(JSON.stringify(simulate(6))));
  });

  it(`holds every check in ${seeds} seeds`, { timeout: 180_000 }, () => {
    const { status, stdout, stderr } = spawnSync(process.execPath, [script, '--seeds', String(seeds)], {
      encoding: 'utf8',
    });
    expect(stdout + stderr).toContain(`${seeds} seeds in `);
    expect(status, stdout + stderr).toBe(0);
  });
});
