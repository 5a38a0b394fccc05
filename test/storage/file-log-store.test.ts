import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import { DiskRoom } from '../../src/storage/disk/disk-room.ts';
import { FileLogStore } from '../../src/storage/log/file-log-store.ts';
import { BundledChild } from './bundled-child.ts';
import { Scratch } from './scratch.ts';

const owner = { nodeId: 1, storageId: '0123456789abcdef' };
const segmentBytes = 4096;
const entryBytes = 100;

let scratch: Scratch;
let path: string;
let opened: FileLogStore[];

beforeEach(() => {
  scratch = new Scratch();
  path = scratch.fresh();
  opened = [];
});

afterEach(async () => {
  await Promise.all(opened.map((store) => store.close()));
  scratch.remove();
});

/** Says that there is no room, though there is. */
class CrampedRoom extends DiskRoom {
  override async has(): Promise<boolean> {
    return false;
  }
}

async function open(directory = path, clusterId?: string, room = new DiskRoom(directory)): Promise<FileLogStore> {
  const tail = { entriesMax: 4, bytesMax: 1000 };
  const cluster = clusterId === undefined ? {} : { clusterId };
  const store = await FileLogStore.open({ path: directory, ...owner, ...cluster, tail, segmentBytes, room });
  opened.push(store);
  return store;
}

/** Entry `index` in generation `generation`: what is read back says where it was meant to be, and when it was written. */
function entry(index: number, generation = 0): Entry<Uint8Array> {
  const bytes = Buffer.alloc(entryBytes, (index * 7 + generation) & 0xff);
  bytes.write(`${index}/${generation}`);
  return { type: 'Normal', entry: new Uint8Array(bytes) };
}

async function append(store: FileLogStore, count: number, generation = 0): Promise<void> {
  const from = store.sequence.endIndex;
  store.sequence.append(Array.from({ length: count }, (_, at) => entry(from + at, generation)));
  // What is decided may leave memory.
  store.state.decidedIndex = store.sequence.endIndex;
  await flush(store);
}

async function flush(store: FileLogStore): Promise<void> {
  store.commit();
  await store.flush();
}

async function trim(store: FileLogStore, index: number): Promise<void> {
  store.sequence.trim(index);
  await flush(store);
}

function expectEntries(store: FileLogStore, generation = 0): void {
  const { trimmedIndex, endIndex } = store.sequence;
  const expected = Array.from({ length: endIndex - trimmedIndex }, (_, at) => entry(trimmedIndex + at, generation));
  expect(store.sequence.read(trimmedIndex, endIndex)).toEqual(expected);
}

const nameOf = (segment: number) => `${String(segment).padStart(20, '0')}.wal`;
const fileOf = (segment: number, directory = path) => join(directory, nameOf(segment));
const segments = (directory = path) =>
  readdirSync(directory)
    .filter((name) => name.endsWith('.wal'))
    .map(parseFloat);

/** Offset behind the last record of a segment, as the headers say: 0 if it was not begun. */
function usedBytes(segment: number, directory = path): number {
  const file = readFileSync(fileOf(segment, directory));
  let at = 0;
  while (file.readUInt32BE(at) !== 0 && file.readBigUInt64BE(at + 12) === BigInt(segment)) {
    at += 40 + file.readUInt32BE(at + 32);
  }
  return at;
}

/** Flips one bit of a file. */
function flip(file: string, offset: number, bit = 3): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(offset) ^ (1 << bit), offset);
  writeFileSync(file, bytes);
}

/** The same numbers in each run. */
function randomOf(seed: number): (max: number) => number {
  let state = seed;
  return (max) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * max);
  };
}

