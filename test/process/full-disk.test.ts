import { readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { KvError } from '../../src/client/call/errors.ts';
import { KvClient } from '../../src/client/client.ts';
import { ProcessCluster } from './cluster.ts';
import { SmallDisks, smallDisksProblem } from './small-disks.ts';
import { straceProblem, under } from './strace.ts';

const problem = smallDisksProblem();
const noStrace = straceProblem();
const skipped = problem === undefined ? '' : ` (${problem})`;
const mebibytes = 64;
const valueBytes = 16 * 1024;

let cluster: ProcessCluster;
let disks: SmallDisks | undefined;

afterEach(async () => {
  disks?.remove();
  disks = undefined;
  await cluster.destroy();
});

/** Three nodes that run, each on a disk of its own. */
async function threeOnSmallDisks(): Promise<SmallDisks> {
  cluster = await ProcessCluster.create([1, 2, 3]);
  disks = new SmallDisks(cluster);
  for (const id of [1, 2, 3]) disks.make(id, mebibytes);
  await cluster.start(1, 2, 3);
  return disks;
}

/** Puts that go on until one is refused for lack of space; what was acknowledged. */
class Load {
  readonly acknowledged = new Map<string, number>();
  readonly refusals: KvError[] = [];
  readonly #client: KvClient;
  #number = 0;

  constructor(client: KvClient) {
    this.#client = client;
  }

  /** `keyOf` names the key of a put; the value begins with the number of the put. */
  async run(writers: number, keyOf: (number: number) => string, goesOn: () => boolean): Promise<void> {
    await Promise.all(Array.from({ length: writers }, () => this.#write(keyOf, goesOn)));
  }

  async #write(keyOf: (number: number) => string, goesOn: () => boolean): Promise<void> {
    while (goesOn()) {
      const number = this.#number++;
      const key = keyOf(number);
      try {
        await this.#client.put(key, numbered(number));
        this.acknowledged.set(key, Math.max(number, this.acknowledged.get(key) ?? 0));
      } catch (error) {
        if (!(error instanceof KvError)) throw error;
        if (error.code === 'noSpace') this.refusals.push(error);
        else expect(['timeout', 'noMajority', 'busy']).toContain(error.code);
      }
    }
  }

  /** Every acknowledged put is there, or a later one of its key. */
  async check(): Promise<void> {
    for (const [key, number] of this.acknowledged) {
      const record = await this.#client.get(key, { timeoutMs: 20_000 });
      expect(record && numberOf(record.value), key).toBeGreaterThanOrEqual(number);
    }
  }
}

/** Deletes two keys of three: then puts go on, nothing of the others is lost, and all nodes run. */
async function expectPutsAfterDeleting(client: KvClient, load: Load): Promise<void> {
  for (const key of [...load.acknowledged.keys()].filter((_, at) => at % 3 !== 0)) {
    expect(await client.delete(key, { timeoutMs: 20_000 })).toMatchObject({ existed: true });
    load.acknowledged.delete(key);
  }
  await until(
    ({ code }) => code === 0,
    () => cluster.kv('put', 'late', 'value'),
  );
  expect((await cluster.status()).fullNodes).toEqual([]);
  await load.check();
  expect(cluster.running).toEqual([1, 2, 3]);
}

/** Node 3, which `start` starts, lacks a state that does not fit beside its own: it says so, and puts go on once there is room. */
async function lackMoreThanFits(start: (id: number) => Promise<void>): Promise<void> {
  await threeOnSmallDisks();
  const client = await KvClient.connect({ endpoints: cluster.endpoints });
  const load = new Load(client);
  const fill = (goesOn: () => boolean) => load.run(16, (number) => `key-${number}`, goesOn);
  await fill(() => load.acknowledged.size < 1_800);
  await cluster.kill(3);
  // What it lacks is in no log any more.
  await fill(() => load.refusals.length === 0);
  await start(3);
  await until(
    () => cluster.stderr(3).includes('no room for the state that is to be caught up with'),
    () => cluster.status(),
  );
  await expectPutsAfterDeleting(client, load);
  await client.close();
}

function numbered(number: number): Uint8Array {
  const value = Buffer.alloc(valueBytes, number);
  value.writeUInt32BE(number);
  return value;
}

function numberOf(value: Uint8Array): number {
  return Buffer.from(value).readUInt32BE();
}

/** Runs `attempt` until it gives what is `wanted`. */
async function until<Result>(wanted: (result: Result) => boolean, attempt: () => Promise<Result>): Promise<Result> {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const result = await attempt();
    if (wanted(result)) return result;
    if (Date.now() > deadline)
      throw new Error(`not so within 60 s; last: ${JSON.stringify(result)}\n${await report()}`);
  }
}

/** What the nodes know of themselves, and what they said. */
async function report(): Promise<string> {
  const { stdout } = await cluster.kv('status', '--json');
  const said = cluster.running.map((id) => `node ${id} said:\n${cluster.stderr(id)}`);
  return [stdout, ...said].join('\n');
}

describe.skipIf(problem !== undefined)(`nodes on disks of ${mebibytes} MiB${skipped}`, () => {
  test('refuse puts when they are full, serve all else, and take puts again once keys are deleted', async () => {
    await threeOnSmallDisks();
    const client = await KvClient.connect({ endpoints: cluster.endpoints });
    const load = new Load(client);
    // The first refusals may end as soon as the log is trimmed: until the keys alone are too much.
    const put = await until(
      ({ code }) => code === 8,
      async () => {
        const { length } = load.refusals;
        await load.run(
          16,
          (number) => `key-${number}`,
          () => load.refusals.length === length,
        );
        return cluster.kv('put', 'late', 'value', '--json');
      },
    );
    for (const refusal of load.refusals) expect(refusal).toMatchObject({ code: 'noSpace', outcome: 'notApplied' });
    expect(JSON.parse(put.stdout).error).toMatchObject({ code: 'noSpace', outcome: 'notApplied' });
    expect(JSON.parse(put.stdout).error.message).toMatch(
      /node [123] has no space \([0-9.]+ MiB of [0-9.]+ MiB used.*delete keys/,
    );
    const { fullNodes, members } = await cluster.status();
    expect(fullNodes.length).toBeGreaterThan(0);
    expect(members.find(({ id }) => id === fullNodes[0])?.space).toMatchObject({ level: 'full' });
    await load.check();

    for (const members of ['1,2', '1,2,3']) {
      const changed = await cluster.kv('reconfigure', members, '--yes');
      expect(changed, changed.code === 0 ? '' : `${changed.stderr}\n${await report()}`).toMatchObject({ code: 0 });
    }

    await expectPutsAfterDeleting(client, load);
    await client.close();
  }, 180_000);

  test('that have no room for a state beside their own say so, and hold nobody up', async () => {
    await lackMoreThanFits((id) => cluster.start(id));
  }, 180_000);

  test.skipIf(noStrace)(
    `begin with no state before they know their room, however long that takes${noStrace ? ` (${noStrace})` : ''}`,
    async () => {
      await lackMoreThanFits((id) =>
        cluster.startUnder(id, under({ call: 'statfs', files: [], fault: 'delay_exit=500000' })),
      );
    },
    180_000,
  );

  test('survive somebody else who takes the last byte under load, a kill and a restart on the full disk', async () => {
    const disk = await threeOnSmallDisks();
    const client = await KvClient.connect({ endpoints: cluster.endpoints, timeoutMs: 2_000 });
    const load = new Load(client);
    let isOver = false;
    // Few keys, so that it is not the load that fills the disks.
    const loading = load.run(
      8,
      (number) => `key-${number % 200}`,
      () => !isOver,
    );
    await until(
      () => load.acknowledged.size >= 200,
      () => cluster.status(),
    );
    for (const id of [1, 2, 3]) disk.fill(id);
    await until(
      () => load.refusals.length > 0 || [1, 2, 3].some((id) => cluster.stderr(id).includes('the disk is full')),
      () => cluster.status(),
    );
    for (const id of [1, 2, 3]) disk.fill(id);
    expect(cluster.running).toEqual([1, 2, 3]);
    expect(await cluster.kv('get', 'key-0', '--raw', '--timeout', '20s')).toMatchObject({ code: 0 });

    await cluster.kill(2);
    await cluster.start(2);
    await cluster.until(({ members }) => members.every(({ role }) => role !== 'unreachable'), 60_000);
    expect(cluster.running.sort()).toEqual([1, 2, 3]);
    for (const id of [1, 2, 3]) disk.free(id);
    await until(
      ({ code }) => code === 0,
      () => cluster.kv('put', 'late', 'value'),
    );
    isOver = true;
    await loading;
    await load.check();
    for (const id of [1, 2, 3]) expect(await cluster.stop(id)).toBe(0);
    await client.close();
  }, 180_000);

  test('stop cleanly on a full disk, and a new one is refused there in one line', async () => {
    const disk = await threeOnSmallDisks();
    expect(await cluster.kv('put', 'key', 'value', '--timeout', '20s')).toMatchObject({ code: 0 });
    for (const id of [1, 2, 3]) disk.fill(id);
    for (const id of [1, 2, 3]) expect(await cluster.stop(id)).toBe(0);
    // A node that was about to make a segment ready gave back what it had of it: room enough for a new node to run.
    disk.fill(1);
    const data = join(realpathSync(cluster.dataDirectory(1)), '..', 'another');
    const refused = await cluster.kv('start', '--id', '1', '--data', data);
    expect(refused.code).toBe(2);
    expect(refused.stderr).toMatch(
      /^kv start: data directory \S+ is on a full disk \(.*\): make room on it, then start again\n$/,
    );
    await cluster.start(1, 2, 3);
    for (const id of [1, 2, 3]) disk.free(id);
    expect(await cluster.kv('get', 'key', '--timeout', '20s')).toMatchObject({ code: 0, stdout: 'value\n' });
  }, 120_000);
});

/** Nodes that start from now on have a quota of 32 MiB. */
function setQuota(): void {
  const file = join(cluster.directory, 'kv.json');
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, 'utf8')), quotaBytes: 32 * 2 ** 20 }));
}

