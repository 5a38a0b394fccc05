import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import { Endpoints } from '../../src/client/connection/endpoints.ts';
import { FakeCluster, type FakeNode } from './fake-cluster.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

/** Longer than a connection has to last to be worth another. */
const aWhileMs = 600;

const membersAmong = (nodes: readonly FakeNode[]) => nodes.map(({ id, address }) => ({ id, address }));
const addressesOf = (nodes: readonly FakeNode[]) => nodes.map(({ address }) => address);
const connectionsTo = (nodes: readonly FakeNode[]) => nodes.map(({ openConnections }) => openConnections);

/** A client of the first of so many nodes, two if it is not said, that has nothing left to ask. */
async function start(count = 4, givenCount = 2) {
  const cluster = await FakeCluster.start(count);
  cleanups.push(() => cluster.stop());
  const nodes = cluster.nodes as unknown as [FakeNode, FakeNode, FakeNode, FakeNode];
  const given = nodes.slice(0, givenCount);
  for (const node of nodes) node.status = { members: membersAmong(given), leader: undefined };
  const client = await KvClient.connect({ endpoints: addressesOf(given), timeoutMs: 4000 });
  cleanups.push(() => client.close());
  await client.put('k', 'v');
  return { client, nodes };
}

/** The members are these now: the others say that they are none. */
function replaceBy(nodes: readonly FakeNode[], members: readonly FakeNode[]): void {
  for (const node of nodes) {
    const isMember = members.includes(node);
    node.status = { members: membersAmong(members), leader: undefined, state: isMember ? 'member' : 'standby' };
    node.tellMembers({ addresses: addressesOf(members), isMember });
  }
}

describe('a client that asks for nothing', () => {
  it('hears of other members, so that all whom it knew may go', async () => {
    const { client, nodes } = await start();
    nodes[0].tellMembers({ addresses: addressesOf(nodes.slice(2)), isMember: true });
    await client.get('k');
    expect(nodes[0].openConnections, 'where it is').toBe(1);
    await Promise.all([nodes[0].stop(), nodes[1].stop()]);
    expect(await client.get('k')).toBeDefined();
  });

  it('goes to a member as soon as its node is none any more, and not to another that is none', async () => {
    const { nodes } = await start();
    replaceBy(nodes, nodes.slice(2));
    await expect.poll(() => connectionsTo(nodes), { timeout: 4000 }).toEqual([0, 0, 1, 0]);
  });

  it('does not stay with one that is no member while it seeks one', async () => {
    const { nodes } = await start();
    await Promise.all(nodes.slice(2).map((node) => node.stop()));
    replaceBy(nodes, nodes.slice(2));
    await delay(aWhileMs);
    await nodes[2].restart();
    await expect.poll(() => connectionsTo(nodes), { timeout: 4000 }).toEqual([0, 0, 1, 0]);
  });

  it('finds the one that is left of many that were members for a while, though none of these answers', async () => {
    const { client, nodes } = await start(32, 1);
    const [first, ...others] = nodes;
    const last = others.at(-1) as FakeNode;
    for (const node of others) node.saysHello = node === last;
    for (const node of others) first.tellMembers({ addresses: addressesOf([first, node]), isMember: true });
    first.tellMembers({ addresses: [last.address], isMember: true });
    await client.get('k');
    await first.stop();
    expect(await client.get('k')).toBeDefined();
  });

  it('whose connection is lost is connected again, to hear of what comes', async () => {
    const { nodes } = await start();
    await delay(aWhileMs);
    await nodes[0].stop();
    await expect.poll(() => nodes[1].openConnections, { timeout: 4000 }).toBe(1);
  });

  it('does not try for longer than ten seconds where nobody is of use', async () => {
    const useless: readonly ((node: FakeNode) => unknown)[] = [
      (node) => {
        node.clusterId = 'ffff112233aabbcc';
      },
      (node) => {
        const timer = setInterval(() => node.cut(), 30);
        cleanups.push(() => clearInterval(timer));
      },
    ];
    const counts = await Promise.all(
      useless.map(async (spoil) => {
        const { nodes } = await start(2);
        await delay(aWhileMs);
        spoil(nodes[1]);
        await nodes[0].stop();
        await delay(2000);
        const early = nodes[1].connectionCount;
        await delay(10_000);
        const late = nodes[1].connectionCount;
        await delay(2000);
        return [early > 0, nodes[1].connectionCount - late];
      }),
    );
    expect(counts).toEqual([
      [true, 0],
      [true, 0],
    ]);
  });

  it('of one node alone stays with it', async () => {
    const { client, nodes } = await start(2, 1);
    const before = nodes[0].connectionCount;
    await expect(client.statusOf(nodes[0].address)).resolves.toMatchObject({ nodeId: 1 });
    replaceBy(nodes.slice(0, 1), []);
    await delay(aWhileMs);
    expect(await client.get('k')).toBeDefined();
    expect(nodes[0].connectionCount - before, 'that of statusOf').toBe(1);
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

  it('come before those that were given where they are the members', () => {
    const endpoints = new Endpoints(['127.0.0.1:1', '127.0.0.1:2'], undefined);
    endpoints.prefer(['127.0.0.1:2', '127.0.0.1:3']);
    expect(endpoints.next(new Set())).toBe('127.0.0.1:2');
    expect(endpoints.next(new Set(['127.0.0.1:2']))).toBe('127.0.0.1:3');
    expect(endpoints.next(new Set(['127.0.0.1:2', '127.0.0.1:3']))).toBe('127.0.0.1:1');
  });
});
