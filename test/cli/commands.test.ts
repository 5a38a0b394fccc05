import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import Delete from '../../commands/delete.ts';
import Get from '../../commands/get.ts';
import List from '../../commands/list.ts';
import Put from '../../commands/put.ts';
import Start from '../../commands/start.ts';
import Status from '../../commands/status.ts';
import Transact from '../../commands/transact.ts';
import { KvError } from '../../src/client/call/errors.ts';
import type { KvClient } from '../../src/client/client.ts';
import { runCommand } from './run-command.ts';

type Asked = 'put' | 'transact' | 'get' | 'delete' | 'list' | 'scan' | 'clusterStatus' | 'close';

/** Stands in for a connection: a map of bytes, and a record of what it was asked. */
class FakeClient implements Record<keyof Pick<KvClient, Asked>, unknown> {
  readonly records = new Map<string, { value: Uint8Array; revision: number }>();
  readonly connections: unknown[] = [];
  readonly reads: unknown[] = [];
  readonly writes: unknown[] = [];
  revision = 0;
  closeCount = 0;
  failure: Error | undefined;

  connect(options: unknown): this {
    this.connections.push(options);
    if (this.failure !== undefined) throw this.failure;
    return this;
  }

  async put(key: Uint8Array, value: Uint8Array, options?: { ifRevision?: number }) {
    this.writes.push(options);
    this.records.set(text(key), { value, revision: ++this.revision });
    return { revision: this.revision };
  }

  async transact(transaction: unknown, options: unknown) {
    this.writes.push({ transaction, options });
    return { revision: ++this.revision };
  }

  async get(key: Uint8Array, options: unknown) {
    this.reads.push(options);
    return this.records.get(text(key));
  }

  async delete(key: Uint8Array, options?: { ifRevision?: number }) {
    this.writes.push(options);
    return { existed: this.records.delete(text(key)), revision: ++this.revision };
  }

  async list(prefix: string | Uint8Array, options: { limit?: number }) {
    const start = typeof prefix === 'string' ? prefix : text(prefix);
    const found = [...this.records].filter(([key]) => key.startsWith(start)).sort();
    const pairs = found.map(([key, record]) => ({ key: Buffer.from(key, 'latin1'), ...record }));
    return pairs.slice(0, options.limit);
  }

  async *scan(prefix: string | Uint8Array) {
    yield* await this.list(prefix, {});
  }

  async clusterStatus() {
    const space = { level: 'ok', usedBytes: 3 * 2 ** 20, capacityBytes: 64 * 2 ** 20 };
    const members = [1, 2, 3].map((id) => {
      const disk = { flushP50Ms: undefined, flushP99Ms: undefined, flushes: 0 };
      const head = { id, address: `h:${id}`, role: id === 2 ? 'leader' : 'follower', decidedIndex: 7, appliedIndex: 7 };
      return { ...head, isMember: true, state: 'member', lag: 0, hasOtherDirectory: false, disk, space };
    });
    return { clusterId: 'c0ffee', configurationId: 1, leader: 2, fullNodes: [], members, history: [] };
  }

