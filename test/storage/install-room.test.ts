import { afterAll, describe, expect, it } from 'vitest';
import { DiskRoom, NoRoomError } from '../../src/storage/disk/disk-room.ts';
import { DiskFailedError } from '../../src/storage/disk/storage-error.ts';
import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

/** A disk on which only what must be written finds room. */
class NarrowRoom extends DiskRoom {
  override check(): Promise<void> {
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
});
