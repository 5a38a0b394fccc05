import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { openDataDirectory } from '../../src/storage/directory/data-directory.ts';
import type { DataDirectoryError } from '../../src/storage/disk/data-directory-error.ts';
import { openSealedText, sealText } from '../../src/storage/disk/sealed-text.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { BundledChild } from './bundled-child.ts';
import { Scratch } from './scratch.ts';

/** Why no process can be put into a container of its own. */
const noNamespaces =
  spawnSync('unshare', ['--pid', '--fork', '--mount-proc', 'true']).status === 0
    ? undefined
    : 'needs root, and unshare';

let scratch: Scratch;
let path: string;
let writer: BundledChild;

beforeAll(async () => {
  writer = await BundledChild.of('writer');
});

afterAll(() => {
  writer.remove();
});

beforeEach(() => {
  scratch = new Scratch();
  path = scratch.fresh();
});

afterEach(() => {
  scratch.remove();
});

async function refusalOf(options: Parameters<typeof openDataDirectory>[0]): Promise<DataDirectoryError> {
  const refused = await openDataDirectory(options).then(
    async (directory) => {
      await directory.close();
      throw new Error('the directory was not refused');
    },
    (error: DataDirectoryError) => error,
  );
  expect(refused.name).toBe('DataDirectoryError');
  expect(refused.message).not.toContain('\n');
  return refused;
}

async function make(clusterId?: string): Promise<void> {
  const directory = await openDataDirectory({ path, nodeId: 1 });
  directory.logStore.sequence.append([{ type: 'Normal', entry: new Uint8Array([1, 2, 3]) }]);
  if (clusterId !== undefined) directory.logStore.bindCluster(clusterId);
  directory.logStore.commit();
  await directory.logStore.flush();
  directory.stateStore.put('k', new Uint8Array([4]), 0);
  await checkpointAt(directory.stateStore, 1);
  await directory.close();
}

/** Names, sizes and contents of all files but LMDB's reader tables. */
function contents(): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(path, { recursive: true }) as string[]) {
    if (statSync(join(path, name)).isDirectory() || name.endsWith('lock.mdb')) continue;
    found.set(name, readFileSync(join(path, name), 'latin1'));
  }
  return found;
}

describe('a new directory', () => {
  it('is made for its owner alone, with an identity that stays', async () => {
    const first = await openDataDirectory({ path: join(path, 'deep'), nodeId: 3 });
    expect(first.identity).toEqual({
      nodeId: 3,
      storageId: expect.stringMatching(/^[0-9a-f]{16}$/),
      clusterId: undefined,
    });
    expect(statSync(join(path, 'deep')).mode & 0o777).toBe(0o700);
    first.logStore.bindCluster('00000000000000aa');
    first.logStore.commit();
    await first.logStore.flush();
    await first.close();
    const second = await openDataDirectory({ path: join(path, 'deep'), nodeId: 3 });
    expect(second.identity).toEqual({ ...first.identity, clusterId: '00000000000000aa' });
    expect(second.logStore.incarnation).toBe(1);
    await second.close();
  });

  it('may be one where a file system is mounted', async () => {
    mkdirSync(join(path, 'lost+found'), { recursive: true });
    writeFileSync(join(path, '.keep'), '');
    await make();
    expect(existsSync(join(path, 'identity'))).toBe(true);
  });

  it('gets another storage id than any before', async () => {
    await make();
    const before = readFileSync(join(path, 'identity'), 'latin1');
    rmSync(path, { recursive: true });
    await make();
    expect(readFileSync(join(path, 'identity'), 'latin1')).not.toBe(before);
  });

  it('is begun afresh after a crash that cut its making short', async () => {
    mkdirSync(join(path, 'log'), { recursive: true });
    writeFileSync(join(path, 'creating'), '');
    writeFileSync(join(path, 'log', '00000000000000000001.wal'), 'half');
    await make();
    expect(readdirSync(path).toSorted()).toEqual(['closed', 'identity', 'log', 'state']);
  });
});

it('of an older format becomes one of this, which the older version refuses then', async () => {
  await make();
  const file = join(path, 'identity');
  const { body } = openSealedText(readFileSync(file, 'utf8'));
  expect(body).toMatch(/^omnikv data format 2\n/);
  writeFileSync(file, sealText(body.replace('format 2', 'format 1')));
  const directory = await openDataDirectory({ path, nodeId: 1 });
  await directory.close();
  expect(openSealedText(readFileSync(file, 'utf8'))).toEqual({ body, isIntact: true });
});