  async close() {
    this.closeCount++;
  }
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

let fake: FakeClient;
vi.mock('../../src/client/client.ts', () => ({
  KvClient: { connect: async (options: unknown) => fake.connect(options) },
}));

beforeEach(() => {
  fake = new FakeClient();
  vi.stubEnv('KV_ENDPOINTS', '');
  vi.stubEnv('KV_CONFIG', '');
});
afterEach(() => vi.unstubAllEnvs());

const put = (...argv: string[]) => runCommand(Put, 'put', ...argv);
const get = (...argv: string[]) => runCommand(Get, 'get', ...argv);
const list = (...argv: string[]) => runCommand(List, 'list', ...argv);

describe('put', () => {
  test.each([
    [['n', '-5'], 'n', '-5'],
    [['--', '-5', 'x'], '-5', 'x'],
    [['-5', '-6'], '-5', '-6'],
    [['--timeout', '3s', 'n', '-5.5e3'], 'n', '-5.5e3'],
    [['n', '--', '--json'], 'n', '--json'],
    [['--', '--', '-'.repeat(3)], '--', '---'],
    [['n', ''], 'n', ''],
    [['n', 'a=b c'], 'n', 'a=b c'],
    [['é', 'ü'], 'Ã©', 'Ã¼'],
  ])('%j stores what was written', async (argv, key, value) => {
    expect(await put(...argv)).toEqual({ stdout: 'revision 1\n', stderr: '', exitCode: 0 });
    expect(text(fake.records.get(key)?.value ?? Buffer.from('missing'))).toBe(value);
    expect(fake.closeCount).toBe(1);
  });

  test('--json has key and revision', async () => {
    expect(JSON.parse((await put('a', 'b', '--json')).stdout)).toEqual({ key: 'a', revision: 1 });
  });

  test.each([
    [[], 2, 'KEY is missing'],
    [['k'], 2, 'the VALUE is missing'],
    [['', 'v'], 2, 'the key is empty'],
    [['k', 'v', 'w'], 2, 'too many arguments, from "w" on'],
    [
      ['k', '--vaule', 'v'],
      2,
      'there is no flag --vaule (if it is no flag but a key or a value: kv put -- --vaule ...)',
    ],
    [['k', '-v'], 2, 'there is no flag -v'],
    [['k', 'v', '--timeout'], 2, 'Flag --timeout expects a value'],
    [['k', 'v', '--timeout', '-5'], 2, '--timeout "-5" is not a duration'],
    [['k', 'v', '--endpoints', 'h'], 2, '--endpoints: "h" has no port'],
    [['k', 'v', '--config', '/none/kv.json'], 2, '/none/kv.json, named by --config, cannot be read'],
    [['k', 'v', '--file', 'f'], 2, 'there is a VALUE and a --file: give one of them'],
    [['k', 'v', '--if-revision', 'x'], 2, '--if-revision is "x": give a whole number, as kv get --json tells it'],
    [['k', 'v', '--if-revision', '-1'], 2, '--if-revision is "-1": give a whole number'],
    [['k', 'v', '--if-revision', '99999999999999999999'], 2, '--if-revision is 100000000000000000000: give'],
    [
      ['k', 'v', '--if-revision', '1', '--if-absent'],
      2,
      '--if-revision=1 cannot also be provided when using --if-absent',
    ],
  ])('%j is refused in one line, and nobody is asked', async (argv, exitCode, message) => {
    const result = await put(...argv);
    expect(result).toMatchObject({ stdout: '', exitCode });
    expect(result.stderr).toContain(`kv put: ${message}`);
    expect(result.stderr).toMatch(/^[^\n]+\n$/);
    expect(fake.connections).toEqual([]);
  });
});

describe('a condition', () => {
  test('is handed on', async () => {
    await put('k', 'v', '--if-absent');
    await put('k', 'v', '--if-revision', '7');
    await runCommand(Delete, 'delete', 'k', '--if-revision', '8');
    await put('k', 'v');
    expect(fake.writes).toMatchObject([{ ifRevision: 0 }, { ifRevision: 7 }, { ifRevision: 8 }, {}]);
    expect(fake.writes[3]).not.toHaveProperty('ifRevision');
  });

  test('that does not hold exits with 4, and tells scripts the revision', async () => {
    fake.failure = new KvError('conflict', 'the key is at revision 9', 'notApplied', { revision: 9 });
    const { stdout, stderr, exitCode } = await put('k', 'v', '--if-absent', '--json');
    expect({ stderr, exitCode }).toEqual({ stderr: 'kv put: the key is at revision 9\n', exitCode: 4 });
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'conflict', message: 'the key is at revision 9', outcome: 'notApplied', revision: 9 },
    });
  });
});

