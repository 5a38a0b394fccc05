import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { fromByteString } from '../../src/base/bytes.ts';
import { KvClient } from '../../src/client/client.ts';
import { KeptKey } from '../../src/client/keys/kept-key.ts';
import { decodeCommand, expireKey } from '../../src/kv/command.ts';
import type { ClientRequest } from '../../src/wire/client-message.ts';
import { FakeCluster } from './fake-cluster.ts';

const cleanups: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const ttlMs = 1000;

async function start(clients = 1) {
  const cluster = await FakeCluster.start(1);
  cleanups.push(() => cluster.stop());
  const connected = [];
  for (let nth = 0; nth < clients; nth++) {
    const client = await KvClient.connect({ endpoints: cluster.addresses });
    cleanups.push(() => client.close());
    connected.push(client);
  }
  const [client, other] = connected as [KvClient, KvClient];
  /** What a leader says once a key was not renewed in time. */
  const expire = (key: string) => {
    const { machine } = cluster;
    const expiry = [...machine.expiries].find((one) => one.key === key);
    if (!expiry) throw new Error(`${key} does not expire`);
    machine.apply(machine.appliedIndex, expireKey(fromByteString(key), expiry.revision, expiry.renewedAt));
    cluster.tellWatchers();
  };
  const pairs = () => cluster.machine.range({ prefix: '', limit: 100, bytesMax: 1e6 }).pairs;
  const keys = () => pairs().map(({ key }) => key);
  /** As they were put. */
  const inOrder = () => [...pairs()].sort((a, b) => a.revision - b.revision).map(({ key }) => key);
  return { cluster, client, other, expire, keys, inOrder };
}

const isRenewal = (request: ClientRequest) =>
  request.type === 'write' && decodeCommand(request.command).kind === 'renew';
const isPut = (request: ClientRequest) => request.type === 'write' && decodeCommand(request.command).kind === 'put';
const refusal = { code: 'noMajority', outcome: 'notApplied', message: 'no leader is known' } as const;

describe('a put with a time to live', () => {
  it('is one of a key that expires, and a renewal lets it stay', async () => {
    const { cluster, client } = await start();
    const { revision } = await client.put('k', 'v', { ttlMs: 5000, ifRevision: 0 });
    expect([...cluster.machine.expiries]).toEqual([{ key: 'k', revision, ttlMs: 5000, renewedAt: revision }]);
    expect(await client.renew('k', revision)).toEqual({ revision });
    expect([...cluster.machine.expiries][0]?.renewedAt).toBeGreaterThan(revision);
  });

  it('that has gone, or was put anew, cannot be renewed', async () => {
    const { client, expire } = await start();
    const first = await client.put('k', 'v', { ttlMs });
    const second = await client.put('k', 'v', { ttlMs });
    await expect(client.renew('k', first.revision)).rejects.toMatchObject({
      ...{ code: 'conflict', outcome: 'notApplied', revision: second.revision },
    });
    expire('k');
    await expect(client.renew('k', second.revision)).rejects.toMatchObject({ code: 'conflict', revision: 0 });
  });

  it.each([
    [999, 'ttlMs is 999: give whole milliseconds from 1000 to 31622400000'],
    [1000.5, 'ttlMs is 1000.5: give whole'],
    ['5000', 'ttlMs is "5000", a text'],
    [Number.NaN, 'ttlMs is NaN'],
  ])('of %s is refused', async (wrong, message) => {
    const { client } = await start();
    await expect(client.put('k', 'v', { ttlMs: wrong as number })).rejects.toMatchObject({
      ...{ code: 'invalid', message: expect.stringContaining(message) },
    });
  });

  it.each([0, -1, 1.5, undefined])('is not renewed at revision %s', async (wrong) => {
    const { client } = await start();
    await expect(client.renew('k', wrong as number)).rejects.toMatchObject({ code: 'invalid' });
  });
});

