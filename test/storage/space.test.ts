import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { openDataDirectory } from '../../src/storage/directory/data-directory.ts';
import { levelAfter, planSpace, SpaceWatch } from '../../src/storage/directory/space-watch.ts';
import { DiskReserve } from '../../src/storage/disk/disk-reserve.ts';
import { DiskRoom } from '../../src/storage/disk/disk-room.ts';
import { FileLogStore } from '../../src/storage/log/file-log-store.ts';
import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { mount, smallDisksProblem } from '../process/small-disks.ts';
import { BundledChild } from './bundled-child.ts';
import { Scratch } from './scratch.ts';

let scratch: Scratch;

beforeEach(() => {
  scratch = new Scratch();
});

afterEach(() => {
  scratch.remove();
});

const noSpace = () => Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });

describe('the level', () => {
  it('rises at 80 and 95 %, and falls only below 90 and 75 %', () => {
    const parts = [0.79, 0.8, 0.76, 0.94, 0.95, 0.9, 0.89, 0.94, 0.75, 0.74, 0.79, 1, 0.5];
    let level: 'ok' | 'low' | 'full' = 'ok';
    const levels = parts.map((part) => {
      level = levelAfter(level, part);
      return level;
    });
    expect(levels.join(' ')).toBe('ok low low low full full low low low ok ok full ok');
  });
});

describe('room on a disk', () => {
  it('is waited for, and the write is run again', async () => {
    const room = new DiskRoom(scratch.path);
    room.allowWaiting();
    let runs = 0;
    const written = room.write(() => (++runs === 1 ? Promise.reject(noSpace()) : Promise.resolve()));
    await expect.poll(() => room.isWaiting).toBe(true);
    expect(room.waiter?.problem).toContain('no space');
    // It looks whether more is free than before; here, after a while, whether or not.
    await written;
    expect({ runs, isWaiting: room.isWaiting, waiter: room.waiter }).toEqual({ runs: 2, isWaiting: false });
  });

  it('is not waited for before the directory is open, nor once it is to be closed', async () => {
    const room = new DiskRoom(scratch.path);
    await expect(room.write(() => Promise.reject(noSpace()))).rejects.toThrow('no space');
    room.allowWaiting();
    const written = room.write(() => Promise.reject(noSpace()));
    const failed = expect(written).rejects.toThrow('no space');
    await expect.poll(() => room.isWaiting).toBe(true);
    room.stopWaiting();
    await failed;
    await expect(room.write(() => Promise.reject(noSpace()))).rejects.toThrow('no space');
  });

  it('does not explain any other failure, nor one of the device while there is room', async () => {
    const room = new DiskRoom(scratch.path);
    room.allowWaiting();
    const failure = Object.assign(new Error('input/output error'), { code: 5 });
    await expect(room.write(() => Promise.reject(failure))).rejects.toBe(failure);
    await expect(room.make(1, () => Promise.reject(failure))).rejects.toBe(failure);
  });

  it('in the reserve goes to the state, once', async () => {
    const reserve = new DiskReserve(scratch.path, 100_000);
    await reserve.hold();
    const file = join(scratch.path, 'reserve');
    expect(statSync(file).size).toBe(100_000);
    const room = new DiskRoom(scratch.path, reserve);
    let runs = 0;
    await room.write(() => (++runs === 1 ? Promise.reject(noSpace()) : Promise.resolve()));
    expect({ runs, isSpent: reserve.isSpent, isThere: existsSync(file) }).toEqual({
      runs: 2,
      isSpent: true,
      isThere: false,
    });
    await expect(room.write(() => Promise.reject(noSpace()))).rejects.toThrow('no space');
    await reserve.hold();
    expect(new DiskReserve(scratch.path, 100_000).isHeld, 'a later life finds it').toBe(true);
    await expect(
      room.make(1, () => Promise.reject(noSpace())),
      'it is not for the log',
    ).rejects.toThrow('no space');
    expect(reserve.isHeld).toBe(true);
  });
});

