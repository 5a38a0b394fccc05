import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { renameSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { KvError } from '../../src/client/call/errors.ts';
import { KvClient } from '../../src/client/client.ts';
import type { KvClientOptions } from '../../src/client/options.ts';
import type { TargetNode } from '../../src/wire/client-message.ts';
import { type ClusterView, type CommandResult, ProcessCluster } from './cluster.ts';
import { Load } from './load.ts';

let cluster: ProcessCluster;

afterEach(async () => {
  const deaths = cluster.deaths();
  await cluster.destroy();
  expect(deaths).toEqual([]);
});

/** A state that takes a newcomer a while: so many keys of a mebibyte. */
async function putLarge(on: ProcessCluster, count: number): Promise<void> {
  const client = await KvClient.connect({ endpoints: on.endpoints });
  const large = new Uint8Array(1024 * 1024);
  await Promise.all(Array.from({ length: count }, (_, nth) => client.put(`k${nth}`, large, { timeoutMs: 100_000 })));
  await client.close();
}

/** `4=127.0.0.1:7004`. */
const at = (id: number) => `${id}=${cluster.address(id)}`;

const memberIds = (view: ClusterView) => view.members.filter(({ member }) => member).map(({ id }) => id);

/** One line that names the trouble, and the exit code; what changes may have been shown before it. */
function expectRefusal(result: CommandResult, code: number, ...words: (string | RegExp)[]): void {
  const line = result.stderr.trim().split('\n').at(-1) ?? '';
  for (const word of words) expect(line).toMatch(word);
  expect(result.code, result.stderr).toBe(code);
}

test('one node grows to three, five, seven and shrinks again; one, a majority and all are replaced, under load', async () => {
  cluster = await ProcessCluster.create([1], [2, 3, 4, 5, 6, 7, 8, 9, 10]);
  await cluster.start(1, 2, 3, 4, 5, 6, 7, 8);
  const all = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
  const load = await Load.start(
    all.map((id) => cluster.address(id)),
    4,
  );
  await load.progress(1000);
  const idle = await KvClient.connect({ endpoints: [cluster.address(1)] });
  await idle.put('idle', 'since one');
  // Of those that it was given none stays, and both run on when they are no members any more.
  const given = await KvClient.connect({ endpoints: [2, 1].map((id) => cluster.address(id)) });

  let configurationId = 1;
  const endpoints = ['--endpoints', all.map((id) => cluster.address(id)).join(',')];
  /** Changes the members, and sees to it that they are complete when the command returns, and that work goes on. */
  const change = async (words: string[], expected: number[]): Promise<void> => {
    const result = await cluster.kv(...words, ...endpoints, '--yes', '--json');
    expect(result.code, result.stderr).toBe(0);
    configurationId++;
    expect(JSON.parse(result.stdout)).toMatchObject({ configurationId, members: expected, complete: true });
    const view = JSON.parse((await cluster.kv('status', '--json', ...endpoints)).stdout) as ClusterView;
    expect(memberIds(view)).toEqual(expected);
    for (const member of view.members.filter(({ id }) => expected.includes(id))) expect(member.state).toBe('member');
    await load.progress(200);
  };

  await change(['member', 'add', at(2), at(3)], [1, 2, 3]);
  await given.get('idle');
  await change(['member', 'add', at(4), at(5)], [1, 2, 3, 4, 5]);
  await change(['member', 'add', at(6), at(7)], [1, 2, 3, 4, 5, 6, 7]);
  await change(['member', 'remove', '6', '7'], [1, 2, 3, 4, 5]);
  await change(['member', 'remove', '4', '5'], [1, 2, 3]);
  // One that is dead.
  await cluster.kill(3);
  await change(['member', 'replace', '3', at(8)], [1, 2, 8]);
  // A majority, by nodes that were members before, and have some of it.
  await change(['reconfigure', `1,${at(4)},${at(5)}`], [1, 4, 5]);
  // All, one of them new.
  await cluster.start(9, 10);
  await change(['reconfigure', `${at(2)},${at(9)},${at(10)}`], [2, 9, 10]);
  await change(['member', 'remove', '2', '9'], [10]);
  // They asked for nothing all the while, and all whom they ever knew of by their own questions are gone.
  for (const id of all) if (id !== 3 && id !== 10) await cluster.kill(id);
  for (const client of [idle, given]) {
    expect((await client.get('idle'))?.revision).toBeDefined();
    await client.close();
  }

  const { operations, lost, verdict } = await load.stop();
  expect(operations).toBeGreaterThan(2500);
  expect(lost).toEqual([]);
  expect(verdict).toEqual({ ok: true });
}, 180_000);

describe('kv member', () => {
  test('says what would change, and changes it: with events for scripts', async () => {
    cluster = await ProcessCluster.create([1, 2, 3], [4]);
    await cluster.start(1, 2, 3, 4);
    expect(await cluster.kv('put', 'k', 'v')).toMatchObject({ code: 0 });
    const before = await cluster.status();
    const dry = await cluster.kv('member', 'replace', '3', at(4), '--dry-run');
    expect(dry).toMatchObject({ code: 0, stdout: expect.stringContaining('nothing was changed') });
    expect(dry.stderr).toContain('fault tolerance: 1 node of 3 may fail');
    expect((await cluster.status()).configurationId).toBe(before.configurationId);

    const done = await cluster.kv('member', 'replace', '3', at(4), '--json', '--progress');
    expect(done.code, done.stderr).toBe(0);
    const events = done.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(events.map(({ event }) => event).filter((event) => event !== 'progress')).toEqual([
      ...['filling', 'proposed', 'decided', 'complete'],
    ]);
    expect(events.at(-1)).toMatchObject({
      configurationId: 2,
      members: [1, 2, 4],
      added: [4],
      removed: [3],
      complete: true,
    });

    const list = JSON.parse((await cluster.kv('member', 'list', '--json')).stdout);
    expect(list).toMatchObject({ configurationId: 2, faultTolerance: 1 });
    expect(list.members.map(({ id }: { id: number }) => id)).toEqual([1, 2, 4]);
    const { history } = await cluster.status();
    expect(history.map(({ configurationId, members }) => [configurationId, members])).toEqual([
      [1, [1, 2, 3]],
      [2, [1, 2, 4]],
    ]);
    // What is so already is no reason to do anything.
    expect(await cluster.kv('reconfigure', '1,2,4', '--json')).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('"configurationId":2'),
    });
  });

  test('does not take in a node of another cluster, nor one that is not there, whatever --force says', async () => {
    cluster = await ProcessCluster.create([1, 2, 3], [4, 5]);
    const other = await ProcessCluster.create([4]);
    try {
      await cluster.start(1, 2, 3);
      await other.start(4);
      await other.kv('put', 'k', 'theirs');
      const theirs = `4=${other.address(4)}`;
      for (const flags of [[], ['--force'], ['--dry-run']]) {
        expectRefusal(await cluster.kv('member', 'add', theirs, ...flags), 4, /node 4 .*has data of cluster/);
        const absent = await cluster.kv('member', 'add', at(5), ...flags);
        expectRefusal(absent, 5, /node 5 does not answer at .* \(connection refused\).*kv start --id 5/);
      }
      // A command of another make would not have looked: the node that proposes does, and at once.
      const asked = performance.now();
      const refused = await reconfigureUnseen([{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4, address: other.address(4) }]);
      expect(refused).toMatchObject({ code: 'unreachable', outcome: 'notApplied' });
      expect(refused.message).toMatch(/node 4 cannot be a member: .*cluster/);
      expect(performance.now() - asked).toBeLessThan(4000);
      expect((await cluster.status()).configurationId).toBe(1);
      expect(await other.kv('get', 'k')).toMatchObject({ stdout: 'theirs\n' });
    } finally {
      await other.destroy();
    }
  });

  test('goes on without a member that stays only with --force, and never without a majority of the next ones', async () => {
    cluster = await ProcessCluster.create([1, 2, 3], [4]);
    await cluster.start(1, 2, 3, 4);
    await cluster.kv('put', 'k', 'v');
    await cluster.kill(3);
    expectRefusal(await cluster.kv('member', 'add', at(4)), 4, /node 3 .*which stays, does not answer.*--force/);
    expectRefusal(await cluster.kv('member', 'add', at(4), '--dry-run'), 4, /node 3/);
    expectRefusal(await cluster.kv('reconfigure', '1,3', '--force'), 5, /no majority/);
    expectRefusal(await cluster.kv('member', 'add', '1=127.0.0.1:9'), 4, /node 1 is a member already/);
    expectRefusal(await cluster.kv('member', 'replace', '1', '2'), 4, /node 2 is a member already, as is node 1/);
    expectRefusal(await cluster.kv('member', 'remove', '9'), 4, /node 9 is no member: the members are 1, 2, 3/);
    expectRefusal(await cluster.kv('member', 'remove', '1,2', '3'), 4, /at least one member/);
    expect((await cluster.status()).configurationId).toBe(1);
    expect(await cluster.kv('member', 'add', at(4), '--force')).toMatchObject({ code: 0 });
    expect(memberIds(await cluster.status())).toEqual([1, 2, 3, 4]);
    // Again: nothing is changed.
    expect(await cluster.kv('member', 'add', at(4))).toMatchObject({ code: 0 });
    expect((await cluster.status()).configurationId).toBe(2);
    expect(await cluster.kv('get', 'k')).toMatchObject({ stdout: 'v\n' });
  });

  test('changes nothing where no majority is, whoever asks', async () => {
    cluster = await ProcessCluster.create([1, 2, 3]);
    await cluster.start(1, 2, 3);
    await cluster.kv('put', 'k', 'v');
    for (const id of [2, 3]) cluster.signal(id, 'SIGSTOP');
    const alone = ['--endpoints', cluster.address(1)];
    await cluster.until(({ leader }) => leader === null);
    const forced = await cluster.kv('member', 'remove', '2', '3', '--force', '--timeout', '2s', ...alone);
    expectRefusal(forced, 5, /no leader with a majority/);
    const unseen = await reconfigureUnseen([{ id: 1 }], { endpoints: [cluster.address(1)], timeoutMs: 1000 });
    expect(unseen).toMatchObject({ code: 'noMajority', outcome: 'notApplied' });
    for (const id of [2, 3]) cluster.signal(id, 'SIGCONT');
    await cluster.leader();
    expect(await cluster.kv('get', 'k')).toMatchObject({ stdout: 'v\n' });
    const { configurationId, history } = await cluster.status();
    expect([configurationId, history.length]).toEqual([1, 1]);
  });

  test('that does not wait long enough changes nothing; one that does not wait leaves the rest to the nodes', async () => {
    cluster = await ProcessCluster.create([1, 2, 3], [4, 5]);
    await cluster.start(1, 2, 3, 4, 5);
    await cluster.kv('put', 'k', 'v');
    const isMember = (id: number) => (view: ClusterView) =>
      view.members.some((one) => one.id === id && one.state === 'member');
    const late = await cluster.kv('member', 'add', at(4), '--wait-timeout', '1ms', '--json', '--progress');
    expectRefusal(late, 5, /node 4 does not have all data after 0.001 s: nothing was changed/);
    expect(JSON.parse(late.stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({
      error: { code: 'notFilled', outcome: 'notApplied' },
    });
    expect((await cluster.status()).configurationId).toBe(1);
    expect(await cluster.kv('member', 'add', at(4))).toMatchObject({ code: 0 });
    await cluster.until(isMember(4));
    const quick = await cluster.kv('member', 'add', at(5), '--no-wait', '--json');
    expect(JSON.parse(quick.stdout)).toMatchObject({ configurationId: 3, members: [1, 2, 3, 4, 5], complete: false });
    expect(quick.code).toBe(0);
    await cluster.until(isMember(5));
    const fewer = await cluster.kv('member', 'remove', '5', '--no-wait', '--json', '--progress');
    const events = fewer.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line).event);
    expect(events).toEqual(['proposed', 'decided', 'complete']);
  });

  test('that is repeated waits for who is not complete, and does not call complete what is not', async () => {
    cluster = await ProcessCluster.create([1, 2, 3], [4]);
    await cluster.start(1, 2, 3, 4);
    await putLarge(cluster, 4);
    expect(await cluster.kv('member', 'add', at(4), '--no-wait')).toMatchObject({ code: 0 });
    const again = await cluster.kv('reconfigure', '1,2,3,4', '--json');
    expect(again.code).toBe(0);
    expect(JSON.parse(again.stdout)).toMatchObject({ members: [1, 2, 3, 4], complete: true, warnings: [] });
    const { members } = await cluster.status();
    expect(members.every(({ state }) => state === 'member')).toBe(true);
    await cluster.kill(4);
    const without = await cluster.kv('reconfigure', '1,2,3,4', '--json');
    expect(without.code).toBe(0);
    expect(JSON.parse(without.stdout)).toMatchObject({ complete: false });
    expect(without.stderr).toMatch(/^warning: node 4 .* does not answer/);
    for (const id of [2, 3]) await cluster.kill(id);
    expectRefusal(await cluster.kv('reconfigure', '1,2,3,4', '--timeout', '2s'), 5, /no majority/);
  });

  test('that is interrupted says what has become of it', async () => {
    cluster = await ProcessCluster.create([1, 2, 3], [4]);
    await cluster.start(1, 2, 3, 4);
    await putLarge(cluster, 64);
    const command = spawn(process.execPath, [resolve('bin/kv.js'), 'member', 'add', at(4)], { cwd: cluster.directory });
    let stderr = '';
    command.stderr.on('data', (data) => {
      stderr += data;
      if (/gets all data before/.test(String(data))) command.kill('SIGINT');
    });
    const [code] = await once(command, 'close');
    expect(stderr).toMatch(/\ninterrupted: the members are as they were\n$/);
    expect(code).toBe(130);
    expect((await cluster.status()).configurationId).toBe(1);
  }, 180_000);

  test('does not take another directory for a member that moved', async () => {
    cluster = await ProcessCluster.create([1, 2, 3], [4]);
    await cluster.start(1, 2, 3);
    await cluster.kv('put', 'k', 'v');
    await cluster.stop(3);
    const moved = `3=${cluster.address(4)}`;
    renameSync(cluster.dataDirectory(3), `${cluster.dataDirectory(3)}-old`);
    const config = join(cluster.directory, 'moved.json');
    const nodes = { 1: cluster.address(1), 2: cluster.address(2), 3: cluster.address(4) };
    writeFileSync(config, JSON.stringify({ cluster: 'process-test', nodes }));
    await cluster.startWith(3, '--config', config);
    expectRefusal(await cluster.kv('reconfigure', `1,2,${moved}`, '--force'), 4, /runs with another data directory/);
    expect((await cluster.status()).configurationId).toBe(1);
  });
});

/** What a node answers to whom has not looked before. */
async function reconfigureUnseen(
  nodes: readonly TargetNode[],
  options: KvClientOptions = { endpoints: cluster.endpoints, timeoutMs: 60_000 },
): Promise<KvError> {
  const client = await KvClient.connect(options);
  try {
    await client.reconfigure(nodes);
  } catch (error) {
    if (error instanceof KvError) return error;
    throw error;
  } finally {
    await client.close();
  }
  throw new Error('it was not refused');
}
