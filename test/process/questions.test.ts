import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';

const hasScript = spawnSync('script', ['--version']).error === undefined;
const skipped = hasScript ? '' : " (skipped: the program 'script' of Debian's package bsdutils is not installed)";

/** Runs `kv` on a terminal, and types each of `answers` once the question before it is seen. Gives the exit code and what was shown. */
async function onTerminal(args: string, folder: string, answers: readonly (readonly [RegExp, string])[]) {
  const command = `${process.execPath} ${resolve('bin/kv.js')} ${args}`;
  const child = spawn('script', ['-qec', command, '/dev/null'], { cwd: folder });
  let shown = '';
  let at = 0;
  child.stdout.on('data', (data) => {
    shown += data;
    const [question, answer] = answers[at] ?? [];
    if (!question?.test(shown)) return;
    at++;
    child.stdin.write(`${answer}\r`);
  });
  const code = await new Promise((settle) => child.once('exit', settle));
  return { code, shown };
}

test.runIf(hasScript)(`kv asks on a terminal, as it is built and installed${skipped}`, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'kv-questions-'));
  try {
    const { code, shown } = await onTerminal('init --nodes 1=127.0.0.1:7001', folder, [[/cluster/i, 'shop']]);
    expect(shown).toContain('wrote');
    expect(code).toBe(0);
    expect(JSON.parse(readFileSync(join(folder, 'kv.json'), 'utf8')).cluster).toBe('shop');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
