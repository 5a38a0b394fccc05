import { afterAll, describe, expect, it } from 'vitest';
import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { ChunkPool, StateBatch } from '../../src/storage/state/state-batch.ts';
import { StateWriter } from '../../src/storage/state/state-writer.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

/** Writes 20,000 pairs over `spreadMs`, with `meanwhile` 100 ms after it began: how long that took, milliseconds. */
async function timeOfWrite(spreadMs: number, meanwhile: (writer: StateWriter) => unknown = () => {}): Promise<number> {
  const path = scratch.fresh();
  const store = await LmdbStateStore.open(path);
  await store.close();
  const batch = new StateBatch(new ChunkPool());
  for (let at = 0; at < 20_000; at++) batch.pair(0, `key ${at}`, { value: new Uint8Array(16), revision: at });
  const writer = new StateWriter(path);
  // The thread starts with the first write.
  await writer.write(new StateBatch(new ChunkPool()), 0);
  const beganMs = performance.now();
  const written = writer.write(batch, spreadMs);
  setTimeout(() => void meanwhile(writer), 100);
  await written;
  const tookMs = performance.now() - beganMs;
  await writer.close();
  return tookMs;
}

describe('a write that may take its time', () => {
  it('takes most of it', async () => {
    expect(await timeOfWrite(1_500)).toBeGreaterThan(1_200);
  });

  it('but not once somebody waits for it', async () => {
    expect(await timeOfWrite(10_000, (writer) => writer.hurry())).toBeLessThan(8_000);
  });

  it('nor once another write waits for it, or the end', async () => {
    const another = (writer: StateWriter) => writer.write(new StateBatch(new ChunkPool()), 0);
    expect(await timeOfWrite(10_000, another)).toBeLessThan(8_000);
    expect(await timeOfWrite(10_000, (writer) => writer.close())).toBeLessThan(8_000);
  });
});
