import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { registerRowId } from '../../src/kv/cluster-register.ts';
import { openDataDirectory } from '../../src/storage/directory/data-directory.ts';
import { markOlderCopy } from '../../src/storage/directory/older-copy.ts';
import { setAsideBeside, setAsideIfDamaged } from '../../src/storage/directory/set-aside.ts';
import { verifyDirectory } from '../../src/storage/directory/verify.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { BundledChild } from './bundled-child.ts';
import { Scratch } from './scratch.ts';

const user = { nodeId: 1, clusterName: 'default' };
const marker = 'a text that is nowhere else';

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

async function make(): Promise<void> {
  const { logStore, stateStore, close } = await openDataDirectory({ path, nodeId: 1 });
  const bytes = new TextEncoder().encode(marker);
  logStore.bindCluster('00000000000000aa');
  logStore.setConfiguration({
    configurationId: 1,
    startIndex: 0,
    members: [{ id: 1, address: 'a:1', storageId: logStore.identity.storageId }],
  });
  logStore.sequence.append([
    { type: 'Normal', entry: bytes },
    { type: 'Normal', entry: new Uint8Array([1]) },
  ]);
  logStore.state.decidedIndex = 2;
  logStore.commit();
  await logStore.flush();
  stateStore.put('k', bytes, 1);
  stateStore.put('l', new Uint8Array([2]), 2);
  await checkpointAt(stateStore, 2, [
    { id: registerRowId, bytes: new Uint8Array([1, 0]) },
    { id: 7, bytes: new Uint8Array([3]) },
  ]);
  await close();
}

/** Names, sizes, times and contents of everything, directories too. */
function everything(): unknown {
  return (readdirSync(path, { recursive: true }) as string[]).toSorted().map((name) => {
    const file = join(path, name);
    const { size, mtimeNs, mode } = statSync(file, { bigint: true });
    if (!statSync(file).isFile()) return { name, mode };
    return { name, size, mtimeNs, mode, text: readFileSync(file, 'latin1') };
  });
}

function flip(file: string, text: string): void {
  const data = readFileSync(file);
  const at = data.indexOf(text);
  expect(at).toBeGreaterThan(0);
  data.writeUInt8(data.readUInt8(at) ^ 4, at);
  writeFileSync(file, data);
}

it('tells what a sound directory holds, and changes nothing', async () => {
  await make();
  const before = everything();
  const report = await verifyDirectory(path);
  expect(everything()).toEqual(before);
  expect(report).toMatchObject({
    isSound: true,
    problems: [],
    nodeId: 1,
    clusterName: 'default',
    clusterId: '00000000000000aa',
    configuration: { configurationId: 1 },
    trimmedIndex: 0,
    endIndex: 2,
    decidedIndex: 2,
    appliedIndex: 2,
    keys: 2,
    sessions: 1,
  });
});

it('finds keys of any bytes sound', async () => {
  const { stateStore, close } = await openDataDirectory({ path, nodeId: 1 });
  const keys = ['gr\xc3\xb6\xc3\x9fe/\xc3\xa9', '\x00', '\xff\xff', 'plain'];
  for (const [at, key] of keys.entries()) stateStore.put(key, new Uint8Array([at]), at + 1);
  await checkpointAt(stateStore, keys.length);
  await close();
  expect(await verifyDirectory(path)).toMatchObject({ problems: [], keys: keys.length });
});

it('changes nothing either of what a killed process left, its lock and its state included', async () => {
  const child = writer.start([path]);
  await child.line('checkpoint');
  child.kill();
  await child.ended;
  const before = everything();
  expect(await verifyDirectory(path)).toMatchObject({ isSound: true });
  expect(everything()).toEqual(before);
  expect(readdirSync(path).some((name) => name.startsWith('lock-'))).toBe(true);
});

it('names every problem with its file and place', async () => {
  await make();
  const log = join(path, 'log', '00000000000000000001.wal');
  const state = join(path, 'state', 'data.mdb');
  flip(log, marker);
  flip(state, marker);
  writeFileSync(join(path, 'identity'), 'omnikv data format 1\n');
  markOlderCopy(path, 'node 2 says so');
  const before = everything();
  const { isSound, problems } = await verifyDirectory(path);
  expect(isSound).toBe(false);
  expect(problems).toEqual([
    { file: join(path, 'identity'), where: undefined, problem: 'it is not as it was written' },
    { file: path, where: undefined, problem: expect.stringContaining('older copy') },
    { file: log, where: expect.stringMatching(/^log entry 0 \(offset \d+\)$/), problem: 'the checksum does not fit' },
    { file: state, where: 'key "k"', problem: 'the checksum does not fit' },
  ]);
  expect(everything()).toEqual(before);
});

it('survives a state that ends the process which reads it by a signal', async () => {
  await make();
  const state = join(path, 'state', 'data.mdb');
  truncateSync(state, 8192);
  const { problems } = await verifyDirectory(path);
  expect(problems).toEqual([
    { file: state, where: 'its pages', problem: expect.stringMatching(/^reading it ends the process with SIG/) },
  ]);
});