describe('a kept key', () => {
  it('is renewed until it is released, and goes then', async () => {
    const { cluster, client, keys } = await start();
    const kept = await client.keep('k', 'v', { ttlMs });
    await expect.poll(() => cluster.node(1).requests.filter(isRenewal).length, { timeout: 3000 }).toBeGreaterThan(2);
    expect(kept.lost.aborted).toBe(false);
    await kept.release();
    expect(keys()).toEqual([]);
    expect(kept.lost.aborted).toBe(false);
    const renewals = cluster.node(1).requests.filter(isRenewal).length;
    await delay(700);
    expect(cluster.node(1).requests.filter(isRenewal).length).toBe(renewals);
  });

  it('is taken once under a condition', async () => {
    const { client, other } = await start(2);
    const kept = await client.keep('leader', 'a', { ttlMs, ifRevision: 0 });
    await expect(other.keep('leader', 'b', { ttlMs, ifRevision: 0 })).rejects.toMatchObject({ code: 'conflict' });
    await kept.release();
    const next = await other.keep('leader', 'b', { ttlMs, ifRevision: 0 });
    expect(next.revision).toBeGreaterThan(kept.revision);
    await next.release();
  });

  it('that somebody else has put, or that expired, is lost, and is not removed', async () => {
    const { client, expire, keys } = await start();
    const kept = await client.keep('k', 'v', { ttlMs });
    await client.put('k', 'mine');
    await expect.poll(() => kept.lost.aborted, { timeout: 1000 }).toBe(true);
    expect(kept.lost.reason).toMatchObject({ name: 'KvError', code: 'conflict' });
    await kept.release();
    expect(keys()).toEqual(['k']);
    const other = await client.keep('other', 'v', { ttlMs });
    expire('other');
    await expect.poll(() => other.lost.aborted, { timeout: 1000 }).toBe(true);
  });

  it('that cannot be renewed is lost before anybody may have ended it, and not for a renewal that fails', async () => {
    const { cluster, client } = await start();
    let failures = 2;
    cluster.node(1).script = (request) => (isRenewal(request) && failures-- > 0 ? refusal : 'serve');
    const began = performance.now();
    const kept = await client.keep('k', 'v', { ttlMs });
    await delay(1500);
    expect(kept.lost.aborted).toBe(false);
    failures = Number.POSITIVE_INFINITY;
    const lost = new Promise((resolve) => kept.lost.addEventListener('abort', resolve));
    await lost;
    expect(performance.now() - began).toBeLessThan(1500 + ttlMs + 200);
    expect(kept.lost.reason).toMatchObject({
      message: expect.stringMatching(/^the key was not renewed in time: .*no leader is known/),
    });
  });

  it('whose put took as long as it may stay is lost at once', async () => {
    const { cluster, client } = await start();
    await client.put('warm', 'x');
    cluster.node(1).script = (request) => (isPut(request) ? { hold: delay(1200) } : 'serve');
    const kept = await client.keep('k', 'v', { ttlMs });
    expect(kept.lost.aborted).toBe(true);
    expect(kept.lost.reason).toMatchObject({ code: 'timeout' });
  });

  it.each([4 * 3_600_000, 80 * 86_400_000])('of %i ms is not renewed all the time', async (longMs) => {
    let renewals = 0;
    const renew = async () => {
      renewals++;
    };
    const kept = new KeptKey(
      { renew, remove: async () => {} },
      { key: new Uint8Array(1), revision: 1, ttlMs: longMs, putMs: performance.now() },
    );
    await delay(100);
    expect([renewals, kept.lost.aborted]).toEqual([0, false]);
    await kept.release();
  });

  it('is lost with its client', async () => {
    const { client } = await start();
    const kept = await client.keep('k', 'v', { ttlMs });
    await client.close();
    await expect.poll(() => kept.lost.aborted, { timeout: 1000 }).toBe(true);
  });
});

