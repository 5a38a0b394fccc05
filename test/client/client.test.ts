import { getEventListeners } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer, type Server } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocketServer } from 'ws';
import type { KvError } from '../../src/client/call/errors.ts';
import { KvClient } from '../../src/client/client.ts';
import type { KvClientOptions } from '../../src/client/options.ts';
import { decodeCommand, reportSpace } from '../../src/kv/command.ts';
import type { ClientRequest } from '../../src/wire/client-message.ts';
import { FakeCluster, type FakeNode, type Reaction, type Refusal, type Script } from './fake-cluster.ts';

const text = (bytes: Uint8Array | undefined) => bytes && new TextDecoder().decode(bytes);
const bytes = (value: string) => new TextEncoder().encode(value);

const cleanups: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function startCluster(count = 3): Promise<FakeCluster> {
  const cluster = await FakeCluster.start(count);
  cleanups.push(() => cluster.stop());
  return cluster;
}

async function connect(cluster: FakeCluster, options: Partial<KvClientOptions> = {}): Promise<KvClient> {
  const client = await KvClient.connect({ endpoints: cluster.addresses, ...options });
  cleanups.push(() => client.close());
  return client;
}

async function start(count = 3, options: Partial<KvClientOptions> = {}) {
  const cluster = await startCluster(count);
  return {
    cluster,
    client: await connect(cluster, options),
    first: cluster.node(1),
    second: cluster.node(Math.min(2, count)),
  };
}

/** The error that a call fails with. */
async function errorOf(call: Promise<unknown>): Promise<KvError> {
  return call.then(
    (result) => expect.fail(`expected a failure, got ${JSON.stringify(result)}`),
    (error) => error,
  );
}

const isOpen = (request: ClientRequest) =>
  request.type === 'write' && decodeCommand(request.command).kind === 'openSession';
const isPut = (request: ClientRequest) => request.type === 'write' && decodeCommand(request.command).kind === 'put';
const numbersOf = (node: FakeNode) =>
  node.requests.flatMap((request) =>
    isPut(request) && request.type === 'write' ? decodeCommand(request.command).number : [],
  );

/** Reacts so to the first requests that match, and serves the rest. */
function firstly(matches: (request: ClientRequest) => boolean, ...reactions: Reaction[]) {
  return (request: ClientRequest) => (matches(request) ? (reactions.shift() ?? 'serve') : 'serve');
}

/** Refuses commands as a node does that waits as long as the client gave it. */
function atItsDeadline(refusal: Refusal) {
  return (request: ClientRequest): Reaction =>
    isPut(request) ? { hold: new Promise((resolve) => setTimeout(resolve, request.timeoutMs)), refusal } : 'serve';
}

