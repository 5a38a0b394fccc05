import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import { FakeCluster, type FakeNode } from './fake-cluster.ts';
import { Way, type WayLimits } from './way.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startCluster(count: number): Promise<FakeCluster> {
  const cluster = await FakeCluster.start(count);
  cleanups.push(() => cluster.stop());
  return cluster;
}

/** A node that tells of no others: who is given it has no way but that one. */
async function startAlone(): Promise<FakeNode> {
  const node = (await startCluster(1)).node(1);
  node.status = { members: [] };
  return node;
}

async function wayToOne(limits?: WayLimits): Promise<Way> {
  return wayTo((await startAlone()).address, limits);
}

async function wayTo(address: string, limits?: WayLimits): Promise<Way> {
  const way = await Way.to(address, limits);
  cleanups.push(() => way.close());
  return way;
}

/** Two nodes that tell of no others, and the ways to them. */
async function slowWays(cluster: FakeCluster, limits: WayLimits): Promise<string[]> {
  for (const node of cluster.nodes) node.status = { members: [] };
  const ways = await Promise.all(cluster.nodes.map(({ address }) => wayTo(address, limits)));
  return ways.map(({ address }) => address);
}

/** How many writes came that are large. */
function largeWritesAt(nodes: readonly FakeNode[]): number {
  const requests = nodes.flatMap((node) => node.requests);
  return requests.filter((request) => request.type === 'write' && request.command.length > 64 * 1024).length;
}

async function clientOf(endpoint: string, timeoutMs = 5000): Promise<KvClient> {
  const client = await KvClient.connect({ endpoints: [endpoint], timeoutMs });
  cleanups.push(() => client.close());
  return client;
}

function until(holds: () => boolean): Promise<void> {
  return expect.poll(holds, { timeout: 5000 }).toBe(true);
}

it('a client that is given one node, and whose calls are quick, learns of the others before it needs them', async () => {
  const cluster = await startCluster(2);
  const [first, second] = cluster.nodes as [FakeNode, FakeNode];
  const client = await clientOf(first.address);
  await client.put('k', 'v');
  await until(() => first.requests.some(({ type }) => type === 'status'));
  await first.stop();
  await client.get('k');
  expect(second.requests.map(({ type }) => type)).toContain('get');
});

it('a client whose one node is silent, and shows that it lives, stays with it', async () => {
  const node = await startAlone();
  node.script = ({ type }) => (type === 'get' ? 'ignore' : 'serve');
  const client = await clientOf(node.address, 6000);
  await expect(client.get('k')).rejects.toMatchObject({ code: 'timeout' });
  expect(node.connectionCount).toBe(1);
});

it('a way that is broken without a word is given up, and what was on it sent again over a new connection', async () => {
  const way = await wayToOne();
  const client = await clientOf(way.address, 10_000);
  await client.put('k', '1');
  way.break();
  const begunMs = performance.now();
  await Promise.all([client.get('k'), client.put('k', '2'), client.put('k', '3')]);
  expect(performance.now() - begunMs).toBeLessThan(6000);
  expect(way.connectionCount).toBe(2);
  expect(Buffer.from((await client.get('k'))?.value ?? []).toString()).toBe('3');
});

it('calls with too little time for that find the new connection in the end', async () => {
  const way = await wayToOne();
  const client = await clientOf(way.address, 500);
  await client.put('k', '1');
  way.break();
  let failures = 0;
  await expect
    .poll(() => client.get('k').then(Boolean, () => void failures++), { timeout: 8000, interval: 1 })
    .toBe(true);
  expect(failures).toBeGreaterThan(0);
});

it('a way that is so slow that a large value takes it for seconds is not given up', async () => {
  const way = await wayToOne({ bytesPerMs: 170 });
  const client = await clientOf(way.address, 30_000);
  await client.put('k', '');
  await client.put('k', new Uint8Array(1024 * 1024));
  expect(way.connectionCount).toBe(1);
});

it.each([300, 1024])('a value of %i KiB that takes seconds to get to a node is sent once', async (kibibytes) => {
  const cluster = await startCluster(2);
  const client = await KvClient.connect({ endpoints: await slowWays(cluster, { bytesPerMs: 125 }), timeoutMs: 30_000 });
  cleanups.push(() => client.close());
  await client.put('k', '');
  await client.put('k', new Uint8Array(kibibytes * 1024));
  expect(largeWritesAt(cluster.nodes)).toBe(1);
});

