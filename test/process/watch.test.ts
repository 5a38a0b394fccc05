import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import type { KvChange } from '../../src/client/keys/watch-batch.ts';
import { ProcessCluster } from './cluster.ts';

let cluster: ProcessCluster | undefined;
const watching: ChildProcess[] = [];

afterEach(async () => {
  for (const child of watching.splice(0)) child.kill('SIGKILL');
  await cluster?.destroy();
  cluster = undefined;
});

async function startThree(): Promise<ProcessCluster> {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.leader();
  return cluster;
}

/** `kv watch …`, and what it has printed so far. */
function watch(nodes: ProcessCluster, ...args: string[]) {
  const child = spawn(process.execPath, [resolve('bin/kv.js'), 'watch', ...args], { cwd: nodes.directory });
  watching.push(child);
  const output = { text: '', code: undefined as number | null | undefined };
  child.stdout.on('data', (data) => {
    output.text += data;
  });
  child.once('close', (code) => {
    output.code = code;
  });
  const prints = (text: string) => expect.poll(() => output.text, { timeout: 10_000 }).toBe(text);
  const stop = () => child.kill('SIGTERM');
  return { output, prints, stop, isEnded: () => expect.poll(() => output.code, { timeout: 10_000 }).toBe(0) };
}

const keys = Array.from({ length: 12 }, (_, at) => `w/${at}`);

test('watchers end with what is true, and never go back, while leaders are killed and nodes hang', async () => {
  const nodes = await startThree();
  const endings = new AbortController();
  const orders = [0, 1, 2].map((at) => [...nodes.endpoints.slice(at), ...nodes.endpoints.slice(0, at)]);
  const clients = await Promise.all(orders.map((endpoints) => KvClient.connect({ endpoints, timeoutMs: 20_000 })));
  const seen = clients.map((client) => follow(client, endings.signal));
  const writer = await KvClient.connect({ endpoints: nodes.endpoints, timeoutMs: 20_000 });
  let rounds = 0;
  let isTroubled = false;
  const writing = (async () => {
    for (; rounds < 400 || !isTroubled; rounds++) {
      const key = keys[(rounds * 7) % keys.length] as string;
      if (rounds % 5 === 4) await writer.delete(key);
      else await writer.put(key, `${rounds}`);
    }
  })();
  for (let nth = 0; nth < 3; nth++) {
    const leader = await nodes.leader();
    await nodes.kill(leader);
    await delay(500);
    await nodes.start(leader);
    const other = nodes.running.find((id) => id !== leader) as number;
    nodes.signal(other, 'SIGSTOP');
    await delay(1500);
    nodes.signal(other, 'SIGCONT');
    await nodes.until(({ members }) => members.every(({ role }) => role !== 'unreachable'));
  }
  isTroubled = true;
  await writing;
  const end = await writer.put('w/end', 'reached');
  const expected = (await writer.list('w/')).map(({ key, revision }) => [Buffer.from(key).toString(), revision]);
  await expect
    .poll(() => seen.every(({ state }) => state.get('w/end') === end.revision), { timeout: 20_000 })
    .toBe(true);
  for (const { state, steps } of seen) {
    expect([...state].sort(([a], [b]) => (a < b ? -1 : 1))).toEqual(expected);
    expect(steps, 'they were told of changes, and not of the end alone').toBeGreaterThan(50);
  }
  endings.abort();
  await Promise.all([...seen.map(({ ended }) => ended), ...[...clients, writer].map((client) => client.close())]);
}, 120_000);