describe('a directory is refused, unchanged,', () => {
  it.each([
    ['another program', ['precious']],
    ['another program with a folder log', ['log/syslog']],
    ['several nodes', ['node-1/identity', 'node-2/identity']],
  ])('of %s', async (_name, files) => {
    for (const file of files) {
      mkdirSync(dirname(join(path, file)), { recursive: true });
      writeFileSync(join(path, file), '');
    }
    const refused = await refusalOf({ path, nodeId: 1 });
    expect(refused.code).toBe('notEmpty');
    expect(refused.message).toContain(
      `is no data directory, and not empty ('${files[0]?.replace(/\/identity$/, '')}' is in it)`,
    );
    expect(existsSync(join(path, 'identity'))).toBe(false);
  });

  it('for another node', async () => {
    await make();
    const before = contents();
    const refused = await refusalOf({ path, nodeId: 2 });
    expect(refused.code).toBe('otherNode');
    expect(refused.message).toContain('belongs to node 1, not 2');
    expect(contents()).toEqual(before);
  });

  it('for another cluster', async () => {
    await make('00000000000000aa');
    const before = contents();
    const refused = await refusalOf({ path, nodeId: 1, clusterId: '00000000000000bb' });
    expect(refused.code).toBe('otherCluster');
    expect(refused.message).toContain('belongs to cluster 00000000000000aa, not 00000000000000bb');
    expect(contents()).toEqual(before);
  });

  it('of a newer format', async () => {
    await make();
    writeFileSync(join(path, 'identity'), 'omnikv data format 3\nwhatever\n');
    const before = contents();
    const refused = await refusalOf({ path, nodeId: 1 });
    expect(refused.code).toBe('newerFormat');
    expect(refused.message).toContain('has format 3');
    expect(contents()).toEqual(before);
  });

  it('with a changed identity', async () => {
    await make();
    const text = readFileSync(join(path, 'identity'), 'latin1');
    writeFileSync(join(path, 'identity'), text.replace('node 1', 'node 2'));
    for (const nodeId of [1, 2]) expect((await refusalOf({ path, nodeId })).code).toBe('damaged');
    writeFileSync(join(path, 'identity'), text.replace('format 2', 'format 3'));
    expect((await refusalOf({ path, nodeId: 1 })).code).toBe('damaged');
    writeFileSync(join(path, 'identity'), '');
    expect((await refusalOf({ path, nodeId: 1 })).code).toBe('damaged');
  });

  it.each(['identity', 'log', 'state', 'log/00000000000000000001.wal', 'state/data.mdb'])(
    'without its %s',
    async (name) => {
      await make();
      rmSync(join(path, name), { recursive: true });
      const before = contents();
      expect((await refusalOf({ path, nodeId: 1 })).code).toBe('damaged');
      expect(contents()).toEqual(before);
    },
  );

  it.each([
    { name: 'state/data.mdb', cut: ' is damaged (it changed since it was closed' },
    { name: 'log/00000000000000000001.wal', cut: ' is damaged at a record (offset 0): the file has 8192 bytes' },
  ])('with a cut or zeroed $name', async ({ name, cut }) => {
    await make();
    const file = join(path, name);
    const whole = readFileSync(file);
    truncateSync(file, 8192);
    const refused = await refusalOf({ path, nodeId: 1 });
    expect(refused.code).toBe('damaged');
    expect(refused.message).toContain(`${file}${cut}`);
    writeFileSync(file, Buffer.alloc(whole.length));
    expect((await refusalOf({ path, nodeId: 1 })).code).toBe('damaged');
    writeFileSync(file, '');
    expect((await refusalOf({ path, nodeId: 1 })).code).toBe('damaged');
    writeFileSync(file, whole);
    await (await openDataDirectory({ path, nodeId: 1 })).close();
  });

  it('with a cut or zeroed state after a crash, which has no note of how it was closed', async () => {
    await make();
    rmSync(join(path, 'closed'));
    const file = join(path, 'state', 'data.mdb');
    const whole = readFileSync(file);
    truncateSync(file, 8192);
    const refused = await refusalOf({ path, nodeId: 1 });
    expect(refused.message).toContain(`${file} is damaged (its pages: reading it ends the process with SIG`);
    writeFileSync(file, Buffer.alloc(whole.length));
    expect((await refusalOf({ path, nodeId: 1 })).code).toBe('damaged');
  });

  it('if it is a file, or below one', async () => {
    writeFileSync(path, 'text');
    const refused = await refusalOf({ path, nodeId: 1 });
    expect(refused.code).toBe('notWritable');
    expect(refused.message).toContain('is a file');
    expect((await refusalOf({ path: join(path, 'below'), nodeId: 1 })).code).toBe('notWritable');
    expect(readFileSync(path, 'latin1')).toBe('text');
  });

  it('if its state lacks what its log no longer has', async () => {
    const directory = await openDataDirectory({ path, nodeId: 1 });
    directory.logStore.sequence.reset(100);
    directory.logStore.commit();
    await directory.logStore.flush();
    await directory.close();
    const refused = await refusalOf({ path, nodeId: 1 });
    expect(refused.code).toBe('damaged');
    expect(refused.message).toContain('the state ends at 0, the log begins at 100');
  });
});

