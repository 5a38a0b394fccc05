import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, vi } from 'vitest';
import { Random } from './random.ts';
import { simulate } from './simulation.ts';
import { main } from './worker.ts';

const script = fileURLToPath(new URL('./simulate.mjs', import.meta.url));
const seeds = 300;
const folder = fileURLToPath(new URL('.', import.meta.url));
const recordedFile = join(folder, 'trace-hashes.json');
/** Seeds whose traces are recorded: from the smallest cluster to the largest. */
const recordedSeeds = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
/** What may give another result on another machine, or at another time. */
const unrepeatable =
  /Math\.(?:random|a?sinh?|a?cosh?|a?tanh?|atan2|exp|expm1|log\w*|pow|cbrt|hypot)\b|\bDate\b|localeCompare|toLocale|Intl\.|process\.hrtime|performance\./;

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

  it('runs only on arithmetic that is the same on every machine', () => {
    const rooms = ['omnipaxos', 'replica', 'kv', 'wire', 'cluster', 'base'].map((room) =>
      join(folder, '../../src', room),
    );
    const found = [folder, ...rooms].flatMap((room) =>
      readdirSync(room)
        .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
        .flatMap((name) => unrepeatable.exec(withoutComments(readFileSync(join(room, name), 'utf8')))?.[0] ?? [])
        .map((match) => `${room}: ${match}`),
    );
    expect(found).toEqual([]);
  });

  it('has the recorded traces: the same everywhere (UPDATE_TRANSCRIPTS=1 records them anew)', () => {
    const hashes = Object.fromEntries(recordedSeeds.map((seed) => [seed, simulate(seed).traceHash]));
    if (process.env['UPDATE_TRANSCRIPTS'] === '1') writeFileSync(recordedFile, `${JSON.stringify(hashes, null, 2)}\n`);
    expect(hashes).toEqual(JSON.parse(readFileSync(recordedFile, 'utf8')));
  });

  it('has them also without the compiler, in another place and language', () => {
    const env = { ...process.env, TZ: 'Pacific/Kiritimati', LC_ALL: 'tr_TR.UTF-8', NODE_OPTIONS: '--jitless' };
    const { stdout, stderr } = spawnSync(process.execPath, [script, '--seed', '2'], {
      encoding: 'utf8',
      env,
      maxBuffer: 2 ** 30,
    });
    const { traceHash } = JSON.parse(stdout.trimEnd().split('\n').at(-1) ?? '');
    expect(traceHash, stderr).toBe(simulate(2).traceHash);
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

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');
}
