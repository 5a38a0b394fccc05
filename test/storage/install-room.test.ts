import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest';
import { availableBytes, DiskRoom, NoRoomError } from '../../src/storage/disk/disk-room.ts';
import { DiskFailedError } from '../../src/storage/disk/storage-error.ts';
import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { mount, smallDisksProblem } from '../process/small-disks.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

/** A disk on which only what must be written finds room. */
class NarrowRoom extends DiskRoom {
  override checkBeside(): Promise<void> {
    return Promise.reject(new NoRoomError());
  }
}

async function narrowStore(): Promise<LmdbStateStore> {
  const path = scratch.fresh();
  const store = await LmdbStateStore.open(path, new NarrowRoom(path));
  store.put('before', new Uint8Array([1]), 1);
  await checkpointAt(store, 1);
  store.beginInstall(90);
  store.installRows([{ type: 'pair', key: 'new', value: new Uint8Array(100), revision: 2 }]);
  store.hurryInstall();
  await expect.poll(() => store.installBacklogBytes).toBe(0);
  return store;
}

describe('an install for which there is no room', () => {
  it('says so, keeps nothing else from being written, and makes room again', async () => {
    const store = await narrowStore();
    expect(store.installLacksRoom).toBe(true);
    store.put('meanwhile', new Uint8Array([2]), 2);
    await checkpointAt(store, 2);
    store.beginInstall();
    expect(store.installLacksRoom).toBe(false);
    expect(store.installProgress).toBeUndefined();
    store.put('behind', new Uint8Array([3]), 3);
    await checkpointAt(store, 3);
    expect(store.get('before')?.revision).toBe(1);
    expect(store.get('behind')?.revision).toBe(3);
    expect(store.get('new')).toBeUndefined();
    await store.close();
  });

  it('cannot be finished', async () => {
    const store = await narrowStore();
    const finishing = store.finishInstall(90);
    await expect(finishing).rejects.toThrow(DiskFailedError);
    await expect(finishing).rejects.toMatchObject({ isFull: true });
    await store.close();
  });
});

/** A disk of so many bytes, which the state's file has for itself. */
class SizedRoom extends DiskRoom {
  readonly #path: string;
  bytes: number;
  /** The most that was looked for. */
  lookedFor = 0;

  constructor(path: string, bytes: number) {
    super(path);
    this.#path = path;
    this.bytes = bytes;
  }

