import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { readBackup, verifyBackup } from '../../src/backup/backup-reader.ts';
import { fromByteString, toByteString } from '../../src/base/bytes.ts';
import { KvClient } from '../../src/client/client.ts';
import type { Configuration } from '../../src/cluster/configuration.ts';
import { encodeCommand } from '../../src/kv/command.ts';
import { openDataDirectory } from '../../src/storage/directory/data-directory.ts';
import { decodeResponses, encodeRequests } from '../../src/wire/client-frame.ts';
import type { ClientResponse } from '../../src/wire/client-message.ts';
import { ProcessCluster } from './cluster.ts';

const clusters: ProcessCluster[] = [];

afterEach(async () => {
  for (const cluster of clusters.splice(0)) await cluster.destroy();
});

async function newCluster(): Promise<ProcessCluster> {
  const cluster = await ProcessCluster.create([1, 2, 3]);
  clusters.push(cluster);
  return cluster;
}

/** A change that was acknowledged: value undefined means deleted. */
interface Change {
  readonly key: string;
  readonly value: string | undefined;
  readonly revision: number;
}

/** Key → value and revision, as one text each to compare. */
type Content = Map<string, string>;

/** What the changes up to `revision` come to. */
function contentAt(changes: readonly Change[], revision: number): Content {
  const content: Content = new Map();
  const until = changes.filter((change) => change.revision <= revision).sort((a, b) => a.revision - b.revision);
  for (const { key, value, revision: at } of until) {
    if (value === undefined) content.delete(key);
    else content.set(key, `${at} ${value}`);
  }
  return sorted(content);
}

async function contentOf(client: KvClient): Promise<Content> {
  const content: Content = new Map();
  for await (const { key, value, revision } of client.scan()) {
    content.set(toByteString(key), `${revision} ${toByteString(value)}`);
  }
  return content;
}

async function contentOfFile(path: string): Promise<Content> {
  const content: Content = new Map();
  for await (const rows of readBackup(path, await verifyBackup(path))) {
    for (const row of rows) if (row.type === 'pair') content.set(row.key, `${row.revision} ${toByteString(row.value)}`);
  }
  return content;
}

function sorted(content: Content): Content {
  return new Map([...content].sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Puts and deletes by 32 writers until told to stop; every change is noted once it is acknowledged. */
class Load {
  readonly acknowledged: Change[] = [];
  readonly #client: KvClient;
  readonly #writers: Promise<void>[];
  #isStopping = false;

  constructor(client: KvClient) {
    this.#client = client;
    this.#writers = Array.from({ length: 32 }, (_, at) => this.#write(at));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await Promise.all(this.#writers);
  }

  async #write(writer: number): Promise<void> {
    for (let at = 0; !this.#isStopping; at++) {
      const key = `key-${(writer * 7919 + at * 31) % 1500}`;
      if (at % 10 === 9) {
        const { revision } = await this.#client.delete(key);
        this.acknowledged.push({ key, value: undefined, revision });
      } else {
        const value = `${writer}/${at} ${'x'.repeat((at * 37) % 400)}`;
        const { revision } = await this.#client.put(key, value);
        this.acknowledged.push({ key, value, revision });
      }
    }
  }
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

async function withClient<Result>(
  cluster: ProcessCluster,
  use: (client: KvClient) => Promise<Result>,
): Promise<Result> {
  const client = await KvClient.connect({ endpoints: cluster.endpoints, timeoutMs: 20_000 });
  try {
    return await use(client);
  } finally {
    await client.close();
  }
}

/** Sends one command as it is, and gives the answer. */
function send(address: string, command: Uint8Array): Promise<ClientResponse> {
  return new Promise((resolve, reject) => {
    const socket = new WebSocket(`ws://${address}/v1/client`);
    socket.once('error', reject);
    socket.on('message', (data, isBinary) => {
      if (!isBinary) return socket.send(encodeRequests([{ id: 1, timeoutMs: 10_000, type: 'write', command }]));
      socket.close();
      const [answer] = decodeResponses(data as Buffer);
      return answer ? resolve(answer) : reject(new Error('no answer'));
    });
  });
}

async function openSession(address: string): Promise<number> {
  const origin = { session: 0, number: 77, acknowledgedBelow: 0 };
  const answer = await send(address, encodeCommand({ kind: 'openSession', ...origin }));
  if (answer.type !== 'outcome' || answer.outcome.type !== 'sessionOpened') throw new Error(JSON.stringify(answer));
  return answer.outcome.session;
}

function putUnder(session: number): Uint8Array {
  const origin = { session, number: 1, acknowledgedBelow: 0 };
  return encodeCommand({ kind: 'put', ...origin, key: fromByteString('late'), value: fromByteString('x') });
}

/** Hashes of what a directory holds, but for locks. */
function dataIn(directory: string): Record<string, string> {
  const files = readdirSync(directory, { recursive: true }).map(String).sort();
  const data = files.filter((name) => !/(^|\/)lock/.test(name) && statSync(join(directory, name)).isFile());
  const hash = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(directory, name)))
      .digest('hex');
  return Object.fromEntries(data.map((name) => [name, hash(name)]));
}

