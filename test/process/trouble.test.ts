import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { KvClient } from '../../src/client/client.ts';
import { type CommandResult, ProcessCluster, runKv } from './cluster.ts';

/** One line on stderr that names the trouble, and the exit code. */
function expectRefusal(result: CommandResult, code: number, ...words: (string | RegExp)[]): void {
  const lines = result.stderr.trim().split('\n');
  expect(lines, result.stderr).toHaveLength(1);
  for (const word of words) expect(lines[0]).toMatch(word);
  expect(result.code, result.stderr).toBe(code);
}

describe('a running cluster', () => {
  let cluster: ProcessCluster;

  beforeAll(async () => {
    cluster = await ProcessCluster.create([1, 2, 3]);
    await cluster.start(1, 2, 3);
    expect((await cluster.kv('put', 'kept', 'value')).code).toBe(0);
  });

  afterAll(() => cluster.destroy());

  afterEach(async () => {
    // Whatever was tried, nothing is lost.
    expect(await cluster.kv('get', 'kept')).toMatchObject({ code: 0, stdout: 'value\n' });
  });

  test.each([
    ['1,,2', /empty|,,/],
    ['1,1', /1/],
    ['0', /0/],
    ['a', /a/],
  ])('kv reconfigure %s is refused', async (list, word) => {
    expectRefusal(await cluster.kv('reconfigure', list), 2, word);
  });

  test('a reconfiguration to a node that does not answer is not applied', async () => {
    const result = await cluster.kv('reconfigure', '1,2,9=127.0.0.1:9', '--timeout', '1500ms');
    expect(result).toMatchObject({ code: 5 });
    expect(result.stderr).toMatch(/node 9 .*127\.0\.0\.1:9.*kv start --id 9/);
    expect((await cluster.status()).configurationId).toBe(1);
  });

  test('keys and values out of bounds', async () => {
    expectRefusal(await cluster.kv('put', '', 'v'), 2, /key is empty/);
    expectRefusal(await cluster.kv('put', 'k'.repeat(1025), 'v'), 8, /1025 bytes.*1024/);
    const file = join(cluster.directory, 'big');
    writeFileSync(file, Buffer.alloc(1024 * 1024 + 1));
    expectRefusal(await cluster.kv('put', 'k', '--file', file), 8, /1048577 bytes.*1048576/);
    expect(await cluster.kv('get', 'k')).toMatchObject({ code: 3, stdout: '' });
    writeFileSync(file, Buffer.alloc(1024 * 1024, 7));
    expect(await cluster.kv('put', 'k', '--file', file)).toMatchObject({ code: 0 });
  });

  test('values that look like flags, and bytes from stdin', async () => {
    expect(await cluster.kv('put', 'n', '-5')).toMatchObject({ code: 0 });
    expect(await cluster.kv('get', 'n')).toMatchObject({ stdout: '-5\n' });
    expect(await cluster.kv('put', '--', '-5', 'x')).toMatchObject({ code: 0 });
    expect(await cluster.kv('get', '--raw', '--', '-5')).toMatchObject({ stdout: 'x' });
    const bytes = Buffer.from([0, 255, 10, 13, 10]);
    expect(await runKv(['put', 'bytes', '-'], cluster.directory, bytes)).toMatchObject({ code: 0 });
    const json = JSON.parse((await cluster.kv('get', 'bytes', '--json')).stdout);
    expect(json).toMatchObject({ key: 'bytes', valueBase64: bytes.toString('base64') });
    expect(json.revision).toBeGreaterThan(0);
  });

  test('a data directory in use, of another node, and a taken port', async () => {
    const used = await cluster.kv('start', '--id', '1', '--data', cluster.dataDirectory(1));
    expectRefusal(used, 2, /process \d+|pid \d+/);
    const other = await cluster.kv('start', '--id', '2', '--data', cluster.dataDirectory(1));
    expectRefusal(other, 2, /node 1/);
    const taken = await cluster.kv('start', '--id', '1', '--data', join(cluster.directory, 'fresh'));
    expectRefusal(taken, 2, new RegExp(cluster.address(1)));
  });

  test('a node id that the cluster file does not have, and a file with an unknown key', async () => {
    expectRefusal(await cluster.kv('start', '--id', '7'), 2, /node 7/, /1, 2, 3/);
    const file = join(cluster.directory, 'wrong.json');
    writeFileSync(file, '{"cluster": "x", "nodess": {"1": "127.0.0.1:7001"}}');
    expectRefusal(await cluster.kv('start', '--id', '1', '--config', file), 2, /nodess/, /nodes/);
  });

  test('an address that others can reach is refused without --insecure', async () => {
    const file = join(cluster.directory, 'open.json');
    writeFileSync(file, '{"cluster": "x", "nodes": {"1": "0.0.0.0:7901"}}');
    expectRefusal(await cluster.kv('start', '--id', '1', '--config', file), 2, /--insecure/);
  });

  test('malformed and oversized frames close their connection and nothing else', async () => {
    const bystander = await KvClient.connect({ endpoints: [cluster.address(1)] });
    const witness = await openSocket(cluster.address(1));
    for (const frame of [Buffer.from('ff00ff00', 'hex'), Buffer.alloc(17 * 1024 * 1024), 'text']) {
      const socket = await openSocket(cluster.address(1));
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.send(frame);
      await closed;
      expect(await bystander.get('kept')).toMatchObject({ value: new TextEncoder().encode('value') });
      expect(witness.readyState).toBe(WebSocket.OPEN);
    }
    witness.close();
    await bystander.close();
  });
});