describe('a read from disk', () => {
  it('ends with the block that takes it over the size that is given', async () => {
    const store = await open();
    for (let at = 0; at < 10; at++) await append(store, 3);
    const read = (from: number, bytesMax: number) => store.sequence.read(from, 30, bytesMax).length;
    // Blocks of three entries of a hundred bytes.
    expect([read(0, 0), read(1, 0), read(0, 299), read(0, 300), read(4, 450)]).toEqual([3, 2, 3, 6, 5]);
    expect(store.sequence.read(1, 30, 0)).toEqual([entry(1), entry(2)]);
    expect(store.sequence.read(1, 2, 0)).toEqual([entry(1)]);
    // As a whole, and with what is in memory behind it.
    expect([read(0, Number.POSITIVE_INFINITY), read(20, 1000)]).toEqual([30, 10]);
    expect(store.sequence.read(0, 30)).toHaveLength(30);
  });

  it('has blocks that were read last by those who read elsewhere, as they are now', async () => {
    const store = await open();
    for (let at = 0; at < 20; at++) await append(store, 3);
    for (let at = 0; at < 6; at++) {
      for (const from of [0, 9, 18, 27, 36]) expect(store.sequence.read(from + at, 54, 0)[0]).toEqual(entry(from + at));
    }
    store.sequence.truncate(4);
    await append(store, 3, 1);
    await append(store, 9, 1);
    expect(store.sequence.read(0, 7)).toEqual([
      ...[0, 1, 2, 3].map((index) => entry(index)),
      ...[4, 5, 6].map((index) => entry(index, 1)),
    ]);
  });
});

describe('the size of the log from an entry on', () => {
  it('is known of what is on disk and of what is in memory, but for the block that begins before it', async () => {
    const store = await open();
    for (let block = 0; block < 5; block++) await append(store, 10);
    store.sequence.append([entry(50), entry(51)]);
    const sizeFrom = (index: number) => store.sequence.sizeFrom?.(index) ?? Number.NaN;
    expect([52, 51, 50].map(sizeFrom)).toEqual([0, entryBytes, 2 * entryBytes]);
    for (const index of [0, 10, 20]) {
      const bytes = (52 - index) * entryBytes;
      expect(sizeFrom(index)).toBeGreaterThanOrEqual(bytes);
      expect(sizeFrom(index)).toBeLessThan(1.2 * bytes);
    }
    expect(sizeFrom(5)).toBe(sizeFrom(10));
    await trim(store, 15);
    expect(() => sizeFrom(14)).toThrow(RangeError);
    expect(sizeFrom(15)).toBe(sizeFrom(20));
  });
});