it('notices keys that a search no longer finds, though their own bytes are sound', async () => {
  const { stateStore, close } = await openDataDirectory({ path, nodeId: 1 });
  const value = Buffer.alloc(100, 7);
  const keys = Array.from({ length: 2000 }, (_, number) => `key-${String(number).padStart(5, '0')}`);
  for (const [at, key] of keys.entries()) stateStore.put(key, value, at + 1);
  await checkpointAt(stateStore, keys.length);
  await close();
  // As after a crash: else the checksum of the whole file tells.
  rmSync(join(path, 'closed'));
  const file = join(path, 'state', 'data.mdb');
  const whole = readFileSync(file);
  // A key that no value follows stands in a branch of the tree, to tell searches the way.
  const branches: number[] = [];
  for (let at = whole.indexOf('key-'); at >= 0; at = whole.indexOf('key-', at + 1)) {
    if (!whole.subarray(at + 9, at + 120).includes(value.subarray(0, 90))) branches.push(at);
  }
  expect(branches.length).toBeGreaterThan(10);
  for (const at of branches.slice(0, 3)) {
    const data = Buffer.from(whole);
    // Some keys further on, or back, at the next leaf.
    data.writeUInt8(data.readUInt8(at + 7) ^ 1, at + 7);
    writeFileSync(file, data);
    const { problems } = await verifyDirectory(path);
    expect(problems[0]).toMatchObject({ file, where: expect.stringMatching(/^key "key-\d+"$/) });
    expect(problems[0]?.problem).toBe('a search does not find it');
    await expect(openDataDirectory({ path, nodeId: 1 })).rejects.toMatchObject({ code: 'damaged' });
  }
});

it('notices that the end of the log is gone since it was closed, which a crash would leave so', async () => {
  await make();
  const { logStore, close } = await openDataDirectory({ path, nodeId: 1 });
  for (let index = 0; index < 20; index++) {
    logStore.sequence.append([{ type: 'Normal', entry: Buffer.alloc(50, index + 1) }]);
    logStore.commit();
    await logStore.flush();
  }
  await close();
  const file = join(path, 'log', readdirSync(join(path, 'log')).toSorted()[0] as string);
  const bytes = readFileSync(file);
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  // As a write that got lost in the disk's cache leaves it.
  writeFileSync(file, bytes.fill(0, end - 500, end));
  const { problems } = await verifyDirectory(path);
  const problem = expect.stringMatching(/^it had \d+ records when it was closed: its end is not what was written$/);
  expect(problems).toEqual([{ file: join(path, 'log'), where: expect.stringMatching(/^record \d+$/), problem }]);
  await expect(openDataDirectory({ path, nodeId: 1 })).rejects.toMatchObject({ code: 'damaged' });
  rmSync(join(path, 'closed'));
  expect((await verifyDirectory(path)).isSound).toBe(true);
});

it('notices a state that does not belong to the log', async () => {
  await make();
  const { logStore, close } = await openDataDirectory({ path, nodeId: 1 });
  logStore.sequence.reset(100);
  logStore.commit();
  await logStore.flush();
  await close();
  const { problems } = await verifyDirectory(path);
  expect(problems).toMatchObject([
    { problem: 'the state ends at 2, the log begins at 100: they do not belong together' },
  ]);
});

it('refuses what is in use, what is newer and what is no data directory, unchanged', async () => {
  await expect(verifyDirectory(scratch.path)).rejects.toMatchObject({ code: 'notWritable' });
  await expect(verifyDirectory(path)).rejects.toMatchObject({ code: 'notWritable' });
  const directory = await openDataDirectory({ path, nodeId: 1 });
  await expect(verifyDirectory(path)).rejects.toMatchObject({
    code: 'inUse',
    message: expect.stringContaining(`process ${process.pid}`),
  });
  await directory.close();
  writeFileSync(join(path, 'identity'), 'omnikv data format 3\nwhatever\n');
  const before = everything();
  await expect(verifyDirectory(path)).rejects.toMatchObject({ code: 'newerFormat' });
  expect(everything()).toEqual(before);
});

it('does not set aside what is no data directory, whatever names are in it', async () => {
  mkdirSync(join(path, 'log'), { recursive: true });
  writeFileSync(join(path, 'log', 'syslog'), 'precious');
  await expect(setAsideIfDamaged(path, user)).rejects.toMatchObject({
    code: 'notEmpty',
    message: expect.stringContaining("'log/syslog' is in it"),
  });
  expect(readFileSync(join(path, 'log', 'syslog'), 'utf8')).toBe('precious');
});

it('sets aside what a link leads to, on its own disk, and the link leads to an empty one then', async () => {
  await make();
  const target = path;
  const link = `${path}-link`;
  symlinkSync(target, link);
  rmSync(join(path, 'state', 'data.mdb'));
  expect(await setAsideIfDamaged(link, user)).toMatchObject({ type: 'setAside', to: `${target}.damaged-1` });
  expect(readdirSync(link)).toEqual([]);
  expect(setAsideBeside(link)).toBe(`${target}.damaged-1`);
});

it('sets aside what is damaged, and nothing else', async () => {
  expect(await setAsideIfDamaged(path, user)).toEqual({ type: 'absent' });
  await make();
  expect(await setAsideIfDamaged(path, user)).toEqual({ type: 'sound' });
  await expect(setAsideIfDamaged(path, { ...user, nodeId: 2 })).rejects.toMatchObject({ code: 'otherNode' });
  for (const number of [1, 2]) {
    rmSync(join(path, 'state', 'data.mdb'));
    const before = everything();
    expect(await setAsideIfDamaged(path, user)).toMatchObject({ type: 'setAside', to: `${path}.damaged-${number}` });
    const whole = path;
    path = `${whole}.damaged-${number}`;
    expect(everything()).toEqual(before);
    path = whole;
    await make();
  }
});
