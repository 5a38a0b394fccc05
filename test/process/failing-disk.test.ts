import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { KvError } from '../../src/client/call/errors.ts';
import { KvClient } from '../../src/client/client.ts';
import { ProcessCluster } from './cluster.ts';
import { straceProblem, under } from './strace.ts';

const problem = straceProblem();
const valueBytes = 200 * 1024;

describe.skipIf(problem)(`a node whose disk fails${problem ? ` (${problem})` : ''}`, () => {
  let cluster: ProcessCluster;
  let written = 0;

  beforeAll(async () => {
    cluster = await ProcessCluster.create([1, 2, 3]);
    await cluster.start(1, 2, 3);
    await cluster.until(({ members }) => members.every(({ role }) => role !== 'unreachable'));
  });

  afterAll(() => cluster.destroy());

  const data = (name: string) => join(cluster.dataDirectory(3), name);
  /** Those that are there, and those that may come. */
  const segments = () => Array.from({ length: 120 }, (_, n) => data(`log/${String(n + 1).padStart(20, '0')}.wal`));

  /** The one line, among those of the log, that says why the node ended. */
  const lastWords = (stderr: string) => stderr.split('\n').filter((line) => line !== '' && !/^\d{4}-\d\d-/.test(line));

  /** Large values, so that checkpoints are soon due, by way of node 3 until it ends. Gives what was acknowledged. */
  async function writeUntil(end: Promise<unknown>): Promise<string[]> {
    const client = await KvClient.connect({ endpoints: [cluster.address(3)] });
    const acknowledged: string[] = [];
    let hasEnded = false;
    void end.then(() => {
      hasEnded = true;
    });
    while (!hasEnded) {
      const key = `key-${written++}`;
      try {
        await client.put(key, key.padEnd(valueBytes, '.'));
        acknowledged.push(key);
      } catch (error) {
        // What was under way when the node ended.
        if (!(error instanceof KvError)) throw error;
      }
    }
    await client.close();
    return acknowledged;
  }

  async function expectRejoined(acknowledged: readonly string[]): Promise<void> {
    // The others go on without it.
    expect(await cluster.kv('put', 'meanwhile', 'x')).toMatchObject({ code: 0 });
    await cluster.start(3);
    const { members } = await cluster.until((view) => new Set(view.members.map((one) => one.appliedIndex)).size === 1);
    expect(members.map(({ appliedIndex }) => appliedIndex)).not.toContain(null);
    const client = await KvClient.connect({ endpoints: [cluster.address(3)] });
    for (const key of acknowledged) {
      const record = await client.get(key, { consistency: 'local' });
      expect(Buffer.from(record?.value ?? []).toString()).toBe(key.padEnd(valueBytes, '.'));
    }
    await client.close();
  }

  test.each([
    {
      title: 'a write of the log',
      call: 'pwrite64',
      when: '8+',
      files: segments,
      line: /a write to \S+\.wal failed \(EIO/,
    },
    {
      title: 'the trial before a checkpoint',
      call: 'write,pwrite64',
      when: '2+',
      files: () => [data('state/trial')],
      line: /a write to \S+\/state\/trial failed \(EIO/,
    },
    {
      title: 'the sync of a checkpoint',
      call: 'fdatasync',
      when: '1+',
      files: () => [data('state/data.mdb')],
      line: /a write to \S+\/state\/data\.mdb failed \(Input\/output error\)/,
    },
  ])(
    'under load, $title: ends with 9 and one line, loses nothing, and comes back on a good disk',
    async ({ call, when, files, line }) => {
      await cluster.stop(3);
      await cluster.startUnder(3, under({ call, when, files: files(), fault: 'error=EIO' }));
      const ended = cluster.ended(3);
      const acknowledged = await writeUntil(ended);
      const end = await ended;
      expect(end.code, end.stderr).toBe(9);
      expect(lastWords(end.stderr)).toEqual([expect.stringMatching(line)]);
      expect(lastWords(end.stderr)[0]).toMatch(/^kv start: .*: check the disk and its free space, then start again$/);
      expect(acknowledged.length).toBeGreaterThan(0);
      await expectRejoined(acknowledged);
    },
    60_000,
  );

  test.each([
    { title: 'a read of the log', call: 'pread64', files: segments, line: /a read of \S+\/log failed \(EIO/ },
    { title: 'a write of the log', call: 'pwrite64', files: segments, line: /a write to \S+\.wal failed \(EIO/ },
    {
      title: 'a read of the state',
      call: 'pread64,read',
      files: () => [data('state/data.mdb')],
      line: /a read of \S+\/state\/data\.mdb failed \(EIO/,
    },
    { title: 'a sync of its directory', call: 'fsync', files: () => [data('')], line: /a write to \S+ failed \(EIO/ },
  ])(
    'at its start, $title: ends with 9 and one line, and starts on a good disk',
    async ({ call, files, line }) => {
      await cluster.stop(3);
      const started = cluster.startUnder(3, under({ call, files: files(), fault: 'error=EIO' }));
      const [end] = await Promise.all([cluster.ended(3), expect(started).rejects.toThrow()]);
      expect(end.code, end.stderr).toBe(9);
      expect(lastWords(end.stderr)).toEqual([expect.stringMatching(line)]);
      await expectRejoined([]);
    },
    60_000,
  );

  test('while its directory is checked: that says nothing of what is on it', async () => {
    await cluster.stop(3);
    const [strace, ...words] = under({ call: 'pread64', files: segments(), fault: 'error=EIO' }) as [string];
    const kv = [process.execPath, resolve('bin/kv.js'), 'verify', cluster.dataDirectory(3)];
    const { status, stderr } = spawnSync(strace, [...words, ...kv], { encoding: 'utf8' });
    expect(status, stderr).toBe(9);
    expect(stderr).toMatch(/\/log could not be read: EIO.*\n.*check the disk; to make node 3 whole from the others: /);
    expect(await cluster.kv('verify', cluster.dataDirectory(3))).toMatchObject({ code: 0 });
    await expectRejoined([]);
  });

  test('with --rebuild, where its log cannot be read: it is set aside as a damaged one', async () => {
    await cluster.stop(3);
    const wrapped = under({ call: 'pread64', files: segments(), fault: 'error=EIO', when: '1' });
    await cluster.startUnder(3, wrapped, ['--rebuild']);
    expect(existsSync(`${cluster.dataDirectory(3)}.damaged-1`)).toBe(true);
    expect(await cluster.kv('member', 'rebuild', '3', '--yes')).toMatchObject({ code: 0 });
    await cluster.stop(3);
    await expectRejoined([]);
  }, 60_000);

  test('at its stop: ends with 9 and one line all the same', async () => {
    await cluster.stop(3);
    await cluster.startUnder(3, under({ call: 'fsync', files: [data('closed.new')], fault: 'error=EIO' }));
    const end = cluster.ended(3);
    cluster.signal(3, 'SIGTERM');
    const { code, stderr } = await end;
    expect(code, stderr).toBe(9);
    expect(lastWords(stderr)).toEqual([expect.stringMatching(/a write to \S+\/closed\.new failed \(EIO/)]);
    await expectRejoined([]);
  });
});