  get fileBytes(): number {
    return statSync(join(this.#path, 'data.mdb'), { throwIfNoEntry: false })?.size ?? 0;
  }

  override async checkFree(bytes: number): Promise<void> {
    this.lookedFor = Math.max(this.lookedFor, bytes);
    const free = this.bytes - this.fileBytes;
    if (free < bytes) throw new NoRoomError(`${bytes} bytes are needed, ${free} are free`);
  }
}

describe('an install for which there is room', () => {
  it('of many small rows needs what these take, however many pages there are already', async () => {
    const path = scratch.fresh();
    const store = await LmdbStateStore.open(path, new SizedRoom(path, 40 * 1024 * 1024));
    for (const index of [1, 2]) {
      store.beginInstall(index);
      for (let at = 0; at < 150_000; at += 10_000) {
        const rows = Array.from({ length: 10_000 }, (_, count) => 1_000_000 + at + count);
        store.installRows(
          rows.map((row) => ({ type: 'pair', key: `key-${row}`, value: new Uint8Array(50), revision: row })),
        );
        await expect.poll(() => store.installBacklogBytes, { interval: 5 }).toBeLessThan(8e6);
      }
      store.hurryInstall();
      await expect.poll(() => store.installBacklogBytes, { interval: 5 }).toBe(0);
      expect(store.installLacksRoom).toBe(false);
      await store.finishInstall(index);
    }
    await store.close();
  });
});

/** A store with so many bytes of a state that it begins to take over, in a file of a disk that has no more than `leftBytes` beside. */
async function halfInstalled(mebibytes: number, leftBytes: number): Promise<[LmdbStateStore, SizedRoom]> {
  const path = scratch.fresh();
  const room = new SizedRoom(path, 1e9);
  const store = await LmdbStateStore.open(path, room);
  room.allowWaiting();
  store.put('before', new Uint8Array([1]), 1);
  await checkpointAt(store, 1);
  store.beginInstall(90);
  for (let at = 0; at < mebibytes * 10; at++) {
    store.installRows([{ type: 'pair', key: `key-${10_000 + at}`, value: new Uint8Array(100_000), revision: 2 }]);
    if (at % 50 === 49) await expect.poll(() => store.installBacklogBytes, { interval: 2 }).toBeLessThan(8e6);
  }
  store.hurryInstall();
  await expect.poll(() => store.installBacklogBytes, { interval: 2 }).toBe(0);
  room.bytes = room.fileBytes + leftBytes;
  return [store, room];
}

describe('a state that is given up', () => {
  it.each([false, true])(
    'makes room for a checkpoint, also for one that waits for it already (%s)',
    async (isFirst) => {
      const [store, room] = await halfInstalled(20, 256 * 1024);
      for (let at = 0; at < 20; at++) store.put(`own-${at}`, new Uint8Array(100_000), 3);
      const first = isFirst ? checkpointAt(store, 2) : undefined;
      // What was given before it is given up must not come behind that.
      store.installRows([{ type: 'pair', key: 'late', value: new Uint8Array(10), revision: 2 }]);
      store.beginInstall(91);
      await (first ?? checkpointAt(store, 2));
      expect(store.get('own-19')?.revision).toBe(3);
      room.bytes = 1e9;
      store.installRows([{ type: 'pair', key: 'other', value: new Uint8Array(10), revision: 2 }]);
      await store.finishInstall(91);
      expect([store.get('late'), store.get('other')?.revision]).toEqual([undefined, 2]);
      await store.close();
    },
  );

  it('takes no more of the disk by that than was looked for', async () => {
    const [store, room] = await halfInstalled(150, 1e9);
    const { fileBytes } = room;
    room.lookedFor = 0;
    store.beginInstall();
    await expect.poll(() => store.measure().freeBytes, { interval: 5 }).toBeGreaterThan(100e6);
    expect(room.fileBytes - fileBytes).toBeLessThanOrEqual(room.lookedFor);
    expect(room.fileBytes).toBeGreaterThan(fileBytes);
    await store.close();
  });

  it('tells before what it takes', async () => {
    const [store] = await halfInstalled(5, 1e9);
    expect(store.installUse.rowBytes).toBeGreaterThan(5e6);
    expect(store.installUse.diskBytes).toBeGreaterThan(5e6);
    expect(store.installUse.diskBytes).toBeLessThan(5.5e6);
    store.beginInstall();
    await expect.poll(() => store.installUse, { interval: 2 }).toEqual({ rowBytes: 0, diskBytes: 0 });
    await store.close();
  });
});

const problem = smallDisksProblem();

describe.skipIf(problem !== undefined)(`on a disk of 60 MiB${problem === undefined ? '' : ` (${problem})`}`, () => {
  const disk = scratch.fresh();
  beforeEach(() => {
    mkdirSync(disk);
    mount(disk, 60);
  });
  afterEach(() => {
    execFileSync('umount', ['-l', disk], { stdio: 'pipe' });
    rmSync(disk, { recursive: true });
  });

  /** Somebody else takes what is free, but for half a mebibyte. */
  async function fill(): Promise<void> {
    writeFileSync(join(disk, 'somebody-else'), new Uint8Array((await availableBytes(disk)) - 512 * 1024));
  }

  it.each([
    ['a half-taken state that is given up', false],
    ['the state before the one that was taken', true],
  ])('what %s takes is there for the next checkpoint', async (_, isFinished) => {
    const room = new DiskRoom(disk);
    const store = await LmdbStateStore.open(join(disk, 'state'), room);
    room.allowWaiting();
    for (const index of isFinished ? [80, 90] : [90]) {
      store.beginInstall(index);
      for (let at = 0; at < 200; at++) {
        store.installRows([{ type: 'pair', key: `key-${10_000 + at}`, value: new Uint8Array(100_000), revision: 2 }]);
      }
      store.hurryInstall();
      await expect.poll(() => store.installBacklogBytes, { interval: 2, timeout: 5000 }).toBe(0);
      expect(store.installLacksRoom).toBe(false);
      if (isFinished) await store.finishInstall(index);
    }
    await fill();
    for (let at = 0; at < 60; at++) store.put(`own-${at}`, new Uint8Array(100_000), 3);
    const checkpoint = checkpointAt(store, 100);
    if (!isFinished) store.beginInstall();
    await checkpoint;
    expect(store.get('own-59')?.revision).toBe(3);
    await store.close();
  });

  // A write of LMDB that fails may end the process.
  it('a half-taken state that is given up waits where the list of its pages has no room in one piece', async () => {
    const room = new DiskRoom(disk);
    const store = await LmdbStateStore.open(join(disk, 'state'), room);
    room.allowWaiting();
    for (let at = 0; at < 3000; at++) store.put(`own-${10_000 + at}`, new Uint8Array(3900), 1);
    await checkpointAt(store, 1);
    for (let at = 0; at < 3000; at += 2) store.delete(`own-${10_000 + at}`);
    await checkpointAt(store, 2);
    store.beginInstall(90);
    for (let at = 0; at < 200; at++) {
      store.installRows([{ type: 'pair', key: `key-${10_000 + at}`, value: new Uint8Array(100_000), revision: 2 }]);
    }
    store.hurryInstall();
    await expect.poll(() => store.installBacklogBytes, { interval: 2, timeout: 5000 }).toBe(0);
    expect(store.measure().freeBytes).toBeGreaterThan(4e6);
    writeFileSync(join(disk, 'somebody-else'), new Uint8Array(await availableBytes(disk)));
    store.beginInstall();
    await expect.poll(() => room.isWaiting, { interval: 5, timeout: 5000 }).toBe(true);
    rmSync(join(disk, 'somebody-else'));
    await expect.poll(() => store.installUse.diskBytes, { interval: 5, timeout: 5000 }).toBe(0);
    await expect.poll(() => store.measure().freeBytes, { interval: 5, timeout: 5000 }).toBeGreaterThan(20e6);
    await store.close();
  });
});

describe('what a snapshot says of its size', () => {
  const valueBytes = { small: 10, large: 60_000 };

  it.each([
    ['small', 'large'],
    ['large', 'small'],
  ] as const)('is not misled by its first rows, which are %s, while the others are %s', async (first, others) => {
    const store = await LmdbStateStore.open(scratch.fresh());
    const put = (at: number, kind: 'small' | 'large') =>
      store.put(`key-${1000 + at}`, new Uint8Array(valueBytes[kind]).fill(at), at + 1);
    for (let at = 0; at < 600; at++) put(at, at < 300 ? first : others);
    await checkpointAt(store, 600);
    const snapshot = store.openDurableSnapshot();
    const bytes = 300 * (valueBytes.small + valueBytes.large);
    expect(snapshot.size.bytes).toBeGreaterThan(bytes * 0.8);
    expect(snapshot.size.bytes).toBeLessThan(bytes * 1.2);
    snapshot.close();
    await store.close();
  });

  it('is right where many rows were deleted, so that pages are a third full', async () => {
    const store = await LmdbStateStore.open(scratch.fresh());
    const [rows, valueBytes] = [20_000, 200];
    for (let at = 0; at < rows; at++) store.put(`key-${(at * 7919) % rows}`, new Uint8Array(valueBytes), at + 1);
    await checkpointAt(store, rows);
    for (let at = 0; at < rows; at++) if (at % 3 !== 0) store.delete(`key-${(at * 7919) % rows}`);
    await checkpointAt(store, 2 * rows);
    const snapshot = store.openDurableSnapshot();
    const bytes = Math.ceil(rows / 3) * valueBytes;
    expect(snapshot.size.bytes).toBeGreaterThan(bytes * 0.9);
    expect(snapshot.size.bytes).toBeLessThan(bytes * 1.2);
    snapshot.close();
    await store.close();
  });
});
