import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { ProcessCluster } from './cluster.ts';

let cluster: ProcessCluster | undefined;
const running: ChildProcess[] = [];

afterEach(async () => {
  for (const child of running.splice(0)) child.kill('SIGKILL');
  await cluster?.destroy();
  cluster = undefined;
});

async function startThree(): Promise<ProcessCluster> {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.leader();
  return cluster;
}

/** `kv lock …` in the background. */
const lock = (nodes: ProcessCluster, ...args: string[]) => background(nodes, 'lock', ...args);

/** A command of kv in the background. */
function background(nodes: ProcessCluster, ...args: string[]) {
  const child = spawn(process.execPath, [resolve('bin/kv.js'), ...args], { cwd: nodes.directory });
  running.push(child);
  let stderr = '';
  child.stderr.on('data', (data) => {
    stderr += data;
  });
  const ended = new Promise<{ readonly code: number | null; readonly stderr: string }>((done) => {
    child.once('close', (code) => done({ code, stderr }));
  });
  return { child, ended, said: () => stderr };
}

const appears = (path: string, timeout = 15_000) => expect.poll(() => existsSync(path), { timeout }).toBe(true);

describe('kv put --ttl', () => {
  test('stores a key that goes by itself, unless kv renew comes in time, through the death of a leader, too', async () => {
    const nodes = await startThree();
    const { stdout } = await nodes.kv('put', 'service/a', 'x', '--ttl', '2s', '--json');
    const { revision } = JSON.parse(stdout);
    await nodes.kv('put', 'service/b', 'x', '--ttl', '2s');
    const until = performance.now() + 7000;
    await nodes.kill(await nodes.leader());
    while (performance.now() < until) {
      expect(await nodes.kv('renew', 'service/a', `${revision}`)).toMatchObject({
        code: 0,
        stdout: `revision ${revision}\n`,
      });
      await delay(200);
    }
    expect((await nodes.kv('list', 'service/')).stdout).toBe('service/a\n');
    await expect.poll(async () => (await nodes.kv('get', 'service/a')).code, { timeout: 5000 }).toBe(3);
    expect(await nodes.kv('renew', 'service/a', `${revision}`, '--json')).toMatchObject({
      ...{ code: 4, stdout: expect.stringContaining('"revision":0') },
    });
  });

  test('says what is wrong with its words', async () => {
    const nodes = await startThree();
    expect(await nodes.kv('put', 'k', 'v', '--ttl', '10ms')).toMatchObject({
      ...{
        code: 2,
        stderr: expect.stringMatching(/--ttl "10ms" is not a duration from 1s to 8784h: write 500ms, 5s, 2m or 1h/),
      },
    });
    expect(await nodes.kv('renew', 'k')).toMatchObject({ code: 2 });
    expect(await nodes.kv('renew', 'k', 'x')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('REVISION is "x"'),
    });
  });

  test('keys that expire are in no backup, and in no cluster that is made of what is left of another', async () => {
    const nodes = await startThree();
    for (const key of ['a', 'b', 'z']) await nodes.kv('put', key, 'stays');
    for (const key of ['a1', 'y', 'zz']) await nodes.kv('put', key, 'goes', '--ttl', '1h');
    const file = join(nodes.directory, 'all.kvbackup');
    expect((await nodes.kv('backup', 'save', file)).code).toBe(0);
    const restored = join(nodes.directory, 'restored');
    expect((await nodes.kv('backup', 'restore', file, '--id', '1', '--data', restored)).code).toBe(0);
    for (const id of [1, 2, 3]) await nodes.stop(id);
    const own = JSON.parse((await nodes.kv('verify', nodes.dataDirectory(1), '--json')).stdout);
    expect(own).toMatchObject({ keys: 6, sessions: 6, isSound: true });
    const recovered = join(nodes.directory, 'recovered');
    const { code, stderr } = await nodes.kv('recover', nodes.dataDirectory(2), '--out', recovered, '--yes');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    for (const directory of [restored, recovered]) {
      const { stdout } = await nodes.kv('verify', directory, '--json');
      expect(JSON.parse(stdout)).toMatchObject({ keys: 3, isSound: true });
    }
  });
});