describe('the lock', () => {
  it('refuses a second opening in the same process, and leaves the first be', async () => {
    const first = await openDataDirectory({ path, nodeId: 1 });
    const refused = await refusalOf({ path, nodeId: 1 });
    expect(refused.code).toBe('inUse');
    expect(refused.message).toContain(`process ${process.pid}`);
    expect((await refusalOf({ path, nodeId: 1 })).code).toBe('inUse');
    await first.close();
    await make();
  });

  it('refuses a second process in under a second, naming the first, and is free once that is killed', async () => {
    const holder = writer.start([path, 'hold']);
    await holder.line('open');
    const began = performance.now();
    const refused = await refusalOf({ path, nodeId: 1 });
    expect(performance.now() - began).toBeLessThan(1000);
    expect(refused.code).toBe('inUse');
    expect(refused.message).toContain(`process ${holder.pid}`);
    expect(refused.message).not.toContain('a copy');
    holder.kill();
    await make();
    expect(readdirSync(path).filter((name) => name.startsWith('lock-'))).toEqual([]);
  });

  it('comes along with a copy that is made while it is held: the refusal says what to remove there', async () => {
    const holder = writer.start([path, 'hold']);
    await holder.line('open');
    const copy = scratch.copyOf(path);
    const refused = await refusalOf({ path: copy, nodeId: 1 });
    expect(refused.code).toBe('inUse');
    const name = /remove (lock-\S+) from the copy$/.exec(refused.message)?.[1] ?? 'nothing';
    rmSync(join(copy, name));
    await (await openDataDirectory({ path: copy, nodeId: 1 })).close();
    holder.kill();
  });

  it('is kept by a thread as long as it is there, though it stands still', async () => {
    const threads = await BundledChild.of('lock-thread');
    try {
      mkdirSync(path);
      const child = threads.start([path]);
      await child.ended;
      expect(child.lines[0]).toBe('thread: open, abandoned: false');
      expect(child.lines[1]).toMatch(
        /^beside it: inUse: .* by process \d+, which is this one: stop the node that has it/,
      );
      expect(child.lines[2]).toBe('behind it: open, abandoned: true');
    } finally {
      threads.remove();
    }
  });

  it.runIf(noNamespaces === undefined)(
    `is kept by a process in a container of its own${noNamespaces ? ` (${noNamespaces})` : ''}`,
    async () => {
      const inContainer = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
      const holder = writer.start([path, 'hold'], inContainer);
      await holder.line('open');
      // Asked from outside, and from another container.
      const refused = await refusalOf({ path, nodeId: 1 });
      expect(refused.code).toBe('inUse');
      expect(refused.message).toMatch(/in use by process \d+ of another container: stop that process/);
      const other = writer.start([path, 'hold'], inContainer);
      expect(await other.line('open', 'inUse')).toMatch(/^inUse/);
      holder.kill();
      await holder.ended;
      const next = writer.start([path, 'hold'], inContainer);
      expect(await next.line('open', 'inUse')).toBe('open');
      next.kill();
      await next.ended;
      await make();
    },
    30_000,
  );

  it.runIf(noNamespaces === undefined)(
    'is kept by a process in a container that stands still, and by one where there are no sockets',
    async () => {
      const inContainer = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
      const holder = writer.start([path, 'hold'], inContainer);
      await holder.line('open');
      const inner = Number(readFileSync(`/proc/${holder.pid}/task/${holder.pid}/children`, 'latin1'));
      process.kill(inner, 'SIGSTOP');
      expect((await refusalOf({ path, nodeId: 1 })).code).toBe('inUse');
      process.kill(inner, 'SIGCONT');
      const [socket = ''] = readdirSync(path).filter((name) => name.endsWith('.alive'));
      rmSync(join(path, socket));
      expect((await refusalOf({ path, nodeId: 1 })).code).toBe('inUse');
      holder.kill();
      await holder.ended;
      await make();
      expect(readdirSync(path).filter((name) => name.startsWith('lock-'))).toEqual([]);
    },
    30_000,
  );

  it.runIf(noNamespaces === undefined)(
    'goes to one of several that start together in containers',
    async () => {
      const inContainer = ['unshare', '--pid', '--fork', '--mount-proc', '--kill-child'];
      const starters = [1, 2, 3].map(() => writer.start([path, 'hold'], inContainer));
      const answers = await Promise.all(starters.map((starter) => starter.line('open', 'inUse')));
      for (const starter of starters) starter.kill();
      await Promise.all(starters.map(({ ended }) => ended));
      expect(answers.filter((answer) => answer === 'open')).toHaveLength(1);
    },
    30_000,
  );

  it('is lost by who stood still, and who is told so writes nothing more', async () => {
    const directory = await openDataDirectory({ path, nodeId: 1 });
    const [own] = readdirSync(path).filter((name) => name.startsWith('lock-') && !name.endsWith('.alive'));
    // As another does that asked in vain.
    rmSync(join(path, own as string));
    await vi.waitFor(() => expect(() => directory.checkFiles()).toThrow('was taken by another process'));
    expect(() => directory.logStore.commit()).toThrow('was taken by another process');
    await directory.abandon();
  });

  it('goes to one of several that start together over a dead holder', async () => {
    const dead = writer.start([path, 'hold']);
    await dead.line('open');
    dead.kill();
    await dead.ended;
    const starters = Array.from({ length: 6 }, () => writer.start([path, 'hold']));
    const answers = await Promise.all(starters.map((starter) => starter.line('open', 'inUse', 'damaged')));
    for (const starter of starters) starter.kill();
    expect(answers.filter((answer) => answer === 'open')).toHaveLength(1);
    // Whom a loser names may be one that was still trying when it looked.
    const pids = starters.map((starter) => String(starter.pid));
    for (const answer of answers.filter((each) => each !== 'open')) {
      expect(pids).toContain(/in use by process (\d+)/.exec(answer)?.[1]);
    }
  });

  it('is not taken from a living process by a file of the same pid from before', async () => {
    await make();
    writeFileSync(join(path, `lock-${process.pid}-1-0`), '');
    const directory = await openDataDirectory({ path, nodeId: 1 });
    expect(existsSync(join(path, `lock-${process.pid}-1-0`))).toBe(false);
    await directory.close();
  });
});