describe('the log', () => {
  it.each([
    ['', 0],
    [', though files of its own are still being made', 20],
  ])('for which there is no further file lets go of what is trimmed while it waits%s', async (_, refusedAfterMs) => {
    const path = scratch.fresh();
    let isFull = false;
    const room = new (class extends DiskRoom {
      override async has(bytes: number): Promise<boolean> {
        return !isFull && (await super.has(bytes));
      }
      override async checkFree(bytes: number): Promise<void> {
        if (isFull) await new Promise((resolve) => setTimeout(resolve, refusedAfterMs));
        await super.checkFree(isFull ? Number.POSITIVE_INFINITY : bytes);
      }
    })(path);
    room.allowWaiting();
    const options = { path, nodeId: 1, storageId: '0123456789abcdef', segmentBytes: 4096, room };
    const store = await FileLogStore.open(options);
    const entryOf = (index: number) => ({ type: 'Normal' as const, entry: new Uint8Array(200).fill(index) });
    let flushed = Promise.resolve();
    const append = async (count: number): Promise<void> => {
      const from = store.sequence.endIndex;
      store.sequence.append(Array.from({ length: count }, (_, at) => entryOf(from + at)));
      store.state.decidedIndex = store.sequence.endIndex;
      store.commit();
      flushed = store.flush().then(() => undefined);
      await Promise.race([flushed, expect.poll(() => room.isWaiting).toBe(true)]);
    };
    while (store.neededBytes < 3 * 4096) await append(1);
    isFull = true;
    store.readySegments = { min: 1, max: 1 };
    while (!room.isWaiting) await append(1);
    const { endIndex } = store.sequence;
    for (let trimmed = 10; room.isWaiting; trimmed += 10) {
      store.sequence.trim(trimmed);
      store.commit();
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await flushed;
    const { trimmedIndex } = store.sequence;
    expect(trimmedIndex).toBeLessThan(endIndex);
    const copy = scratch.copyOf(path);
    const again = await FileLogStore.open({ ...options, path: copy, room: new DiskRoom(copy) });
    expect(again.sequence.endIndex).toBe(endIndex);
    expect(again.sequence.trimmedIndex).toBeGreaterThan(0);
    expect(again.sequence.read(trimmedIndex, endIndex)).toEqual(
      Array.from({ length: endIndex - trimmedIndex }, (_, at) => entryOf(trimmedIndex + at)),
    );
    await again.close();
    // And on it goes, with what there is.
    for (let round = 0; round < 200; round++) {
      await append(1);
      store.sequence.trim(store.sequence.endIndex - 10);
      store.commit();
      await flushed;
    }
    await store.close();
  });

  it('says below which index there is more than it may have, and needs less once that is trimmed', async () => {
    const path = scratch.fresh();
    const store = await FileLogStore.open({ path, nodeId: 1, storageId: '0123456789abcdef', segmentBytes: 4096 });
    for (let index = 0; index < 100; index++) {
      store.sequence.append([{ type: 'Normal', entry: new Uint8Array(200) }]);
      store.commit();
      await store.flush();
    }
    expect(store.neededBytes).toBeGreaterThan(5 * 4096);
    expect(store.surplusIndex(1_000_000)).toBe(0);
    const index = store.surplusIndex(2 * 4096);
    expect(index).toBeGreaterThan(60);
    store.sequence.trim(index);
    store.commit();
    await store.flush();
    expect(store.neededBytes).toBeLessThanOrEqual(3 * 4096);
    expect(store.surplusIndex(0), 'the present segment is needed in any case').toBeGreaterThan(index);
    expect(store.surplusIndex(0)).toBeLessThan(100);
    store.readySegments = { min: 3, max: 4 };
    await store.close();
    expect(readdirSync(path).length).toBeGreaterThanOrEqual(4);
  });

  it('keeps all that was flushed, whenever it is told how many files are to lie ready', async () => {
    const options = { path: scratch.fresh(), nodeId: 1, storageId: '0123456789abcdef', segmentBytes: 4096 };
    const store = await FileLogStore.open(options);
    const entryOf = (index: number) => ({ type: 'Normal' as const, entry: new Uint8Array(200).fill(index) });
    for (let index = 0; index < 200; index++) {
      store.sequence.append([entryOf(index)]);
      store.commit();
      const flushed = store.flush();
      let isFlushed = false;
      void flushed.finally(() => {
        isFlushed = true;
      });
      for (let turn = index; !isFlushed; turn++) {
        store.readySegments = { min: 1 + (turn % 3), max: 4 };
        await new Promise(setImmediate);
      }
      await flushed;
    }
    await store.close();
    const again = await FileLogStore.open(options);
    expect(again.sequence.read(0, 200)).toEqual(Array.from({ length: 200 }, (_, index) => entryOf(index)));
    await again.close();
  });
});

describe('a data directory', () => {
  it('measures what is in use: what was deleted is room again, though the file does not shrink', async () => {
    const path = scratch.fresh();
    const quotaBytes = 64 * 2 ** 20;
    const { stateStore, measureSpace, close } = await openDataDirectory({ path, nodeId: 1, quotaBytes });
    const before = await measureSpace();
    expect(before).toMatchObject({ level: 'ok', capacityBytes: quotaBytes, isWaiting: false });
    const keys = Array.from({ length: 400 }, (_, at) => `k${at}`);
    for (const key of keys) stateStore.put(key, new Uint8Array(100_000), 1);
    await checkpointAt(stateStore, 1);
    const filled = await measureSpace();
    expect(filled.usedBytes - before.usedBytes).toBeGreaterThan(400 * 100_000);
    for (const key of keys) stateStore.put(key, new Uint8Array(160_000), 2);
    await checkpointAt(stateStore, 2);
    expect((await measureSpace()).level).toBe('full');
    for (const key of keys) stateStore.delete(key);
    await checkpointAt(stateStore, 3);
    // For some seconds, lest puts are refused and taken by turns.
    expect((await measureSpace()).level).toBe('full');
    const emptied = await vi.waitFor(
      async () => {
        const measured = await measureSpace();
        expect(measured.level).toBe('ok');
        return measured;
      },
      { timeout: 20_000, interval: 500 },
    );
    expect(emptied.usedBytes - before.usedBytes).toBeLessThan(4 * 2 ** 20);
    expect(statSync(join(path, 'state', 'data.mdb')).size).toBeGreaterThan(400 * 100_000);
    await close();
  });
});

describe('a disk on which a write waits for long', () => {
  it('is full, however much is free', async () => {
    const path = scratch.fresh();
    mkdirSync(path);
    let waitedMs = 14_000;
    const room = new (class extends DiskRoom {
      override get waiter() {
        return { sinceMs: performance.now() - waitedMs, problem: "ENOSPC: no space left on device, open 'log/2.wal'" };
      }
    })(path);
    const log = await FileLogStore.open({ path: join(path, 'log'), nodeId: 1, storageId: '0123456789abcdef', room });
    const state = await LmdbStateStore.open(join(path, 'state'), room);
    const watch = new SpaceWatch(path, await planSpace(path, undefined), room, log, state);
    expect((await watch.measure()).level).toBe('ok');
    waitedMs = 16_000;
    const stuck = await watch.measure();
    expect(stuck).toMatchObject({ level: 'full', waitsFor: expect.stringContaining('open') });
    expect(stuck.usedBytes).toBe(stuck.capacityBytes);
    await log.close();
    await state.close();
  });
});

const mountProblem = smallDisksProblem();

describe.skipIf(mountProblem)(`a disk that somebody else fills${mountProblem ? ` (${mountProblem})` : ''}`, () => {
  it('makes commits wait before lmdb finds out, which may die of it', async () => {
    const path = scratch.fresh();
    mkdirSync(path, { recursive: true });
    mount(path, 128);
    const filler = await BundledChild.of('filler');
    try {
      const { lines, ended } = filler.start([path]);
      const { code, stderr } = await ended;
      expect(code, stderr).toBe(0);
      expect(lines.at(-1)).toBe('checkpoint 12');
      expect(lines).toContain('waited');
    } finally {
      filler.remove();
      execFileSync('umount', ['-l', path]);
    }
  }, 120_000);
});
