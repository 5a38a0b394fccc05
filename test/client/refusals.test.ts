import { afterEach, expect, it } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import type { KvClientOptions } from '../../src/client/options.ts';
import { decodeCommand } from '../../src/kv/command.ts';
import type { ClientRequest } from '../../src/wire/client-message.ts';
import { FakeCluster, type FakeNode, type Reaction } from './fake-cluster.ts';

const cleanups: (() => Promise<unknown> | undefined)[] = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const slowly = (): Reaction => ({ hold: new Promise((resolve) => setTimeout(resolve, 5)) });
const isPut = (request: ClientRequest) => request.type === 'write' && decodeCommand(request.command).kind === 'put';
const putsAt = (node: FakeNode) => node.requests.filter(isPut).length;

/** Node 1 leads; the client is connected with node 2 first. */
async function start({ isFormed = true, ...options }: Partial<KvClientOptions> & { readonly isFormed?: boolean } = {}) {
  const cluster = await FakeCluster.start(3);
  cleanups.push(() => cluster.stop());
  const { clusterId } = cluster.node(1);
  for (const node of cluster.nodes) node.script = slowly;
  if (!isFormed) cluster.node(2).clusterId = undefined;
  const endpoints = [2, 1, 3].map((id) => cluster.node(id).address);
  const client = await KvClient.connect({ endpoints, ...options });
  cleanups.push(() => client.close());
  cluster.node(2).clusterId = clusterId;
  return { cluster, client, leader: cluster.node(1), second: cluster.node(2) };
}

async function putUntil(client: KvClient, isDone: () => boolean): Promise<void> {
  const deadline = Date.now() + 8_000;
  for (let number = 0; !isDone(); number++) {
    if (Date.now() > deadline) expect.fail('what was waited for did not come');
    await client.put('k', String(number));
  }
}

it('writes that are not waited for keep their order when the session was dropped', async () => {
  const { cluster, client } = await start();
  await client.put('k', 'first');
  cluster.forgetSessions();
  const results = await Promise.all(['1', '2', '3', '4'].map((value) => client.put('k', value)));
  const revisions = results.map(({ revision }) => revision);
  expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
  expect(new TextDecoder().decode((await client.get('k'))?.value)).toBe('4');
});

it.each([20, 120])(
  'and when the node that has them is no member any more: it says so, and refuses them %i ms later',
  async (heldMs) => {
    const { cluster, client, leader, second } = await start();
    for (const node of cluster.nodes) node.script = () => 'serve';
    await client.put('k', 'first');
    second.script = (request) => {
      if (!isPut(request)) return 'serve';
      const hold = new Promise((resolve) => setTimeout(resolve, heldMs));
      return { hold, refusal: { code: 'notMember', outcome: 'notApplied', message: 'node 2 stands by' } };
    };
    const before = ['1', '2', '3'].map((value) => client.put('k', value));
    await expect.poll(() => putsAt(second)).toBe(4);
    second.tellMembers({ addresses: [leader.address], isMember: false });
    await new Promise((resolve) => setTimeout(resolve, 10));
    const results = await Promise.all([...before, ...['4', '5'].map((value) => client.put('k', value))]);
    const revisions = results.map(({ revision }) => revision);
    expect(revisions).toEqual(revisions.toSorted((a, b) => a - b));
    expect(new TextDecoder().decode((await client.get('k'))?.value)).toBe('5');
  },
);

it('but no longer than they can wait: a node that is no member any more may not answer', async () => {
  const { cluster, client, leader, second } = await start();
  for (const node of cluster.nodes) node.script = () => 'serve';
  await client.put('k', 'first');
  second.script = (request) => (isPut(request) ? 'ignore' : 'serve');
  const before = client.put('k', 'before');
  await expect.poll(() => putsAt(second)).toBe(2);
  second.tellMembers({ addresses: [leader.address], isMember: false });
  await new Promise((resolve) => setTimeout(resolve, 10));
  await client.put('other', 'in a hurry', { timeoutMs: 200 });
  await before;
});

