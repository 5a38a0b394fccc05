import { getEventListeners } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { KvValue } from '../../src/client/call/get-call.ts';
import { KvClient } from '../../src/client/client.ts';
import type { KvChange } from '../../src/client/keys/watch-batch.ts';
import { FakeCluster } from './fake-cluster.ts';

const cleanups: (() => Promise<unknown> | undefined)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(count = 3) {
  const cluster = await FakeCluster.start(count);
  cleanups.push(() => cluster.stop());
  const client = await KvClient.connect({ endpoints: cluster.addresses });
  cleanups.push(() => client.close());
  return { cluster, client };
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const foundOf = (found: KvValue | undefined) => found && [text(found.value), found.revision];
const shortOf = (change: KvChange) =>
  change.type === 'put' ? [text(change.key), text(change.value), change.revision] : [text(change.key), change.revision];

/** What comes next. */
async function next<T>(watch: AsyncGenerator<T>): Promise<T> {
  const { value, done } = await watch.next();
  if (done) throw new Error('the watch has ended');
  return value;
}

/** Whether nothing comes for a while; what comes later is not lost. */
function begin<T>(watch: AsyncGenerator<T>) {
  const coming = next(watch);
  return { coming, isStill: async () => (await Promise.race([coming, delay(50, 'still')])) === 'still' };
}

describe('a watch of a key', () => {
  it('gives its value, and then each change', async () => {
    const { cluster, client } = await start();
    const revision = cluster.change('k', '1');
    const watch = client.watch('k');
    expect(foundOf(await next(watch))).toEqual(['1', revision]);
    const { coming, isStill } = begin(watch);
    cluster.change('other', '1');
    expect(await isStill()).toBe(true);
    await client.put('k', '2');
    expect(foundOf(await coming)?.[0]).toBe('2');
    cluster.change('k', '3');
    cluster.change('k', '4');
    expect(foundOf(await next(watch))?.[0]).toBe('4');
    cluster.change('k');
    expect(await next(watch)).toBeUndefined();
    await watch.return(undefined);
  });

  it('says that there is none, once', async () => {
    const { cluster, client } = await start();
    const watch = client.watch('k');
    expect(await next(watch)).toBeUndefined();
    const { coming, isStill } = begin(watch);
    cluster.change('k', '1');
    cluster.change('k');
    expect(await isStill(), 'it came and went unseen').toBe(true);
    cluster.change('k', '2');
    expect(foundOf(await coming)?.[0]).toBe('2');
  });

  it('goes on where a node is lost, and is told what it missed', async () => {
    const { cluster, client } = await start();
    cluster.change('k', '1');
    const watch = client.watch('k');
    await next(watch);
    const first = begin(watch);
    await cluster.node(1).stop();
    cluster.forgetChanges();
    expect(await first.isStill()).toBe(true);
    cluster.change('k', '2');
    expect(foundOf(await first.coming)?.[0]).toBe('2');
    const second = begin(watch);
    expect(await second.isStill()).toBe(true);
    cluster.node(2).cut();
    cluster.change('k');
    cluster.forgetChanges();
    expect(await second.coming).toBeUndefined();
  });

  it('goes on from a node that is silent', async () => {
    const { cluster, client } = await start();
    cluster.change('k', '1');
    const watch = client.watch('k', { timeoutMs: 3000 });
    await next(watch);
    cluster.node(1).script = () => 'ignore';
    const began = performance.now();
    const { coming } = begin(watch);
    // It waits for a third of its time, and for a third of what is left.
    await expect
      .poll(() => cluster.node(2).requests.some(({ type }) => type === 'watch'), { timeout: 2900 })
      .toBe(true);
    cluster.change('k', '2');
    expect(foundOf(await coming)?.[0]).toBe('2');
    expect(performance.now() - began).toBeLessThan(3000);
  });

  it('asks again and again while nothing changes', async () => {
    const { cluster, client } = await start();
    const watch = client.watch('k', { timeoutMs: 300 });
    await next(watch);
    const { coming, isStill } = begin(watch);
    await delay(700);
    expect(await isStill()).toBe(true);
    expect(cluster.node(1).requests.filter(({ type }) => type === 'watch').length).toBeGreaterThan(3);
    cluster.change('k', '1');
    expect(foundOf(await coming)?.[0]).toBe('1');
  });

  it('ends with an error once nobody has answered for its time, and says why', async () => {
    const { cluster, client } = await start(1);
    const watch = client.watch('k', { timeoutMs: 400 });
    await next(watch);
    const refusal = { code: 'noMajority', outcome: 'notApplied', message: 'no leader is known' } as const;
    cluster.node(1).script = ({ type }) => (type === 'watch' ? refusal : 'serve');
    const began = performance.now();
    await expect(watch.next()).rejects.toMatchObject({
      ...{
        code: 'noMajority',
        outcome: 'notApplied',
        message: expect.stringMatching(/^the watch ends: .*no leader is known/),
      },
    });
    expect(performance.now() - began).toBeGreaterThan(300);
    expect(await watch.next()).toEqual({ value: undefined, done: true });
  });

  it('tells what the attempts before the last one were told, not that this one had no time', async () => {
    const { cluster, client } = await start(1);
    const watch = client.watch('k', { timeoutMs: 1500 });
    await next(watch);
    await cluster.stop();
    await expect(watch.next()).rejects.toThrow(/^the watch ends: no answer within 1500 ms: .*: connection refused$/);
  });

  it('that is told to return does so at once, and what waits for a change is told that there is none', async () => {
    const { cluster, client } = await start(1);
    const { signal } = new AbortController();
    const watch = client.watch('k', { signal });
    await next(watch);
    const waiting = watch.next();
    const began = performance.now();
    expect(await watch.return()).toEqual({ value: undefined, done: true });
    expect(await waiting).toEqual({ value: undefined, done: true });
    expect(performance.now() - began).toBeLessThan(500);
    cluster.change('k', '1');
    expect(await watch.next()).toEqual({ value: undefined, done: true });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    const never = client.watch('k', { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(await never.return()).toEqual({ value: undefined, done: true });
    expect(await never.next()).toEqual({ value: undefined, done: true });
  });

  it('bears a refusal that passes', async () => {
    const { cluster, client } = await start(1);
    const refusal = { code: 'noMajority', outcome: 'notApplied', message: 'no leader is known' } as const;
    let refusals = 3;
    cluster.node(1).script = ({ type }) => (type === 'watch' && refusals-- > 0 ? refusal : 'serve');
    const watch = client.watch('k');
    expect(await next(watch)).toBeUndefined();
  });

  it('ends when it is aborted, and when the client is closed', async () => {
    const { client } = await start();
    const controller = new AbortController();
    const watch = client.watch('k', { signal: controller.signal });
    await next(watch);
    const aborted = begin(watch).coming;
    controller.abort(new Error('enough'));
    await expect(aborted).rejects.toMatchObject({ code: 'aborted', cause: { message: 'enough' } });
    await expect(client.watch('k', { signal: controller.signal }).next()).rejects.toMatchObject({ code: 'aborted' });
    const other = client.watch('k');
    await next(other);
    const closed = begin(other).coming;
    closed.catch(() => {});
    await client.close();
    await expect(closed).rejects.toMatchObject({ code: 'closed' });
  });

  it.each([
    ['', undefined, 'invalid', /key/],
    ['k', { timeoutMs: 0 }, 'invalid', /timeoutMs is 0/],
    ['k', { consistency: 'local' }, 'invalid', /the options have consistency: there are timeoutMs, signal/],
    ['x'.repeat(1025), undefined, 'tooLarge', /1024/],
  ] as const)('refuses %j with %j', async (key, options, code, message) => {
    const { client } = await start(1);
    await expect(client.watch(key, options as object).next()).rejects.toMatchObject({ code, message });
  });
});

describe('a watch of a prefix', () => {
  it('gives all keys, then those that change', async () => {
    const { cluster, client } = await start();
    cluster.change('s/a', '1');
    const watch = client.watchPrefix('s/');
    expect((await next(watch)).map(shortOf)).toEqual([['s/a', '1', 2]]);
    cluster.change('s/b', '2');
    expect((await next(watch)).map(shortOf)).toEqual([['s/b', '2', 3]]);
    cluster.change('s/a');
    cluster.change('t', '1');
    cluster.change('s/c', '3');
    const changed = (await next(watch)).map(shortOf);
    expect(changed).toEqual([
      ['s/a', 4],
      ['s/c', '3', 6],
    ]);
  });

  it('gives an empty list first where there is none', async () => {
    const { client } = await start();
    expect(await next(client.watchPrefix('s/'))).toEqual([]);
  });

  it('tells what is different, and nothing else, after a while without a node', async () => {
    const { cluster, client } = await start();
    for (const key of ['same', 'changed', 'gone', 'anew']) cluster.change(key, '1');
    const watch = client.watchPrefix('');
    expect(await next(watch)).toHaveLength(4);
    const { coming, isStill } = begin(watch);
    expect(await isStill()).toBe(true);
    await cluster.node(1).stop();
    cluster.forgetChanges();
    cluster.change('changed', '2');
    cluster.change('gone');
    cluster.change('anew');
    cluster.change('anew', '2');
    cluster.change('came', '2');
    cluster.change('went', '2');
    const end = cluster.change('went');
    cluster.forgetChanges();
    const told = (await coming).map(shortOf);
    expect(told).toEqual([
      ['anew', '2', 9],
      ['came', '2', 10],
      ['changed', '2', 6],
      ['gone', end],
    ]);
  });

  it('begun while keys change tells each of them once, the oldest never behind the newest', async () => {
    const { cluster, client } = await start(1);
    const keys = Array.from({ length: 10_500 }, (_, at) => `k${at.toString().padStart(5, '0')}`);
    for (const key of keys) cluster.change(key, 'first');
    const early = 'k00001';
    const late = 'k10400';
    const last = 'k10499';
    cluster.node(1).script = (request) => {
      if (request.type !== 'watch' || request.after === undefined) return 'serve';
      // Between the first page and the second.
      cluster.change(early, 'second');
      cluster.change(late, 'second');
      cluster.change(last);
      return 'serve';
    };
    const watch = client.watchPrefix('');
    const all = (await next(watch)).map(shortOf);
    expect(all).toHaveLength(keys.length - 1);
    expect(all.find(([key]) => key === early)?.[1], 'its page was read before').toBe('second');
    expect(all.find(([key]) => key === late)?.[1], 'its page was read later').toBe('second');
    expect(all.filter(([key]) => key === early || key === late || key === last)).toHaveLength(2);
    cluster.change(last, 'third');
    cluster.change(late, 'third');
    expect((await next(watch)).map((change) => shortOf(change).slice(0, 2))).toEqual([
      [last, 'third'],
      [late, 'third'],
    ]);
  });

  it('tells what one transaction changed as one, however much is told with it', async () => {
    const { cluster, client } = await start(1);
    const watch = client.watchPrefix('');
    expect(await next(watch)).toEqual([]);
    await client.transact({
      do: [
        { put: 'x', value: '1' },
        { put: 'y', value: '1' },
      ],
    });
    for (const key of ['a', 'b', 'c', 'd', 'e']) cluster.change(key, 'v'.repeat(1024 * 1024));
    cluster.change('d');
    cluster.change('x', '2');
    const keys = (await next(watch)).map(({ key }) => text(key));
    expect(keys, 'd came and went').toEqual(['y', 'a', 'b', 'c', 'e', 'x']);
    expect(cluster.node(1).requests.filter(({ type }) => type === 'watch').length, 'several answers').toBeGreaterThan(
      2,
    );
  });

  it('tells something in the end, also where others write faster than it reads', async () => {
    const { cluster, client } = await start(1);
    const watch = client.watchPrefix('');
    expect(await next(watch)).toEqual([]);
    let asked = 0;
    cluster.node(1).script = (request) => {
      if (request.type !== 'watch') return 'serve';
      asked++;
      for (let at = 0; at < 5; at++) cluster.change(`${at % 2}/${at}/${asked % 3}`, 'v'.repeat(1024 * 1024));
      return 'serve';
    };
    const told = new Map((await next(watch)).map((change) => [text(change.key), change.revision]));
    expect(told.size).toBeGreaterThan(3);
    expect(asked).toBeGreaterThan(8);
  });

  it('of too many keys is refused', async () => {
    const { cluster, client } = await start(1);
    for (let at = 0; at <= 100_000; at++) cluster.change(`${at}`, '');
    await expect(client.watchPrefix('').next()).rejects.toMatchObject({
      ...{ code: 'tooLarge', message: 'over 100000 keys begin with the prefix: watch a longer prefix' },
    });
    await expect(client.list('')).rejects.toMatchObject({
      ...{ code: 'tooLarge', message: expect.stringMatching(/^over 100000 keys begin with the prefix: .* with scan$/) },
    });
    expect((await next(client.watchPrefix('9999'))).length).toBe(11);
  });

  it('of too many bytes is refused, and so is a list', async () => {
    const { cluster, client } = await start(1);
    const value = 'v'.repeat(1024 * 1024);
    for (let at = 100; at <= 356; at++) cluster.change(`large/${at}`, value);
    const message = 'over 256 MiB of keys and values: watch a longer prefix';
    await expect(client.watchPrefix('', { timeoutMs: 30_000 }).next()).rejects.toMatchObject({
      code: 'tooLarge',
      message,
    });
    await expect(client.list('', { timeoutMs: 30_000 })).rejects.toMatchObject({ code: 'tooLarge' });
    expect((await client.list('', { timeoutMs: 30_000, limit: 200 })).length).toBe(200);
  });

  it('gives a list of several pages that is of one moment', async () => {
    const { cluster, client } = await start(1);
    const value = 'v'.repeat(1024 * 1024);
    const change = (round: string) => {
      for (const key of ['l/0', 'l/9']) cluster.change(key, round);
    };
    for (let at = 1; at < 9; at++) cluster.change(`l/${at}`, value);
    change('first');
    let asked = 0;
    cluster.node(1).script = () => {
      change(`${asked++}`);
      return 'serve';
    };
    const listed = await client.list('l/');
    expect(asked).toBeGreaterThan(3);
    expect(listed.map(({ key }) => text(key))).toEqual(Array.from({ length: 10 }, (_, at) => `l/${at}`));
    expect(listed[0]?.value).toEqual(listed[9]?.value);
    const pageByPage = [];
    for await (const { value: found } of client.scan('l/')) pageByPage.push(text(found));
    expect(pageByPage[0], 'else this proves nothing').not.toBe(pageByPage[9]);
  });

  it('whose reader takes its time gets the last of all that happened meanwhile', async () => {
    const { cluster, client } = await start();
    const watch = client.watchPrefix('', { timeoutMs: 300 });
    await next(watch);
    for (let round = 0; round < 2000; round++) cluster.change(`k${round % 3}`, `${round}`);
    await delay(400);
    const told = (await next(watch)).map((change) => shortOf(change).slice(0, 2));
    expect(told.sort()).toEqual([
      ['k0', '1998'],
      ['k1', '1999'],
      ['k2', '1997'],
    ]);
  });
});
