import { afterEach, expect, it } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import { FakeCluster, type FakeNode } from './fake-cluster.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Long enough for a call to go to other nodes twice, and shorter than its own time. */
const soonMs = 4000;

async function start() {
  const cluster = await FakeCluster.start(3);
  cleanups.push(() => cluster.stop());
  const client = await KvClient.connect({ endpoints: cluster.addresses, timeoutMs: 2 * soonMs });
  cleanups.push(() => client.close());
  return { client, nodes: cluster.nodes as [FakeNode, FakeNode, FakeNode] };
}

it('a read that a silent node has, and whose next connection is lost, is asked of another node', async () => {
  const { client, nodes } = await start();
  nodes[0].script = ({ type }) => (type === 'status' ? 'serve' : 'ignore');
  let cuts = 0;
  nodes[1].script = ({ type }) => (type === 'get' && cuts++ === 0 ? 'cutBefore' : 'serve');
  const begunMs = performance.now();
  await client.get('k');
  expect(cuts).toBe(1);
  expect(performance.now() - begunMs).toBeLessThan(soonMs);
});

it('one long write that opens the session there does not hold up all later ones', async () => {
  const { client, nodes } = await start();
  nodes[0].script = ({ type }) => (type === 'status' ? 'serve' : 'ignore');
  let cuts = 0;
  nodes[1].script = ({ type }) => (type === 'write' && cuts++ === 0 ? 'cutBefore' : 'serve');
  const long = client.put('k', '1', { timeoutMs: 30_000 });
  await expect.poll(() => cuts, { timeout: soonMs }).toBe(1);
  await client.put('k', '2', { timeoutMs: soonMs });
  await long;
});

it('a read at a node that refuses another one, and then hangs, is asked of another node', async () => {
  const { client, nodes } = await start();
  nodes[0].script = (request) => {
    if (request.type !== 'get') return 'serve';
    const isRefused = new TextDecoder().decode(request.key) === 'refused';
    return isRefused ? { code: 'busy', outcome: 'notApplied', message: 'full' } : 'ignore';
  };
  const begunMs = performance.now();
  await Promise.all([client.get('hangs'), client.get('refused')]);
  expect(performance.now() - begunMs).toBeLessThan(soonMs);
});