describe('segments', () => {
  it('are begun one after the other, and hold the log across openings', async () => {
    let store = await open();
    const openings = [{ storageId: '0011223344556677', incarnation: 3, nonce: '00000000000000aa' }];
    store.setOpenings(openings);
    for (let round = 0; round < 100; round++) await append(store, 1 + (round % 3));
    expect(segments().length).toBeGreaterThan(5);
    for (const segment of segments()) expect(statSync(fileOf(segment)).size).toBe(segmentBytes);
    expectEntries(store);
    // So that only what the later segments repeat of it is left.
    store.sequence.trim(store.sequence.endIndex - 2);
    store.commit();
    await store.flush();
    await store.close();
    store = await open();
    expect(store.openings).toEqual(openings);
    expect(store.sequence.endIndex).toBe(199);
    expectEntries(store);
  });

  it('are used again once the log is trimmed past them: in steady state the files stay the same', async () => {
    async function work(): Promise<Set<number>> {
      const store = await open();
      for (let round = 0; round < 100; round++) {
        await append(store, 5);
        await trim(store, Math.max(store.sequence.endIndex - 10, 0));
      }
      await store.close();
      return new Set(segments().map((segment) => statSync(fileOf(segment)).ino));
    }
    const before = await work();
    const first = Math.min(...segments());
    expect(await work()).toEqual(before);
    expect(Math.min(...segments())).toBeGreaterThan(first + 10);
    const again = await open();
    expect([again.sequence.trimmedIndex, again.sequence.endIndex]).toEqual([990, 1000]);
    expectEntries(again);
  });

  it('are dropped by a reset, but for the present one and those ready', async () => {
    const store = await open();
    for (let round = 0; round < 60; round++) await append(store, 3);
    store.bindCluster('00000000000000aa');
    store.state.promise = { n: 5, priority: 0, pid: 2 };
    store.sequence.reset(1000);
    await flush(store);
    await append(store, 2);
    await store.close();
    expect(segments().length).toBeLessThanOrEqual(1 + 4);
    const again = await open(path, '00000000000000aa');
    expect(again.state.promise.n).toBe(5);
    expect(again.identity.clusterId).toBe('00000000000000aa');
    expect([again.sequence.trimmedIndex, again.sequence.endIndex]).toEqual([1000, 1002]);
    expectEntries(again);
  });

  const sizes = () => segments().map((segment) => statSync(fileOf(segment)).size);

  it('begin where a reset says, be it below what was trimmed before', async () => {
    const store = await open();
    for (const index of [1000, 7]) {
      store.sequence.reset(index);
      store.state.decidedIndex = index;
      await append(store, 4);
    }
    await store.close();
    const again = await open();
    expect([again.sequence.trimmedIndex, again.sequence.endIndex]).toEqual([7, 11]);
  });

  it('are as large as a record that exceeds their size, and such ones are not used again', async () => {
    const store = await open();
    await append(store, 3);
    await append(store, 200);
    await append(store, 3);
    expect(Math.max(...sizes())).toBeGreaterThan(200 * entryBytes);
    expectEntries(store);
    await store.close();
    const again = await open();
    expectEntries(again);
    for (let round = 0; round < 40; round++) await append(again, 3);
    await trim(again, again.sequence.endIndex);
    await again.close();
    expect(new Set(sizes())).toEqual(new Set([segmentBytes]));
  });

  it('hold one after the other what is too much for one where there is no room for a large one, and a crash leaves the first part', async () => {
    const store = await open(path, undefined, new CrampedRoom(path));
    await append(store, 3);
    await append(store, 200);
    const copy = scratch.copyOf(path);
    expect(new Set(sizes())).toEqual(new Set([segmentBytes]));
    expectEntries(store);
    await append(store, 3);
    expectEntries(store);
    await store.close();
    const whole = await open();
    expect(whole.sequence.endIndex).toBe(206);
    expectEntries(whole);
    const used = segments(copy).filter((segment) => usedBytes(segment, copy) > 0);
    expect(used.length).toBeGreaterThan(5);
    const ends: number[] = [];
    for (const segment of used.slice(1).reverse()) {
      writeFileSync(fileOf(segment, copy), Buffer.alloc(segmentBytes));
      const before = readFileSync(fileOf(segment - 1, copy));
      writeFileSync(fileOf(segment - 1, copy), before.fill(0, before.lastIndexOf(before.subarray(0, 20))));
      const left = await open(scratch.copyOf(copy));
      expectEntries(left);
      expect(left.state.decidedIndex).toBe(left.sequence.endIndex);
      ends.push(left.sequence.endIndex);
    }
    expect(ends.every((end, at) => end < (ends[at - 1] ?? 203) && end >= 3)).toBe(true);
  });

  it('are large even so where another round came with the entries, or it is one: all or nothing of these is left', async () => {
    const store = await open(path, undefined, new CrampedRoom(path));
    store.state.acceptedRound = { n: 5, priority: 0, pid: 2 };
    await append(store, 200);
    expect(Math.max(...sizes())).toBeGreaterThan(200 * entryBytes);
    const large: Entry<Uint8Array> = { type: 'Normal', entry: new Uint8Array(30_000).fill(7) };
    store.sequence.append([large]);
    store.state.decidedIndex = store.sequence.endIndex;
    await flush(store);
    await append(store, 3);
    expect(Math.max(...sizes())).toBeGreaterThan(30_000);
    await store.close();
    const again = await open();
    expect(again.sequence.read(199, 202)).toEqual([entry(199), large, entry(201)]);
  });

  it('are refused unchanged when they belong to another cluster', async () => {
    const store = await open();
    store.bindCluster('00000000000000aa');
    await flush(store);
    await store.close();
    const before = readdirSync(path).map((name) => readFileSync(join(path, name)));
    await expect(open(path, '00000000000000bb')).rejects.toMatchObject({ code: 'otherCluster' });
    expect(readdirSync(path).map((name) => readFileSync(join(path, name)))).toEqual(before);
  });
});

