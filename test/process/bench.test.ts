import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ProcessCluster } from './cluster.ts';

let cluster: ProcessCluster;

beforeAll(async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.leader();
});

afterAll(() => cluster.destroy());

test('kv bench measures puts and gets on a cluster', async () => {
  const { code, stdout, stderr } = await cluster.kv(
    ...['bench', 'mix', '--duration', '500ms', '--warm-up', '0', '--keys', '500', '--outstanding', '16', '--json'],
  );
  expect(stderr).toBe('');
  expect(code).toBe(0);
  const result = JSON.parse(stdout);
  expect(result).toMatchObject({ workload: 'mix', clients: 3, errors: {}, missing: 0, isInterrupted: false });
  expect(result.operations).toBe(result.kinds.put.operations + result.kinds.get.operations);
  expect(result.kinds.put.operations).toBeGreaterThan(0);
  expect(result.kinds.get.operations).toBeGreaterThan(0);
  expect(result.latencyMs.p50).toBeGreaterThan(0);
  const listed = await cluster.kv('list', 'bench/', '--json');
  expect(JSON.parse(listed.stdout).pairs ?? JSON.parse(listed.stdout)).toHaveLength(500);
});

test('Ctrl-C ends kv bench with what was measured so far', async () => {
  const bench = spawn(process.execPath, ['bin/kv.js', 'bench', 'put', '--duration', '60m', '--warm-up', '0'], {
    env: { ...process.env, KV_ENDPOINTS: cluster.endpoints.join(',') },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let stdout = '';
  bench.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const closed = once(bench, 'close');
  // Its keys show that it is at work.
  while ((await cluster.kv('list', 'bench/', '--limit', '501', '--json')).stdout.split('bench/').length <= 501);
  bench.kill('SIGINT');
  expect(await closed).toEqual([0, null]);
  expect(stdout).toMatch(/^put +[1-9]/m);
  expect(stdout).toMatch(/^interrupted after [0-9.]+ s; closed loop; 3 clients, 64 outstanding/m);
});

test('a cluster that is not there is told in one line', async () => {
  const { code, stdout, stderr } = await cluster.kv('bench', 'put', '--endpoints', '127.0.0.1:1', '--timeout', '300ms');
  expect(code).toBe(5);
  expect(stdout).toBe('');
  expect(stderr).toMatch(/^kv bench: no node could be reached within 300 ms: .+\n$/);
});
