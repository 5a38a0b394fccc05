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

const clients = 4;
const addsEach = 50;

test('a counter that several clients count up by conditional writes misses none, while leaders are killed', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.leader();
  const load = { isOver: false, conflicts: 0 };
  const { endpoints } = cluster;
  const counting = Promise.all(Array.from({ length: clients }, (_, at) => countUp(endpoints, at, load)));
  const killing = killLeaders(cluster, load);
  const added = await counting;
  load.isOver = true;
  const kills = await killing;

  const least = added.reduce((sum, { applied }) => sum + applied, 0);
  const most = added.reduce((sum, { unknown }) => sum + unknown, least);
  expect(most).toBe(clients * addsEach);
  const count = Number((await cluster.kv('get', 'counter')).stdout);
  expect(count).toBeGreaterThanOrEqual(least);
  expect(count).toBeLessThanOrEqual(most);
  expect(kills).toBeGreaterThan(0);
  expect(load.conflicts, "they were in each other's way").toBeGreaterThan(0);
}, 120_000);

test('kv put --if-absent takes a key once, whoever asks', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.leader();
  const kv = cluster.kv.bind(cluster);
  const results = await Promise.all(
    ['a', 'b', 'c', 'd'].map((name) => kv('put', 'leader', name, '--if-absent', '--json')),
  );
  expect(results.map(({ code }) => code).sort()).toEqual([0, 4, 4, 4]);
  const winner = results.findIndex(({ code }) => code === 0);
  const { revision } = JSON.parse(results[winner]?.stdout ?? '');
  for (const { code, stdout } of results) {
    if (code === 4)
      expect(JSON.parse(stdout).error).toMatchObject({ code: 'conflict', outcome: 'notApplied', revision });
  }
  expect((await kv('get', 'leader')).stdout).toBe(`${['a', 'b', 'c', 'd'][winner]}\n`);
  expect((await kv('delete', 'leader', '--if-revision', `${revision + 1}`)).code).toBe(4);
  expect((await kv('delete', 'leader', '--if-revision', `${revision}`)).code).toBe(0);
});

/** Adds one, again and again, to what it reads. How often that was applied, and how often nobody knows. */
async function countUp(endpoints: readonly string[], at: number, load: { conflicts: number }) {
  const own = [...endpoints.slice(at % endpoints.length), ...endpoints.slice(0, at % endpoints.length)];
  const client = await KvClient.connect({ endpoints: own, timeoutMs: 20_000 });
  const added = { applied: 0, unknown: 0 };
  while (added.applied + added.unknown < addsEach) {
    const found = await client.get('counter');
    const value = String(Number(found ? Buffer.from(found.value).toString() : '0') + 1);
    try {
      await client.put('counter', value, { ifRevision: found?.revision ?? 0 });
      added.applied++;
    } catch (error) {
      if (!(error instanceof KvError)) throw error;
      if (error.code === 'conflict') load.conflicts++;
      else if (error.outcome === 'unknown') added.unknown++;
      else throw error;
    }
  }
  await client.close();
  return added;
}
