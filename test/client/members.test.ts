import { afterEach, describe, expect, it } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import { Endpoints } from '../../src/client/endpoints.ts';
import { FakeCluster, type FakeNode } from './fake-cluster.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** A client of the first two of four nodes that has nothing left to ask. */
async function start() {
  const cluster = await FakeCluster.start(4);
  cleanups.push(() => cluster.stop());
  const nodes = cluster.nodes as [FakeNode, FakeNode, FakeNode, FakeNode];
  const given = nodes.slice(0, 2);
  for (const node of nodes)
    node.status = { members: given.map(({ id, address }) => ({ id, address })), leader: undefined };
  const client = await KvClient.connect({ endpoints: given.map(({ address }) => address), timeoutMs: 4000 });
  cleanups.push(() => client.close());
  await client.put('k', 'v');
  return { client, nodes };
}

describe('a client that asks for nothing', () => {
  it('hears of other members, so that all whom it knew may go', async () => {
    const { client, nodes } = await start();
    nodes[0].tellMembers({ addresses: [nodes[2].address, nodes[3].address], isMember: true });
    await client.get('k');
    expect(nodes[0].openConnections, 'where it is').toBe(1);
    await Promise.all([nodes[0].stop(), nodes[1].stop()]);
    expect(await client.get('k')).toBeDefined();
  });

  it('goes to a member as soon as its node is none any more', async () => {
    const { nodes } = await start();
    nodes[0].tellMembers({ addresses: [nodes[2].address, nodes[3].address], isMember: false });
    await expect.poll(() => nodes[0].openConnections, { timeout: 4000 }).toBe(0);
    expect(nodes.slice(1).map(({ openConnections }) => openConnections)).toContain(1);
  });

  it('whose connection is lost is connected again, to hear of what comes', async () => {
    const { nodes } = await start();
    await nodes[0].stop();
    await expect.poll(() => nodes[1].openConnections, { timeout: 4000 }).toBe(1);
  });
});

describe('endpoints that are learned', () => {
  it('take the place of what was learned before and is of no account any more, never of what was given', () => {
    const endpoints = new Endpoints(['127.0.0.1:1', '127.0.0.1:2'], undefined);
    const addresses = Array.from({ length: 300 }, (_, at) => `127.0.0.1:${at + 3}`);
    for (const address of addresses) endpoints.learn([address, '127.0.0.1:9999']);
    expect(endpoints.size).toBe(200);
    expect(endpoints.addresses).toEqual(['127.0.0.1:1', '127.0.0.1:2', '127.0.0.1:9999', ...addresses.slice(-197)]);
  });

  it('are no more than fit, and none is of use that is no address', () => {
    const endpoints = new Endpoints(['127.0.0.1:1'], undefined);
    endpoints.learn(['no address', ...Array.from({ length: 300 }, (_, at) => `127.0.0.1:${at + 3}`)]);
    expect(endpoints.size).toBe(200);
    expect(endpoints.addresses.at(-1)).toBe('127.0.0.1:201');
  });
});