describe('a torn end', () => {
  /** A log whose last record, of one flush, lies between the offsets given, as a killed process leaves it. */
  async function makeTorn(): Promise<{ whole: string; from: number; to: number }> {
    const store = await open();
    await append(store, 2);
    const from = usedBytes(1);
    store.state.promise = { n: 9, priority: 0, pid: 3 };
    await append(store, 2);
    const to = usedBytes(1);
    return { whole: scratch.copyOf(path), from, to };
  }

  it('is cut off, wherever it was torn, and the log goes on there', async () => {
    const { whole, from, to } = await makeTorn();
    const bytes = readFileSync(fileOf(1, whole));
    const garbles: ((torn: Buffer, at: number) => unknown)[] = [
      (torn, at) => torn.fill(0, at, to),
      (torn, at) => torn.fill(0, from, at + 1),
      (torn, at) => torn.writeUInt8(torn.readUInt8(at) ^ 0x40, at),
    ];
    for (let at = from; at < to; at++) {
      const torn = Buffer.from(bytes);
      garbles[at % 3]?.(torn, at);
      if (torn.equals(bytes)) continue;
      writeFileSync(fileOf(1, whole), torn);
      const store = await open(whole);
      expect([store.sequence.endIndex, store.state.promise.n]).toEqual([2, 0]);
      if (at % 16 === 0) await append(store, 1, 1);
      await store.close();
      if (at % 16 !== 0) continue;
      const again = await open(whole);
      expect(again.sequence.read(0, 3)).toEqual([entry(0), entry(1), entry(2, 1)]);
      expect(again.sequence.endIndex).toBe(3);
      await again.close();
    }
  });

  it('does not come back when what was torn is found whole later, behind or below what was written since', async () => {
    const { whole, from, to } = await makeTorn();
    const bytes = readFileSync(fileOf(1, whole));
    const torn = Buffer.from(bytes);
    torn.fill(0, from, from + 8);
    writeFileSync(fileOf(1, whole), torn);
    const store = await open(whole);
    await store.close();
    const after = readFileSync(fileOf(1, whole));
    // All that the opening and the closing did not overwrite is as it was before: nothing of it counts.
    const end = from + (after.subarray(from).findLastIndex((byte, at) => byte !== torn[from + at]) + 1);
    expect(end).toBeLessThan(to + 400);
    bytes.copy(after, end, end);
    writeFileSync(fileOf(1, whole), after);
    expect((await open(whole)).sequence.endIndex).toBe(2);
  });

  it('is not followed by records of before, though they are whole and stand right behind it', async () => {
    const store = await open();
    const starts = [usedBytes(1)];
    for (let round = 0; round < 3; round++) {
      await append(store, 1);
      starts.push(usedBytes(1));
    }
    await store.close();
    const bytes = readFileSync(fileOf(1));
    const end = usedBytes(1);
    for (let at = 0; at + 1 < starts.length; at++) {
      const old = bytes.subarray(starts[at], starts[at + 1]);
      const copy = scratch.copyOf(path);
      const garbled = Buffer.from(bytes);
      old.copy(garbled, end);
      writeFileSync(fileOf(1, copy), garbled);
      const again = await open(copy);
      expect(again.sequence.endIndex).toBe(3);
      expectEntries(again);
    }
  });

  it('of a new segment is cut off as long as the segment before it has no mark', async () => {
    const store = await open();
    while (!segments().includes(2) || usedBytes(2) === 0) await append(store, 2);
    const copy = scratch.copyOf(path);
    // Takes the mark away again: as if the process had been killed between the two writes.
    const first = readFileSync(fileOf(1, copy));
    const mark = first.lastIndexOf(first.subarray(0, 20));
    first.fill(0, mark);
    writeFileSync(fileOf(1, copy), first);
    const whole = scratch.copyOf(copy);
    flip(fileOf(2, copy), 60);
    const cut = await open(copy);
    expect(cut.sequence.endIndex).toBe(store.sequence.endIndex - 2);
    expectEntries(cut);
    const kept = await open(whole);
    expect(kept.sequence.endIndex).toBe(store.sequence.endIndex);
    await kept.close();
    // The opening made up for the mark.
    writeFileSync(fileOf(2, whole), Buffer.alloc(segmentBytes));
    await expect(open(whole)).rejects.toThrow(`${fileOf(2, whole)} is damaged at log entry`);
  });

  it('is none where a whole record follows, also in a segment whose first record is damaged too', async () => {
    const store = await open();
    while (!segments().includes(2) || usedBytes(2) === 0) await append(store, 2);
    await append(store, 1);
    await store.close();
    const first = readFileSync(fileOf(1));
    first.fill(0, first.lastIndexOf(first.subarray(0, 20)));
    writeFileSync(fileOf(1), first);
    flip(fileOf(2), 60);
    await expect(open()).rejects.toMatchObject({ name: 'DamagedError' });
  });

  it('is no excuse for bytes of a client that look like a record', async () => {
    const store = await open();
    await append(store, 1);
    const record = readFileSync(fileOf(1));
    const start = record.lastIndexOf(record.subarray(0, 20));
    const forged = Buffer.from(record.subarray(start, usedBytes(1)));
    forged.fill(0x11, 4, 12);
    store.sequence.append([{ type: 'Normal', entry: forged }]);
    await flush(store);
    const from = readFileSync(fileOf(1)).indexOf(forged);
    const copy = scratch.copyOf(path);
    flip(fileOf(1, copy), from - 30);
    expect((await open(copy)).sequence.endIndex).toBe(1);
  });
});