/** A cluster with a quota, and a load that fills it. */
async function withQuota(...ids: number[]): Promise<{ client: KvClient; load: Load }> {
  cluster = await ProcessCluster.create(ids);
  setQuota();
  await cluster.start(...ids);
  const client = await KvClient.connect({ endpoints: cluster.endpoints });
  return { client, load: new Load(client) };
}

/** Puts new keys until one more is refused. A checkpoint may make room right after, by what of the log it lets go. */
async function fill(load: Load): Promise<void> {
  const { length } = load.refusals;
  await load.run(
    8,
    (number) => `key-${number}`,
    () => load.refusals.length === length,
  );
}

test('a quota refuses puts on a disk with room', async () => {
  const { client, load } = await withQuota(1);
  const { capacityBytes } = (await cluster.status()).members[0]?.space ?? {};
  expect(capacityBytes).toBe(32 * 2 ** 20);
  await until(
    (level) => level === 'full',
    async () => {
      await fill(load);
      return (await cluster.status()).members[0]?.space?.level;
    },
  );
  for (const refusal of load.refusals) expect(refusal).toMatchObject({ code: 'noSpace', outcome: 'notApplied' });
  await load.check();
  for (const key of load.acknowledged.keys()) await client.delete(key);
  await until(
    ({ code }) => code === 0,
    () => cluster.kv('put', 'late', 'value'),
  );
  await client.close();
}, 120_000);

