import { afterEach, describe, expect, it } from 'vitest';
import type { KvError } from '../../src/client/call/errors.ts';
import { KvClient } from '../../src/client/client.ts';
import type { KvTransaction } from '../../src/client/keys/transaction.ts';
import { decodeCommand } from '../../src/kv/command.ts';
import type { ClientRequest } from '../../src/wire/client-message.ts';
import { FakeCluster, type Reaction } from './fake-cluster.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function start(count = 1) {
  const cluster = await FakeCluster.start(count);
  cleanups.push(() => cluster.stop());
  const client = await KvClient.connect({ endpoints: cluster.addresses });
  cleanups.push(() => client.close());
  return { cluster, client, first: cluster.node(1) };
}

async function errorOf(call: Promise<unknown>): Promise<KvError> {
  return call.then(
    (result) => expect.fail(`expected a failure, got ${JSON.stringify(result)}`),
    (error) => error,
  );
}

const isTransaction = (request: ClientRequest) =>
  request.type === 'write' && decodeCommand(request.command).kind === 'transact';

async function valuesOf(client: KvClient): Promise<Record<string, string>> {
  const pairs = await client.list();
  return Object.fromEntries(
    pairs.map(({ key, value }) => [Buffer.from(key).toString(), Buffer.from(value).toString()]),
  );
}