describe('kv keep', () => {
  const valueIn = async (nodes: ProcessCluster, key: string) => (await nodes.kv('get', key)).stdout.trim();
  const becomes = (nodes: ProcessCluster, key: string, value: string) =>
    expect.poll(() => valueIn(nodes, key), { timeout: 15_000 }).toBe(value);

  test('keeps a key while its command runs, gives its exit code, and leaves nothing', async () => {
    const nodes = await startThree();
    const done = join(nodes.directory, 'done');
    const script = `while ! test -e ${done}; do sleep 0.05; done; exit 7`;
    await nodes.kv('put', 'service/a', 'of one that was killed', '--ttl', '1h');
    const keeper = background(nodes, 'keep', 'service/a', 'here', '--ttl', '1s', '--', 'sh', '-c', script);
    await becomes(nodes, 'service/a', 'here');
    await delay(2500);
    expect(await valueIn(nodes, 'service/a'), 'it is renewed').toBe('here');
    writeFileSync(done, '');
    expect(await keeper.ended).toEqual({ code: 7, stderr: '' });
    expect((await nodes.kv('list')).stdout).toBe('');
  });

  test('puts it again where it was lost, not in the place of what somebody else has put, and its command goes on', async () => {
    const nodes = await startThree();
    const keeper = background(nodes, 'keep', 'service/a', 'here', '--ttl', '1s', '--', 'sleep', '60');
    await becomes(nodes, 'service/a', 'here');
    await nodes.kv('delete', 'service/a');
    await becomes(nodes, 'service/a', 'here');
    await nodes.kv('put', 'service/a', 'another');
    await delay(3000);
    expect(await valueIn(nodes, 'service/a')).toBe('another');
    await nodes.kv('delete', 'service/a');
    await becomes(nodes, 'service/a', 'here');
    keeper.child.kill('SIGTERM');
    const { code, stderr } = await keeper.ended;
    expect(code).toBe(143);
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^kv keep: the key service\/a was lost, and is put again as soon as that can be done: /),
      'kv keep: the key service/a is there again',
      expect.stringMatching(/^kv keep: the key service\/a was lost, /),
      expect.stringMatching(/^kv keep: the key service\/a cannot be put again now: .*revision/),
      'kv keep: the key service/a is there again',
    ]);
    expect((await nodes.kv('list')).stdout).toBe('');
  });

  test('outlives the cluster for a while', async () => {
    const nodes = await startThree();
    const keeper = background(nodes, 'keep', 'service/a', 'here', '--ttl', '2s', '--timeout', '1s');
    await becomes(nodes, 'service/a', 'here');
    for (const id of [1, 2, 3]) await nodes.kill(id);
    await delay(4000);
    await nodes.start(1, 2, 3);
    await expect.poll(() => keeper.said(), { timeout: 30_000 }).toContain('the key service/a is there again');
    expect(await valueIn(nodes, 'service/a')).toBe('here');
    keeper.child.kill('SIGTERM');
    expect((await keeper.ended).code).toBe(143);
    expect((await nodes.kv('list')).stdout).toBe('');
  });

  test('goes on in the cluster that is made of a backup of this one', async () => {
    const nodes = await startThree();
    await nodes.kv('put', 'k', 'v');
    const keeper = background(nodes, 'keep', 'service/a', 'here', '--ttl', '2s', '--timeout', '1s');
    await becomes(nodes, 'service/a', 'here');
    const file = join(nodes.directory, 'all.kvbackup');
    expect((await nodes.kv('backup', 'save', file)).code).toBe(0);
    for (const id of [1, 2, 3]) {
      await nodes.stop(id);
      rmSync(nodes.dataDirectory(id), { recursive: true });
      const data = nodes.dataDirectory(id);
      expect((await nodes.kv('backup', 'restore', file, '--id', `${id}`, '--data', data)).code).toBe(0);
    }
    await nodes.start(1, 2, 3);
    await expect.poll(() => keeper.said(), { timeout: 30_000 }).toContain('the key service/a is there again');
    expect(await valueIn(nodes, 'service/a')).toBe('here');
    await delay(3000);
    expect(await valueIn(nodes, 'service/a'), 'it is renewed').toBe('here');
    keeper.child.kill('SIGTERM');
    expect((await keeper.ended).code).toBe(143);
    expect((await nodes.kv('list')).stdout).toBe('k\n');
  });

  test('of one that was killed goes after its time', async () => {
    const nodes = await startThree();
    const keeper = background(nodes, 'keep', 'service/a', 'here', '--ttl', '1s');
    await becomes(nodes, 'service/a', 'here');
    keeper.child.kill('SIGKILL');
    await becomes(nodes, 'service/a', '');
  });

  test('says what is wrong with its words, and leaves nothing behind a command that cannot be run', async () => {
    const nodes = await startThree();
    for (const [words, text] of [
      [['a', 'b', '--'], 'the COMMAND is missing: kv keep KEY VALUE'],
      [['a', 'b', '--ttl', '10ms'], '--ttl "10ms"'],
      [['a', 'b', '--', 'no-such-program'], 'the command no-such-program cannot be run'],
      [['a'], 'VALUE is missing'],
    ] as const) {
      expect(await nodes.kv('keep', ...words)).toMatchObject({ code: 2, stderr: expect.stringContaining(text) });
    }
    expect((await nodes.kv('list')).stdout).toBe('');
  });
});