describe('a lock', () => {
  it('is held by one at a time, in the order in which they came', async () => {
    const { client, other, keys } = await start(2);
    const first = await client.lock('deploy');
    const order: string[] = [];
    const second = other.lock('deploy', { value: 'second' }).then((lock) => {
      order.push('second');
      return lock;
    });
    await expect.poll(() => keys().length).toBe(2);
    const third = client.lock('deploy').then((lock) => {
      order.push('third');
      return lock;
    });
    await expect.poll(() => keys().length).toBe(3);
    await delay(50);
    expect(order).toEqual([]);
    expect(keys().every((key) => key.startsWith('lock/deploy/'))).toBe(true);
    await first.release();
    const held = await second;
    await delay(50);
    expect(order).toEqual(['second']);
    await held.release();
    const last = await third;
    expect([first, held, last].map(({ revision }) => revision)).toEqual(
      [first, held, last].map(({ revision }) => revision).sort((a, b) => a - b),
    );
    await last.release();
    expect(keys()).toEqual([]);
  });

  it('of another name is another', async () => {
    const { client } = await start();
    const locks = [await client.lock('a/b'), await client.lock('a'), await client.lock('b')];
    await Promise.all(locks.map((lock) => lock.release()));
  });

  it('whose holder has died goes to the next', async () => {
    const { client, other, expire, keys, inOrder } = await start(2);
    await client.lock('deploy');
    const waiting = other.lock('deploy');
    await expect.poll(() => keys().length).toBe(2);
    expire(inOrder()[0] as string);
    await (await waiting).release();
  });

  it('is not waited for longer than it may take, nor by one who gives up: both leave nothing behind', async () => {
    const { client, other, keys } = await start(2);
    const held = await client.lock('deploy');
    await expect(other.lock('deploy', { waitMs: 100 })).rejects.toMatchObject({
      ...{ code: 'timeout', outcome: 'notApplied', message: "the lock deploy was still another's after 100 ms" },
    });
    const controller = new AbortController();
    const waiting = other.lock('deploy', { signal: controller.signal });
    await expect.poll(() => keys().length).toBe(2);
    controller.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'aborted' });
    expect(keys()).toHaveLength(1);
    await held.release();
  });

  it('is waited for anew, behind the others, by one whose place has expired', async () => {
    const { client, other, expire, keys, inOrder } = await start(2);
    const held = await client.lock('deploy', { ttlMs });
    const waiting = other.lock('deploy', { ttlMs });
    await expect.poll(() => keys().length).toBe(2);
    const places = inOrder();
    expire(places[1] as string);
    await expect.poll(() => keys().filter((key) => !places.includes(key)).length, { timeout: 2000 }).toBe(1);
    await held.release();
    await (await waiting).release();
  });

  it.each(['waitMs', 'signal'] as const)(
    'is given up in time by %s, also while its put has no answer',
    async (what) => {
      const { cluster, client, keys } = await start();
      await client.put('warm', 'x');
      cluster.node(1).script = (request) => (isPut(request) ? 'applyAndIgnore' : 'serve');
      const began = performance.now();
      const options = what === 'waitMs' ? { waitMs: 200.5 } : { signal: AbortSignal.timeout(200) };
      const code = what === 'waitMs' ? 'noMajority' : 'aborted';
      await expect(client.lock('deploy', options)).rejects.toMatchObject({ code });
      expect(performance.now() - began).toBeLessThan(1000);
      expect(keys(), 'nothing is left of it').toEqual(['warm']);
    },
  );

  it('is given up in time where nobody answers any more, and what is left of it is removed behind that', async () => {
    const { cluster, client, other, keys } = await start(2);
    const held = await other.lock('l');
    const { signal } = new AbortController();
    const waiting = client.lock('l', { waitMs: 500, signal });
    await expect.poll(() => keys().length).toBe(2);
    let isCut = true;
    cluster.node(1).script = () => (isCut ? 'ignore' : 'serve');
    const began = performance.now();
    await expect(waiting).rejects.toMatchObject({ code: 'timeout', message: /not to be had within 500 ms/ });
    expect(performance.now() - began).toBeLessThan(1500);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    isCut = false;
    await held.release();
  });

  it('is not given to one that has given up', async () => {
    const { client, other, keys } = await start(2);
    const held = await client.lock('deploy');
    const controller = new AbortController();
    const refused = expect(other.lock('deploy', { signal: controller.signal })).rejects.toMatchObject({
      code: 'aborted',
    });
    await expect.poll(() => keys().length).toBe(2);
    controller.abort();
    await held.release();
    await refused;
    await expect.poll(() => keys()).toEqual([]);
  });

  it.each([undefined, null, 7, {}])('of the name %s is refused', async (name) => {
    const { client } = await start();
    await expect(client.lock(name as unknown as string)).rejects.toMatchObject({
      code: 'invalid',
      message: /give a text/,
    });
  });

  it('refuses options that it does not have', async () => {
    const { client } = await start();
    await expect(client.lock('a', { timeoutMs: 5 } as object)).rejects.toMatchObject({
      ...{ code: 'invalid', message: 'the options have timeoutMs: there are ttlMs, waitMs, value, signal' },
    });
    await expect(client.lock('a', { waitMs: 0 })).rejects.toMatchObject({ code: 'invalid' });
    await expect(client.lock('x'.repeat(2000))).rejects.toMatchObject({ code: 'tooLarge' });
  });
});