describe('a transaction', () => {
  it('puts and deletes, at one revision', async () => {
    const { client } = await start();
    await client.put('old', 'x');
    const { revision } = await client.transact({
      do: [{ put: 'a', value: '1' }, { put: Buffer.from('b'), value: '' }, { delete: 'old' }],
    });
    expect(await valuesOf(client)).toEqual({ a: '1', b: '' });
    expect((await client.list()).map((pair) => pair.revision)).toEqual([revision, revision]);
  });

  it('of which a condition does not hold fails, and says which and why', async () => {
    const { client } = await start();
    const { revision } = await client.put('a', '1');
    const unmet = (conditions: KvTransaction['if']) =>
      errorOf(client.transact({ if: conditions, do: [{ put: 'b', value: '1' }] }));
    expect(
      await unmet([
        { key: 'a', revision },
        { key: 'a/b', revision: 7 },
      ]),
    ).toMatchObject({
      ...{ code: 'conflict', outcome: 'notApplied', condition: 1, revision: 0 },
      message: 'condition 2, of "a/b": there is no such key: nothing is changed',
    });
    expect(await unmet([{ key: 'a', revision: 0 }])).toMatchObject({
      ...{ condition: 0, revision },
      message: `condition 1, of "a": the key exists, at revision ${revision}: nothing is changed`,
    });
    expect(await unmet([{ key: 'a', revision: revision + 1 }])).toMatchObject({
      message: `condition 1, of "a": the key is at revision ${revision}, not ${revision + 1}: nothing is changed`,
    });
    expect(await valuesOf(client)).toEqual({ a: '1' });
  });

  it('takes what a lock and a list give as conditions: nothing is changed by a former holder', async () => {
    const { client } = await start();
    const lock = await client.lock('deploy');
    await client.transact({ if: [lock], do: [{ put: 'site', value: 'green' }] });
    await client.transact({ if: await client.list('site'), do: [{ put: 'site', value: 'blue' }] });
    await lock.release();
    const error = await errorOf(client.transact({ if: [lock], do: [{ put: 'site', value: 'red' }] }));
    expect(error).toMatchObject({ code: 'conflict', condition: 0, revision: 0 });
    expect(await valuesOf(client)).toEqual({ site: 'blue' });
  });

  it.each(['cutAfter', 'cutBefore', 'applyAndIgnore'] as const)(
    'that is sent again is applied once (%s)',
    async (reaction) => {
      const { client, first } = await start(3);
      const reactions: Reaction[] = [reaction];
      first.script = (request) => (isTransaction(request) ? (reactions.shift() ?? 'serve') : 'serve');
      const transaction = {
        if: [{ key: 'a', revision: 0 }],
        do: [
          { put: 'a', value: '1' },
          { put: 'b', value: '2' },
        ],
      };
      const { revision } = await client.transact(transaction, { timeoutMs: 6000 });
      expect(await client.get('a')).toMatchObject({ revision });
      expect(reactions).toEqual([]);
    },
  );

  it('goes on in a new session where its own was dropped before it came', async () => {
    const { client, cluster } = await start();
    await client.put('x', '1');
    cluster.forgetSessions();
    await client.transact({ do: [{ put: 'a', value: '1' }] });
    expect(await valuesOf(client)).toEqual({ a: '1', x: '1' });
  });

  it('is told to a watch as one', async () => {
    const { client } = await start();
    const watch = client.watchPrefix('s/');
    await watch.next();
    await client.transact({
      do: [
        { put: 's/1', value: 'a' },
        { put: 'other', value: 'x' },
        { put: 's/2', value: 'b' },
      ],
    });
    const { value } = await watch.next();
    await watch.return();
    expect((value ?? []).map(({ key }) => Buffer.from(key).toString())).toEqual(['s/1', 's/2']);
  });

  const many = Array.from({ length: 129 }, (_, at) => ({ put: `k${at}`, value: '' }));
  it.each([
    [
      undefined,
      'invalid',
      'the transaction is undefined: give { if: [{ key, revision }], do: [{ put: key, value }, { delete: key }] }',
    ],
    [[{ put: 'a', value: '1' }], 'invalid', 'the transaction is a list: give'],
    [{ set: [] }, 'invalid', 'the transaction has set: give'],
    [{}, 'invalid', 'do of the transaction is undefined: give'],
    [{ do: [] }, 'invalid', 'the transaction changes nothing'],
    [{ if: {}, do: [{ delete: 'a' }] }, 'invalid', 'if of the transaction is an object: give'],
    [{ if: [7], do: [{ delete: 'a' }] }, 'invalid', 'if[0] is 7: give { key, revision }'],
    [
      { if: [{ key: 'a' }], do: [{ delete: 'a' }] },
      'invalid',
      'the revision of if[0] is undefined: give the one that get() told, or 0',
    ],
    [{ if: [{ revision: 1 }], do: [{ delete: 'a' }] }, 'invalid', 'if[0].key: the key is undefined: give a string'],
    [{ do: [{ delete: 'b' }, { put: '', value: '5' }] }, 'invalid', 'do[1].put: the key is empty'],
    [{ do: [{ put: 'a', value: 5 }] }, 'invalid', 'do[0].value: the value is 5'],
    [{ do: new Array(2) }, 'invalid', 'do[0] is undefined: give'],
    [{ do: Object.create(null) }, 'invalid', 'do of the transaction is an object: give'],
    [{ do: [{ put: 'a' }] }, 'invalid', 'do[0] is { put }: give { put: key, value } or { delete: key }'],
    [
      { do: [{ delete: 'a' }, { put: 'b', value: '', ttlMs: 5000 }] },
      'invalid',
      'do[1] is { put, ttlMs, value }: give',
    ],
    [{ do: [{ put: 'a', value: '1', delete: 'a' }] }, 'invalid', 'do[0] is { delete, put, value }: give'],
    [{ do: ['a'] }, 'invalid', 'do[0] is "a", a text: give'],
    [
      { do: [{ put: 'a', value: '1' }, { delete: 'a' }] },
      'invalid',
      'number 2 of the changes is of a key that is there already',
    ],
    [{ do: many }, 'tooLarge', 'the transaction has 129 changes: at most 128 are allowed'],
  ])('%j is refused, and nobody is asked', async (transaction, code, message) => {
    const { client, first } = await start();
    const error = await errorOf(client.transact(transaction as unknown as KvTransaction));
    expect(error).toMatchObject({ name: 'KvError', code, outcome: 'notApplied' });
    expect(error.message).toContain(message);
    expect(first.requests).toEqual([]);
  });
});