describe('kv lock', () => {
  test('runs one command at a time, and gives its exit code and its number', async () => {
    const nodes = await startThree();
    const count = join(nodes.directory, 'count');
    const numbers = join(nodes.directory, 'numbers');
    writeFileSync(count, '0');
    const script = `n=$(cat ${count}); sleep 0.05; echo $((n + 1)) > ${count}; echo $KV_LOCK_REVISION >> ${numbers}; exit 7`;
    const runs = Array.from({ length: 6 }, () => lock(nodes, 'count', '--', 'sh', '-c', script).ended);
    expect((await Promise.all(runs)).map(({ code }) => code)).toEqual(Array.from({ length: 6 }, () => 7));
    expect(readFileSync(count, 'utf8').trim()).toBe('6');
    const given = readFileSync(numbers, 'utf8').trim().split('\n').map(Number);
    expect(given).toEqual([...new Set(given)].sort((a, b) => a - b));
    expect((await nodes.kv('list', 'lock/')).stdout).toBe('');
  });

  test('whose holder is killed goes to the next after its time, and not to those who do not wait for it', async () => {
    const nodes = await startThree();
    const held = join(nodes.directory, 'held');
    const holder = lock(nodes, 'job', '--ttl', '2s', '--', 'sh', '-c', `touch ${held}; exec sleep 60`);
    await appears(held);
    expect(await lock(nodes, 'job', '--wait', '500ms', '--', 'true').ended).toEqual({
      ...{ code: 4, stderr: "kv lock: the lock job was still another's after 500 ms\n" },
    });
    const next = lock(nodes, 'job', '--', 'touch', join(nodes.directory, 'next'));
    await delay(2500);
    expect(existsSync(join(nodes.directory, 'next')), 'it is renewed').toBe(false);
    holder.child.kill('SIGKILL');
    await appears(join(nodes.directory, 'next'));
    expect((await next.ended).code).toBe(0);
  });

  test('runs just what it was given, whatever words come twice', async () => {
    const nodes = await startThree();
    const run = (...words: string[]) => nodes.kv('lock', 'echo', '--ttl', '5s', '--', ...words);
    expect((await run('printf', '%s.', 'one', 'two', 'one', '5s', '--', 'echo', '--json')).stdout).toBe(
      'one.two.one.5s.--.echo.--json.',
    );
    expect((await run('echo', 'echo')).stdout).toBe('echo\n');
    expect(await nodes.kv('lock', 'echo', 'echo', 'a')).toMatchObject({ code: 2 });
    // A key of somebody's own below the lock's is none of a contender.
    await nodes.kv('put', 'lock/echo/note', 'hi');
    expect((await run('echo', 'a')).stdout).toBe('a\n');
  });

  test('that is lost ends its command', async () => {
    const nodes = await startThree();
    const held = join(nodes.directory, 'held');
    const ended = join(nodes.directory, 'ended');
    const script = `touch ${held}; trap 'touch ${ended}; exit 3' TERM; while :; do sleep 0.05; done`;
    const holder = lock(nodes, 'job', '--ttl', '1s', '--', 'sh', '-c', script);
    await appears(held);
    const [key] = (await nodes.kv('list', 'lock/job/')).stdout.trim().split('\n');
    await nodes.kv('delete', key as string);
    const { code, stderr } = await holder.ended;
    expect(code).toBe(1);
    // The shell may say that what it had started was terminated.
    expect(stderr).toMatch(/^kv lock: the lock job was lost while the command ran: the key was not renewed in time: /m);
    expect(existsSync(ended)).toBe(true);
  });

  test("is no other one's where no majority says so", async () => {
    const nodes = await startThree();
    for (const id of [2, 3]) nodes.signal(id, 'SIGSTOP');
    const { code, stderr } = await lock(nodes, 'job', '--wait', '2s', '--', 'true').ended;
    expect({ code, stderr }).toEqual({
      code: 5,
      stderr: expect.stringContaining(
        'the lock job was not to be had within 2000 ms, and whether another holds it is not known',
      ),
    });
    for (const id of [2, 3]) nodes.signal(id, 'SIGCONT');
  });

  test('whose holder stood still for longer than it may is not used for longer, once that is known', async () => {
    const nodes = await startThree();
    const beats = join(nodes.directory, 'beats');
    const deaf = `trap '' TERM; while :; do date +%s%N >> ${beats}; sleep 0.05; done`;
    const holder = lock(nodes, 'job', '--ttl', '12s', '--', 'sh', '-c', deaf);
    await appears(beats);
    holder.child.kill('SIGSTOP');
    await delay(13_000);
    const goesOnMs = Date.now();
    holder.child.kill('SIGCONT');
    expect((await holder.ended).code).toBe(1);
    const [lastBeat] = readFileSync(beats, 'utf8').trim().split('\n').slice(-1);
    expect(Number(lastBeat) / 1e6 - goesOnMs, 'it had a sixth of 12 s before').toBeLessThan(1500);
  });

  test.each([
    ['its command has started', (deaf: string) => `sh -c "${deaf}"; true`],
    ['has left its command', (deaf: string) => `(sh -c "${deaf}" &); while :; do sleep 0.05; done`],
  ])('that is lost ends what %s, too', async (_what, scriptOf) => {
    const nodes = await startThree();
    const beats = join(nodes.directory, 'beats');
    const deaf = `trap '' TERM; while :; do echo >> ${beats}; sleep 0.05; done`;
    const holder = lock(nodes, 'job', '--ttl', '3s', '--', 'sh', '-c', scriptOf(deaf));
    await appears(beats);
    const [key] = (await nodes.kv('list', 'lock/job/')).stdout.trim().split('\n');
    await nodes.kv('delete', key as string);
    expect((await holder.ended).code).toBe(1);
    const { size } = statSync(beats);
    await delay(500);
    expect(statSync(beats).size).toBe(size);
  });

  test('ends with its command by the signal that it gets, and is let go of', async () => {
    const nodes = await startThree();
    const held = join(nodes.directory, 'held');
    const holder = lock(nodes, 'job', '--', 'sh', '-c', `touch ${held}; exec sleep 60`);
    await appears(held);
    const waiting = lock(nodes, 'job', '--', 'true');
    await delay(1000);
    waiting.child.kill('SIGINT');
    expect((await waiting.ended).code).toBe(130);
    holder.child.kill('SIGTERM');
    expect((await holder.ended).code).toBe(143);
    expect((await nodes.kv('list', 'lock/')).stdout).toBe('');
    const again = join(nodes.directory, 'again');
    const other = lock(nodes, 'job', '--', 'sh', '-c', `touch ${again}; exec sleep 60`);
    await appears(again);
    other.child.kill('SIGINT');
    expect((await other.ended).code).toBe(130);
  });

  test('says what is wrong with its words', async () => {
    const nodes = await startThree();
    expect(await nodes.kv('lock', 'job')).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining('the COMMAND is missing: kv lock NAME -- COMMAND [ARGUMENT…]') },
    });
    expect(await nodes.kv('lock', 'job', '--', 'no-such-program')).toMatchObject({
      ...{ code: 2, stderr: expect.stringContaining('the command no-such-program cannot be run') },
    });
    expect((await nodes.kv('list', 'lock/')).stdout).toBe('');
  });
});
