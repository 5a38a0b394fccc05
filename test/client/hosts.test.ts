import { getEventListeners } from 'node:events';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, it } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import { checkNodeOptions } from '../../src/cluster/node-options.ts';
import { FakeCluster, type FakeNode } from './fake-cluster.ts';

/* What programs of all kinds do with the package. */

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(): Promise<{ client: KvClient; node: FakeNode }> {
  const cluster = await FakeCluster.start(1);
  cleanups.push(() => cluster.stop());
  const client = await KvClient.connect({ endpoints: cluster.addresses, clusterName: undefined, timeoutMs: undefined });
  cleanups.push(() => client.close());
  return { client, node: cluster.node(1) };
}

it('values of another realm are as good as those of this one', async () => {
  const { client } = await start();
  await client.put('k', runInNewContext('new Uint8Array([7])') as Uint8Array);
  expect((await client.get('k'))?.value).toEqual(new Uint8Array([7]));
  const nodes = runInNewContext("new Map([[1, '127.0.0.1:7001']])") as Map<number, string>;
  const options = { nodeId: 1, dataDirectory: 'd', clusterName: 'c', nodes, address: '127.0.0.1:7001' };
  expect(() => checkNodeOptions(options)).not.toThrow();
  expect(() => checkNodeOptions({ ...options, nodes: {} as never })).toThrow('nodes is no Map');
});

it('a signal of another class is as good, and one that is none is refused', async () => {
  const { client, node } = await start();
  class Signal extends EventTarget {
    aborted = false;
    reason = 'enough';
  }
  const signal = new Signal();
  node.script = () => 'ignore';
  const got = client.get('k', { signal: signal as AbortSignal });
  signal.aborted = true;
  await expect(got).rejects.toMatchObject({ code: 'aborted', cause: 'enough' });
  await expect(client.get('k', { signal: {} as AbortSignal })).rejects.toMatchObject({ code: 'invalid' });
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});

it('closing ends what asks one node for its status, and a client that is closed asks none', async () => {
  const { client, node } = await start();
  node.script = () => 'ignore';
  const asked = client.statusOf(node.address, { timeoutMs: 30_000 });
  const all = client.clusterStatus({ timeoutMs: 30_000 });
  const outcomes = Promise.allSettled([asked, all]);
  await expect.poll(() => node.requests.length).toBeGreaterThanOrEqual(2);
  await client.close();
  for (const outcome of await outcomes)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'closed' } });
  await expect(client.statusOf(node.address)).rejects.toMatchObject({ code: 'closed' });
});

it('a bare number in the place of options is refused, not passed over', async () => {
  const { client } = await start();
  await expect(client.keep('k', 'v', 60_000 as never)).rejects.toMatchObject({
    ...{ code: 'invalid', message: 'the options are 60000: give an object, such as { timeoutMs: 500 }' },
  });
});

it('what is to be closed closes itself where its block ends', async () => {
  const { client, node } = await start();
  const kept = await client.keep('k', 'v');
  await kept[Symbol.asyncDispose]();
  expect(await client.get('k')).toBeUndefined();
  await client[Symbol.asyncDispose]();
  await expect(client.get('k')).rejects.toMatchObject({ code: 'closed' });
  await expect.poll(() => node.openConnections).toBe(0);
});