/** All three vote and have applied the same. */
async function allVote(cluster: ProcessCluster): Promise<void> {
  await cluster.until(({ members, leader }) => {
    const isVoting = members.every(({ role }) => role === 'leader' || role === 'follower');
    return isVoting && leader !== null && new Set(members.map(({ appliedIndex }) => appliedIndex)).size === 1;
  });
}

describe('a backup', () => {
  test('made from a follower under load is the state at one revision, and a cluster restored from it goes on above', async () => {
    const cluster = await newCluster();
    await cluster.start(1, 2, 3);
    const leader = await cluster.leader();
    const follower = leader === 1 ? 2 : 1;
    const file = join(cluster.directory, 'under-load.kvbackup');
    const quiet = join(cluster.directory, 'quiet.kvbackup');
    const oldSession = await openSession(cluster.address(leader));
    const before = await withClient(cluster, async (client) => {
      const load = new Load(client);
      await until(() => load.acknowledged.length > 3000);
      const acknowledged = Math.max(...load.acknowledged.map(({ revision }) => revision));
      const saved = await cluster.kv('backup', 'save', file, '--json', '--endpoints', cluster.address(follower));
      const enough = load.acknowledged.length + 200;
      await until(() => load.acknowledged.length > enough);
      await load.stop();
      expect(saved).toMatchObject({ code: 0, stderr: '' });
      const { revision, keys, node } = JSON.parse(saved.stdout);
      expect(node).toBe(follower);
      expect(revision, 'all that was acknowledged before').toBeGreaterThanOrEqual(acknowledged);
      expect(revision, 'writes went on').toBeLessThan(Math.max(...load.acknowledged.map((change) => change.revision)));
      const content = await contentOfFile(file);
      expect(content.size).toBe(keys);
      expect(content).toEqual(contentAt(load.acknowledged, revision));

      expect(await cluster.kv('backup', 'save', quiet)).toMatchObject({ code: 0 });
      const now = await contentOf(client);
      expect(await contentOfFile(quiet)).toEqual(now);
      return now;
    });
    const { clusterId } = await cluster.status();
    const known = await cluster.kv('backup', 'inspect', quiet, '--json');
    expect(JSON.parse(known.stdout)).toMatchObject({
      cluster: 'process-test',
      clusterId,
      keys: before.size,
      checksum: 'ok',
    });
    const { revision } = JSON.parse(known.stdout);

    for (const restored of [[2], [1, 2, 3]]) {
      const next = await newCluster();
      for (const id of restored) {
        const args = ['backup', 'restore', quiet, '--id', String(id), '--data', next.dataDirectory(id)];
        expect(await next.kv(...args)).toMatchObject({ code: 0, stderr: '' });
      }
      await next.start(1, 2, 3);
      await allVote(next);
      expect((await next.status()).clusterId).not.toBe(clusterId);
      for (const id of [1, 2, 3]) {
        const client = await KvClient.connect({ endpoints: [next.address(id)] });
        expect(await contentOf(client)).toEqual(before);
        await client.close();
      }
      expect(await send(next.address(1), putUnder(oldSession))).toMatchObject({
        outcome: { type: 'refused', reason: 'sessionExpired' },
      });
      const put = await next.kv('put', 'after', 'x');
      expect(Number(/revision (\d+)/.exec(put.stdout)?.[1])).toBeGreaterThan(revision + 2 ** 40);
      await next.kill(2);
      await next.start(2);
      await allVote(next);
      expect(await next.kv('get', 'after', '--consistency', 'local', '--endpoints', next.address(2))).toMatchObject({
        stdout: 'x\n',
      });
      expect(await openSession(next.address(3)), 'session ids go on above, too').toBeGreaterThan(oldSession);
    }
  }, 120_000);

  test('that is cut off, altered or no backup is refused, and nothing is written', async () => {
    const cluster = await newCluster();
    await cluster.start(1, 2, 3);
    for (const key of ['a', 'b']) expect((await cluster.kv('put', key, 'x')).code).toBe(0);
    const file = join(cluster.directory, 'backup');
    expect(await cluster.kv('backup', 'save', file)).toMatchObject({ code: 0 });
    const bytes = readFileSync(file);
    const data = join(cluster.directory, 'restored');
    const restore = (...more: string[]) => cluster.kv('backup', 'restore', file, '--id', '1', '--data', data, ...more);

    expect(await cluster.kv('backup', 'save', file)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--force'),
    });
    expect(readFileSync(file), 'untouched').toEqual(bytes);
    truncateSync(file, bytes.length - 1);
    expect(await restore('--json')).toMatchObject({ code: 2, stdout: expect.stringContaining('"damagedBackup"') });
    expect(await cluster.kv('backup', 'inspect', '-')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('not read from standard input'),
    });
    expect(await cluster.kv('backup', 'inspect', file)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is damaged'),
    });
    writeFileSync(file, bytes);
    const flipped = Buffer.from(bytes);
    flipped[bytes.length >> 1] = (flipped[bytes.length >> 1] as number) ^ 1;
    writeFileSync(file, flipped);
    expect(await restore()).toMatchObject({ code: 2, stderr: expect.stringContaining('is damaged') });
    writeFileSync(file, 'hello');
    expect(await restore()).toMatchObject({ code: 2, stderr: expect.stringContaining('is no backup') });
    expect(existsSync(data)).toBe(false);

    const piped = await cluster.kv('backup', 'save', '-');
    expect(piped).toMatchObject({ code: 0, stdout: expect.stringContaining('omnikvbk') });
    writeFileSync(file, bytes);
    mkdirSync(data);
    writeFileSync(join(data, 'mine'), '');
    expect(await restore()).toMatchObject({ code: 2, stderr: expect.stringContaining('is not empty') });
    const stranger = await cluster.kv('backup', 'restore', file, '--id', '9', '--data', `${data}9`);
    expect(stranger).toMatchObject({ code: 2, stderr: expect.stringContaining('node 9 is not in') });
  });
});