describe('delete --prefix', () => {
  const deletePrefix = (...argv: string[]) => runCommand(Delete, 'delete', ...argv, '--prefix');
  const deletedAtOnce = () =>
    (fake.writes as { transaction: { do: { delete: Uint8Array }[] } }[]).map(({ transaction }) =>
      transaction.do.map((change) => text(change.delete)),
    );
  const fill = (count: number) => {
    for (let at = 0; at < count; at++) fake.records.set(`user/${1000 + at}`, { value: Buffer.of(1), revision: 1 });
    fake.records.set('users', { value: Buffer.of(1), revision: 1 });
  };

  test('deletes what begins with it, as many at a time as a transaction takes', async () => {
    fill(300);
    expect(await deletePrefix('user/')).toMatchObject({ stdout: '300 keys deleted\n', exitCode: 0 });
    expect(deletedAtOnce().map(({ length }) => length)).toEqual([128, 128, 44]);
    expect(deletedAtOnce().flat()).not.toContain('users');
    expect(JSON.parse((await deletePrefix('user/1001', '--json')).stdout)).toEqual({ prefix: 'user/1001', deleted: 1 });
  });

  test('says how many are gone where it fails on the way', async () => {
    fill(129);
    const { transact } = fake;
    fake.transact = async (transaction, options) => {
      if (fake.writes.length > 0) throw new KvError('noMajority', 'nobody is there', 'notApplied');
      return transact.call(fake, transaction, options);
    };
    expect(await deletePrefix('user/')).toMatchObject({
      ...{ exitCode: 6, stdout: '' },
      stderr: 'kv delete: 128 keys deleted, others may be left: nobody is there\n',
    });
    fake.writes.length = 0;
    fill(129);
    expect(JSON.parse((await deletePrefix('user/', '--json')).stdout)).toMatchObject({
      error: { code: 'noMajority', outcome: 'unknown' },
    });
  });

  test('exits with 3 where there is none, and with 2 where that would be every key, or one at a revision', async () => {
    expect(await deletePrefix('none/')).toMatchObject({
      ...{ exitCode: 3, stderr: 'kv delete: no key begins with none/\n' },
    });
    expect(await deletePrefix('')).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('the PREFIX is empty, and all keys begin with that'),
    });
    expect(await deletePrefix('k', '--if-revision', '7')).toMatchObject({ exitCode: 2 });
    expect(fake.writes).toEqual([]);
  });
});

describe('transact', () => {
  const transact = (...argv: string[]) => runCommand(Transact, 'transact', ...argv);

  test('hands on what is to hold and to be done, and prints one revision', async () => {
    const flags = ['--if', 'leader=12', '--put', 'a=-5', '--put', 'b=', '--delete', 'c', '--delete=d'];
    expect(await transact(...flags)).toEqual({ stdout: 'revision 1\n', stderr: '', exitCode: 0 });
    const put = (key: string, value: string) => ({ put: Buffer.from(key), value: Buffer.from(value) });
    expect(fake.writes).toMatchObject([
      {
        transaction: {
          if: [{ key: Buffer.from('leader'), revision: 12 }],
          do: [put('a', '-5'), put('b', ''), { delete: 'c' }, { delete: 'd' }],
        },
      },
    ]);
    expect(JSON.parse((await transact('--delete', 'c', '--json')).stdout)).toEqual({ revision: 2 });
  });

  test('whose condition does not hold exits with 4', async () => {
    fake.failure = new KvError('conflict', 'condition 1', 'notApplied', { revision: 9, condition: 0 });
    const { stdout, exitCode } = await transact('--if', 'a=1', '--delete', 'b', '--json');
    expect(exitCode).toBe(4);
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'conflict', message: 'condition 1', outcome: 'notApplied', revision: 9, condition: 0 },
    });
  });

  test.each([
    [[], 2, 'the transaction changes nothing: give a put or a delete'],
    [['--if', 'a=1'], 2, 'the transaction changes nothing: give a put or a delete'],
    [['--put', 'a=1', '--delete', 'a'], 2, 'number 2 of the changes is of a key that is there already'],
    [['--put', '=1'], 2, 'do[0].put: the key is empty'],
    [['/none/at/all'], 2, '/none/at/all cannot be read: there is no such file'],
    [['/tmp', 'x'], 2, 'too many arguments, from "x" on'],
    [['--put', `a=${'x'.repeat(1024 * 1024)}`], 8, 'the transaction has 1048577 bytes of keys and values'],
  ])('%j is refused in one line, and nobody is asked', async (argv, exitCode, message) => {
    const result = await transact(...argv);
    expect(result).toMatchObject({ stdout: '', exitCode });
    expect(result.stderr).toContain(`kv transact: ${message}`);
    expect(result.stderr).toMatch(/^[^\n]+\n$/);
    expect(fake.connections).toEqual([]);
  });
});

