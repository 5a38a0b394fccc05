import { afterEach, describe, expect, it } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import type { KvClientOptions } from '../../src/client/options.ts';
import { decodeCommand } from '../../src/kv/command.ts';
import type { ClientRequest } from '../../src/wire/client-message.ts';
import { FakeCluster, type FakeNode, type Reaction } from './fake-cluster.ts';

const cleanups: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const delay = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** A node that takes some time to answer, so that something is under way whenever the client looks. */
const slowly = (): Reaction => ({ hold: delay(5) });

const putNumber = (request: ClientRequest): number | undefined => {
  if (request.type !== 'write') return undefined;
  const command = decodeCommand(request.command);
  return command.kind === 'put' ? command.number : undefined;
};

const keyOf = (request: ClientRequest): string | undefined => {
  if (request.type !== 'write') return undefined;
  const command = decodeCommand(request.command);
  return command.kind === 'put' ? new TextDecoder().decode(command.key) : undefined;
};

const putsAt = (node: FakeNode) => node.requests.filter((request) => putNumber(request) !== undefined).length;

/** Node 1 leads, the client is connected to node 2. */
async function start(options: Partial<KvClientOptions> = {}) {
  const cluster = await FakeCluster.start(3);
  cleanups.push(() => cluster.stop());
  for (const node of cluster.nodes) node.script = slowly;
  const endpoints = [2, 1, 3].map((id) => cluster.node(id).address);
  const client = await KvClient.connect({ endpoints, ...options });
  cleanups.push(() => client.close());
  return { cluster, client, leader: cluster.node(1), second: cluster.node(2) };
}

async function putUntil(client: KvClient, isDone: () => boolean): Promise<void> {
  const deadline = Date.now() + 8000;
  for (let number = 0; !isDone(); number++) {
    if (Date.now() > deadline) expect.fail('what was waited for did not come');
    await client.put('k', String(number));
  }
}

/** A put whose effect is there once: a second one would have given the key a later revision. */
async function putOnce(client: KvClient, value: string): Promise<void> {
  const { revision } = await client.put('k', value);
  expect((await client.get('k'))?.revision).toBe(revision);
}

/** Puts, so many at a time and without a pause, until `isDone`. How many there were. */
async function putsInFlight(client: KvClient, count: number, isDone: () => boolean): Promise<number> {
  let puts = 0;
  const one = async () => {
    while (!isDone()) await client.put('k', String(puts++));
  };
  await Promise.all(Array.from({ length: count }, one));
  return puts;
}

describe('writes', () => {
  it('go straight to the leader, and reads to the node connected to', async () => {
    const { client, leader, second } = await start();
    await putUntil(client, () => putsAt(leader) > 0);
    const before = putsAt(second);
    await putUntil(client, () => putsAt(leader) > 5);
    await client.get('k');
    expect(putsAt(second)).toBe(before);
    expect(second.requests.at(-1)?.type).toBe('get');
    expect(leader.requests.filter(({ type }) => type === 'get')).toEqual([]);
  });

  it('stay where they are if one endpoint is given, or the node connected to leads', async () => {
    const { cluster, client, second } = await start();
    for (const node of cluster.nodes) node.status = { leader: 2 };
    const pinned = await KvClient.connect({ endpoints: [cluster.node(3).address] });
    cleanups.push(() => pinned.close());
    const end = Date.now() + 300;
    await Promise.all([putUntil(client, () => Date.now() > end), putUntil(pinned, () => Date.now() > end)]);
    expect(cluster.node(1).connectionCount).toBe(0);
    expect([second.connectionCount, cluster.node(3).connectionCount]).toEqual([1, 1]);
  });

  it('keep their order while the way changes, with many under way', async () => {
    const { cluster, client, leader } = await start();
    const arrived: number[] = [];
    for (const node of cluster.nodes) {
      node.script = (request) => {
        const number = putNumber(request);
        if (number !== undefined) arrived.push(number);
        return { hold: delay(3 + Math.random() * 10) };
      };
    }
    const puts = await putsInFlight(client, 40, () => putsAt(leader) > 200);
    expect(arrived).toHaveLength(puts);
    expect(arrived).toEqual([...arrived].sort((a, b) => a - b));
  });

  it('follow the lead, and go back to the node connected to when that one leads', async () => {
    const { cluster, client, leader, second } = await start();
    await putUntil(client, () => putsAt(leader) > 0);
    for (const node of cluster.nodes) node.status = { leader: 3 };
    await putUntil(client, () => putsAt(cluster.node(3)) > 0);
    for (const node of cluster.nodes) node.status = { leader: 2 };
    const before = putsAt(second);
    await putUntil(client, () => putsAt(second) > before + 3);
    await delay(50);
    expect([leader.openConnections, second.openConnections, cluster.node(3).openConnections]).toEqual([0, 1, 0]);
  });
});

