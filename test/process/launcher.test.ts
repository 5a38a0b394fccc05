import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';

/** What `kv --version` says and does where Node says that it is of this version. */
function versionUnder(node: string): { status: number | null; stdout: string; stderr: string } {
  const pretence = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${node}' } });`;
  const preload = `data:text/javascript,${encodeURIComponent(pretence)}`;
  const args = ['--import', preload, resolve('bin/kv.js'), '--version'];
  return spawnSync(process.execPath, args, { encoding: 'utf8' });
}

const [least] = /\d+\.\d+/.exec(JSON.parse(readFileSync('package.json', 'utf8')).engines.node) ?? [''];

it('says which version of Node it needs where that is older, and does nothing', () => {
  for (const node of ['18.20.4', '20.18.9']) {
    const { status, stdout, stderr } = versionUnder(node);
    expect(stderr).toBe(`kv needs Node ${least} or later, and this is ${node}\n`);
    expect([status, stdout]).toEqual([1, '']);
  }
});

it('runs with that version and every later one', () => {
  for (const node of [`${least}.0`, '22.0.1', '26.1.0']) {
    const { status, stdout } = versionUnder(node);
    expect([status, stdout]).toEqual([0, expect.stringContaining('omnikv/')]);
  }
});

it('tells of a command as well when asked with the word first', () => {
  const told = (...args: string[]) =>
    spawnSync(process.execPath, [resolve('bin/kv.js'), ...args], { encoding: 'utf8' });
  for (const command of [['put'], ['member', 'add'], ['member'], []]) {
    const { status, stdout } = told('help', ...command);
    expect(stdout).toContain(`$ kv ${command.length === 0 ? '[COMMAND]' : command.join(' ')}`);
    expect([status, stdout]).toEqual([0, told(...command, '--help').stdout]);
  }
});

it('keeps the exit code of what failed where nobody can read why', () => {
  const kv = `"${process.execPath}" "${resolve('bin/kv.js')}"`;
  const failing = ['put k v --json', 'get k --json', 'member list --json', 'put k v'];
  for (const command of failing) {
    const line = `${kv} ${command} --endpoints 127.0.0.1:1 --timeout 300ms`;
    const readerGone = spawnSync('bash', ['-c', `${line} | true; exit \${PIPESTATUS[0]}`], { encoding: 'utf8' });
    expect([command, readerGone.status]).toEqual([command, 5]);
    const full = spawnSync('bash', ['-c', `${line} > /dev/full`], { encoding: 'utf8' });
    expect([command, full.status]).toEqual([command, 5]);
    expect(full.stderr).not.toContain('made all the same');
  }
});