test('a key over 1 KiB or a value over 1 MiB exits with 8, and nobody is asked', async () => {
  const longKey = await put('x'.repeat(1025), 'v');
  expect(longKey).toMatchObject({ stdout: '', exitCode: 8 });
  expect(longKey.stderr).toBe('kv put: the key has 1025 bytes: at most 1024 are allowed\n');
  const longValue = await put('k', 'x'.repeat(1024 * 1024 + 1));
  expect(longValue).toMatchObject({ stdout: '', exitCode: 8 });
  expect(longValue.stderr).toContain('the value has 1048577 bytes: at most 1048576 (1 MiB)');
  expect(fake.connections).toEqual([]);
});

describe('get', () => {
  test('writes the bytes of the value and one newline, nothing else', async () => {
    await fake.put(Buffer.from('k'), Buffer.from([0, 255, 10]));
    expect(await get('k')).toEqual({ stdout: '\x00\xff\n\n', stderr: '', exitCode: 0 });
    expect(await get('k', '--raw')).toEqual({ stdout: '\x00\xff\n', stderr: '', exitCode: 0 });
  });

  test('--json has key, revision, and value or valueBase64', async () => {
    await put('k', 'v');
    expect(JSON.parse((await get('k', '--json')).stdout)).toEqual({ key: 'k', revision: 1, value: 'v' });
    await fake.put(Buffer.from('b'), Buffer.from([255]));
    expect(JSON.parse((await get('b', '--json')).stdout)).toEqual({ key: 'b', revision: 2, valueBase64: '/w==' });
  });

  test('exits with 3 where there is no such key', async () => {
    expect(await get('k\n')).toEqual({ stdout: '', stderr: 'kv get: key not found: k\\n\n', exitCode: 3 });
    const { stdout, exitCode } = await get('k', '--json');
    expect(exitCode).toBe(3);
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'notFound', message: 'key not found: k', outcome: 'notApplied' },
    });
  });

  test('reads are linearizable unless --consistency local', async () => {
    await get('k', '--timeout', '500ms');
    await get('k', '--consistency', 'local');
    expect(fake.reads).toMatchObject([{ consistency: 'linearizable' }, { consistency: 'local' }]);
    expect((await get('k', '--consistency', 'eventual')).exitCode).toBe(2);
  });
});

test('delete exits with 0 if there was such a key, else with 3', async () => {
  await put('k', 'v');
  expect(await runCommand(Delete, 'delete', 'k')).toEqual({ stdout: 'revision 2\n', stderr: '', exitCode: 0 });
  expect(await runCommand(Delete, 'delete', 'k')).toMatchObject({ stdout: '', exitCode: 3 });
});