test('a save that ends early leaves no file: its node is lost, or it is told to stop', async () => {
  const cluster = await newCluster();
  await cluster.start(1, 2, 3);
  await withClient(cluster, async (client) => {
    for (const key of ['a', 'b', 'c', 'd']) await client.put(key, Buffer.alloc(900_000, key));
    const backup = await client.openBackup();
    const controller = new AbortController();
    const ended = backup.pages({ signal: controller.signal });
    await ended.next();
    controller.abort();
    await expect(ended.next()).rejects.toMatchObject({ name: 'KvError', code: 'aborted' });
    await expect(backup.pages({ timeoutMs: 0 }).next()).rejects.toMatchObject({ code: 'invalid' });
    const pages = backup.pages();
    expect((await pages.next()).value).toHaveLength(1);
    await cluster.kill(backup.nodeId);
    const rest = async () => {
      for await (const _ of pages);
    };
    await expect(rest()).rejects.toMatchObject({ name: 'KvError', code: 'unreachable', outcome: 'notApplied' });
    await backup.close();
    await cluster.start(backup.nodeId);
  });
  for (const id of [1, 2, 3]) cluster.signal(id, 'SIGSTOP');
  const file = join(cluster.directory, 'stopped');
  for (const [signal, code] of [
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const) {
    const child = spawn(process.execPath, [resolve('bin/kv.js'), 'backup', 'save', file], { cwd: cluster.directory });
    const exited = new Promise<number | null>((settle) => child.once('exit', settle));
    await until(() => existsSync(`${file}.${child.pid}-0.part`));
    child.kill(signal);
    expect(await exited).toBe(code);
  }
  expect(readdirSync(cluster.directory).filter((name) => name.startsWith('stopped'))).toEqual([]);
});

test('a client that is closed lets its open backups go, so that others may be opened', async () => {
  const cluster = await newCluster();
  await cluster.start(1, 2, 3);
  // A node has four open at the most: the fifth would find no room on it.
  for (let round = 0; round < 5; round++) {
    const client = await KvClient.connect({ endpoints: [cluster.address(1)] });
    await client.put('k', 'v');
    const backup = await client.openBackup();
    await client.close();
    await expect(backup.pages().next()).rejects.toMatchObject({ code: 'closed' });
    await backup.close();
  }
});

/** A data directory of a node that has joined and has nothing yet. */
async function joinWithNothing(path: string, nodeId: number, clusterId: string, configuration: Configuration) {
  const { logStore, close } = await openDataDirectory({ path, nodeId, clusterName: 'process-test' });
  const self = { id: nodeId, address: `127.0.0.1:${nodeId}`, storageId: logStore.identity.storageId };
  logStore.bindCluster(clusterId);
  logStore.setConfiguration({ ...configuration, members: [self, ...configuration.members] });
  logStore.commit();
  await logStore.flush();
  await close();
}

describe('recovery of a lost majority', () => {
  test('keeps all that the survivor has; an old member that returns is refused and told why', async () => {
    const cluster = await newCluster();
    await cluster.start(1, 2, 3);
    await cluster.leader();
    const all: Change[] = [];
    const write = (count: number) =>
      withClient(cluster, async (client) => {
        for (let at = 0; at < count; at++) {
          const change = { key: `key-${all.length % 70}`, value: `value ${all.length}` };
          all.push({ ...change, revision: (await client.put(change.key, change.value)).revision });
        }
      });
    await write(200);
    await allVote(cluster);
    // The survivor falls behind: what the others acknowledge now is lost with them.
    await cluster.kill(3);
    await write(50);
    const { clusterId } = await cluster.status();
    const running = await cluster.kv(
      'recover',
      cluster.dataDirectory(1),
      '--out',
      join(cluster.directory, 'no'),
      '--yes',
    );
    expect(running).toMatchObject({ code: 2, stderr: expect.stringContaining('is in use by process') });
    await cluster.kill(1);
    await cluster.kill(2);

    const enough = await cluster.kv(
      'recover',
      cluster.dataDirectory(1),
      cluster.dataDirectory(2),
      '--out',
      join(cluster.directory, 'no'),
      '--yes',
    );
    expect(enough).toMatchObject({ code: 2, stderr: expect.stringContaining('nothing is lost then') });
    const recovered = join(cluster.directory, 'recovered');
    const survivor = cluster.dataDirectory(3);
    const within = await cluster.kv('recover', survivor, '--out', join(survivor, 'new'), '--yes');
    expect(within).toMatchObject({ code: 2, stderr: expect.stringContaining(`is within ${survivor}, of which it is`) });
    symlinkSync(survivor, `${survivor}-link`);
    const linked = await cluster.kv('recover', survivor, '--out', join(`${survivor}-link`, 'deep', 'in'), '--yes');
    expect(linked).toMatchObject({ code: 2, stderr: expect.stringContaining(`is within ${survivor}, of which it is`) });
    const unasked = await cluster.kv('recover', survivor, '--out', recovered);
    expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('--yes') });
    expect(existsSync(recovered)).toBe(false);
    const untouched = dataIn(survivor);
    const result = await cluster.kv('recover', survivor, '--out', recovered, '--yes', '--json');
    expect(result).toMatchObject({ code: 0 });
    expect(dataIn(survivor), 'the survivor is only read').toEqual(untouched);
    const { endIndex, certainIndex, firstRevision, clusterId: former } = JSON.parse(result.stdout);
    expect(former).toBe(clusterId);
    expect(endIndex).toBeGreaterThanOrEqual(all[199]?.revision as number);
    expect(endIndex).toBeLessThan(all.at(-1)?.revision as number);
    expect(endIndex).toBeGreaterThanOrEqual(certainIndex);
    expect(firstRevision).toBeGreaterThan((all.at(-1)?.revision as number) + 2 ** 40);
    const again = ['--out', `${recovered}-again`, '--above', String(firstRevision), '--yes', '--json'];
    expect(JSON.parse((await cluster.kv('recover', survivor, ...again)).stdout).firstRevision).toBe(
      firstRevision + 2 * 2 ** 40,
    );

    // The new cluster: the recovered node, and two that begin empty. First with an old member in the place of one.
    const old = cluster.dataDirectory(1);
    renameSync(cluster.dataDirectory(2), `${cluster.dataDirectory(2)}.old`);
    renameSync(survivor, `${survivor}.old`);
    renameSync(recovered, survivor);
    await cluster.start(1, 2, 3);
    const why = new RegExp(
      `recovered from cluster ${clusterId} on .*, and the data of node 1 .* set its data directory aside`,
    );
    await until(() => why.test(cluster.stderr(3)));
    await cluster.kill(1);
    renameSync(old, `${old}.old`);
    await cluster.start(1);
    await allVote(cluster);
    const view = await cluster.status();
    expect(view.clusterId).not.toBe(clusterId);
    await withClient(cluster, async (client) =>
      expect(sorted(await contentOf(client))).toEqual(contentAt(all, endIndex)),
    );
    const put = await cluster.kv('put', 'after', 'x');
    expect(Number(/revision (\d+)/.exec(put.stdout)?.[1])).toBeGreaterThanOrEqual(firstRevision);

    // Once there is a cluster, everyone knows where it is from, those that began empty, too.
    await cluster.stop(1);
    renameSync(old, `${old}.new`);
    renameSync(`${old}.old`, old);
    await cluster.start(1);
    const said = new RegExp(`cluster ${view.clusterId} was recovered from cluster ${clusterId} on`);
    await until(() => [1, 2, 3].every((id) => said.test(cluster.stderr(id))));
    const others = `${cluster.address(2)},${cluster.address(3)}`;
    expect(await cluster.kv('get', 'after', '--endpoints', others)).toMatchObject({ code: 0, stdout: 'x\n' });
  }, 120_000);

  test('passes over a damaged survivor, and says so', async () => {
    const cluster = await newCluster();
    await cluster.start(1, 2, 3);
    for (const key of ['a', 'b', 'c']) expect((await cluster.kv('put', key, key)).code).toBe(0);
    await allVote(cluster);
    for (const id of [1, 2, 3]) await cluster.stop(id);
    const broken = join(cluster.dataDirectory(1), 'identity');
    writeFileSync(broken, readFileSync(broken, 'utf8').replace('node 1', 'node 2'));
    const out = join(cluster.directory, 'out');
    const both = [cluster.dataDirectory(1), cluster.dataDirectory(2)];
    const alone = await cluster.kv('recover', both[0] as string, '--out', out, '--yes');
    expect(alone).toMatchObject({ code: 1, stderr: expect.stringContaining('none of the directories can be used') });
    const empty = await cluster.kv('recover', cluster.directory, '--out', out, '--yes');
    expect(empty).toMatchObject({ code: 2, stderr: expect.stringContaining('is no data directory') });
    const result = await cluster.kv('recover', ...both, '--out', out, '--yes');
    expect(result).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('recovered 3 keys'),
      stderr: expect.stringContaining(`not usable: ${both[0]}`),
    });
  });

  test('of those that were still joining goes on by --force alone, and says that what was before is lost', async () => {
    const cluster = await newCluster();
    await cluster.start(1, 2, 3);
    for (const key of ['a', 'b', 'c']) expect((await cluster.kv('put', key, key)).code).toBe(0);
    await allVote(cluster);
    const { clusterId } = await cluster.status();
    for (const id of [1, 2, 3]) await cluster.stop(id);
    const recover = (out: string, ...words: string[]) =>
      cluster.kv('recover', ...words, '--out', join(cluster.directory, out), '--yes');
    const { certainIndex } = JSON.parse((await recover('before', cluster.dataDirectory(1), '--json')).stdout);
    const joined = join(cluster.directory, 'joined');
    const unheard = join(cluster.directory, 'unheard');
    const { identity, close } = await openDataDirectory({ path: unheard, nodeId: 5, clusterName: 'process-test' });
    await close();
    const storageIds = [identity.storageId, '6'.repeat(16)];
    const others = [5, 6].map((id, at) => ({ id, address: `127.0.0.1:${id}`, storageId: storageIds[at] as string }));
    const past = [{ configurationId: 1, startIndex: 0, memberIds: [1, 2, 3] }];
    const next = { configurationId: 2, startIndex: certainIndex + 1, members: others, past };
    await joinWithNothing(joined, 4, clusterId as string, next);

    const alone = await recover('alone', joined);
    expect(alone.code).toBe(2);
    expect(alone.stderr).toContain(
      `still joining: ${joined}: its node had not got all that was decided before configuration 2`,
    );
    expect(alone.stderr).toMatch(
      /what was decided above revision 0, before configuration 2.* which may be one of 1, 2, 3, 5, 6 \(--force/,
    );
    const forced = await recover('forced', joined, '--id', '2', '--force', '--json');
    expect(forced.code, forced.stderr).toBe(0);
    expect(forced.stderr).toContain('none of these nodes knows of anything that was decided');
    expect(forced.stderr).toContain('is in none of these directories');
    expect(JSON.parse(forced.stdout)).toMatchObject({ keys: 0, certainIndex: 0, endIndex: 0 });

    // One of a cluster that began with data, at an index of its own: what it gave out is not given out again.
    const began = join(cluster.directory, 'began');
    await joinWithNothing(began, 4, clusterId as string, { configurationId: 1, startIndex: 2 ** 41, members: others });
    const anew = await recover('anew', began, '--id', '2', '--force', '--json');
    expect(JSON.parse(anew.stdout)).toMatchObject({ endIndex: 0, firstRevision: 2 ** 42 + 1 });

    // Beside one that has all of it the newcomer is no reason to lose any.
    const both = await recover('both', joined, cluster.dataDirectory(2));
    expect(both).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        'none of these voted in configuration 2, whose members are 4, 5, 6: node 4 was still joining, node 2 did not know it; they may lack all',
      ),
    });
    // One more, which has not heard of its cluster yet: they go on if somebody gives them what they lack.
    const three = await recover('three', joined, unheard, cluster.dataDirectory(2));
    expect(three).toMatchObject({
      code: 2,
      stderr: expect.stringContaining(
        'nodes 4, 5 are left of 3 members, and that is enough with node 2, from which they get',
      ),
    });
    const beside = await recover('beside', joined, cluster.dataDirectory(2), '--force', '--json');
    expect(beside.code, beside.stderr).toBe(0);
    expect(beside.stderr).toMatch(/all up to revision \d+ is certain: node 2 knows it to be decided/);
    expect(JSON.parse(beside.stdout)).toMatchObject({ keys: 3, nodeId: 2 });
  });
});