it('a large value that a node does not take, and one that it takes and does not answer, get to another one soon', async () => {
  const cluster = await startCluster(2);
  const [first, second] = cluster.nodes as [FakeNode, FakeNode];
  for (const node of cluster.nodes) node.status = { members: [] };
  const way = await wayTo(first.address);
  const client = await KvClient.connect({ endpoints: [way.address, second.address], timeoutMs: 30_000 });
  cleanups.push(() => client.close());
  await client.put('k', '');
  way.break();
  let begunMs = performance.now();
  await client.put('k', new Uint8Array(1024 * 1024));
  expect(performance.now() - begunMs).toBeLessThan(3000);
  second.script = ({ type }) => (type === 'write' ? 'ignore' : 'serve');
  begunMs = performance.now();
  const unanswered = client.put('k', new Uint8Array(100 * 1024));
  // What it takes later says nothing of what it has already.
  const others: Promise<unknown>[] = [];
  const timer = setInterval(() => others.push(client.put('k', new Uint8Array(100 * 1024))), 300);
  cleanups.push(() => clearInterval(timer));
  await unanswered;
  clearInterval(timer);
  expect(performance.now() - begunMs).toBeLessThan(2000);
  await Promise.all(others);
});

it('a large answer that takes seconds on its way is not asked for once more', async () => {
  const cluster = await startCluster(2);
  const client = await KvClient.connect({
    endpoints: await slowWays(cluster, { bytesPerMsBack: 400 }),
    timeoutMs: 20_000,
  });
  cleanups.push(() => client.close());
  const value = new Uint8Array(1024 * 1024);
  await client.put('k', value);
  expect((await client.get('k'))?.value.length).toBe(value.length);
  expect(cluster.nodes.flatMap(({ requests }) => requests.filter(({ type }) => type === 'get'))).toHaveLength(1);
});

it('a watch over a slow way gets what takes it longer than an answer usually may', async () => {
  const cluster = await startCluster(2);
  for (let at = 0; at < 3; at++) cluster.change(`k/${at}`, 'v'.repeat(1024 * 1024));
  const client = await KvClient.connect({ endpoints: await slowWays(cluster, { bytesPerMsBack: 450 }) });
  cleanups.push(() => client.close());
  const watch = client.watchPrefix('k/', { timeoutMs: 20_000 });
  expect((await watch.next()).value).toHaveLength(3);
  expect(cluster.nodes.flatMap(({ requests }) => requests.filter(({ type }) => type === 'watch'))).toHaveLength(1);
  await watch.return();
});

it('an answer to a watch that takes longer than there may be none is waited for while it comes in', async () => {
  const cluster = await startCluster(2);
  for (let at = 0; at < 3; at++) cluster.change(`k/${at}`, 'v'.repeat(1024 * 1024));
  const client = await KvClient.connect({ endpoints: await slowWays(cluster, { bytesPerMsBack: 450 }) });
  cleanups.push(() => client.close());
  const watch = client.watchPrefix('k/', { timeoutMs: 3000 });
  expect((await watch.next()).value).toHaveLength(3);
  expect(cluster.nodes.flatMap(({ requests }) => requests.filter(({ type }) => type === 'watch'))).toHaveLength(1);
  await watch.return();
});

it('it is not waited for once nothing of it comes any more, or when it is aborted', async () => {
  const node = await startAlone();
  for (let at = 0; at < 3; at++) node.cluster.change(`k/${at}`, 'v'.repeat(1024 * 1024));
  const way = await wayTo(node.address, { bytesPerMsBack: 450 });
  const client = await clientOf(way.address);
  const stop = new AbortController();
  const aborted = client.watchPrefix('k/', { timeoutMs: 1000, signal: stop.signal });
  const first = aborted.next();
  await delay(2000);
  stop.abort();
  await expect(first).rejects.toMatchObject({ code: 'aborted' });
  const cut = client.watchPrefix('k/', { timeoutMs: 1000 }).next();
  await delay(2000);
  way.break();
  way.close();
  await expect(cut).rejects.toThrow(/^the watch ends: no .* within 1000 ms/);
});

it('a way that takes longer than a second is connected over all the same', async () => {
  const way = await wayToOne({ delayMs: 600 });
  const client = await clientOf(way.address, 10_000);
  await client.put('k', 'v');
});

it('a first write that reaches nobody says why', async () => {
  const cluster = await startCluster(2);
  const client = await KvClient.connect({ endpoints: cluster.addresses, timeoutMs: 1000 });
  cleanups.push(() => client.close());
  await cluster.stop();
  await expect(client.put('k', 'v')).rejects.toMatchObject({
    ...{
      code: 'noMajority',
      outcome: 'notApplied',
      message: /within 1000 ms: .*: connection refused; .*: connection refused$/,
    },
  });
});
