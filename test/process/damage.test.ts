import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { KvClient } from '../../src/client/client.ts';
import { copyFiles } from '../storage/scratch.ts';
import { type CommandResult, ProcessCluster } from './cluster.ts';

/** Long enough that no block of the log or page of the state holds two. */
const filler = 'x'.repeat(200);

let cluster: ProcessCluster;

afterEach(() => cluster.destroy());

/** Flips a bit at every place of `text` in `file`, in place: a process that has it open or mapped sees the change. */
function flip(file: string, text: string): void {
  const data = readFileSync(file);
  const descriptor = openSync(file, 'r+');
  let count = 0;
  for (let at = data.indexOf(text); at >= 0; at = data.indexOf(text, at + 1), count++) {
    writeSync(descriptor, Uint8Array.of(data.readUInt8(at) ^ 1), 0, 1, at);
  }
  closeSync(descriptor);
  expect(count).toBeGreaterThan(0);
}

function segmentWith(directory: string, text: string): string {
  const log = join(directory, 'log');
  const found = readdirSync(log).find((name) => readFileSync(join(log, name)).includes(text));
  if (found === undefined) throw new Error(`no segment has ${text}`);
  return join(log, found);
}

/** A client that writes and reads all the time, and notes what it was told. */
class Load {
  readonly #client: KvClient;
  readonly #running: Promise<void>;
  readonly #acknowledged = new Map<string, string>();
  #isOver = false;
  count = 0;

  private constructor(client: KvClient) {
    this.#client = client;
    this.#running = Promise.all(Array.from({ length: 8 }, (_, writer) => this.#write(writer))).then(() => undefined);
    this.#running.catch(() => undefined);
  }

  static async on(endpoints: readonly string[]): Promise<Load> {
    return new Load(await KvClient.connect({ endpoints, timeoutMs: 10_000 }));
  }