describe('calls', () => {
  it('put, get and delete, with revisions that grow', async () => {
    const { client } = await start();
    const first = await client.put('k', 'a');
    const second = await client.put(bytes('k'), bytes('b'));
    expect(second.revision).toBeGreaterThan(first.revision);
    const found = await client.get('k');
    expect(found).toEqual({ value: bytes('b'), revision: second.revision });
    expect(found?.value.constructor).toBe(Uint8Array);
    expect(await client.delete('k')).toMatchObject({ existed: true });
    expect(await client.delete('k')).toMatchObject({ existed: false });
    expect(await client.get('k')).toBeUndefined();
  });

  it('put and delete with a condition, and say what the key is at if that does not hold', async () => {
    const { client } = await start();
    const { revision } = await client.put('k', 'a', { ifRevision: 0 });
    expect(await errorOf(client.put('k', 'b', { ifRevision: 0 }))).toMatchObject({
      ...{ code: 'conflict', outcome: 'notApplied', revision },
      message: `the key exists, at revision ${revision}: nothing is changed`,
    });
    expect(text((await client.get('k'))?.value)).toBe('a');
    const second = await client.put('k', 'b', { ifRevision: revision });
    expect(await errorOf(client.delete('k', { ifRevision: revision }))).toMatchObject({
      ...{ code: 'conflict', outcome: 'notApplied', revision: second.revision },
      message: `the key is at revision ${second.revision}, not ${revision}: nothing is changed`,
    });
    expect(await client.delete('k', { ifRevision: second.revision })).toMatchObject({ existed: true });
    expect(await errorOf(client.put('k', 'c', { ifRevision: second.revision }))).toMatchObject({
      ...{ code: 'conflict', revision: 0 },
      message: 'there is no such key: nothing is changed',
    });
  });

  it.each(['cutAfter', 'cutBefore', 'applyAndIgnore'] as const)(
    'with a condition are no conflict with themselves when they are sent again (%s)',
    async (reaction) => {
      const { client, first, second } = await start();
      first.script = firstly(isPut, reaction);
      const { revision } = await client.put('k', 'a', { ifRevision: 0, timeoutMs: 6000 });
      expect(await client.get('k')).toEqual({ value: bytes('a'), revision });
      expect([...numbersOf(first), ...numbersOf(second)]).toEqual([1, 1]);
    },
  );

  it.each([-1, 1.5, Number.NaN, 2 ** 53, '7', null, undefined])(
    'refuse the revision %j, and nobody is asked',
    async (ifRevision) => {
      const { client, first } = await start();
      const options = { ifRevision } as unknown as { ifRevision: number };
      const error = await errorOf(client.put('k', 'a', options));
      expect(error).toMatchObject({ code: 'invalid', outcome: 'notApplied' });
      expect(error.message).toContain('give the one that get() told, or 0 for a key that does not exist');
      expect(first.requests.filter(({ type }) => type === 'write')).toEqual([]);
    },
  );

  it('carry empty values, any bytes, and the largest key and value', async () => {
    const { client } = await start();
    const key = new Uint8Array(1024).fill(0xff);
    const value = new Uint8Array(1024 * 1024).map((_, at) => at % 251);
    await client.put(key, value);
    expect(Buffer.compare((await client.get(key))?.value ?? bytes(''), value)).toBe(0);
    await client.put('empty', '');
    expect((await client.get('empty'))?.value).toEqual(new Uint8Array(0));
  });

  it('ask for consistency as told: linearizable unless local', async () => {
    const { client, first } = await start();
    await client.get('k');
    await client.get('k', { consistency: 'local' });
    await client.list('k', { consistency: 'local' });
    expect(first.requests.filter(({ type }) => type !== 'status')).toMatchObject([
      { type: 'get', consistency: 'linearizable' },
      { type: 'get', consistency: 'local' },
      { type: 'list', consistency: 'local' },
    ]);
  });

  it('list by prefix over as many pages as it takes, up to the limit', async () => {
    const { client, first } = await start();
    const value = new Uint8Array(1024 * 1024);
    await Promise.all(['b', ...Array.from({ length: 10 }, (_, at) => `a${at}`)].map((key) => client.put(key, value)));
    const all = await client.list('a');
    expect(all.map((pair) => text(pair.key))).toEqual(Array.from({ length: 10 }, (_, at) => `a${at}`));
    expect(all[3]?.value.length).toBe(value.length);
    expect((await client.list('a', { limit: 7 })).map((pair) => text(pair.key))).toHaveLength(7);
    expect(first.requests.filter((request) => request.type === 'list').length).toBeGreaterThan(2);
    const behind = await client.list('a', { after: 'a6', limit: 2 });
    expect(behind.map((pair) => text(pair.key))).toEqual(['a7', 'a8']);
    const scanned: (string | undefined)[] = [];
    for await (const pair of client.scan()) scanned.push(text(pair.key));
    expect(scanned).toHaveLength(11);
    expect(await client.list('none')).toEqual([]);
  });

  it('reconfigure to what answers at an address, and not to what else runs under that id', async () => {
    const { client, cluster, first, second } = await start(2);
    second.status = { storageId: '0123' };
    await client.reconfigure([1, { id: 2, address: cluster.addresses[1] as string }]);
    const [fill] = first.requests.filter(({ type }) => type === 'fill');
    const [reconfigure] = first.requests.filter(({ type }) => type === 'reconfigure');
    const nodes = [{ id: 1 }, { id: 2, address: cluster.addresses[1] }];
    // It is asked once it is filled: in that time it may have been started again, with an emptied directory.
    expect(fill).toMatchObject({ nodes });
    expect(JSON.stringify(fill)).not.toContain('0123');
    expect(reconfigure).toMatchObject({ nodes: [nodes[0], { ...nodes[1], storageId: '0123' }] });
    // Another node is there, or nobody: that is for the node that proposes.
    await client.reconfigure([3, { id: 4, address: cluster.addresses[1] as string }]);
    const last = first.requests.filter(({ type }) => type === 'reconfigure').at(-1);
    expect(last).toMatchObject({ nodes: [{ id: 3 }, { id: 4, address: cluster.addresses[1] }] });
    expect(JSON.stringify(last)).not.toContain('0123');
  });

  it('reconfigure with ids, with and without addresses', async () => {
    const { client, first } = await start();
    expect(await client.reconfigure([4, { id: 2, address: '10.0.0.4:7004' }, 1])).toEqual({ configurationId: 2 });
    // A slow machine has the client ask for the status as well.
    expect(first.requests.findLast(({ type }) => type !== 'status')).toMatchObject({
      type: 'reconfigure',
      nodes: [{ id: 1 }, { id: 2, address: '10.0.0.4:7004' }, { id: 4 }],
    });
  });

  it('of one tick go out in one frame, with the answers in any order', async () => {
    const { client, first } = await start();
    await client.put('warm', 'up');
    const frames = first.frameSizes.length;
    let release = (): void => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    first.script = firstly(isPut, { hold });
    const slow = client.put('k0', 'v').then(() => 'slow');
    const others = Array.from({ length: 99 }, (_, at) => client.put(`k${at + 1}`, 'v'));
    await Promise.all(others);
    expect(first.frameSizes.slice(frames)).toContain(100);
    release();
    expect(await slow).toBe('slow');
    expect(first.connectionCount).toBe(1);
  });

  it('give the node a bit less time than they have', async () => {
    const { client, first } = await start();
    await client.get('k', { timeoutMs: 1000 });
    expect(first.requests[0]?.timeoutMs).toBeGreaterThan(700);
    expect(first.requests[0]?.timeoutMs).toBeLessThan(960);
  });
});

