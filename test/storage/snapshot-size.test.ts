import { afterAll, expect, it } from 'vitest';
import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

it('a snapshot says no more of its size than there is on the disk, though its first rows are much larger than most', async () => {
  const store = await LmdbStateStore.open(scratch.fresh());
  for (let at = 0; at < 100; at++) store.put(`a-${at}`, new Uint8Array(10_000), at + 1);
  for (let at = 0; at < 5_000; at++) store.put(`b-${at}`, new Uint8Array(10), 101 + at);
  await checkpointAt(store, 5_100);
  const snapshot = store.openDurableSnapshot();
  expect(snapshot.size.bytes).toBeGreaterThan(1_000_000);
  expect(snapshot.size.bytes).toBeLessThan(2_500_000);
  snapshot.close();
  await store.close();
});