it('a client that connected before its cluster was formed goes to the leader, too', async () => {
  const { client, leader } = await start({ isFormed: false });
  await putUntil(client, () => putsAt(leader) > 0);
  expect(leader.connectionCount).toBe(1);
});

it('whom a node of another cluster says to lead is not gone to before it is clear which cluster it is', async () => {
  const [former, present] = [await FakeCluster.start(2), await FakeCluster.start(1)];
  cleanups.push(() => former.stop());
  cleanups.push(() => present.stop());
  const [silent, leader] = former.nodes as [FakeNode, FakeNode];
  for (const node of former.nodes) {
    node.clusterId = 'ffffffffffffffff';
    node.status = { leader: 2 };
  }
  silent.script = (request) => (request.type === 'status' ? 'serve' : 'ignore');
  const endpoints = [silent.address, present.node(1).address];
  const client = await KvClient.connect({ endpoints, timeoutMs: 10_000 });
  cleanups.push(() => client.close());
  await Promise.all(['1', '2'].map((value) => client.put(`k${value}`, value)));
  expect(silent.requests.some(({ type }) => type === 'status')).toBe(true);
  expect(new TextDecoder().decode((await client.get('k2'))?.value)).toBe('2');
  expect(leader.connectionCount).toBe(0);
  expect(putsAt(present.node(1))).toBe(2);
});

it('a write that a silent node has, and that the next one refuses, is tried again', async () => {
  const { cluster, client, second } = await start();
  await client.put('k', '0');
  const refused: ClientRequest[] = [];
  for (const node of cluster.nodes) {
    node.script = (request) => {
      if (!isPut(request)) return 'serve';
      if (node === second) return 'ignore';
      if (refused.length > 0) return 'serve';
      refused.push(request);
      return { code: 'busy', outcome: 'notApplied', message: 'the inbox is full' };
    };
  }
  const begun = performance.now();
  await client.put('k', '1', { timeoutMs: 5000 });
  expect(refused.length).toBe(1);
  expect(performance.now() - begun).toBeLessThan(3000);
});

it('a client that connected before its cluster was formed knows it again', async () => {
  const cluster = await FakeCluster.start(1);
  cleanups.push(() => cluster.stop());
  const [node] = cluster.nodes as [FakeNode];
  const { clusterId } = node;
  node.clusterId = undefined;
  const client = await KvClient.connect({ endpoints: cluster.addresses, timeoutMs: 600 });
  cleanups.push(() => client.close());
  // It is asked who leads before it has formed one, and tells none.
  let form = (): void => {};
  node.script = (request) =>
    request.type === 'status' ? 'serve' : { hold: new Promise<void>((done) => (form = done)) };
  const opened = client.put('k', 'v');
  await expect.poll(() => node.requests.some(({ type }) => type === 'status')).toBe(true);
  node.script = () => 'serve';
  node.clusterId = clusterId;
  form();
  await opened;
  const asked = () => node.requests.filter(({ type }) => type === 'status').length;
  await expect.poll(asked).toBe(2);
  node.clusterId = 'ffffffffffffffff';
  node.cut();
  const seen = node.requests.length;
  await expect(client.put('k', 'w')).rejects.toThrow('is of cluster ffffffffffffffff, this client works with cluster');
  expect(node.requests.length).toBe(seen);
});

it('a node of a cluster of another name than the one that is meant will not do, and is gone past', async () => {
  const { cluster, client, second } = await start({ clusterName: 'fake' });
  await client.put('k', 'v');
  await client.close();
  second.clusterName = 'other';
  const before = second.requests.length;
  const endpoints = [second.address, ...cluster.addresses];
  const again = await KvClient.connect({ endpoints, clusterName: 'fake' });
  cleanups.push(() => again.close());
  await again.put('k', 'w');
  expect(second.requests.length).toBe(before);
  await expect(KvClient.connect({ endpoints: [second.address], clusterName: 'fake' })).rejects.toMatchObject({
    ...{ code: 'notKvNode', outcome: 'notApplied', message: `${second.address} is of cluster "other", not of "fake"` },
  });
  await expect(KvClient.connect({ endpoints, clusterName: '' })).rejects.toMatchObject({ code: 'invalid' });
});