/** Keeps what a watcher is told. Rejects if it is told of something older than what it was told before. */
function follow(client: KvClient, signal: AbortSignal) {
  const followed = { state: new Map<string, number>(), steps: 0, ended: Promise.resolve() };
  const revisions = new Map<string, number>();
  const take = ({ type, key: bytes, revision }: KvChange) => {
    const key = Buffer.from(bytes).toString();
    if (revision <= (revisions.get(key) ?? 0)) throw new Error(`${key} went back to revision ${revision}`);
    revisions.set(key, revision);
    if (type === 'put') followed.state.set(key, revision);
    else if (!followed.state.delete(key)) throw new Error(`${key} went twice`);
  };
  followed.ended = (async () => {
    try {
      for await (const changes of client.watchPrefix('w/', { signal })) {
        followed.steps++;
        for (const change of changes) take(change);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
  })();
  return followed;
}

test('kv watch prints what a key is, and each change, until its count is full', async () => {
  const nodes = await startThree();
  await nodes.kv('put', 'leader', 'a\tb');
  const lines = watch(nodes, 'leader');
  await lines.prints('put\tleader\ta\tb\n');
  const next = watch(nodes, 'leader', '--changes', '--count', '1', '--json');
  const absent = watch(nodes, 'nobody', '--count', '1');
  await absent.prints('delete\tnobody\n');
  await absent.isEnded();
  await delay(1000);
  expect(next.output.text).toBe('');
  const { stdout } = await nodes.kv('put', 'leader', 'c', '--json');
  await next.isEnded();
  expect(JSON.parse(next.output.text)).toEqual({
    type: 'put',
    key: 'leader',
    value: 'c',
    revision: JSON.parse(stdout).revision,
  });
  await nodes.kv('delete', 'leader');
  await lines.prints('put\tleader\ta\tb\nput\tleader\tc\ndelete\tleader\n');
  const inJson = watch(nodes, 'leader', '--changes', '--count', '2', '--json');
  await delay(1000);
  const put = JSON.parse((await nodes.kv('put', 'leader', 'd', '--json')).stdout);
  await inJson.prints(`${JSON.stringify({ type: 'put', key: 'leader', revision: put.revision, value: 'd' })}\n`);
  await nodes.kv('delete', 'leader');
  await inJson.isEnded();
  const told = JSON.parse(inJson.output.text.trim().split('\n').at(-1) as string);
  expect(told).toEqual({ type: 'delete', key: 'leader', revision: expect.any(Number) });
  expect(told.revision).toBeGreaterThan(put.revision);
});

test('kv watch runs a command for each change, until that fails', async () => {
  const nodes = await startThree();
  await nodes.kv('put', 'site', 'a\nb');
  const told = 'echo "$KV_WATCH_TYPE $KV_WATCH_KEY [$(cat)]"; test "$KV_WATCH_TYPE" = put';
  const runs = watch(nodes, 'site', '--', 'sh', '-c', told);
  await runs.prints('put site [a\nb]\n');
  await nodes.kv('put', 'site', 'c');
  await runs.prints('put site [a\nb]\nput site [c]\n');
  await nodes.kv('delete', 'site');
  await expect
    .poll(() => runs.output, { timeout: 10_000 })
    .toEqual({
      text: 'put site [a\nb]\nput site [c]\ndelete site []\n',
      code: 1,
    });
});

test('kv watch tells a command of the last value, though others came while it ran', async () => {
  const nodes = await startThree();
  await nodes.kv('put', 'k', 'first');
  const runs = watch(nodes, 'k', '--count', '2', '--', 'sh', '-c', 'cat; echo; until [ -e done ]; do sleep 0.05; done');
  await runs.prints('first\n');
  for (const value of ['second', 'third', 'last']) await nodes.kv('put', 'k', value);
  writeFileSync(join(nodes.directory, 'done'), '');
  await runs.prints('first\nlast\n');
  await runs.isEnded();
});

test('kv watch ends with its command when it is told to stop', async () => {
  const nodes = await startThree();
  await nodes.kv('put', 'k', 'v');
  const runs = watch(
    nodes,
    'k',
    '--',
    'sh',
    '-c',
    "trap 'echo told; exit 7' TERM; echo runs; while :; do sleep 0.05; done",
  );
  await runs.prints('runs\n');
  runs.stop();
  await runs.prints('runs\ntold\n');
  await expect.poll(() => runs.output.code, { timeout: 10_000 }).toBe(7);
  const waits = watch(nodes, 'k', '--changes', '--', 'true');
  await delay(1500);
  waits.stop();
  await expect.poll(() => waits.output.code, { timeout: 10_000 }).toBe(143);
});

test('kv watch --prefix prints all keys below it, through a change of all members', async () => {
  const nodes = await startThree();
  await nodes.kv('put', 's/1', 'a');
  await nodes.kv('put', 'other', 'a');
  const all = watch(nodes, 's/', '--prefix');
  const few = watch(nodes, 's/', '--prefix', '--count', '2');
  await all.prints('put\ts/1\ta\n');
  const leader = await nodes.leader();
  const follower = [1, 2, 3].find((id) => id !== leader) as number;
  expect((await nodes.kv('member', 'remove', `${leader}`, '--yes')).code).toBe(0);
  await nodes.kv('put', 's/2', 'b');
  await all.prints('put\ts/1\ta\nput\ts/2\tb\n');
  await few.prints('put\ts/1\ta\nput\ts/2\tb\n');
  await few.isEnded();
  expect((await nodes.kv('member', 'add', `${leader}`, '--yes')).code).toBe(0);
  expect((await nodes.kv('member', 'remove', `${follower}`, '--yes')).code).toBe(0);
  await nodes.kv('delete', 's/1');
  await all.prints('put\ts/1\ta\nput\ts/2\tb\ndelete\ts/1\n');
});

test('kv watch says what is wrong with its words, and when nobody answers', async () => {
  const nodes = await startThree();
  expect(await nodes.kv('watch')).toMatchObject({ code: 2 });
  expect(await nodes.kv('watch', 'k', '--count', '0')).toMatchObject({ code: 2 });
  expect(await nodes.kv('watch', '--', 'true', 'now')).toMatchObject({ code: 2 });
  expect(await nodes.kv('watch', 'k', '--')).toMatchObject({ code: 2 });
  expect(await nodes.kv('watch', 'k', '--json', '--', 'true')).toMatchObject({ code: 2 });
  expect(await nodes.kv('watch', 'k', '--', './absent')).toMatchObject({ code: 2 });
  expect(await nodes.kv('watch', '--count', '1', '--', '--k')).toMatchObject({ code: 0, stdout: 'delete\t--k\n' });
  await nodes.kill(1);
  await nodes.kill(2);
  const { code, stderr } = await nodes.kv('watch', 'k', '--timeout', '1s');
  expect(code).toBe(5);
  expect(stderr).toMatch(/^kv watch: the watch ends: /);
});