test('a node starts and goes on where nothing that it says can be written, and whatever a tool for log files sends', async () => {
  const cluster = await ProcessCluster.create([1]);
  const full = openSync('/dev/full', 'w');
  const node = spawn(process.execPath, [resolve('bin/kv.js'), 'start', '--id', '1'], {
    cwd: cluster.directory,
    stdio: ['ignore', full, full],
  });
  try {
    await expect.poll(() => cluster.kv('put', 'a', 'b'), { timeout: 30_000 }).toMatchObject({ code: 0 });
    for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) node.kill(signal);
    expect(await cluster.kv('put', 'a', 'c')).toMatchObject({ code: 0 });
    const stopped = once(node, 'exit');
    node.kill('SIGTERM');
    expect(await stopped).toEqual([0, null]);
  } finally {
    node.kill('SIGKILL');
    closeSync(full);
    await cluster.destroy();
  }
});

/** A client's connection without a client. */
async function openSocket(address: string): Promise<WebSocket> {
  const socket = new WebSocket(`ws://${address}/v1/client`, { perMessageDeflate: false });
  // The node may reset it while a frame is still being sent: what counts is that it closes.
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('open', resolve));
  return socket;
}

describe('endpoints', () => {
  let server: Server;
  let directory: string;

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'kv-endpoints-'));
    server = createServer((_, response) => response.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });

  afterAll(async () => {
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true });
  });

  test('one that is no kv node', async () => {
    const { port } = server.address() as AddressInfo;
    const result = await runKv(['get', 'k', '--endpoints', `127.0.0.1:${port}`, '--timeout', '1s'], directory);
    expectRefusal(result, 5, new RegExp(`127\\.0\\.0\\.1:${port}`), /no(t a)? kv node/);
  });

  test.each(['127.0.0.1:99999', 'nonsense', '127.0.0.1'])('%s is no endpoint', async (endpoint) => {
    expectRefusal(await runKv(['get', 'k', '--endpoints', endpoint], directory), 2, /host:port|port/);
  });
});

test('a data directory of another cluster is refused, and left as it was', async () => {
  const cluster = await ProcessCluster.create([1]);
  try {
    await cluster.start(1);
    expect((await cluster.kv('put', 'k', 'v')).code).toBe(0);
    await cluster.stop(1);
    const file = join(cluster.directory, 'other.json');
    writeFileSync(file, JSON.stringify({ cluster: 'other', nodes: { 1: cluster.address(1) } }));
    const data = cluster.dataDirectory(1);
    expectRefusal(
      await cluster.kv('start', '--id', '1', '--data', data, '--config', file),
      2,
      /"process-test"/,
      /"other"/,
    );
    await cluster.start(1);
    expect(await cluster.kv('get', 'k')).toMatchObject({ code: 0, stdout: 'v\n' });
  } finally {
    await cluster.destroy();
  }
});

test('a new cluster waits for all its first members, and says for whom', async () => {
  const cluster = await ProcessCluster.create([1, 2, 3]);
  try {
    await cluster.start(1);
    const result = await cluster.kv('put', 'k', 'v', '--timeout', '1s', '--endpoints', cluster.address(1));
    expect(result).toMatchObject({ code: 5 });
    expect(cluster.stderr(1)).toContain('waiting for nodes 2, 3');
    await cluster.start(2, 3);
    expect(await cluster.kv('put', 'k', 'v')).toMatchObject({ code: 0 });
  } finally {
    await cluster.destroy();
  }
});