describe('a killed process', () => {
  it('leaves everything that it said was durable', async () => {
    for (let round = 1; round <= 3; round++) {
      const child = writer.start([path]);
      await child.line('open');
      await child.line(`checkpoint`);
      child.kill();
      await child.ended;
      const flushed = last(child.lines, 'flushed ');
      const checkpoint = last(child.lines, 'checkpoint ');
      const directory = await openDataDirectory({ path, nodeId: 1 });
      const { sequence } = directory.logStore;
      expect(sequence.endIndex).toBeGreaterThanOrEqual(flushed);
      expect(sequence.endIndex % 3).toBe(0);
      for (const [index, entry] of sequence.read(0, sequence.endIndex).entries()) {
        expect(entry.type === 'Normal' && Buffer.from(entry.entry).toString()).toBe(String(index));
      }
      expect(directory.stateStore.durableIndex).toBeGreaterThanOrEqual(checkpoint);
      const value = directory.stateStore.get('end')?.value;
      expect(Number(Buffer.from(value ?? []).toString())).toBe(directory.stateStore.durableIndex);
      await directory.close();
    }
  });
});

describe('a checkpoint, long after the one before,', () => {
  /** How long one takes that begins ten minutes after the directory was opened, milliseconds. */
  async function timeOfCheckpoint(isStopped: boolean): Promise<number> {
    const directory = await openDataDirectory({ path: scratch.fresh(), nodeId: 1 });
    for (let at = 0; at < 20_000; at++) directory.stateStore.put(`key ${at}`, new Uint8Array(16), at);
    const beganMs = performance.now();
    const clock = vi.spyOn(performance, 'now').mockReturnValue(beganMs + 600_000);
    const checkpoint = checkpointAt(directory.stateStore, 1);
    clock.mockRestore();
    if (isStopped) directory.stopWaiting();
    await checkpoint;
    const tookMs = performance.now() - beganMs;
    await directory.close();
    return tookMs;
  }

  it('takes three seconds, so that clients hardly notice, but not once the node stops', async () => {
    expect(await timeOfCheckpoint(false)).toBeGreaterThan(2_500);
    expect(await timeOfCheckpoint(true)).toBeLessThan(2_000);
  });
});

function last(lines: readonly string[], start: string): number {
  return Number(lines.findLast((line) => line.startsWith(start))?.slice(start.length));
}
