import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { ProcessCluster } from './cluster.ts';

const run = promisify(execFile);
const example = resolve('docs/examples/lock.mjs');

let cluster: ProcessCluster | undefined;

afterEach(async () => {
  await cluster?.destroy();
  cluster = undefined;
});

test('docs/examples/lock.mjs lets one process at a time run its command, in the order of its numbers', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.leader();
  const env = { ...process.env, KV_ENDPOINTS: cluster.endpoints.join(',') };
  const count = join(cluster.directory, 'count');
  const numbers = join(cluster.directory, 'numbers');
  writeFileSync(count, '0');
  // Two at a time would both read the same count.
  const script = `n=$(cat ${count}); sleep 0.05; echo $((n + 1)) > ${count}; echo $LOCK_REVISION >> ${numbers}`;
  const times = Array.from({ length: 8 });
  await Promise.all(times.map(() => run(process.execPath, [example, 'count', 'sh', '-c', script], { env })));
  expect(readFileSync(count, 'utf8').trim()).toBe('8');
  const given = readFileSync(numbers, 'utf8').trim().split('\n').map(Number);
  expect(given).toEqual([...new Set(given)].sort((a, b) => a - b));
  await expect(run(process.execPath, [example, 'count', 'sh', '-c', 'exit 7'], { env })).rejects.toMatchObject({
    code: 7,
  });
  expect((await cluster.kv('list', 'lock/')).stdout).toBe('');
});

test('docs/examples/lock.mjs says what it takes', async () => {
  await expect(run(process.execPath, [example, 'count'])).rejects.toMatchObject({
    code: 2,
    stderr: expect.stringContaining('such as: node lock.mjs deploy make release'),
  });
});
