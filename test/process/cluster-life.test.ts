import { rmSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterEach, expect, test } from 'vitest';
import { ProcessCluster } from './cluster.ts';

let cluster: ProcessCluster;

afterEach(() => cluster.destroy());

/** Milliseconds that `run` takes. */
async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}

test('a put is read from every node, survives its leader, and everything survives everybody', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  expect(await cluster.kv('put', 'foo', 'bar')).toMatchObject({ code: 0 });
  for (const id of [1, 2, 3]) {
    expect(await cluster.kv('get', 'foo', '--endpoints', cluster.address(id))).toMatchObject({
      code: 0,
      stdout: 'bar\n',
    });
  }

  const leader = await cluster.leader();
  await cluster.kill(leader);
  const took = await timed(async () => expect(await cluster.kv('put', 'foo', 'baz')).toMatchObject({ code: 0 }));
  expect(took).toBeLessThan(2000);

  await cluster.start(leader);
  const view = await cluster.until(({ members }) => new Set(members.map((member) => member.appliedIndex)).size === 1);
  expect(view.members.map((member) => member.id)).toEqual([1, 2, 3]);
  expect(
    await cluster.kv('get', 'foo', '--consistency', 'local', '--endpoints', cluster.address(leader)),
  ).toMatchObject({
    stdout: 'baz\n',
  });

  for (const id of [1, 2, 3]) await cluster.kill(id);
  await cluster.start(1, 2, 3);
  expect(await cluster.kv('get', 'foo')).toMatchObject({ code: 0, stdout: 'baz\n' });
});

test('a standby replaces a member: one continuous log, every key there, the old member stands by', async () => {
  cluster = await ProcessCluster.create([1, 2, 3], [4]);
  await cluster.start(1, 2, 3, 4);
  for (const key of ['a', 'b', 'c']) expect((await cluster.kv('put', key, `value of ${key}`)).code).toBe(0);
  expect(await cluster.kv('reconfigure', `1,2,4=${cluster.address(4)}`)).toMatchObject({ code: 0 });
  const view = await cluster.until(({ members, configurationId }) => {
    const caughtUp = members.filter(({ role }) => role === 'leader' || role === 'follower');
    return (
      configurationId === 2 &&
      caughtUp.length === 3 &&
      new Set(caughtUp.map((member) => member.appliedIndex)).size === 1
    );
  });
  expect(view.members.filter(({ role }) => role !== 'standby').map((member) => member.id)).toEqual([1, 2, 4]);
  for (const key of ['a', 'b', 'c']) {
    const local = await cluster.kv('get', key, '--consistency', 'local', '--endpoints', cluster.address(4));
    expect(local).toMatchObject({ code: 0, stdout: `value of ${key}\n` });
  }
  // The one left out sends its clients to the members.
  expect(await cluster.kv('get', 'a', '--endpoints', cluster.address(3))).toMatchObject({ stdout: 'value of a\n' });
  expect(cluster.stderr(3)).toContain('stands by');
});

test('a member that slept through a reconfiguration comes back and finds its place', async () => {
  cluster = await ProcessCluster.create([1, 2, 3], [4]);
  await cluster.start(1, 2, 3, 4);
  await cluster.kv('put', 'before', '1');
  await cluster.kill(3);
  expect(await cluster.kv('reconfigure', `1,2,3,4=${cluster.address(4)}`, '--force')).toMatchObject({ code: 0 });
  await cluster.kill(2);
  // Two of the four members are down: nothing goes on until one that slept has caught up.
  await cluster.start(3);
  expect(await cluster.kv('put', 'after', '2', '--timeout', '10s')).toMatchObject({ code: 0 });
  await cluster.until(
    ({ members }) =>
      members.find(({ id }) => id === 3)?.role === 'follower' || members.find(({ id }) => id === 3)?.role === 'leader',
  );
});

test('without a majority nothing is applied, and the exit codes say so', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  expect((await cluster.kv('put', 'k', '1')).code).toBe(0);
  await cluster.kill(1);
  await cluster.kill(2);
  expect(await cluster.kv('get', 'k', '--timeout', '1500ms')).toMatchObject({ code: 5 });
  // A local read needs nobody.
  expect(await cluster.kv('get', 'k', '--consistency', 'local', '--endpoints', cluster.address(3))).toMatchObject({
    code: 0,
  });
  await cluster.kill(3);
  expect(await cluster.kv('put', 'k', '2', '--timeout', '700ms')).toMatchObject({ code: 5 });
});