describe('a leader', () => {
  it('that is lost is survived: each write goes through another node, and is applied once', async () => {
    const { client, leader, second } = await start();
    await putUntil(client, () => putsAt(leader) > 0);
    const before = putsAt(second);
    leader.script = (request) => (putNumber(request) === undefined ? 'serve' : 'cutAfter');
    for (let at = 0; at < 3; at++) await putOnce(client, String(at));
    expect(putsAt(second)).toBeGreaterThan(before);
  });

  it.each(['ignore', 'applyAndIgnore'] as const)(
    'that hangs is left, and each write applied once (%s)',
    async (reaction) => {
      const { client, leader, second } = await start({ timeoutMs: 1500 });
      await putUntil(client, () => putsAt(leader) > 0);
      const before = putsAt(second);
      leader.script = (request) => (putNumber(request) === undefined ? 'serve' : reaction);
      for (const value of ['a', 'b']) await putOnce(client, value);
      expect(putsAt(second)).toBe(before + 2);
    },
  );

  it('that refuses is left', async () => {
    const { client, leader, second } = await start();
    await putUntil(client, () => putsAt(leader) > 0);
    const before = putsAt(second);
    leader.script = () => ({ code: 'shuttingDown', outcome: 'notApplied', message: 'this node is stopping' });
    await client.put('k', 'v');
    expect(putsAt(second)).toBe(before + 1);
  });

  it('that cannot be reached, or says nothing, keeps no write waiting', async () => {
    const { cluster, client, leader, second } = await start({ timeoutMs: 900 });
    leader.saysHello = false;
    await putUntil(client, () => leader.connectionCount > 1);
    await leader.stop();
    const members = cluster.nodes.map(({ id, address }) => ({ id, address: id === 1 ? '127.0.0.1:1' : address }));
    second.status = { members };
    const end = Date.now() + 500;
    let longestMs = 0;
    while (Date.now() < end) {
      const begun = performance.now();
      await client.put('k', 'v');
      longestMs = Math.max(longestMs, performance.now() - begun);
    }
    // A write that waited for the leader would take at least the time that the client gives it to say hello.
    expect(longestMs).toBeLessThan(250);
    expect(putsAt(leader)).toBe(0);
  });

  it('where another cluster or another node answers gets nothing', async () => {
    const { cluster, client, leader } = await start();
    leader.clusterId = 'ffeeddccbbaa9988';
    await putUntil(client, () => leader.connectionCount > 0);
    const members = cluster.nodes.map(({ id, address }) => ({ id, address }));
    const swapped = members.map(({ id }) => ({ id, address: cluster.node(id === 1 ? 3 : id).address }));
    for (const node of cluster.nodes) node.status = { members: swapped };
    await putUntil(client, () => cluster.node(3).connectionCount > 0);
    const end = Date.now() + 100;
    await putUntil(client, () => Date.now() > end);
    expect([putsAt(leader), putsAt(cluster.node(3))]).toEqual([0, 0]);
    expect([leader.openConnections, cluster.node(3).openConnections]).toEqual([0, 0]);
  });

  it('that says hello and hangs again and again is tried less and less often', async () => {
    const { client, leader } = await start({ timeoutMs: 900 });
    leader.script = (request) => (putNumber(request) === undefined ? 'serve' : 'ignore');
    const end = Date.now() + 12_000;
    let waits = 0;
    while (Date.now() < end) {
      const begun = performance.now();
      await client.put('k', 'v');
      if (performance.now() - begun > 250) waits++;
    }
    // Once each time that somebody says who leads would be six.
    expect(waits).toBeGreaterThan(0);
    expect(waits).toBeLessThan(6);
  });

  it('whose address is none does no harm', async () => {
    const { cluster, client, second } = await start();
    const members = cluster.nodes.map(({ id, address }) => ({ id, address: id === 1 ? 'xn--a:7001' : address }));
    let hasBeenAsked = false;
    second.status = { members };
    second.script = (request) => {
      if (request.type === 'status') hasBeenAsked = true;
      return slowly();
    };
    await putUntil(client, () => hasBeenAsked);
    await client.put('k', 'v');
  });

  it('lets a write go on in a new session that waits to be sent again when its session is gone', async () => {
    const { cluster, client, leader, second } = await start({ timeoutMs: 3000 });
    await putUntil(client, () => putsAt(leader) > 0);
    await delay(100);
    // Nobody takes another connection for a while; the one to the leader stands.
    for (const node of cluster.nodes) node.saysHello = false;
    let isHeld = false;
    leader.script = (request) => {
      if (isHeld || putNumber(request) === undefined) return slowly();
      isHeld = true;
      cluster.forgetSessions();
      return { hold: delay(1200) };
    };
    second.cut();
    await delay(50);
    const put = client.put('k', 'last');
    await delay(1400);
    for (const node of cluster.nodes) node.saysHello = true;
    await put;
    expect((await client.get('k'))?.value).toEqual(new TextEncoder().encode('last'));
  });

  it('keeps no write with little time waiting', async () => {
    const { client, second } = await start();
    let isHeld = false;
    second.script = (request) => {
      if (isHeld || putNumber(request) === undefined) return slowly();
      isHeld = true;
      return { hold: delay(900) };
    };
    const held = client.put('held', 'v');
    const end = Date.now() + 800;
    while (Date.now() < end) await client.put('k', 'v', { timeoutMs: 200 });
    await held;
  });

  it('does not hold up writes for long that come while one before them has no answer', async () => {
    const { client, leader, second } = await start();
    let isHeld = false;
    second.script = (request) => {
      if (isHeld || putNumber(request) === undefined) return slowly();
      isHeld = true;
      return { hold: delay(700) };
    };
    const held = client.put('held', 'v');
    const begun = performance.now();
    await putUntil(client, () => leader.connectionCount > 0);
    await putUntil(client, () => performance.now() - begun > 600);
    // Given up once in that time, or nothing would have got past it.
    expect(putsAt(second)).toBeGreaterThan(20);
    await held;
  });
});