test('list prints keys, values if wanted, and JSON', async () => {
  for (const key of ['a/1', 'a/2', 'b']) await put(key, `v${key}`);
  expect((await list()).stdout).toBe('a/1\na/2\nb\n');
  expect((await list('a/', '--values')).stdout).toBe('a/1\tva/1\na/2\tva/2\n');
  expect((await list('--limit', '1')).stdout).toBe('a/1\n');
  expect(JSON.parse((await list('b', '--json')).stdout)).toEqual([{ key: 'b', revision: 3, value: 'vb' }]);
  expect(await list('none')).toEqual({ stdout: '', stderr: '', exitCode: 0 });
  expect((await list('--limit', '0')).stderr).toBe('kv list: --limit 0: 1 is the least; see kv list --help\n');
  expect((await list('--limit', 'x')).stderr).toBe('kv list: --limit "x" is no whole number; see kv list --help\n');
});

test('status is a table, and exactly the promised fields with --json', async () => {
  expect((await runCommand(Status, 'status')).stdout).toContain(
    ' 2  h:2      leader *        7        7          -  3.0 MiB of 64.0 MiB\n',
  );
  const status = JSON.parse((await runCommand(Status, 'status', '--json')).stdout);
  expect(Object.keys(status)).toEqual(['clusterId', 'configurationId', 'leader', 'fullNodes', 'members', 'history']);
  expect(Object.keys(status.members[0])).toEqual([
    ...['id', 'address', 'role', 'decidedIndex', 'appliedIndex', 'member', 'state', 'lag', 'otherDirectory'],
    ...['trimmedIndex', 'connected', 'catchUp', 'logHeld', 'disk', 'space'],
  ]);
  expect(status.members[0].disk).toEqual({ flushP50Ms: null, flushP99Ms: null, flushes: 0 });
});

describe('a failure', () => {
  test('of a request is one line and the exit code of its outcome', async () => {
    fake.failure = new KvError('noMajority', 'no node answered within 5000 ms', 'notApplied');
    expect(await get('k')).toEqual({ stdout: '', stderr: 'kv get: no node answered within 5000 ms\n', exitCode: 5 });
    const { stdout } = await put('k', 'v', '--json');
    expect(JSON.parse(stdout)).toEqual({
      error: { code: 'noMajority', message: 'no node answered within 5000 ms', outcome: 'notApplied' },
    });
  });

  test('that nobody planned for is an internal error without a stack, unless asked for', async () => {
    fake.failure = new TypeError('x is not a function');
    const message = 'kv get: internal error: x is not a function (KV_STACK=1 shows where)\n';
    expect(await get('k')).toEqual({ stdout: '', stderr: message, exitCode: 1 });
    vi.stubEnv('KV_STACK', '1');
    expect((await get('k')).stderr).toContain('commands.test.ts');
  });

  test('in the arguments is JSON too where JSON was asked for, but not behind --', async () => {
    expect(JSON.parse((await put('--json', 'k')).stdout)).toMatchObject({ error: { code: 'badInput' } });
    expect((await put('--nothing', '--', '--json')).stdout).toBe('');
  });
});

test('endpoints and timeout reach the client', async () => {
  vi.stubEnv('KV_ENDPOINTS', 'variable:1');
  await get('k');
  await get('k', '--endpoints', 'flag:1,flag:2', '--timeout', '9s');
  expect(fake.connections).toEqual([
    { endpoints: ['variable:1'], timeoutMs: 5000 },
    { endpoints: ['flag:1', 'flag:2'], timeoutMs: 9000 },
  ]);
});

test('a stray argument of a command that takes none is named', async () => {
  const result = await runCommand(Status, 'status', 'now');
  expect(result).toMatchObject({ exitCode: 2 });
  expect(result.stderr).toBe('kv status: "now" is one argument too many: kv status takes flags only\n');
  expect((await runCommand(Start, 'start', '--id', '1', '2')).stderr).toContain('write kv start --id 2');
  expect((await runCommand(Start, 'start', '1')).stderr).toBe('kv start: --id is missing; see kv start --help\n');
});
