import { statSync } from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { afterAll, describe, expect, it } from 'vitest';
import type { RowRange, StateSnapshot } from '../../src/kv/state-store.ts';
import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const rows = 6_000;
const valueBytes = 1_024;

describe('a state installed from packed rows', () => {
  it('fills its pages if they come in order, and is the same if they do not', async () => {
    const source = await LmdbStateStore.open(scratch.fresh());
    for (let at = 0; at < rows; at++) source.put(`key-${at * 7919}`, new Uint8Array(valueBytes).fill(at % 256), at + 1);
    await checkpointAt(source, rows);
    const snapshot = source.openDurableSnapshot();
    const ranges = rangesOf(snapshot);
    const inOrder = await installed(snapshot, ranges);
    const mixed = await installed(snapshot, [...ranges.slice(5), ...ranges.slice(0, 5)].toReversed());
    expect(inOrder.rows).toBe(rows);
    expect(inOrder.digest).toBe(mixed.digest);
    // Three of these rows fit into a page of 4 KiB, and inserted each before the last only two of them stay there.
    expect(inOrder.fileBytes).toBeLessThan((rows / 3) * 4_096 * 1.1);
    snapshot.close();
    await source.close();
  });
});

describe('packed rows that were released', () => {
  it('give their memory to the next ones, and nothing else', async () => {
    const source = await LmdbStateStore.open(scratch.fresh());
    for (let at = 0; at < 200; at++) source.put(`key-${at}`, new Uint8Array(valueBytes).fill(at), at + 1);
    await checkpointAt(source, 200);
    const snapshot = source.openDurableSnapshot();
    const [first, second] = rangesOf(snapshot) as [RowRange, RowRange];
    const read = (range: RowRange) => snapshot.readPacked(range, 128 * 1024).rows;
    const kept = read(first);
    const released = read(first);
    released.release?.();
    const next = read(second);
    expect(next.bytes.buffer).toBe(released.bytes.buffer);
    for (const rows of [kept, next]) expect(crc32(rows.bytes)).toBe(rows.checksum);
    snapshot.close();
    await source.close();
  });
});

function rangesOf(snapshot: StateSnapshot): RowRange[] {
  const { cursors } = snapshot.cuts(undefined, 100, rows);
  return [...cursors, undefined].map((upTo, at) => ({ after: cursors[at - 1], upTo }));
}

async function installed(snapshot: StateSnapshot, ranges: readonly RowRange[]) {
  const path = scratch.fresh();
  const store = await LmdbStateStore.open(path);
  store.beginInstall(rows);
  for (const range of ranges) store.installPacked(snapshot.readPacked(range, 1024 * 1024).rows, range.upTo);
  await store.finishInstall(rows);
  const copy = store.openDurableSnapshot();
  const { rows: read } = copy.read(undefined, 1024 * 1024 * 1024);
  copy.close();
  await store.close();
  const digest = read.reduce((sum, row) => crc32(row.type === 'pair' ? row.value : row.bytes, sum), 0);
  return { rows: read.length, digest, fileBytes: statSync(join(path, 'data.mdb')).size };
}