describe('bad input is refused before anything is sent', () => {
  const cases: [string, (client: KvClient) => Promise<unknown>, string, string][] = [
    ['an empty key', (c) => c.put('', 'v'), 'invalid', 'the key is empty'],
    ['a long key', (c) => c.get('k'.repeat(1025)), 'tooLarge', 'the key has 1025 bytes'],
    ['a key that is long in UTF-8', (c) => c.delete('é'.repeat(513)), 'tooLarge', 'the key has 1026 bytes'],
    ['a large value', (c) => c.put('k', new Uint8Array(1024 * 1024 + 1)), 'tooLarge', 'the value has 1048577 bytes'],
    ['a key of another type', (c) => c.get(5 as never), 'invalid', 'the key is 5: give'],
    ['a list for a key', (c) => c.put(['k'] as never, 'v'), 'invalid', 'the key is an object (Array)'],
    ['an ArrayBuffer', (c) => c.put('k', new ArrayBuffer(1) as never), 'invalid', 'an object (ArrayBuffer)'],
    ['an option that a put has not', (c) => c.put('k', 'v', { ifValue: 'u' } as never), 'invalid', 'have ifValue'],
    ['nor a read', (c) => c.list('k', { prefix: 'l' } as never), 'invalid', 'there are timeoutMs, signal, consistency'],
    ['nor a node', (c) => c.reconfigure([{ id: 1, adress: 'h:1' } as never]), 'invalid', 'a node has adress'],
    ['an address that is no text', (c) => c.reconfigure([{ id: 1, address: 5 as never }]), 'invalid', 'node 1 is 5'],
    ['a signal that is none', (c) => c.get('k', { signal: 'x' as never }), 'invalid', 'signal is "x", a text: give'],
    ['no configuration', (c) => c.fill([1], { ifConfigurationId: Number.NaN }), 'invalid', 'ifConfigurationId is NaN'],
    ['nor that', (c) => c.reconfigure([1], { ifConfigurationId: '1' as never }), 'invalid', 'is "1", a text'],
    ['no time to fill', (c) => c.reconfigure([1], { fillTimeoutMs: Number.NaN }), 'invalid', 'fillTimeoutMs is NaN'],
    ['a limit that is a text', (c) => c.list('', { limit: '5' as never }), 'invalid', 'limit is "5", a text'],
    ['a long prefix', (c) => c.list('p'.repeat(1025)), 'tooLarge', 'the prefix has 1025 bytes'],
    ['half a character', (c) => c.put('\ud800', 'v'), 'invalid', 'the key has half of a surrogate pair'],
    ['a value with half a character', (c) => c.put('k', 'a\udc00'), 'invalid', 'the value has half of a surrogate'],
    [
      'no such consistency',
      (c) => c.get('k', { consistency: 'foo' as never }),
      'invalid',
      'consistency is "foo", a text',
    ],
    ['nor in a list', (c) => c.list('', { consistency: 'foo' as never }), 'invalid', 'consistency is "foo", a text'],
    [
      'no time of an object',
      (c) => c.get('k', { timeoutMs: Object.create(null) }),
      'invalid',
      'timeoutMs is an object',
    ],
    ['nor of a list', (c) => c.get('k', { timeoutMs: [Symbol('s')] as never }), 'invalid', 'timeoutMs is a list'],
    ['a list behind a long key', (c) => c.list('', { after: 'k'.repeat(1025) }), 'tooLarge', 'after: the key has 1025'],
    ['a lock without a name', (c) => c.lock(''), 'invalid', 'the name of the lock is empty'],
    ['a long lock', (c) => c.lock('l'.repeat(983)), 'tooLarge', 'the name of the lock has 983 bytes: at most 982'],
    ['a lock of half a character', (c) => c.lock('\udc00'), 'invalid', 'the name of the lock has half of a surrogate'],
    ['a node that is no number', (c) => c.rebuild('1' as never), 'invalid', 'nodeId is "1", a text'],
    ['no options', () => KvClient.connect(undefined as never), 'invalid', 'the options are undefined'],
    [
      'endpoints that are no list',
      () => KvClient.connect({ endpoints: 'foo:1' as never }),
      'invalid',
      'endpoints is string',
    ],
    ['a limit of nothing', (c) => c.list('', { limit: 0 }), 'invalid', 'limit is 0'],
    ['no time', (c) => c.get('k', { timeoutMs: 0 }), 'invalid', 'timeoutMs is 0'],
    [
      'time that is a text',
      (c) => c.get('k', { timeoutMs: '5000' as never }),
      'invalid',
      'timeoutMs is "5000", a text',
    ],
    ['an endpoint that is no text', (c) => c.statusOf(undefined as never), 'invalid', 'an endpoint is undefined'],
    ['nodes that are no list', (c) => c.reconfigure(undefined as never), 'invalid', 'the nodes are undefined'],
    ['a node that is none', (c) => c.reconfigure([null as never]), 'invalid', 'a node is null'],
    [
      'an option that there is not',
      () => KvClient.connect({ endpoints: ['h:1'], timeout: 5 } as never),
      'invalid',
      'the options have timeout: there are endpoints, clusterName, tls, timeoutMs',
    ],
    ['time that is no number', (c) => c.get('k', { timeoutMs: Number.NaN }), 'invalid', 'timeoutMs is NaN'],
    ['options that are a number', (c) => c.put('k', 'v', 500 as never), 'invalid', 'the options are 500'],
    ['no nodes', (c) => c.reconfigure([]), 'invalid', 'no node is named'],
    ['a node twice', (c) => c.reconfigure([1, 2, 1]), 'invalid', 'node 1 is named twice'],
    ['node 0', (c) => c.reconfigure([0]), 'invalid', 'node id is 0'],
    [
      'a bad address',
      (c) => c.reconfigure([{ id: 1, address: 'x' }]),
      'invalid',
      'the address of node 1, "x" has no port',
    ],
    ['a bad endpoint', (c) => c.statusOf('127.0.0.1:70000'), 'invalid', 'endpoint "127.0.0.1:70000" has a bad port'],
  ];

  it.each(cases)('%s', async (_name, call, code, message) => {
    const { client, first } = await start(1);
    const error = await errorOf(call(client));
    expect(error).toMatchObject({ name: 'KvError', code, outcome: 'notApplied' });
    expect(error.message).toContain(message);
    expect(error.message).not.toContain('\n');
    expect(first.requests).toEqual([]);
  });

  it.each([
    [{ endpoints: [] }, 'no endpoint is given'],
    [{ endpoints: ['nowhere'] }, 'endpoint "nowhere" has no port'],
    [{ endpoints: ['127.0.0.1:0'] }, 'has a bad port: a port is a number from 1 to 65535'],
    [{ endpoints: ['127.0.0.1:1'], outstandingWritesMax: 5000 }, 'outstandingWritesMax is 5000'],
  ])('options %j', async (options, message) => {
    const error = await errorOf(KvClient.connect(options));
    expect(error).toMatchObject({ code: 'invalid', outcome: 'notApplied' });
    expect(error.message).toContain(message);
  });
});