describe('the node connected to', () => {
  it('that is lost keeps no write from the leader, not even where it was about to take them back', async () => {
    const { cluster, client, leader, second } = await start();
    await putUntil(client, () => putsAt(leader) > 0);
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    let held: Promise<unknown> | undefined;
    second.script = (request) => {
      // Before the answer gets there, so that this write is on its way to the leader when the client learns of the next one.
      if (request.type === 'status') held ??= client.put('held', 'v');
      return slowly();
    };
    leader.script = (request) => (keyOf(request) === 'held' ? { hold: released } : slowly());
    for (const node of cluster.nodes) node.status = { leader: 2 };
    await putUntil(client, () => held !== undefined);
    await delay(20);
    for (const node of cluster.nodes) node.saysHello = false;
    await second.stop();
    await delay(20);
    const next = client.put('next', 'v');
    release();
    await Promise.all([held, next]);
  });

  it('becomes the leader: one connection is left, and a leader that hangs costs one wait', async () => {
    const { client, leader, second } = await start({ timeoutMs: 3000 });
    await putUntil(client, () => putsAt(leader) > 3);
    await second.stop();
    await client.get('k');
    expect(leader.openConnections).toBe(2);
    await putUntil(client, () => leader.openConnections === 1);
    leader.script = () => 'ignore';
    const begun = performance.now();
    await client.put('k', 'v');
    expect(performance.now() - begun).toBeLessThan(1700);
  });

  it('that is asked who leads, and stalls for less than calls put up with, is stayed with', async () => {
    const { cluster, client, leader, second } = await start();
    for (const node of cluster.nodes) node.status = { leader: undefined };
    let stall: Promise<unknown> | undefined;
    second.script = (request) => {
      if (request.type === 'status') stall ??= delay(500);
      return stall === undefined ? slowly() : { hold: stall };
    };
    await putUntil(client, () => stall !== undefined);
    await client.put('k', 'v');
    expect([leader.connectionCount, cluster.node(3).connectionCount]).toEqual([0, 0]);
  });
});

describe('closing', () => {
  it('closes the connection to the leader, too', async () => {
    const { client, leader, second } = await start();
    await putUntil(client, () => putsAt(leader) > 0);
    await client.close();
    await delay(50);
    expect([leader.openConnections, second.openConnections]).toEqual([0, 0]);
  });
});