describe('damage', () => {
  it('by a bit is noticed in a log that was closed, wherever it is', async () => {
    let store = await open();
    for (let round = 0; round < 30; round++) await append(store, 3);
    store.sequence.truncate(80);
    await append(store, 5, 0);
    await trim(store, 20);
    const used = segments().filter((segment) => usedBytes(segment) > 0);
    await store.close();
    const last = used.at(-1) as number;
    const random = randomOf(1);
    let noticed = 0;
    for (let round = 0; round < 100; round++) {
      const copy = scratch.copyOf(path);
      const segment = used[random(used.length)] as number;
      flip(fileOf(segment, copy), random(usedBytes(segment, copy)), random(8));
      try {
        store = await open(copy);
      } catch (error) {
        expect(error).toMatchObject({ name: 'DamagedError', message: expect.stringContaining(`${copy}/`) });
        noticed++;
        continue;
      }
      // A mark that is not needed, or the closing record: nothing is lost.
      expect([store.sequence.trimmedIndex, store.sequence.endIndex]).toEqual([20, 85]);
      expectEntries(store);
      await store.close();
    }
    expect(last).toBeGreaterThan(2);
    expect(noticed).toBeGreaterThan(80);
  });

  it('by a bit after a crash is noticed, or was in the last record', async () => {
    const store = await open();
    for (let round = 0; round < 30; round++) await append(store, 3);
    const crashed = scratch.copyOf(path);
    const used = segments(crashed).filter((segment) => usedBytes(segment, crashed) > 0);
    const random = randomOf(2);
    for (let round = 0; round < 60; round++) {
      const copy = scratch.copyOf(crashed);
      const segment = used[random(used.length)] as number;
      flip(fileOf(segment, copy), random(usedBytes(segment, copy)), random(8));
      const again = await open(copy).catch((error: unknown) => expect(error).toMatchObject({ name: 'DamagedError' }));
      if (!(again instanceof FileLogStore)) continue;
      expect([87, 90]).toContain(again.sequence.endIndex);
      if (segment !== used.at(-1)) expect(again.sequence.endIndex).toBe(90);
      expectEntries(again);
      await again.close();
    }
  });

  it.each(['first', 'middle', 'last'])('is a %s segment that is missing, zeroed, cut or swapped', async (which) => {
    const store = await open();
    for (let round = 0; round < 30; round++) await append(store, 3);
    await store.close();
    const used = segments().filter((segment) => usedBytes(segment) > 0);
    const segment = { first: 1, middle: 2, last: used.at(-1) as number }[which] as number;
    const other = segment === 1 ? 2 : segment - 1;
    const harms: ((file: string, directory: string) => void)[] = [
      (file) => rmSync(file),
      (file) => writeFileSync(file, Buffer.alloc(segmentBytes)),
      (file) => truncateSync(file, segmentBytes / 2),
      (file) => truncateSync(file, 0),
      (file) => truncateSync(file, segmentBytes - 1),
      (file, directory) => renameSync(fileOf(other, directory), file),
    ];
    for (const harm of harms) {
      const copy = scratch.copyOf(path);
      harm(fileOf(segment, copy), copy);
      const before = readdirSync(copy);
      await expect(open(copy)).rejects.toMatchObject({
        name: 'DamagedError',
        message: expect.stringMatching(new RegExp(`^${copy}/.*wal is damaged at .*\\(offset \\d+\\)`)),
      });
      expect(readdirSync(copy)).toEqual(before);
    }
  });

  it('is a segment of another log', async () => {
    const other = scratch.fresh();
    for (const directory of [path, other]) {
      const store = await open(directory);
      for (let round = 0; round < 30; round++) await append(store, 3);
      await store.close();
    }
    writeFileSync(fileOf(2), readFileSync(fileOf(2, other)));
    await expect(open()).rejects.toThrow('it belongs to another log');
  });
});