describe('connecting', () => {
  /** Something on a port that is no kv node. */
  async function listen(server: Server): Promise<string> {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', () => resolve()));
    cleanups.push(() => new Promise((resolve) => server.close(resolve)));
    return `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  const impostors: [string, () => Server][] = [
    ['an HTTP server', () => createHttpServer((_request, response) => response.writeHead(404).end())],
    [
      'a server that speaks first',
      () => createServer((socket) => socket.resume().end('220 mail.example.org ESMTP\r\n')),
    ],
    [
      'another WebSocket server',
      () => {
        const http = createHttpServer();
        new WebSocketServer({ server: http }).on('connection', (socket) => socket.send('{"hello":"world"}'));
        return http;
      },
    ],
    [
      'a node of another version',
      () => {
        const http = createHttpServer();
        const hello = '{"protocolVersion":4,"kv":true,"nodeId":1}';
        new WebSocketServer({ server: http }).on('connection', (socket) => socket.send(hello));
        return http;
      },
    ],
  ];

  it.each(impostors)('to %s fails at once and names the endpoint', async (_name, make) => {
    const endpoint = await listen(make());
    const startedMs = performance.now();
    const error = await errorOf(KvClient.connect({ endpoints: [endpoint], timeoutMs: 20_000 }));
    expect(error).toMatchObject({ code: 'notKvNode', outcome: 'notApplied' });
    expect(error.message).toContain(`${endpoint} answers, but is not a kv node`);
    expect(performance.now() - startedMs).toBeLessThan(5000);
  });

  it('passes over an impostor where another endpoint is a node', async () => {
    const cluster = await startCluster(1);
    const impostor = await listen(createHttpServer((_request, response) => response.writeHead(404).end()));
    const client = await connect(cluster, { endpoints: [impostor, cluster.node(1).address] });
    expect(await client.get('k')).toBeUndefined();
  });

  it('to nobody ends with the time, and says why for each endpoint', async () => {
    const cluster = await startCluster(2);
    const endpoints = cluster.addresses;
    await cluster.stop();
    const error = await errorOf(KvClient.connect({ endpoints, timeoutMs: 200 }));
    expect(error).toMatchObject({ code: 'noMajority', outcome: 'notApplied' });
    for (const endpoint of endpoints) expect(error.message).toContain(`${endpoint}: connection refused`);
  });

  it('waits for a node that comes up in time', async () => {
    const cluster = await startCluster(1);
    const node = cluster.node(1);
    await node.stop();
    const connecting = connect(cluster);
    await node.restart();
    const client = await connecting;
    expect(await client.get('k')).toBeUndefined();
  });

  it('goes past a node that takes the connection and says nothing', async () => {
    const cluster = await startCluster(2);
    cluster.node(1).saysHello = false;
    const client = await connect(cluster, { timeoutMs: 600 });
    await client.put('k', 'v');
    expect(cluster.node(2).requests.length).toBeGreaterThan(0);
  });

  it('tries the next endpoints beside those that take long, and uses who says hello first', async () => {
    const cluster = await startCluster(3);
    for (const id of [1, 2]) cluster.node(id).saysHello = false;
    const begun = performance.now();
    const client = await connect(cluster);
    await client.put('k', 'v');
    // A quarter of a second for each of the two, instead of a second.
    expect(performance.now() - begun).toBeLessThan(1000);
    await expect.poll(() => cluster.nodes.map(({ openConnections }) => openConnections)).toEqual([0, 0, 1]);
    for (const id of [1, 2]) expect(cluster.node(id).requests).toEqual([]);
  });

  it('never mixes two clusters', async () => {
    const cluster = await startCluster(2);
    cluster.node(2).clusterId = 'ffffffffffffffff';
    const client = await connect(cluster, { timeoutMs: 500 });
    await client.put('k', 'v');
    await cluster.node(1).stop();
    const error = await errorOf(client.get('k'));
    expect(error.message).toContain(`${cluster.node(2).address} is of cluster ffffffffffffffff`);
    expect(cluster.node(2).requests).toEqual([]);
  });
});

it.each(['ignore', 'refuse'] as const)(
  'a cluster that is no more keeps no client from the one in its place (%s)',
  async (what) => {
    const cluster = await startCluster(2);
    const [old, present] = [cluster.node(1), cluster.node(2)];
    old.clusterId = 'ffffffffffffffff';
    const noMajority = { code: 'noMajority', outcome: 'notApplied', message: 'no leader is in reach' } as const;
    old.script = (request) => (request.type === 'status' ? 'serve' : what === 'ignore' ? 'ignore' : noMajority);
    const client = await connect(cluster, { timeoutMs: 5000 });
    await client.put('k', 'v');
    expect(present.requests.length).toBeGreaterThan(0);
    // From now on it is that one only.
    await present.stop();
    old.script = () => 'serve';
    await expect(client.get('k', { timeoutMs: 500 })).rejects.toThrow('this client works with cluster');
  },
);

it('a node that belongs to no cluster yet gets nothing of a client that works with one', async () => {
  const cluster = await startCluster(2);
  const client = await connect(cluster, { timeoutMs: 500 });
  await client.put('k', 'v');
  const [first, second] = [cluster.node(1), cluster.node(2)];
  second.clusterId = undefined;
  await first.stop();
  const error = await errorOf(client.put('k', 'w'));
  expect(error.message).toContain(`${second.address} belongs to no cluster yet, this client works with cluster`);
  expect(second.requests).toEqual([]);
});

describe('a lost connection', () => {
  it.each(['cutBefore', 'cutAfter'] as const)('is survived, and the command applied once (%s)', async (reaction) => {
    const { cluster, client, first, second } = await start();
    await client.put('k', 'a');
    first.script = firstly(isPut, reaction);
    const { revision } = await client.put('k', 'b');
    expect(numbersOf(second)).toEqual([2]);
    const found = cluster.machine.get('k');
    expect(found?.revision).toBe(revision);
    expect(text(found?.value)).toBe('b');
    // The later attempt, if there were two in the log, changed nothing.
    await client.put('k', 'c');
    expect(text((await client.get('k'))?.value)).toBe('c');
  });

  it('while the session is opened is survived', async () => {
    const { client, first } = await start();
    first.script = firstly(isOpen, 'cutAfter');
    await client.put('k', 'a');
    expect(text((await client.get('k'))?.value)).toBe('a');
  });

  it('with many commands out loses none and applies none twice', async () => {
    const { cluster, client, first } = await start();
    await client.put('warm', 'up');
    let count = 0;
    first.script = () => (++count === 150 ? 'cutAfter' : 'serve');
    const puts = Array.from({ length: 500 }, (_, at) => client.put(`k${at}`, `${at}`));
    const revisions = (await Promise.all(puts)).map((result) => result.revision);
    expect(new Set(revisions).size).toBe(500);
    revisions.forEach((revision, at) => {
      expect(cluster.machine.get(`k${at}`)?.revision).toBe(revision);
    });
  });

  it('that happens again and again ends in an unknown outcome, in time', async () => {
    const { cluster, client } = await start();
    await client.put('k', 'a');
    for (const node of cluster.nodes) node.script = (request) => (isPut(request) ? 'cutBefore' : 'serve');
    const error = await errorOf(client.put('k', 'b', { timeoutMs: 300 }));
    expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown' });
    const attempts = cluster.nodes.flatMap(numbersOf).length;
    expect(attempts).toBeGreaterThan(3);
    expect(attempts).toBeLessThan(40);
  });

  it('makes no read unknown', async () => {
    const { cluster, client } = await start();
    for (const node of cluster.nodes) node.script = () => 'cutBefore';
    expect(await errorOf(client.get('k', { timeoutMs: 200 }))).toMatchObject({ outcome: 'notApplied' });
  });

  it('never sends a reconfiguration twice', async () => {
    const { cluster, client, first } = await start();
    first.script = firstly((request) => request.type === 'reconfigure', 'cutAfter');
    const error = await errorOf(client.reconfigure([1, 2]));
    expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown' });
    expect(cluster.configurationId).toBe(2);
  });

  it('of every endpoint given is survived by going to members learned meanwhile', async () => {
    const cluster = await startCluster(3);
    const client = await connect(cluster, { endpoints: [cluster.node(1).address] });
    let release = (): void => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    cluster.node(1).script = firstly(isPut, { hold });
    const slow = client.put('k', 'a');
    await vi.waitFor(() => expect(cluster.node(1).requests.some((request) => request.type === 'status')).toBe(true));
    release();
    await slow;
    await cluster.node(1).stop();
    expect(text((await client.get('k'))?.value)).toBe('a');
  });
});

describe('a node that refuses', () => {
  it('as it is no member sends the client to the members, known before or not', async () => {
    const cluster = await startCluster(2);
    const [standby, member] = [cluster.node(1), cluster.node(2)];
    const message = 'node 1 is no member';
    standby.script = () => ({ code: 'notMember', outcome: 'notApplied', message, members: [member.address] });
    const client = await connect(cluster, { endpoints: [standby.address] });
    await client.put('k', 'a');
    expect(standby.requests).toHaveLength(1);
    expect(text((await client.get('k'))?.value)).toBe('a');
    expect(standby.requests).toHaveLength(1);
  });

  it.each(['busy', 'shuttingDown', 'noMajority'] as const)(
    'with %s is left for the next, and nothing is lost',
    async (code) => {
      const { client, first, second } = await start();
      await client.put('k', 'a');
      first.script = () => ({ code, outcome: 'notApplied', message: 'not now' });
      await Promise.all(Array.from({ length: 50 }, (_, at) => client.put(`k${at}`, 'v')));
      expect(numbersOf(second).length).toBe(50);
    },
  );

  it('alone is asked again until it takes the command', async () => {
    const { client, first } = await start(1);
    await client.put('k', 'a');
    const busy: Reaction = { code: 'busy', outcome: 'notApplied', message: 'full' };
    first.script = firstly(isPut, busy, busy, busy);
    await client.put('k', 'b');
    expect(numbersOf(first)).toEqual([1, 2, 2, 2, 2]);
    expect(first.connectionCount).toBe(1);
  });

  it.each([
    ['busy', 'busy'],
    ['noMajority', 'noMajority'],
    ['shuttingDown', 'noMajority'],
  ] as const)('to the end with %s means not applied', async (code, told) => {
    const { cluster, client } = await start();
    await client.put('k', 'a');
    for (const node of cluster.nodes) node.script = () => ({ code, outcome: 'notApplied', message: 'never' });
    const error = await errorOf(client.put('k', 'b', { timeoutMs: 300 }));
    expect(error).toMatchObject({ code: told, outcome: 'notApplied' });
    expect(error.message).toContain('never');
  });

  it('after an attempt that was lost leaves the outcome unknown', async () => {
    const { cluster, client, first } = await start();
    await client.put('k', 'a');
    for (const node of cluster.nodes)
      node.script = () => ({ code: 'noMajority', outcome: 'notApplied', message: 'alone' });
    first.script = () => 'cutBefore';
    expect(await errorOf(client.put('k', 'b', { timeoutMs: 300 }))).toMatchObject({
      code: 'timeout',
      outcome: 'unknown',
    });
  });

  it('at the end of its time is taken at its word', async () => {
    const { client, first } = await start(1);
    await client.put('k', 'a');
    first.script = atItsDeadline({ code: 'timeout', outcome: 'unknown', message: 'proposed, not decided' });
    const error = await errorOf(client.put('k', 'b', { timeoutMs: 1000 }));
    expect(error).toMatchObject({ code: 'timeout', outcome: 'unknown' });
    expect(error.message).toContain('proposed, not decided');
    expect(numbersOf(first)).toEqual([1, 2]);
  });

  it.each(['reconfiguring', 'unreachable', 'invalid', 'tooLarge'] as const)(
    'for good with %s is believed',
    async (code) => {
      const { client, first, second } = await start();
      first.script = () => ({ code, outcome: 'notApplied', message: 'node 4 cannot be reached' });
      const error = await errorOf(client.reconfigure([1, 2, 4]));
      expect(error).toMatchObject({ code, outcome: 'notApplied', message: 'node 4 cannot be reached' });
      expect(second.requests).toEqual([]);
    },
  );
});

describe('a node that hangs', () => {
  it.each(['ignore', 'applyAndIgnore'] as const)(
    'is left for another one, and the command applied once (%s)',
    async (reaction) => {
      const { cluster, client, first, second } = await start();
      await client.put('k', 'a');
      first.script = () => reaction;
      const puts = Array.from({ length: 20 }, (_, at) => client.put('k', `${at}`, { timeoutMs: 900 }));
      const revisions = (await Promise.all(puts)).map((result) => result.revision);
      expect(new Set(revisions).size).toBe(20);
      expect(cluster.machine.get('k')?.revision).toBe(Math.max(...revisions));
      expect(numbersOf(second)).toHaveLength(20);
    },
  );

  it('is stayed with if no other node can be reached, and its last word counts', async () => {
    const { cluster, client, first } = await start();
    await client.put('k', 'a');
    await cluster.node(2).stop();
    await cluster.node(3).stop();
    first.script = atItsDeadline({ code: 'noMajority', outcome: 'notApplied', message: 'one of three' });
    const error = await errorOf(client.put('k', 'b', { timeoutMs: 1200 }));
    expect(error).toMatchObject({ code: 'noMajority', outcome: 'notApplied' });
    expect(error.message).toContain('one of three');
    expect(numbersOf(first)).toEqual([1, 2]);
    expect(first.connectionCount).toBe(1);
  });

  it('with another that hangs too: not applied if that is the last word of both', async () => {
    const { cluster, client, first, second } = await start(2);
    await client.put('k', 'a');
    for (const node of cluster.nodes) {
      node.script = atItsDeadline({ code: 'noMajority', outcome: 'notApplied', message: 'two of five' });
    }
    const error = await errorOf(client.put('k', 'b', { timeoutMs: 1200 }));
    expect(error).toMatchObject({ code: 'noMajority', outcome: 'notApplied' });
    expect(numbersOf(first)).toContain(2);
    expect(numbersOf(second)).toContain(2);
  });

  it('answers late: the first answer counts, and the connection is closed when it has drained', async () => {
    const { client, first, second } = await start();
    await client.put('k', 'a');
    let answer = (): void => {};
    const hold = new Promise<void>((resolve) => {
      answer = resolve;
    });
    first.script = () => ({ hold });
    second.script = () => 'ignore';
    const put = client.put('k', 'b', { timeoutMs: 1500 });
    await vi.waitFor(() => expect(numbersOf(second)).toEqual([2]));
    answer();
    await put;
    await vi.waitFor(() => expect(first.openConnections).toBe(0));
  });

  it('for commands only is left, though it answers what needs no majority', async () => {
    const { client, first, second } = await start();
    await client.put('k', 'a');
    first.script = (request) => (isPut(request) ? 'ignore' : 'serve');
    let isDone = false;
    const put = client.put('k', 'b', { timeoutMs: 900 }).then(() => {
      isDone = true;
    });
    while (!isDone) await client.get('k', { consistency: 'local' });
    await put;
    expect(numbersOf(second)).toEqual([2]);
  });
});

describe('sessions', () => {
  it('are opened by the first write, once for many', async () => {
    const { client, first } = await start();
    await client.get('k');
    expect(first.requests.some(isOpen)).toBe(false);
    await Promise.all(Array.from({ length: 10 }, (_, at) => client.put(`k${at}`, 'v')));
    await client.put('k', 'v');
    expect(first.requests.filter(isOpen)).toHaveLength(1);
  });

  it('acknowledge all below the lowest number without an answer', async () => {
    const { client, first } = await start();
    let release = (): void => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    await client.put('k', '1');
    first.script = firstly(isPut, { hold });
    const slow = client.put('k', '2');
    await client.put('k', '3');
    await client.put('k', '4');
    release();
    await slow;
    await client.put('k', '5');
    const acknowledged = first.requests.flatMap((request) =>
      isPut(request) && request.type === 'write' ? decodeCommand(request.command).acknowledgedBelow : [],
    );
    expect(acknowledged).toEqual([1, 2, 2, 2, 5]);
  });

  it('that expired are renewed for commands that were not tried before', async () => {
    const { cluster, client, first } = await start();
    await client.put('k', 'a');
    cluster.forgetSessions();
    const results = await Promise.all(Array.from({ length: 30 }, (_, at) => client.put(`k${at}`, `${at}`)));
    expect(new Set(results.map((result) => result.revision)).size).toBe(30);
    expect(first.requests.filter(isOpen)).toHaveLength(2);
    for (let at = 0; at < 30; at++) expect(cluster.machine.get(`k${at}`)?.revision).toBe(results[at]?.revision);
  });

  it('take deletes but no puts while a node has no space, and that is final', async () => {
    const { cluster, client, first } = await start();
    await client.put('k', 'a');
    const { machine } = cluster;
    const report = { nodeId: 2, configurationId: 1, usedBytes: 96, capacityBytes: 100 };
    machine.apply(machine.appliedIndex, reportSpace({ ...report, isFull: true }));
    // The first attempt is decided and its answer is lost: that it has no effect is certain all the same.
    let attempts = 0;
    first.script = (request) => (isPut(request) && attempts++ === 0 ? 'cutAfter' : 'serve');
    const error = await errorOf(client.put('k', 'b'));
    expect(error).toMatchObject({ code: 'noSpace', outcome: 'notApplied' });
    expect(attempts).toBeLessThanOrEqual(2);
    expect(await client.delete('k')).toMatchObject({ existed: true });
    const message = 'node 2 has no space';
    const refuse: Script = (request) =>
      isPut(request) ? { code: 'noSpace', outcome: 'notApplied', message } : 'serve';
    for (const node of cluster.nodes) node.script = refuse;
    expect(await errorOf(client.put('k', 'c'))).toMatchObject({ code: 'noSpace', outcome: 'notApplied', message });
    machine.apply(machine.appliedIndex, reportSpace({ ...report, isFull: false }));
    for (const node of cluster.nodes) node.script = () => 'serve';
    await client.put('k', 'd');
  });

  it('that expired while a command was retried leave its outcome unknown', async () => {
    const { cluster, client, first } = await start();
    await client.put('k', 'a');
    first.script = (request) => {
      if (!isPut(request)) return 'serve';
      queueMicrotask(() => cluster.forgetSessions());
      return 'cutAfter';
    };
    expect(await errorOf(client.put('k', 'b'))).toMatchObject({ code: 'sessionExpired', outcome: 'unknown' });
    expect(text((await client.get('k'))?.value)).toBe('b');
    first.script = () => 'serve';
    await client.put('k', 'c');
  });
});

describe('the window', () => {
  it('keeps at most so many writes out, and the rest in line', async () => {
    const { client, first } = await start(1, { outstandingWritesMax: 8 });
    await client.put('k', 'v');
    let out = 0;
    let most = 0;
    first.script = (request) => {
      if (!isPut(request)) return 'serve';
      most = Math.max(most, ++out);
      return { hold: new Promise<void>((resolve) => setImmediate(resolve)).then(() => out--) };
    };
    await Promise.all(Array.from({ length: 100 }, (_, at) => client.put(`k${at}`, 'v')));
    expect(most).toBe(8);
  });

  it('does not outrun one slow command by more than the cluster remembers', async () => {
    const { client, first } = await start();
    await client.put('k', 'v');
    let release = (): void => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    first.script = firstly(isPut, { hold });
    const slow = client.put('slow', 'v', { timeoutMs: 20_000 });
    const others = Array.from({ length: 5000 }, (_, at) => client.put(`k${at}`, 'v', { timeoutMs: 20_000 }));
    // Number 2 is out: 2 to 4097 fit into the window of 4,096.
    await Promise.all(others.slice(0, 4095));
    expect(Math.max(...numbersOf(first))).toBe(4097);
    release();
    await slow;
    await Promise.all(others);
  });

  it('refuses what is over the limit of the line: busy, not applied', async () => {
    const { client, first } = await start(1, { outstandingWritesMax: 1, queuedWritesMax: 5 });
    await client.put('k', 'v');
    let release = (): void => {};
    const hold = new Promise<void>((resolve) => {
      release = resolve;
    });
    first.script = firstly(isPut, { hold });
    const puts = Array.from({ length: 7 }, (_, at) => client.put(`k${at}`, 'v'));
    expect(await errorOf(puts[6] as Promise<unknown>)).toMatchObject({ code: 'busy', outcome: 'notApplied' });
    release();
    await Promise.all(puts.slice(0, 6));
  });

  it('lets what ran out of time in line end as not applied', async () => {
    const { client, first } = await start(1, { outstandingWritesMax: 1 });
    await client.put('k', 'v');
    first.script = () => 'ignore';
    const [sent, queued] = [client.put('a', 'v', { timeoutMs: 500 }), client.put('b', 'v', { timeoutMs: 100 })];
    const [sentError, queuedError] = await Promise.all([errorOf(sent), errorOf(queued)]);
    expect(queuedError).toMatchObject({ code: 'noMajority', outcome: 'notApplied' });
    expect(sentError).toMatchObject({ code: 'timeout', outcome: 'unknown' });
  });

  it('lets writes without a session end as not applied, though the session may have been opened', async () => {
    const { client, first } = await start(1);
    first.script = () => 'ignore';
    expect(await errorOf(client.put('a', 'v', { timeoutMs: 200 }))).toMatchObject({
      code: 'noMajority',
      outcome: 'notApplied',
    });
  });
});

/** For JSON.stringify: byte arrays as hexadecimal digits. */
const hexOfBytes = (_: string, value: unknown) =>
  value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value;

describe('a signal', () => {
  const aborted = (outcome: string) => ({ code: 'aborted', outcome, cause: 'enough' });

  it('that is aborted already sends nothing', async () => {
    const { client, first } = await start(1);
    const signal = AbortSignal.abort('enough');
    const calls = [client.put('k', 'v', { signal }), client.get('k', { signal }), client.list('', { signal })];
    for (const call of calls) expect(await errorOf(call)).toMatchObject(aborted('notApplied'));
    expect(first.requests).toEqual([]);
  });

  it('ends a connecting, too, which may have a time of its own', async () => {
    const cluster = await startCluster(1);
    cluster.node(1).saysHello = false;
    const options = { endpoints: cluster.addresses };
    expect(await errorOf(KvClient.connect(options, { signal: AbortSignal.abort('enough') }))).toMatchObject(
      aborted('notApplied'),
    );
    const controller = new AbortController();
    const connecting = errorOf(KvClient.connect(options, { signal: controller.signal }));
    setTimeout(() => controller.abort('enough'), 20);
    expect(await connecting).toMatchObject(aborted('notApplied'));
    expect(getEventListeners(controller.signal, 'abort')).toHaveLength(0);
    const late = await errorOf(KvClient.connect(options, { timeoutMs: 100 }));
    expect(late).toMatchObject({ code: 'noMajority', message: expect.stringContaining('100 ms') });
  });

  it('that is aborted before anything was sent keeps it from being sent', async () => {
    const { client, first } = await start(1);
    await client.put('k', 'v');
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [client.put('k', 'never', { signal }), client.get('never', { signal })];
    controller.abort('enough');
    for (const call of calls) expect(await errorOf(call)).toMatchObject(aborted('notApplied'));
    expect(text((await client.get('k'))?.value)).toBe('v');
    // On a busy machine what was sent may be sent twice, but nothing of what was aborted once.
    const sent = first.requests.map((request) => JSON.stringify(request, hexOfBytes));
    const hexOf = (value: string) => Buffer.from(value).toString('hex');
    expect(sent.filter((request) => request.includes(hexOf('never')))).toEqual([]);
  });

  it('that is aborted ends a scan where it is, and so does closing', async () => {
    const { client } = await start(1);
    for (let at = 0; at < 20; at++) await client.put(`k${at}`, 'v');
    const controller = new AbortController();
    const scanned = async (stop: () => unknown, signal?: AbortSignal) => {
      let count = 0;
      for await (const _ of client.scan('k', { signal })) if (++count === 10) stop();
      return count;
    };
    const stopped = scanned(() => controller.abort('enough'), controller.signal);
    expect(await errorOf(stopped)).toMatchObject(aborted('notApplied'));
    expect(await errorOf(scanned(() => client.close()))).toMatchObject({ code: 'closed' });
  });

  it('has one listener for all watches', async () => {
    const { client } = await start(1);
    const controller = new AbortController();
    const { signal } = controller;
    const watches = Array.from({ length: 12 }, () => client.watch('k', { signal }));
    await Promise.all(watches.map((watch) => watch.next()));
    expect(getEventListeners(signal, 'abort')).toHaveLength(1);
    await watches[0]?.return();
    const endings = watches.slice(1).map((watch) => errorOf(watch.next()));
    controller.abort('enough');
    for (const ending of endings) expect(await ending).toMatchObject({ code: 'aborted' });
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('ends calls long before their time, with what is known of them, and no others', async () => {
    const { client, first } = await start(1, { outstandingWritesMax: 1, timeoutMs: 60_000 });
    await client.put('k', 'v');
    first.script = () => 'ignore';
    const controller = new AbortController();
    const { signal } = controller;
    const calls = [client.put('a', 'v', { signal }), client.put('b', 'v', { signal }), client.get('k', { signal })];
    calls.push(client.list('', { signal }) as never, client.clusterStatus({ signal }) as never);
    const other = client.get('k', { timeoutMs: 1000 });
    await vi.waitFor(() => expect(first.requests.some((request) => request.type === 'get')).toBe(true));
    const begunMs = performance.now();
    controller.abort('enough');
    const errors = await Promise.all(calls.map(errorOf));
    expect(performance.now() - begunMs).toBeLessThan(500);
    expect(errors).toMatchObject(['unknown', ...Array(4).fill('notApplied')].map(aborted));
    expect(await errorOf(other)).toMatchObject({ code: 'timeout' });
  });
});

describe('closing', () => {
  it('fails what is out with what is known of it, and everything later', async () => {
    const { client, first } = await start(1, { outstandingWritesMax: 1 });
    await client.put('k', 'v');
    first.script = () => 'ignore';
    const calls = [client.put('a', 'v'), client.put('b', 'v'), client.get('k')].map(errorOf);
    await vi.waitFor(() => expect(first.requests.some((request) => request.type === 'get')).toBe(true));
    await client.close();
    expect(await Promise.all(calls)).toMatchObject([
      { code: 'closed', outcome: 'unknown' },
      { code: 'closed', outcome: 'notApplied' },
      { code: 'closed', outcome: 'notApplied' },
    ]);
    expect(await errorOf(client.put('k', 'v'))).toMatchObject({ code: 'closed', outcome: 'notApplied' });
    expect(await errorOf(client.get('k'))).toMatchObject({ code: 'closed', outcome: 'notApplied' });
    await vi.waitFor(() => expect(first.openConnections).toBe(0));
    await client.close();
  });
});

describe('status', () => {
  it('is that of the node connected to, or of the one named', async () => {
    const { client, second } = await start();
    expect(await client.status()).toMatchObject({ nodeId: 1 });
    expect(await client.statusOf(second.address)).toMatchObject({ nodeId: 2 });
    await second.stop();
    const error = await errorOf(client.statusOf(second.address));
    expect(error).toMatchObject({ code: 'unreachable', outcome: 'notApplied' });
    expect(error.message).toBe(`${second.address}: connection refused`);
  });

  it('of the cluster tells nodes of another one apart, and shows that which has a leader', async () => {
    const { cluster, client } = await start(3);
    const [one, two, three] = cluster.nodes as [FakeNode, FakeNode, FakeNode];
    const members = [one, two].map(({ id, address }) => ({ id, address }));
    one.status = { leader: 1, members };
    two.status = { leader: 1, members };
    three.clusterId = 'ffeeddccbbaa9988';
    three.status = { leader: undefined, members: [{ id: 3, address: three.address }] };
    const strangers = [{ id: 3, address: three.address, clusterId: 'ffeeddccbbaa9988' }];
    expect(await client.clusterStatus()).toMatchObject({ clusterId: '00112233aabbccdd', leader: 1, strangers });
    for (const node of [one, two]) node.status = { leader: undefined, members };
    three.status = { leader: 3, members: [{ id: 3, address: three.address }] };
    const status = await client.clusterStatus();
    expect(status).toMatchObject({ clusterId: 'ffeeddccbbaa9988', leader: 3 });
    expect(status.strangers?.map(({ id }) => id)).toEqual([1, 2]);
  });

  it('of the cluster shows roles, and who cannot be reached', async () => {
    const { cluster, client } = await start(4);
    await client.put('k', 'v');
    const [one, two, three, four] = cluster.nodes as [FakeNode, FakeNode, FakeNode, FakeNode];
    const members = [one, two, three].map(({ id, address }) => ({ id, address }));
    for (const node of cluster.nodes) node.status = { leader: 2, members };
    four.status = { state: 'standby', members };
    const space = { level: 'ok', usedBytes: 1, capacityBytes: 100 } as const;
    two.status = { ...two.status, space };
    await three.stop();
    const disk = { flushP50Ms: 0.5, flushP99Ms: 2, flushes: 3 };
    expect(await client.clusterStatus()).toMatchObject({
      clusterId: '00112233aabbccdd',
      configurationId: 1,
      leader: 2,
      fullNodes: [],
      history: [],
      members: [
        {
          id: 1,
          address: one.address,
          role: 'follower',
          decidedIndex: 2,
          appliedIndex: 2,
          disk,
          isMember: true,
          lag: 0,
        },
        { id: 2, address: two.address, role: 'leader', decidedIndex: 2, appliedIndex: 2, space },
        {
          id: 3,
          address: three.address,
          role: 'unreachable',
          decidedIndex: undefined,
          appliedIndex: undefined,
          disk: undefined,
        },
        { id: 4, address: four.address, role: 'standby', decidedIndex: 2, appliedIndex: 2, isMember: false },
      ],
    });
  });

  it('of the cluster believes the newest configuration, and finds members that the endpoints do not name', async () => {
    const cluster = await startCluster(3);
    const [one, two, three] = cluster.nodes as [FakeNode, FakeNode, FakeNode];
    const old = [one, two].map(({ id, address }) => ({ id, address }));
    const next = [two, three].map(({ id, address }) => ({ id, address }));
    one.status = { configurationId: 1, leader: 1, members: old };
    two.status = { configurationId: 2, leader: 3, members: next };
    three.status = { configurationId: 2, leader: 3, members: next };
    const client = await connect(cluster, { endpoints: [one.address] });
    expect(await client.clusterStatus()).toMatchObject({
      configurationId: 2,
      leader: 3,
      members: [
        { id: 2, role: 'follower' },
        { id: 3, role: 'leader' },
        { id: 1, role: 'standby' },
      ],
    });
  });

  it('of the cluster does not call a dead node leader', async () => {
    const { cluster, client } = await start();
    for (const node of cluster.nodes) node.status = { leader: 3 };
    await cluster.node(3).stop();
    expect(await client.clusterStatus()).toMatchObject({ leader: undefined });
  });
});
