import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fromByteString } from '../../src/base/bytes.ts';
import { firstIndexAfter, type Origin } from '../../src/cluster/origin.ts';
import type { SnapshotRow } from '../../src/kv/state-store.ts';
import { openDataDirectory } from '../../src/storage/directory/data-directory.ts';
import { readDataDirectory } from '../../src/storage/directory/read-directory.ts';
import { seedDataDirectory } from '../../src/storage/directory/seed-directory.ts';
import { verifyDirectory } from '../../src/storage/directory/verify.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { Scratch } from './scratch.ts';

const origin: Origin = {
  kind: 'restored',
  clusterId: 'aaaaaaaaaaaaaaaa',
  index: firstIndexAfter(77),
  fingerprint: '00000000000000b1',
  madeAt: '2026-01-02T03:04:05.678Z',
};
const owner = { nodeId: 1, clusterName: 'default' };
const pages: SnapshotRow[][] = Array.from({ length: 20 }, (_, page) =>
  Array.from({ length: 50 }, (_row, at) => ({
    type: 'pair',
    key: `key-${String(page * 50 + at).padStart(5, '0')}`,
    value: fromByteString('v'.repeat(at)),
    revision: at + 1,
  })),
);

let scratch: Scratch;
let path: string;

beforeEach(() => {
  scratch = new Scratch();
  path = scratch.fresh();
});

afterEach(() => {
  scratch.remove();
});

const seed = (rows: Iterable<SnapshotRow[]> = pages) => seedDataDirectory({ path, ...owner, origin, rows });

describe('a data directory that is made with data', () => {
  it('holds it at the index where the log begins, and says where it is from', async () => {
    await seed();
    for (let opening = 0; opening < 2; opening++) {
      const { logStore, stateStore, close } = await openDataDirectory({ path, ...owner });
      expect(logStore.identity).toMatchObject({ nodeId: 1, clusterId: undefined, origin });
      expect(logStore.configuration).toBeUndefined();
      expect(logStore.sequence).toMatchObject({ trimmedIndex: origin.index, endIndex: origin.index });
      expect(logStore.state.decidedIndex).toBe(origin.index);
      expect(stateStore.durableIndex).toBe(origin.index);
      expect(stateStore.get('key-00999')).toMatchObject({ revision: 50 });
      const found = stateStore.range({ prefix: '', limit: 2000, bytesMax: 1_000_000 });
      expect(found.pairs.map(({ key }) => key)).toEqual(pages.flat().map((row) => row.type === 'pair' && row.key));
      expect([...stateStore.sessions()]).toEqual([]);
      await close();
    }
  });

  it('goes on at such indexes: entries and checkpoints come back', async () => {
    await seed();
    const entry = { type: 'Normal' as const, entry: new Uint8Array([1, 2, 3]) };
    const first = await openDataDirectory({ path, ...owner });
    first.logStore.sequence.append([entry, entry]);
    first.logStore.commit();
    await first.logStore.flush();
    first.stateStore.put('k', new Uint8Array([4]), origin.index + 1);
    await checkpointAt(first.stateStore, origin.index + 1, [{ id: origin.index + 1, bytes: new Uint8Array([5]) }]);
    await first.close();
    expect((await verifyDirectory(path)).problems).toEqual([]);
    const second = await openDataDirectory({ path, ...owner });
    expect(second.logStore.sequence.read(origin.index, origin.index + 2)).toEqual([entry, entry]);
    expect(second.stateStore.get('k')).toEqual({ value: new Uint8Array([4]), revision: origin.index + 1 });
    expect([...second.stateStore.sessions()].map(({ id }) => id)).toEqual([origin.index + 1]);
    await second.close();
  });

  it('is not made where anything is', async () => {
    mkdirSync(path);
    writeFileSync(join(path, 'notes.txt'), 'mine');
    await expect(seed()).rejects.toMatchObject({ name: 'DataDirectoryError', code: 'notEmpty' });
    expect(readFileSync(join(path, 'notes.txt'), 'utf8')).toBe('mine');
    rmSync(join(path, 'notes.txt'));
    await seed();
    await expect(seed(), 'nor over one that is whole').rejects.toMatchObject({ code: 'notEmpty' });
  });

  it('is refused by every node until all is in it, and may then be made again', async () => {
    function* cutOff(): Generator<SnapshotRow[]> {
      yield pages[0] as SnapshotRow[];
      throw new Error('cut off');
    }
    await expect(seed(cutOff())).rejects.toThrow('cut off');
    const refused = {
      name: 'DataDirectoryError',
      code: 'unfinished',
      message: expect.stringContaining('is incomplete (a restore or a recovery was interrupted)'),
    };
    await expect(openDataDirectory({ path, ...owner })).rejects.toMatchObject(refused);
    await expect(readDataDirectory(path)).rejects.toMatchObject(refused);
    await expect(verifyDirectory(path)).rejects.toMatchObject(refused);
    await seed();
    expect(await verifyDirectory(path)).toMatchObject({ isSound: true, keys: 1000 });
    const { stateStore, close } = await openDataDirectory({ path, ...owner });
    expect(stateStore.get('key-00999')).toBeDefined();
    await close();
  });

  it('is refused by every node also where it was cut off before it had its mark', async () => {
    mkdirSync(path);
    writeFileSync(join(path, 'seeding.new'), '');
    await expect(openDataDirectory({ path, ...owner })).rejects.toMatchObject({ code: 'unfinished' });
    await seed();
    expect(await verifyDirectory(path)).toMatchObject({ isSound: true, keys: 1000 });
  });

  it('is refused if it does not say any more where it is from, or not as it was written', async () => {
    await seed();
    const file = join(path, 'origin');
    const text = readFileSync(file, 'utf8');
    writeFileSync(file, text.replace('b1', 'b2'));
    await expect(openDataDirectory({ path, ...owner })).rejects.toMatchObject({ code: 'damaged' });
    expect((await verifyDirectory(path)).problems).toMatchObject([{ file, problem: 'it is not as it was written' }]);
    writeFileSync(file, text.replace('origin 1', 'origin 2'));
    await expect(openDataDirectory({ path, ...owner })).rejects.toMatchObject({ code: 'newerFormat' });
    rmSync(file);
    await expect(openDataDirectory({ path, ...owner })).rejects.toMatchObject({ code: 'damaged' });
    expect((await verifyDirectory(path)).problems).toMatchObject([{ file, problem: 'it is missing' }]);
    writeFileSync(file, text);
    await (await openDataDirectory({ path, ...owner })).close();
  });
});