describe('a file that is not a segment in use', () => {
  it('is taken away or made use of, whatever is in it', async () => {
    const store = await open();
    await append(store, 3);
    await store.close();
    const [last = 0] = segments().slice(-1);
    writeFileSync(`${fileOf(last + 1)}.new`, 'half made');
    writeFileSync(fileOf(last + 1), 'of another size');
    writeFileSync(fileOf(last + 3), readFileSync(fileOf(1)));
    const again = await open();
    for (let round = 0; round < 60; round++) await append(again, 3);
    expectEntries(again);
    await again.close();
    expect(readdirSync(path).filter((name) => !name.endsWith('.wal'))).toEqual([]);
    expectEntries(await open());
  });
});

describe('a disk on which the next segment cannot be made', () => {
  it('ends the store when the segment is needed, and keeps what was durable', async () => {
    const store = await open();
    // The two after the first lie ready already.
    for (let segment = 4; segment < 10; segment++) mkdirSync(`${fileOf(segment)}.new`);
    let durable = 0;
    const failure: unknown = await (async () => {
      for (;;) {
        await append(store, 3);
        durable = store.sequence.endIndex;
      }
    })().catch((error: unknown) => error);
    expect(failure).toMatchObject({
      name: 'DiskFailedError',
      message: expect.stringContaining(`a write to ${fileOf(4)} failed (EISDIR`),
    });
    for (const call of [() => store.commit(), () => store.sequence.read(0, 1), () => store.bindCluster('aa')]) {
      expect(call).toThrow(failure as Error);
    }
    await expect(store.flush()).rejects.toBe(failure);
    await expect(store.close()).rejects.toBe(failure);
    opened = [];
    for (let segment = 4; segment < 10; segment++) rmSync(`${fileOf(segment)}.new`, { recursive: true });
    const again = await open();
    expect(again.sequence.endIndex).toBe(durable);
    expectEntries(again);
  });

  it('does no harm if it can be made by then', async () => {
    const store = await open();
    mkdirSync(`${fileOf(4)}.new`);
    while (!segments().includes(3) || usedBytes(3) < segmentBytes / 2) await append(store, 3);
    rmSync(`${fileOf(4)}.new`, { recursive: true });
    while (!segments().includes(6)) await append(store, 3);
    expectEntries(store);
  });
});

describe('a killed process', () => {
  it('leaves everything that it said was durable, whatever it was about to do', async () => {
    const writer = await BundledChild.of('log-writer');
    try {
      for (let round = 0; round < 8; round++) {
        const child = writer.start([path, '1024']);
        await child.line('flushed ');
        // Killed after a different number of flushes each time, in the middle of whatever comes next.
        while (child.lines.length < 1 + round * 37) await child.more();
        child.kill();
        await child.ended;
        const [, trimmed = 0, end = 0] = (child.lines.at(-1) ?? '').split(' ').map(Number);
        const store = await FileLogStore.open({ path, ...owner, segmentBytes: 1024 });
        const { trimmedIndex, endIndex } = store.sequence;
        expect(trimmedIndex).toBeGreaterThanOrEqual(trimmed);
        expect(endIndex).toBeGreaterThanOrEqual(end);
        expect(store.state.promise.n).toBe(endIndex);
        for (const [at, each] of store.sequence.read(trimmedIndex, endIndex).entries()) {
          expect(each.type === 'Normal' && Buffer.from(each.entry).toString()).toBe(String(trimmedIndex + at));
        }
        await store.close();
      }
    } finally {
      writer.remove();
    }
  });
});