test('SIGTERM ends a node cleanly, and a paused leader does not come back as one', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.kv('put', 'k', '1');
  const leader = await cluster.leader();
  cluster.signal(leader, 'SIGSTOP');
  expect(await cluster.kv('put', 'k', '2')).toMatchObject({ code: 0 });
  cluster.signal(leader, 'SIGCONT');
  expect(await cluster.kv('get', 'k', '--endpoints', cluster.address(leader))).toMatchObject({
    code: 0,
    stdout: '2\n',
  });
  expect(await cluster.stop(leader)).toBe(0);
  expect(await cluster.kv('get', 'k')).toMatchObject({ stdout: '2\n' });
});

test('a leader that is asked to stop hands the lead over before it ends', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  const leader = await cluster.leader();
  expect(await cluster.stop(leader)).toBe(0);
  // The very first answer names another leader: nobody had to miss the old one.
  const view = await cluster.status();
  expect(view.leader).toBeGreaterThan(0);
  expect(view.leader).not.toBe(leader);
  expect(await cluster.kv('put', 'k', 'v')).toMatchObject({ code: 0 });
});

test('an emptied data directory does not come back as the old member', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.kv('put', 'k', '1');
  await cluster.kill(3);
  rmSync(cluster.dataDirectory(3), { recursive: true });
  await cluster.start(3);
  await cluster.until(({ members }) => members.find(({ id }) => id === 3)?.role !== 'follower');
  await cluster.kill(2);
  // Node 1 and the wiped node 3 are no majority.
  expect(await cluster.kv('put', 'k', '2', '--timeout', '1500ms')).not.toMatchObject({ code: 0 });
  await cluster.start(2);
  expect(await cluster.kv('reconfigure', '1,2')).toMatchObject({ code: 0 });
  expect(await cluster.kv('reconfigure', `1,2,3=${cluster.address(3)}`)).toMatchObject({ code: 0 });
  await cluster.until(
    ({ members }) =>
      members.find(({ id }) => id === 3)?.role === 'follower' || members.find(({ id }) => id === 3)?.role === 'leader',
  );
});

test('the only founder of a cluster that has grown does not begin another one on an emptied data directory', async () => {
  cluster = await ProcessCluster.create([1], [2, 3]);
  await cluster.start(1, 2, 3);
  const all = ['--endpoints', [1, 2, 3].map((id) => cluster.address(id)).join(',')];
  const grown = await cluster.kv(
    'member',
    'add',
    ...[2, 3].map((id) => `${id}=${cluster.address(id)}`),
    '--yes',
    ...all,
  );
  expect(grown, grown.stderr).toMatchObject({ code: 0 });
  expect(await cluster.kv('put', 'k', 'v', ...all)).toMatchObject({ code: 0 });
  await cluster.kill(1);
  rmSync(cluster.dataDirectory(1), { recursive: true });
  // By now the others call it as seldom as they ever do.
  await setTimeout(4000);
  await cluster.start(1);
  const answer = await cluster.kv('get', 'k', '--timeout', '3s', '--endpoints', cluster.address(1));
  // It may send the client to the members, but must not say that there is no such key.
  expect(answer.code === 0 ? answer.stdout : answer.stderr).toMatch(/^v\n$|stands by and is no member/);
  expect(cluster.stderr(1)).toContain('no new cluster of this node alone is formed');
  const rebuilt = await cluster.kv('member', 'rebuild', '1', '--yes', ...all);
  expect(rebuilt, rebuilt.stderr).toMatchObject({ code: 0 });
  // The emptied node is the first that is asked, and knows of no other member than itself.
  const { stdout } = await cluster.kv('status', '--json', ...all);
  const { members } = JSON.parse(stdout) as { members: { id: number; member: boolean }[] };
  expect(members.filter(({ member }) => member).map(({ id }) => id)).toEqual([1, 2, 3]);
  const local = ['--consistency', 'local', '--endpoints', cluster.address(1)];
  expect(await cluster.kv('get', 'k', ...local)).toMatchObject({ code: 0, stdout: 'v\n' });
});
