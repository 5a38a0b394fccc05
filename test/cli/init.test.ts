import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import Init from '../../commands/init.ts';
import { parseNodeAddresses } from '../../src/cli/start/init-file.ts';
import { runCommand } from './run-command.ts';

let directory: string;
let path: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kv-init-'));
  path = join(directory, 'kv.json');
});
afterEach(() => rmSync(directory, { recursive: true }));

const init = (...argv: string[]) => runCommand(Init, 'init', '--config', path, ...argv);
const written = () => JSON.parse(readFileSync(path, 'utf8'));

test('without a terminal, what no flag says is the default', async () => {
  expect(await init()).toEqual({ stdout: `wrote ${path}: cluster kv, nodes 1, 2, 3\n`, stderr: '', exitCode: 0 });
  expect(written()).toEqual({
    cluster: 'kv',
    nodes: { 1: '127.0.0.1:7001', 2: '127.0.0.1:7002', 3: '127.0.0.1:7003' },
  });
});

test('flags say all', async () => {
  await init('--cluster', 'shop', '--nodes', '3,1=10.0.0.1:7001');
  expect(written()).toEqual({ cluster: 'shop', nodes: { 1: '10.0.0.1:7001', 3: '127.0.0.1:7003' } });
});

test('a file that is there is replaced only with --force', async () => {
  await init('--cluster', 'first');
  const refused = await init('--cluster', 'second');
  expect(refused).toMatchObject({ stdout: '', exitCode: 2 });
  expect(refused.stderr).toBe(
    `kv init: ${path} is there already: pass --force to replace it, or --config FILE to write another\n`,
  );
  expect(written().cluster).toBe('first');
  expect((await init('--cluster', 'second', '--force')).exitCode).toBe(0);
  expect(written().cluster).toBe('second');
});

test.each([
  [['--cluster', 'a b'], 'cluster name "a b" is not allowed'],
  [['--nodes', '1,1'], 'node 1 is named twice'],
  [['--nodes', '1=h'], 'the address of node 1, "h" has no port'],
  [['--nodes', '60000'], 'node 60000 has no default address: write 60000=host:port'],
])('%j is refused, and nothing is written', async (argv, message) => {
  const result = await init(...argv);
  expect(result.exitCode).toBe(2);
  expect(result.stderr).toContain(message);
  expect(written).toThrow('ENOENT');
});

test('a default address that another node was given is refused', () => {
  expect(() => parseNodeAddresses('1,2=127.0.0.1:7001', 31)).toThrow('nodes 1 and 2 have the same address');
});