  async progress(count: number): Promise<void> {
    const goal = this.count + count;
    while (this.count < goal) await Promise.race([this.#running, new Promise((resolve) => setImmediate(resolve))]);
  }

  /** Ends it; throws if any request failed. Every write that was acknowledged must be read. */
  async end(): Promise<void> {
    this.#isOver = true;
    await this.#running;
    for (const [key, value] of this.#acknowledged) {
      expect(Buffer.from((await this.#client.get(key))?.value ?? []).toString()).toBe(value);
    }
    await this.#client.close();
  }

  async #write(writer: number): Promise<void> {
    for (let number = 0; !this.#isOver; number++) {
      const key = `load-${writer}-${number % 50}`;
      const value = `${number}${filler}`;
      await this.#client.put(key, value);
      this.#acknowledged.set(key, value);
      const read = await this.#client.get(key);
      expect(Buffer.from(read?.value ?? []).toString()).toBe(value);
      this.count++;
    }
  }
}

/** One line that names the damaged file and what mends it. */
function expectRemedy(
  result: { readonly code: number | null; readonly stderr: string },
  id: number,
  ...texts: string[]
): void {
  expect(result.code).toBe(1);
  const lines = result.stderr.trimEnd().split('\n');
  const last = lines.at(-1) as string;
  for (const text of texts) expect(last).toContain(text);
  expect(last).toContain(`kv start --id ${id} --data ${cluster.dataDirectory(id)} --rebuild`);
  expect(last).toContain(`kv member rebuild ${id}`);
}

async function rebuild(id: number): Promise<CommandResult> {
  await cluster.startWith(id, '--rebuild');
  const { configurationId } = await cluster.status();
  const looked = await cluster.kv('member', 'rebuild', String(id), '--dry-run', '--json');
  expect(JSON.parse(looked.stdout)).toEqual({ node: id, configurationId: configurationId + 1, dryRun: true });
  return cluster.kv('member', 'rebuild', String(id), '--yes', '--json');
}

function startAgain(id: number): Promise<CommandResult> {
  return cluster.kv('start', '--id', String(id), '--data', cluster.dataDirectory(id));
}

async function localValue(id: number, key: string): Promise<string> {
  return (await cluster.kv('get', key, '--consistency', 'local', '--endpoints', cluster.address(id))).stdout;
}

async function whole(...ids: number[]): Promise<void> {
  await cluster.until(({ members }) => {
    const own = members.filter((member) => ids.includes(member.id));
    const vote = own.every(({ role }) => role === 'leader' || role === 'follower');
    return vote && own.length === ids.length && new Set(own.map(({ appliedIndex }) => appliedIndex)).size === 1;
  });
}

test('one damaged node of three, under load: clients notice nothing, and it is rebuilt from the others', async () => {
  cluster = await ProcessCluster.create([1, 2, 3]);
  await cluster.start(1, 2, 3);
  await cluster.kv('put', 'before', `marked ${filler}`);
  await whole(1, 2, 3);
  const damaged = 2;
  const load = await Load.on([cluster.address(1), cluster.address(3)]);
  await load.progress(200);
  await cluster.kill(damaged);
  const file = segmentWith(cluster.dataDirectory(damaged), `marked ${filler}`);
  flip(file, `marked ${filler}`);

  expectRemedy(await startAgain(damaged), damaged, `${file} is damaged at log entry`, 'offset');
  const verdict = await cluster.kv('verify', cluster.dataDirectory(damaged));
  expect(verdict.code).toBe(1);
  expect(verdict.stderr).toContain(`${file} is damaged at log entry`);
  await load.progress(200);

  const rebuilt = await rebuild(damaged);
  expect(rebuilt).toMatchObject({ code: 0 });
  expect(JSON.parse(rebuilt.stdout)).toMatchObject({ node: damaged, configurationId: 2 });
  await load.progress(200);
  await load.end();
  expect(existsSync(`${cluster.dataDirectory(damaged)}.damaged-1`)).toBe(true);
  await whole(1, 2, 3);
  expect(await localValue(damaged, 'before')).toBe(`marked ${filler}\n`);
  const listed = await cluster.kv('list', 'before', '--consistency', 'local', '--endpoints', cluster.address(damaged));
  expect(listed).toMatchObject({ code: 0, stdout: 'before\n' });
  expect(await cluster.kv('put', 'after', '1')).toMatchObject({ code: 0 });
  // It votes: with the others down one by one, nothing stops.
  await cluster.kill(3);
  expect(await cluster.kv('put', 'after', '2', '--timeout', '10s')).toMatchObject({ code: 0 });
}, 120_000);

describe('damage that is met while a node runs ends it with a line that says what to do', () => {
  async function clusterWithState(): Promise<string> {
    cluster = await ProcessCluster.create([1, 2, 3]);
    await cluster.start(1, 2, 3);
    const client = await KvClient.connect({ endpoints: cluster.endpoints });
    // More log than is of use beside a state so small.
    const value = Buffer.alloc(500_000, 'y');
    await client.put('marked', `marked ${filler}`);
    for (let version = 0; version < 72; version++) await client.put('large', value);
    await client.close();
    await whole(1, 2, 3);
    const file = join(cluster.dataDirectory(3), 'state', 'data.mdb');
    // Nor is another one under way that the load was the reason for.
    const isQuiet = () => Date.now() - statSync(file).mtimeMs > 1_500;
    for (const deadline = Date.now() + 30_000; !isQuiet() || !readFileSync(file).includes(`marked ${filler}`); ) {
      if (Date.now() > deadline) throw new Error('the state of node 3 has no checkpoint, or they never end');
      await delay(100);
    }
    return file;
  }

  test('a value whose checksum does not fit is never served', async () => {
    const file = await clusterWithState();
    flip(file, `marked ${filler}`);
    const read = await cluster.kv('get', 'marked', '--consistency', 'local', '--endpoints', cluster.address(3));
    expect(read.stdout).not.toContain('narked');
    expectRemedy(await cluster.ended(3), 3, `${file} is damaged at key "marked": the checksum does not fit`);
    expect(await cluster.kv('get', 'marked')).toMatchObject({ stdout: `marked ${filler}\n` });
    expectRemedy(await startAgain(3), 3, file, 'key "marked"');
    expect(await rebuild(3)).toMatchObject({ code: 0 });
    await whole(1, 2, 3);
    expect(await localValue(3, 'marked')).toBe(`marked ${filler}\n`);
  });

  test('a state that is cut under a running node ends it, but not by a signal', async () => {
    const file = await clusterWithState();
    const size = readFileSync(file).length;
    // Nothing reads or writes its state between the cut and the next look at the size, which measuring its space takes, too.
    truncateSync(file, 8192);
    expectRemedy(
      await cluster.ended(3),
      3,
      `${file} is damaged at offset 8192: it was cut there, while in use, from ${size} bytes`,
    );
    expect(await cluster.kv('get', 'marked')).toMatchObject({ stdout: `marked ${filler}\n` });
    expectRemedy(await startAgain(3), 3, `${file} is damaged`);
  });
});

test.each([
  ['removed', (file: string) => rmSync(file), 'its folder: it was removed while it is in use'],
  ['cut', (file: string) => truncateSync(file, 100_000), 'offset 100000: it was cut there, while in use'],
] as const)(
  'a log that is %s under a running node ends it',
  async (_, harm, said) => {
    cluster = await ProcessCluster.create([1, 2, 3]);
    await cluster.start(1, 2, 3);
    expect(await cluster.kv('put', 'key', 'value', '--timeout', '20s')).toMatchObject({ code: 0 });
    const folder = join(cluster.dataDirectory(3), 'log');
    const [file = ''] = readdirSync(folder).sort();
    harm(join(folder, file));
    expectRemedy(await cluster.ended(3), 3, `${join(folder, file)} is damaged at ${said}`);
    expect(await cluster.kv('get', 'key')).toMatchObject({ stdout: 'value\n' });
  },
  60_000,
);

describe('a data directory that was rolled back to an older copy', () => {
  /** It may end before it has said that it listens. */
  async function expectRolledBack(id: number, reason: RegExp): Promise<void> {
    const end = await startAgain(id);
    expectRemedy(end, id, `data directory ${cluster.dataDirectory(id)} was rolled back to an older copy`);
    expect(end.stderr).toMatch(reason);
  }

  function putBack(id: number, copy: string): void {
    renameSync(cluster.dataDirectory(id), join(cluster.directory, 'latest'));
    copyFiles(copy, cluster.dataDirectory(id));
  }

  test('of a node that was started since: it is refused, stops, never votes, and is rebuilt', async () => {
    cluster = await ProcessCluster.create([1, 2, 3]);
    await cluster.start(1, 2, 3);
    await cluster.kv('put', 'k', '1');
    await cluster.stop(3);
    const copy = join(cluster.directory, 'copy');
    copyFiles(cluster.dataDirectory(3), copy);
    await cluster.start(3);
    await cluster.kv('put', 'k', '2');
    await whole(1, 2, 3);
    await cluster.stop(3);
    putBack(3, copy);
    await expectRolledBack(3, /node [12] says: it comes with opening 2, opening 2 was seen here/);

    // It knows by itself from now on: with node 1 it would be a majority.
    await cluster.kill(2);
    expectRemedy(await startAgain(3), 3, 'was rolled back to an older copy');
    expect(await cluster.kv('put', 'k', '3', '--timeout', '1s')).not.toMatchObject({ code: 0 });
    await cluster.start(2);
    expect(await cluster.kv('verify', cluster.dataDirectory(3))).toMatchObject({ code: 1 });
    expect(await rebuild(3)).toMatchObject({ code: 0 });
    await whole(1, 2, 3);
    expect(await localValue(3, 'k')).toMatch(/^[23]\n$/);
  });

  test('taken of it while it ran, as a snapshot of its machine: those to whom it voted since remember', async () => {
    cluster = await ProcessCluster.create([1, 2, 3]);
    await cluster.start(1, 2, 3);
    await cluster.kv('put', 'k', '1');
    await whole(1, 2, 3);
    const follower = (await cluster.status()).members.find(({ role }) => role === 'follower')?.id as number;
    const copy = join(cluster.directory, 'copy');
    cluster.signal(follower, 'SIGSTOP');
    copyFiles(cluster.dataDirectory(follower), copy);
    cluster.signal(follower, 'SIGCONT');
    for (const value of ['2', '3', '4']) expect(await cluster.kv('put', 'k', value)).toMatchObject({ code: 0 });
    await whole(1, 2, 3);
    await cluster.kill(follower);
    putBack(follower, copy);
    await expectRolledBack(
      follower,
      /node \d says: (its log ends at \d+, it had accepted up to \d+|it has forgotten a promise)/,
    );
    expect(await cluster.kv('put', 'k', '5')).toMatchObject({ code: 0 });
  });
});

describe('a rebuild is refused', () => {
  test('of a node that votes with its directory, of a stranger, and of one that is not running', async () => {
    cluster = await ProcessCluster.create([1, 2, 3]);
    await cluster.start(1, 2, 3);
    await whole(1, 2, 3);
    const healthy = await cluster.kv('member', 'rebuild', '2', '--yes');
    expect(healthy).toMatchObject({ code: 2, stdout: '' });
    expect(healthy.stderr).toMatch(/^kv member rebuild: node 2 runs and votes with its data directory/);
    const stranger = await cluster.kv('member', 'rebuild', '7', '--yes');
    expect(stranger).toMatchObject({ code: 4 });
    expect(stranger.stderr).toContain('node 7 is no member: the members are 1, 2, 3');
    await cluster.stop(2);
    const absent = await cluster.kv('member', 'rebuild', '2', '--yes', '--timeout', '2s');
    expect(absent).toMatchObject({ code: 5 });
    expect(absent.stderr).toContain('kv start --id 2 --rebuild');
    expect((await cluster.status()).configurationId).toBe(1);
  });

  test('of a sound directory: kv start --rebuild leaves it where it is', async () => {
    cluster = await ProcessCluster.create([1, 2, 3]);
    await cluster.start(1, 2, 3);
    await cluster.kv('put', 'k', '1');
    await cluster.stop(2);
    await cluster.startWith(2, '--rebuild');
    await whole(1, 2, 3);
    expect(existsSync(`${cluster.dataDirectory(2)}.damaged-1`)).toBe(false);
    expect(cluster.stderr(2)).toContain('nothing is wrong with');
    await cluster.stop(2);
    rmSync(join(cluster.dataDirectory(2), 'log'), { recursive: true });
    const other = await cluster.kv('start', '--id', '1', '--data', cluster.dataDirectory(2), '--rebuild');
    expect(other).toMatchObject({ code: 2 });
    expect(other.stderr).toContain('belongs to node 2, not 1');
    expect(existsSync(cluster.dataDirectory(2))).toBe(true);
  });
});

describe('a data directory keeps its identity', () => {
  function bytesOf(directory: string): string[] {
    const files = (readdirSync(directory, { recursive: true }) as string[]).toSorted();
    return files.map((name) => {
      const file = join(directory, name);
      return `${name} ${statSync(file).isDirectory() ? '' : readFileSync(file, 'base64')}`;
    });
  }

  test('of a newer format, another node or another cluster, it is refused unchanged; in use, within a second', async () => {
    cluster = await ProcessCluster.create([1]);
    await cluster.start(1);
    await cluster.kv('put', 'k', 'v');
    const directory = cluster.dataDirectory(1);
    // A process of Node takes a moment to start, and longer on a machine that does much else: the quickest of some counts.
    const refusedMs: number[] = [];
    for (let left = 3; left > 0; left--) {
      const startMs = await timed(() => cluster.kv('--version'));
      refusedMs.push((await timed(() => startAgain(1))) - startMs);
    }
    expect(Math.min(...refusedMs)).toBeLessThan(1000);
    const inUse = await startAgain(1);
    expect(inUse).toMatchObject({ code: 2 });
    expect(inUse.stderr).toContain(`in use by process ${cluster.pid(1)}`);
    expect(await cluster.kv('verify', directory)).toMatchObject({ code: 2 });
    await cluster.stop(1);

    const sound = bytesOf(directory);
    expect(await cluster.kv('verify', directory)).toMatchObject({ code: 0 });
    const stranger = await cluster.kv('start', '--id', '2', '--address', '127.0.0.1:1', '--data', directory);
    expect(stranger).toMatchObject({ code: 2, stderr: expect.stringContaining('belongs to node 1, not 2') });
    const file = join(cluster.directory, 'other.json');
    writeFileSync(file, JSON.stringify({ cluster: 'other', nodes: { 1: cluster.address(1) } }));
    const foreign = await cluster.kv('start', '--id', '1', '--data', directory, '--config', file);
    expect(foreign).toMatchObject({ code: 2, stderr: expect.stringContaining('belongs to cluster "process-test"') });
    expect(bytesOf(directory)).toEqual(sound);

    writeFileSync(join(directory, 'identity'), 'omnikv data format 3\nas a later version has it\n');
    const newer = bytesOf(directory);
    for (const more of [[], ['--rebuild']]) {
      const refused = await cluster.kv('start', '--id', '1', '--data', directory, ...more);
      expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('has format 3') });
    }
    expect(await cluster.kv('verify', directory)).toMatchObject({ code: 2 });
    expect(bytesOf(directory)).toEqual(newer);
  });
});

async function timed(run: () => Promise<unknown>): Promise<number> {
  const start = performance.now();
  await run();
  return performance.now() - start;
}
