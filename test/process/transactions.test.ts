import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { KvError } from '../../src/client/call/errors.ts';
import { KvClient } from '../../src/client/client.ts';
import { ProcessCluster } from './cluster.ts';
import { killLeaders } from './kill-leaders.ts';

let cluster: ProcessCluster | undefined;

afterEach(async () => {
  await cluster?.destroy();
  cluster = undefined;
});

const accounts = ['account/0', 'account/1', 'account/2', 'account/3', 'account/4'];
const opening = 100;
const transfersEach = 40;

test('what is carried from key to key by transactions is neither lost nor made, at any moment, while leaders are killed', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.leader();
  const { endpoints } = cluster;
  const client = await KvClient.connect({ endpoints, timeoutMs: 20_000 });
  const { revision } = await client.transact({ do: accounts.map((put) => ({ put, value: `${opening}` })) });
  expect((await client.list('account/')).map((pair) => pair.revision)).toEqual(accounts.map(() => revision));

  const load = { isOver: false };
  const carrying = Promise.all([0, 1, 2, 3].map((at) => carry(endpoints, at)));
  const looking = Promise.all([look(client, load), watch(client, load)]);
  const killing = killLeaders(cluster, load);
  const carried = await carrying;
  load.isOver = true;
  // So that the watch has something to end with.
  await client.put('account/none', '0');
  const [lists, batches] = await looking;
  expect(await killing).toBeGreaterThan(0);

  expect(await sumOf(client.list('account/'))).toBe(accounts.length * opening);
  expect(carried.reduce((sum, { applied, unknown }) => sum + applied + unknown, 0)).toBe(4 * transfersEach);
  expect(
    carried.reduce((sum, { conflicts }) => sum + conflicts, 0),
    "they were in each other's way",
  ).toBeGreaterThan(0);
  expect(lists).toBeGreaterThan(10);
  expect(batches).toBeGreaterThan(10);
  await client.close();
}, 180_000);

test('kv transact changes all or nothing, and by what runs under a lock only while that is held', async () => {
  cluster = await ProcessCluster.create([1]);
  await cluster.start(1);
  const kv = cluster.kv.bind(cluster);
  expect(await kv('transact', '--put', 'a=1', '--put', 'b=2', '--if', 'a=0')).toMatchObject({
    stdout: 'revision 2\n',
    code: 0,
  });
  const refused = await kv('transact', '--put', 'a=x', '--delete', 'b', '--if', 'a=0');
  expect(refused).toMatchObject({
    code: 4,
    stderr: 'kv transact: condition 1, of "a": the key exists, at revision 2: nothing is changed\n',
  });
  const document = join(cluster.directory, 'changes.json');
  writeFileSync(document, '{"if": [{"key": "b", "revision": 2}], "do": [{"put": "c", "value": "3"}, {"delete": "b"}]}');
  expect(await kv('transact', document)).toMatchObject({ code: 0 });
  expect((await kv('list')).stdout).toBe('a\nc\n');

  const fenced = (value: string) =>
    `"${process.execPath}" "${resolve('bin/kv.js')}" transact --if "$KV_LOCK_KEY=$KV_LOCK_REVISION" --put site=${value}`;
  const held = await kv(
    'lock',
    'deploy',
    '--',
    'sh',
    '-c',
    `${fenced('green')} && echo "$KV_LOCK_KEY=$KV_LOCK_REVISION"`,
  );
  expect(held.code).toBe(0);
  const former = held.stdout.trim().split('\n').at(-1) ?? '';
  expect(former).toMatch(/^lock\/deploy\/.+=\d+$/);
  expect(await kv('transact', '--if', former, '--put', 'site=red')).toMatchObject({ code: 4 });
  expect((await kv('get', 'site')).stdout).toBe('green\n');

  expect(await kv('delete', 'a', '--prefix')).toMatchObject({ code: 0, stdout: '1 key deleted\n' });
  expect(await kv('delete', 'a', '--prefix')).toMatchObject({ code: 3, stderr: 'kv delete: no key begins with a\n' });
  expect((await kv('list')).stdout).toBe('c\nsite\n');
});

/** Carries one from an account to another, again and again, on condition that both are as they were read. */
async function carry(endpoints: readonly string[], at: number) {
  const own = [...endpoints.slice(at % endpoints.length), ...endpoints.slice(0, at % endpoints.length)];
  const client = await KvClient.connect({ endpoints: own, timeoutMs: 20_000 });
  const counts = { applied: 0, unknown: 0, conflicts: 0 };
  while (counts.applied + counts.unknown < transfersEach) {
    const turn = at + counts.applied + counts.conflicts;
    const from = accounts[turn % accounts.length] as string;
    const to = accounts[(turn * 2 + 1) % accounts.length] as string;
    if (from === to) {
      counts.conflicts++;
      continue;
    }
    const [source, target] = await Promise.all([client.get(from), client.get(to)]);
    if (!source || !target) throw new Error('an account is gone');
    const change = (key: string, value: Uint8Array, by: number) => ({ put: key, value: `${numberIn(value) + by}` });
    try {
      await client.transact({
        if: [
          { key: from, revision: source.revision },
          { key: to, revision: target.revision },
        ],
        do: [change(from, source.value, -1), change(to, target.value, 1)],
      });
      counts.applied++;
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      if (error.code === 'conflict') counts.conflicts++;
      else if (error.outcome === 'unknown') counts.unknown++;
      else throw error;
    }
  }
  await client.close();
  return counts;
}

/** Lists all accounts again and again: none of the lists may be of the middle of a transaction. How many there were. */
async function look(client: KvClient, load: { readonly isOver: boolean }): Promise<number> {
  let lists = 0;
  for (; !load.isOver; lists++) expect(await sumOf(client.list('account/'))).toBe(accounts.length * opening);
  return lists;
}

/** The same of what a watch tells. */
async function watch(client: KvClient, load: { readonly isOver: boolean }): Promise<number> {
  const values = new Map<string, number>();
  let batches = 0;
  for await (const changes of client.watchPrefix('account/')) {
    for (const change of changes) {
      if (change.type === 'delete') throw new Error('an account is gone');
      values.set(Buffer.from(change.key).toString(), numberIn(change.value));
    }
    batches++;
    expect([...values.values()].reduce((sum, value) => sum + value, 0)).toBe(accounts.length * opening);
    if (load.isOver) break;
  }
  return batches;
}

async function sumOf(list: Promise<readonly { readonly value: Uint8Array }[]>): Promise<number> {
  return (await list).reduce((sum, { value }) => sum + numberIn(value), 0);
}

function numberIn(value: Uint8Array): number {
  return Number(Buffer.from(value).toString());
}