test('a newcomer that has no room for the data is not taken in, and the command says why', async () => {
  cluster = await ProcessCluster.create([1], [2]);
  await cluster.start(1);
  const client = await KvClient.connect({ endpoints: cluster.endpoints });
  // Until the log is not enough to fill it with.
  await until(
    (trimmedIndex) => trimmedIndex > 40,
    async () => {
      for (let key = 0; key < 40; key++) await client.put(`key-${key}`, Buffer.alloc(1_000_000, 'x'));
      return (await cluster.status()).members[0]?.trimmedIndex ?? 0;
    },
  );
  setQuota();
  await cluster.start(2);
  const added = await cluster.kv('member', 'add', `2=${cluster.address(2)}`, '--yes');
  expect(added, added.stdout).toMatchObject({ code: 8 });
  expect(added.stderr).toMatch(
    /node 2 has no room for the state: it takes about \d+\.\d MiB, and \d+\.\d MiB are left/,
  );
  expect((await cluster.status()).configurationId).toBe(1);
  await client.close();
}, 120_000);

test('a cluster that is made of the data of a full one takes puts', async () => {
  const { client, load } = await withQuota(1, 2, 3);
  let backup = '';
  // The cluster is full before the backup and after it, so it is in the backup, too.
  await until(
    (wasFull) => wasFull,
    async () => {
      await fill(load);
      const before = await cluster.status();
      backup = join(cluster.directory, `full-${load.refusals.length}.kvbackup`);
      expect(await cluster.kv('backup', 'save', backup)).toMatchObject({ code: 0 });
      const after = await cluster.status();
      return before.fullNodes.length > 0 && after.fullNodes.length > 0;
    },
  );
  await client.close();
  for (const id of [1, 2, 3]) expect(await cluster.stop(id)).toBe(0);
  const survivor = cluster.dataDirectory(1);
  for (const make of [
    (data: string) => cluster.kv('backup', 'restore', backup, '--id', '1', '--data', data),
    (data: string) => cluster.kv('recover', survivor, '--out', data, '--yes'),
  ]) {
    const next = await ProcessCluster.create([1]);
    try {
      const made = await make(next.dataDirectory(1));
      expect(made, made.stderr).toMatchObject({ code: 0 });
      await next.start(1);
      expect(await next.kv('put', 'late', 'value', '--timeout', '20s')).toMatchObject({ code: 0 });
      expect((await next.status()).fullNodes).toEqual([]);
      const [key] = load.acknowledged.keys();
      expect(await next.kv('get', key as string, '--raw')).toMatchObject({ code: 0 });
    } finally {
      await next.destroy();
    }
  }
}, 120_000);
