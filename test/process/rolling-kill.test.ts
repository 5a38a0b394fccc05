import { afterEach, expect, test } from 'vitest';
import { KvError } from '../../src/client/call/errors.ts';
import { KvClient } from '../../src/client/client.ts';
import { checkHistory, type Operation } from '../linearizability/checker.ts';
import { ProcessCluster } from './cluster.ts';

let cluster: ProcessCluster;

afterEach(() => cluster.destroy());

const keysCount = 10_000;
const outstanding = 64;

test('10,000 keys at 64 outstanding while each node in turn is killed and restarted: none lost, all linearizable', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  const client = await KvClient.connect({ endpoints: cluster.endpoints, timeoutMs: 20_000 });
  // A cluster forms once all its first members have met: before that none of them can be spared.
  await client.put('formed', 'v');
  const load = { next: 0, done: 0, isKilling: true };
  const acknowledged = new Map<string, string>();
  const history: Operation[] = [];

  const writers = Array.from({ length: outstanding }, async (_, writer) => {
    // At least all keys, and as long as nodes are being killed.
    while (load.next < keysCount || load.isKilling) {
      const number = load.next++;
      const key = `key-${number % keysCount}`;
      const value = `${writer}-${number}`;
      if (number >= keysCount) await hotOperation(client, history, number, value);
      else {
        await client.put(key, value);
        acknowledged.set(key, value);
        if (number % 10 === 0) await hotOperation(client, history, number, value);
      }
      load.done++;
    }
  });
  const killer = (async () => {
    for (const id of [1, 2, 3]) {
      await cluster.kill(id);
      await progress(load, 500);
      await cluster.start(id);
      await cluster.until(({ members }) => members.every((member) => member.role !== 'unreachable'));
      await progress(load, 500);
    }
    load.isKilling = false;
  })();
  await Promise.all([...writers, killer]);

  expect(acknowledged.size).toBe(keysCount);
  const pairs = await client.list('key-', { limit: keysCount + 1 });
  const found = new Map(pairs.map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value).toString()]));
  expect(found.size).toBe(keysCount);
  for (const [key, value] of acknowledged) expect(found.get(key)).toBe(value);
  expect(history.length).toBeGreaterThanOrEqual(keysCount / 10);
  expect(checkHistory(history)).toEqual({ ok: true });
  await client.close();
}, 120_000);

/** Waits until so many more operations are done. */
async function progress(load: { readonly done: number }, count: number): Promise<void> {
  const goal = load.done + count;
  while (load.done < goal) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** An operation on one of a few keys that all writers share, recorded. */
async function hotOperation(client: KvClient, history: Operation[], number: number, value: string): Promise<void> {
  const key = `hot-${number % 7}`;
  const invoked = performance.now();
  try {
    if (number % 3 === 0) {
      const record = await client.get(key);
      const read = record && Buffer.from(record.value).toString();
      history.push({ type: 'get', key, invoked, returned: performance.now(), value: read });
    } else {
      await client.put(key, value);
      history.push({ type: 'put', key, value, invoked, returned: performance.now() });
    }
  } catch (error) {
    if (!(error instanceof KvError) || error.outcome !== 'unknown') throw error;
    history.push({ type: 'put', key, value, invoked, returned: undefined });
  }
}
