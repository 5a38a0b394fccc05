import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FileLogStore } from '../../src/storage/log/file-log-store.ts';
import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';

import { Scratch } from './scratch.ts';

const owner = { nodeId: 1, storageId: '0123456789abcdef' };
const marker = 'a text that is nowhere else in the file';

let scratch: Scratch;
let path: string;

beforeEach(() => {
  scratch = new Scratch();
  path = scratch.fresh();
});

afterEach(() => {
  scratch.remove();
});

const segmentFile = () => join(path, '00000000000000000001.wal');
const stateFile = () => join(path, 'data.mdb');

/** Flips one bit, `offset` bytes from each place where `text` is in `file`. */
function flipBit(file: string, text: string, offset: number): void {
  const data = readFileSync(file);
  let count = 0;
  for (let at = data.indexOf(text); at >= 0; at = data.indexOf(text, at + text.length)) {
    data.writeUInt8(data.readUInt8(at + offset) ^ 0x10, at + offset);
    count++;
  }
  expect(count).toBeGreaterThan(0);
  writeFileSync(file, data);
}

describe('a bit that changed on disk', () => {
  // The length before the entry, its first and last byte, its checksum behind.
  it.each([-1, 0, marker.length - 1, marker.length, marker.length + 3])(
    'is noticed in the log, %i bytes from the start of an entry',
    async (offset) => {
      const store = await FileLogStore.open({ path, ...owner });
      store.sequence.append([
        { type: 'Normal', entry: Buffer.from('first') },
        { type: 'Normal', entry: Buffer.from(marker) },
        { type: 'Normal', entry: Buffer.from('third') },
      ]);
      store.commit();
      await store.flush();
      await store.close();
      flipBit(segmentFile(), marker, offset);
      const opening = FileLogStore.open({ path, ...owner });
      await expect(opening).rejects.toMatchObject({
        name: 'DamagedError',
        message: expect.stringContaining(`${segmentFile()} is damaged at log entry 1`),
      });
    },
  );

  it('is noticed when an entry that is not in memory is read', async () => {
    const tail = { entriesMax: 1, bytesMax: 1 };
    const store = await FileLogStore.open({ path, ...owner, tail });
    for (const text of [marker, 'second', 'third']) {
      store.sequence.append([{ type: 'Normal', entry: Buffer.from(text) }]);
      store.state.decidedIndex = store.sequence.endIndex;
      store.commit();
      await store.flush();
    }
    flipBit(segmentFile(), marker, 3);
    expect(() => store.sequence.read(0, 3)).toThrow(`${segmentFile()} is damaged at log entry 0`);
    expect(store.sequence.read(1, 3)).toHaveLength(2);
    await store.close();
    await expect(FileLogStore.open({ path, ...owner })).rejects.toThrow(`${segmentFile()} is damaged at log entry 0`);
  });

  it('is noticed in what the flush wrote beside the log', async () => {
    const store = await FileLogStore.open({ path, ...owner });
    store.bindCluster(marker);
    store.commit();
    await store.flush();
    await store.close();
    flipBit(segmentFile(), marker, 5);
    await expect(FileLogStore.open({ path, ...owner })).rejects.toThrow(
      `${segmentFile()} is damaged at a record (offset`,
    );
  });

  // The revision before the value, its first and last byte.
  it.each([-1, 0, marker.length - 1])('is noticed in the state, %i bytes from the start of a value', async (offset) => {
    const store = await LmdbStateStore.open(path);
    store.put('a key', Buffer.from(marker), 5);
    store.put('another', Buffer.from('fine'), 6);
    await checkpointAt(store, 6, [{ id: 9, bytes: Buffer.from(`session ${marker}`) }]);
    await store.close();
    flipBit(stateFile(), marker, offset);
    const again = await LmdbStateStore.open(path);
    const problem = `${path}/data.mdb is damaged at key "a key": the checksum does not fit`;
    expect(() => again.get('a key')).toThrow(problem);
    expect(() => again.range({ prefix: '', limit: 10, bytesMax: 1000 })).toThrow(problem);
    expect(() => [...again.sessions()]).toThrow(`${path}/data.mdb is damaged at session 9`);
    expect(again.get('another')?.revision).toBe(6);
    await again.close();
  });

  it('is noticed in the key of a pair', async () => {
    const store = await LmdbStateStore.open(path);
    store.put(marker, Buffer.from('value'), 5);
    await checkpointAt(store, 6);
    await store.close();
    flipBit(stateFile(), marker, 0);
    const again = await LmdbStateStore.open(path);
    expect(() => again.range({ prefix: '', limit: 10, bytesMax: 1000 })).toThrow('the checksum does not fit');
    await again.close();
  });
});
