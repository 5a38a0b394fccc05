import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type ByteString, toByteString } from '../../src/base/bytes.ts';
import { crc32 } from '../../src/base/crc32.ts';
import { unpackRows } from '../../src/kv/packed-rows.ts';
import type {
  KvPair,
  KvRange,
  PackedRows,
  RowRange,
  SessionChange,
  SessionRow,
  SnapshotCursor,
  SnapshotRow,
  StateSnapshot,
  StateStore,
} from '../../src/kv/state-store.ts';
import { checkpointAt } from './checkpoint-at.ts';

/** A state store under test, and what can happen to it. */
export interface StateStoreUnderTest {
  readonly store: StateStore;
  /** Closes it in good order and opens it again. */
  reopen(): Promise<StateStore>;
  /** Opens what a crash right now would leave. */
  crash(): Promise<StateStore>;
  /** Closes whatever is open and removes it. */
  dispose(): Promise<void>;
}

export interface StateStoreKind {
  /** A new, empty store. */
  open(): Promise<StateStoreUnderTest>;
}

const everything: KvRange = { prefix: '', limit: 1_000_000, bytesMax: 1_000_000_000 };

/** What every state store owes the state machine. */
export function describeStateStore(name: string, kind: StateStoreKind): void {
  describe(`state store contract: ${name}`, () => {
    let subject: StateStoreUnderTest;
    let store: StateStore;

    beforeEach(async () => {
      subject = await kind.open();
      store = subject.store;
    });

    afterEach(async () => {
      await subject.dispose();
    });

    it('begins empty', () => {
      expect(store.durableIndex).toBe(0);
      expect(store.get('a')).toBeUndefined();
      expect(store.range(everything)).toMatchObject({ pairs: [], more: false });
      expect([...store.sessions()]).toEqual([]);
      expect(store.staged.bytes).toBe(0);
    });

    it('shows what is staged at once, and measures it', () => {
      store.put('a', bytes('one'), 1);
      const before = store.staged.bytes;
      expect(before).toBeGreaterThanOrEqual(4);
      store.put('a', bytes('eleven'), 2);
      expect(store.staged.bytes).toBe(before + 3);
      expect(store.get('a')).toEqual({ value: bytes('eleven'), revision: 2 });
      store.delete('a');
      expect(store.get('a')).toBeUndefined();
    });

    it('gives values of any size, staged and from a checkpoint, each a copy that later reads leave alone', async () => {
      const sizes = [0, 1, 63, 64, 65, 1_023, 1_024, 1_025, 4_096, 32_755, 32_768, 32_775, 70_000, 200_000, 1_048_576];
      const values = new Map(sizes.map((size, at) => [`k${size}`, new Uint8Array(size).map((_, byte) => at + byte)]));
      for (const [key, value] of values) store.put(key, value, 300);
      const check = () => {
        const read = [...values.keys()].map((key) => store.get(key));
        for (const [at, value] of [...values.values()].entries()) {
          expect(Buffer.compare(read[at]?.value ?? bytes('none'), value), `of ${value.length} bytes`).toBe(0);
          expect(read[at]?.revision).toBe(300);
        }
      };
      check();
      await checkpointAt(store, 300);
      check();
      store = await subject.reopen();
      check();
    });

    it('has the last checkpoint after a crash, nothing more and nothing less', async () => {
      store.put('kept', bytes('1'), 1);
      store.put('deleted', bytes('2'), 2);
      store.put('replaced', bytes('3'), 3);
      await checkpointAt(store, 4, [session(5, 'five'), session(6, 'six')]);
      store.delete('deleted');
      store.put('replaced', bytes('33'), 5);
      await checkpointAt(store, 6, [session(5, 'FIVE'), { id: 6, bytes: undefined }, session(7, 'seven')]);
      store.put('lost', bytes('x'), 7);
      store.delete('kept');
      for (const recover of [() => subject.crash(), () => subject.reopen()]) {
        store = await recover();
        expect(store.durableIndex).toBe(6);
        expect(store.staged.bytes).toBe(0);
        expect(store.range(everything).pairs).toEqual([pair('kept', '1', 1), pair('replaced', '33', 5)]);
        expect([...store.sessions()]).toEqual([row(5, 'FIVE'), row(7, 'seven')]);
      }
    });

    it('keeps what is staged during a checkpoint for the next', async () => {
      store.put('a', bytes('1'), 1);
      const checkpoint = checkpointAt(store, 1);
      store.put('a', bytes('2'), 2);
      store.put('b', bytes('3'), 3);
      expect(store.get('a')).toEqual({ value: bytes('2'), revision: 2 });
      await checkpoint;
      expect(store.get('a')).toEqual({ value: bytes('2'), revision: 2 });
      expect(store.staged.bytes).toBeGreaterThan(0);
      store = await subject.crash();
      expect(store.durableIndex).toBe(1);
      expect(store.range(everything).pairs).toEqual([pair('a', '1', 1)]);
    });

    it('hides a pair that is deleted while it is being checkpointed', async () => {
      store.put('a', bytes('1'), 1);
      store.put('b', bytes('2'), 2);
      const checkpoint = checkpointAt(store, 2);
      store.delete('a');
      expect(store.get('a')).toBeUndefined();
      expect(store.range(everything).pairs).toEqual([pair('b', '2', 2)]);
      await checkpoint;
      expect(store.range(everything).pairs).toEqual([pair('b', '2', 2)]);
    });

    it('makes sealed layers durable one by one, the oldest first, each with its index and sessions', async () => {
      store.put('a', bytes('1'), 1);
      store.put('b', bytes('1'), 1);
      store.seal(2, [session(5, 'five')]);
      store.put('a', bytes('2'), 3);
      store.seal(4, [session(5, 'FIVE'), session(6, 'six')]);
      store.delete('b');
      store.put('c', bytes('3'), 6);
      store.seal(7, [{ id: 6, bytes: undefined }]);
      store.put('c', bytes('4'), 8);
      expect(store.staged.sealedLayers).toBe(3);
      expect(store.staged.sealedMemoryBytes).toBeGreaterThan(4);
      expect(store.durableIndex).toBe(0);
      const all = [pair('a', '2', 3), pair('c', '4', 8)];
      expect(store.range(everything).pairs).toEqual(all);
      const first = store.checkpoint();
      expect(store.get('b')).toBeUndefined();
      await first;
      expect(store.durableIndex).toBe(2);
      expect([...store.sessions()]).toEqual([row(5, 'five')]);
      await store.checkpoint();
      expect(store.durableIndex).toBe(4);
      expect(store.range(everything).pairs).toEqual(all);
      expect(store.get('a')).toEqual({ value: bytes('2'), revision: 3 });
      const snapshot = store.openSnapshotAt(9, [session(7, 'seven')]);
      expect(readAll(snapshot, undefined, 1000)).toEqual([
        ...all.map((each) => ({ type: 'pair', ...each })),
        { type: 'session', ...row(5, 'FIVE') },
        { type: 'session', ...row(7, 'seven') },
      ]);
      snapshot.close();
      expect(store.staged.sealedLayers).toBe(1);
      store = await subject.crash();
      expect(store.durableIndex).toBe(4);
      expect(store.staged.sealedLayers).toBe(0);
      expect(store.range(everything).pairs).toEqual([pair('a', '2', 3), pair('b', '1', 1)]);
      expect([...store.sessions()]).toEqual([row(5, 'FIVE'), row(6, 'six')]);
    });

    it('forgets sealed layers where another state is installed', async () => {
      store.put('old', bytes('1'), 1);
      store.seal(2, [session(1, 'old')]);
      store.beginInstall();
      store.installRows([{ type: 'pair', ...pair('new', '2', 5) }]);
      await store.finishInstall(6);
      expect(store.staged.sealedLayers).toBe(0);
      expect(store.durableIndex).toBe(6);
      expect(store.range(everything).pairs).toEqual([pair('new', '2', 5)]);
      store.put('next', bytes('3'), 7);
      await checkpointAt(store, 8);
      store = await subject.crash();
      expect(store.range(everything).pairs).toEqual([pair('new', '2', 5), pair('next', '3', 7)]);
    });

    it('tells of the deletions that a listing has gone through', async () => {
      for (const key of ['a', 'b', 'c', 'd']) store.put(key, bytes('1'), 1);
      await checkpointAt(store, 2);
      for (const key of ['a', 'b', 'd']) store.delete(key);
      expect(store.range(everything)).toEqual({ pairs: [pair('c', '1', 1)], more: false, skipped: 3 });
      expect(store.range({ ...everything, prefix: 'c' }).skipped).toBe(0);
      await checkpointAt(store, 3);
      expect(store.range(everything)).toEqual({ pairs: [pair('c', '1', 1)], more: false, skipped: 0 });
    });

    it('lists in byte order: prefix, start, limits', async () => {
      const keys = ['a', 'a\0', 'a\0\0', 'aa', 'b', '\x7f', '\x80', '\xff', '\xff\xff', '\0'];
      for (const [at, key] of keys.entries()) {
        store.put(key, bytes(key), at);
        if (at === 4) await checkpointAt(store, at);
      }
      const sorted = keys.toSorted((a, b) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1')));
      expect(listed(store, {})).toEqual(sorted);
      expect(listed(store, { prefix: 'a' })).toEqual(['a', 'a\0', 'a\0\0', 'aa']);
      expect(listed(store, { prefix: '\xff' })).toEqual(['\xff', '\xff\xff']);
      expect(listed(store, { prefix: 'a', after: 'a' })).toEqual(['a\0', 'a\0\0', 'aa']);
      expect(listed(store, { prefix: 'a', after: 'A' })).toEqual(['a', 'a\0', 'a\0\0', 'aa']);
      expect(listed(store, { prefix: 'a', after: 'b' })).toEqual([]);
      expect(listed(store, { after: '\x7f' })).toEqual(['\x80', '\xff', '\xff\xff']);
      expect(listed(store, { limit: 3 })).toEqual(sorted.slice(0, 3));
      expect(store.range({ ...everything, limit: keys.length }).more).toBe(false);
      expect(store.range({ ...everything, limit: keys.length - 1 }).more).toBe(true);
      expect(store.range({ ...everything, prefix: 'a', limit: 4 }).more).toBe(false);
    });

    it('ends a listing at a limit of bytes, after one pair at least', async () => {
      for (const key of ['a', 'b', 'c']) store.put(key, new Uint8Array(1000), 1);
      await checkpointAt(store, 1);
      expect(store.range({ ...everything, bytesMax: 10 })).toMatchObject({ pairs: [{ key: 'a' }], more: true });
      expect(store.range({ ...everything, bytesMax: 2100 }).pairs).toHaveLength(2);
      expect(store.range({ ...everything, bytesMax: 5000 })).toMatchObject({ more: false });
    });

    it('keeps empty values, large values and the longest keys', async () => {
      const long = '\xff'.repeat(1024);
      store.put('empty', new Uint8Array(0), 1);
      store.put(long, new Uint8Array(1024 * 1024).fill(3), Number.MAX_SAFE_INTEGER);
      store.put(long.slice(1), new Uint8Array(40_000).fill(4), 3);
      await checkpointAt(store, 3);
      store = await subject.reopen();
      expect(store.get('empty')).toEqual({ value: new Uint8Array(0), revision: 1 });
      expect(store.get(long)?.revision).toBe(Number.MAX_SAFE_INTEGER);
      expect(Buffer.compare(store.get(long)?.value ?? bytes(''), new Uint8Array(1024 * 1024).fill(3))).toBe(0);
      expect(Buffer.compare(store.get(long.slice(1))?.value ?? bytes(''), new Uint8Array(40_000).fill(4))).toBe(0);
      expect(listed(store, { prefix: '\xff', after: long.slice(1) })).toEqual([long]);
    });

    it('gives values that no later call changes', async () => {
      for (const key of ['a', 'b', 'c']) store.put(key, bytes(`value of ${key}`), 1);
      await checkpointAt(store, 1);
      const a = store.get('a')?.value;
      const all = store.range(everything).pairs;
      store.get('b');
      store.put('a', bytes('other value'), 2);
      await checkpointAt(store, 2);
      store.get('c');
      expect(a).toEqual(bytes('value of a'));
      expect(all.map((each) => each.value)).toEqual([bytes('value of a'), bytes('value of b'), bytes('value of c')]);
    });

    it('reads a snapshot as it was, in chunks, whatever is written meanwhile', async () => {
      for (let at = 0; at < 50; at++) store.put(`key ${100 + at}`, bytes(`value ${at}`), at);
      await checkpointAt(store, 50, [session(300, 'a'), session(2, 'b'), session(10_000_000_000, 'c')]);
      const snapshot = store.openDurableSnapshot();
      const first = snapshot.read(undefined, 300);
      for (let at = 0; at < 50; at += 2) store.delete(`key ${100 + at}`);
      store.put('key 1000', bytes('later'), 51);
      await checkpointAt(store, 51, [session(3, 'later'), { id: 2, bytes: undefined }]);
      expect(first.done).toBe(false);
      const rows = [...first.rows, ...readAll(snapshot, cursorOf(first.rows), 300)];
      expect(snapshot.index).toBe(50);
      snapshot.close();
      expect(rows).toHaveLength(53);
      expect(rows[0]).toEqual({ type: 'pair', key: 'key 100', value: bytes('value 0'), revision: 0 });
      expect(rows.slice(50)).toEqual([
        { type: 'session', ...row(2, 'b') },
        { type: 'session', ...row(300, 'a') },
        { type: 'session', ...row(10_000_000_000, 'c') },
      ]);
      expect(store.range(everything).pairs).toHaveLength(26);
    });

    it('cuts chunks alike, wherever the reading began', async () => {
      for (let at = 0; at < 30; at++) store.put(`key ${100 + at}`, new Uint8Array(at * 10), at);
      await checkpointAt(store, 30, [session(1, 'a')]);
      const snapshot = store.openDurableSnapshot();
      const first = snapshot.read(undefined, 500);
      const again = snapshot.read(undefined, 500);
      expect(again).toEqual(first);
      expect(readAll(snapshot, undefined, 1)).toEqual(readAll(snapshot, undefined, 1_000_000));
      snapshot.close();
    });

    it('gives an empty snapshot of an empty state', () => {
      const snapshot = store.openDurableSnapshot();
      expect(snapshot.read(undefined, 1000)).toEqual({ rows: [], done: true });
      expect(snapshot.index).toBe(0);
      snapshot.close();
    });

    it('replaces the whole state by an installed one, and merges nothing', async () => {
      store.put('old', bytes('1'), 1);
      store.put('both', bytes('2'), 2);
      await checkpointAt(store, 2, [session(1, 'old'), session(2, 'both')]);
      store.put('staged', bytes('3'), 3);
      store.delete('both');
      store.beginInstall();
      store.installRows([{ type: 'pair', key: 'wrong', value: bytes('x'), revision: 1 }]);
      store.beginInstall();
      store.installRows([{ type: 'pair', key: 'both', value: bytes('new'), revision: 70 }]);
      store.installRows([
        { type: 'pair', key: 'new', value: bytes('new'), revision: 71 },
        { type: 'session', ...row(2, 'new') },
      ]);
      expect(store.get('old')).toEqual({ value: bytes('1'), revision: 1 });
      await store.finishInstall(90);
      for (let round = 0; round < 3; round++) {
        expect(store.durableIndex).toBe(90);
        expect(store.range(everything).pairs).toEqual([pair('both', 'new', 70), pair('new', 'new', 71)]);
        expect([...store.sessions()]).toEqual([row(2, 'new')]);
        expect(store.staged.bytes).toBe(0);
        store = await (round === 0 ? subject.crash() : subject.reopen());
      }
    });

    it('goes on after an install: stages, checkpoints, installs again', async () => {
      for (let round = 1; round <= 3; round++) {
        store.beginInstall();
        store.installRows([{ type: 'pair', key: `installed ${round}`, value: bytes('1'), revision: round }]);
        await store.finishInstall(round * 10);
        store.put(`staged ${round}`, bytes('2'), round * 10 + 1);
        await checkpointAt(store, round * 10 + 1, [session(round, 's')]);
        store = await subject.crash();
        expect(listed(store, {})).toEqual([`installed ${round}`, `staged ${round}`]);
        expect([...store.sessions()]).toEqual([row(round, 's')]);
      }
    });

    it('keeps the state it had if a crash cuts an install short', async () => {
      store.put('old', bytes('1'), 1);
      await checkpointAt(store, 2, [session(1, 'old')]);
      store.beginInstall();
      store.installRows([{ type: 'pair', key: 'half', value: bytes('x'), revision: 1 }]);
      await checkpointAt(store, 3);
      store = await subject.crash();
      expect(store.durableIndex).toBe(3);
      expect(store.range(everything).pairs).toEqual([pair('old', '1', 1)]);
      store.beginInstall();
      store.installRows([{ type: 'pair', key: 'whole', value: bytes('y'), revision: 5 }]);
      await store.finishInstall(9);
      expect(store.range(everything).pairs).toEqual([pair('whole', 'y', 5)]);
    });

    it('reads a snapshot of a state that was replaced meanwhile', async () => {
      store.put('old', bytes('1'), 1);
      await checkpointAt(store, 1);
      const snapshot = store.openDurableSnapshot();
      store.beginInstall();
      store.installRows([{ type: 'pair', key: 'new', value: bytes('2'), revision: 2 }]);
      await store.finishInstall(2);
      await checkpointAt(store, 3);
      expect(readAll(snapshot, undefined, 1000)).toEqual([{ type: 'pair', ...pair('old', '1', 1) }]);
      snapshot.close();
    });

    it('gives a snapshot of what is staged, whatever is written meanwhile', async () => {
      for (let at = 0; at < 20; at++) store.put(`key ${100 + at}`, bytes(`old ${at}`), at);
      await checkpointAt(store, 20, [session(1, 'a'), session(2, 'b'), session(3, 'c')]);
      store.put('key 100', bytes('frozen'), 20);
      store.delete('key 101');
      store.put('key 1015', bytes('frozen'), 22);
      const checkpoint = checkpointAt(store, 23, [session(2, 'B')]);
      store.put('key 1015', bytes('staged'), 23);
      store.delete('key 102');
      store.put('later than all', bytes('staged'), 25);
      const snapshot = store.openSnapshotAt(26, [{ id: 1, bytes: undefined }, session(4, 'd')]);
      store.put('key 100', bytes('too late'), 26);
      await checkpoint;
      await checkpointAt(store, 27, [session(4, 'too late')]);
      expect(snapshot.index).toBe(26);
      const expected: SnapshotRow[] = [
        { type: 'pair', ...pair('key 100', 'frozen', 20) },
        { type: 'pair', ...pair('key 1015', 'staged', 23) },
        ...Array.from({ length: 17 }, (_, at) => ({
          type: 'pair' as const,
          ...pair(`key ${103 + at}`, `old ${at + 3}`, at + 3),
        })),
        { type: 'pair', ...pair('later than all', 'staged', 25) },
        { type: 'session', ...row(2, 'B') },
        { type: 'session', ...row(3, 'c') },
        { type: 'session', ...row(4, 'd') },
      ];
      expect(readAll(snapshot, undefined, 100)).toEqual(expected);
      expect(snapshot.size.rows).toBeGreaterThanOrEqual(20);
      expect(snapshot.size.bytes).toBeGreaterThan(100);
      snapshot.close();
    });

    it('keeps what a snapshot reads, however much is written and made durable after it was opened', async () => {
      const fill = (letter: string, revision: number) => {
        for (let at = 0; at < 40; at++) store.put(`key ${at}`, bytes(letter.repeat(20_000)), revision);
      };
      fill('a', 1);
      const snapshot = store.openSnapshotAt(40, []);
      for (const [round, letter] of ['b', 'c', 'd', 'e'].entries()) {
        fill(letter, 50 + 50 * round);
        await checkpointAt(store, 90 + 50 * round);
      }
      const rows = readAll(snapshot, undefined, 100_000);
      expect(rows.length).toBe(40);
      for (const row of rows) expect(row).toMatchObject({ revision: 1, value: bytes('a'.repeat(20_000)) });
      snapshot.close();
      expect(store.get('key 7')).toEqual({ value: bytes('e'.repeat(20_000)), revision: 200 });
    });

    it('cuts a snapshot into ranges that together are all of it, and installs them in any order', async () => {
      await fillForSnapshot(store);
      const snapshot = store.openSnapshotAt(60, [session(7, 'changed'), session(90, 'new')]);
      const expected = readAll(snapshot, undefined, 1000);
      const ranges = rangesOf(snapshot, 4, 10);
      expect(ranges.length, 'about a range for every four rows').toBeGreaterThan(expected.length / 8);
      const target = await kind.open();
      try {
        target.store.beginInstall(60);
        for (const range of ranges.toReversed()) installRange(target.store, snapshot, range, 30);
        await target.store.finishInstall(60);
        const copy = target.store.openDurableSnapshot();
        expect(readAll(copy, undefined, 1000)).toEqual(expected);
        copy.close();
      } finally {
        await target.dispose();
      }
      snapshot.close();
    });

    it('cuts what is only staged, too', () => {
      for (let at = 0; at < 200; at++) store.put(`key ${1000 + at}`, bytes('value'), at);
      const snapshot = store.openSnapshotAt(200, []);
      expect(rangesOf(snapshot, 4, 10).length).toBeGreaterThan(200 / 8);
      snapshot.close();
    });

    it('cuts what is staged behind, before and between all that is stored, into ranges no larger than the others', async () => {
      const putAll = (from: string, count: number) => {
        for (let at = 0; at < count; at++) store.put(`${from} ${1000 + at}`, bytes('value'), at);
      };
      for (const from of ['b', 'd']) putAll(from, 60);
      await checkpointAt(store, 120, [session(1, 'a')]);
      for (const from of ['a', 'b', 'c', 'e']) putAll(from, 50);
      const snapshot = store.openSnapshotAt(500, []);
      const rows = readAll(snapshot, undefined, 1_000_000);
      expect(rows).toHaveLength(271);
      const ends = rangesOf(snapshot, 4, 40).map(({ upTo }) => {
        return upTo?.type === 'pair'
          ? rows.findIndex((one) => one.type === 'pair' && one.key === upTo.key)
          : rows.length;
      });
      const sizes = ends.map((end, at) => end - (ends[at - 1] ?? -1));
      expect(Math.max(...sizes)).toBeLessThanOrEqual(8);
      snapshot.close();
    });

    it('goes on with an install after a crash, from the end of what came without a gap', async () => {
      await fillForSnapshot(store);
      const snapshot = store.openSnapshotAt(60, []);
      const expected = readAll(snapshot, undefined, 1000);
      const [first, second, third, ...others] = rangesOf(snapshot, 10, 10) as [RowRange, RowRange, RowRange];
      const target = await kind.open();
      try {
        let newcomer = target.store;
        expect(newcomer.installProgress).toBeUndefined();
        newcomer.beginInstall(60);
        expect(newcomer.installProgress).toEqual({ index: 60, frontier: undefined });
        expect(newcomer.installPacked(snapshot.readPacked(third, 10_000).rows, undefined)).toBe(true);
        expect(newcomer.installPacked(snapshot.readPacked(first, 10_000).rows, first.upTo)).toBe(true);
        await vi.waitFor(() => expect(newcomer.installBacklogBytes).toBe(0));
        await checkpointAt(newcomer, 1);
        for (const recover of [() => target.crash(), () => target.reopen()]) {
          newcomer = await recover();
          expect(newcomer.installProgress).toEqual({ index: 60, frontier: first.upTo });
        }
        newcomer.resumeInstall();
        for (const range of [second, ...others]) installRange(newcomer, snapshot, range, 10_000);
        await newcomer.finishInstall(60);
        for (let round = 0; round < 2; round++) {
          const copy = newcomer.openDurableSnapshot();
          expect(readAll(copy, undefined, 1000)).toEqual(expected);
          copy.close();
          expect(newcomer.installProgress).toBeUndefined();
          newcomer = await target.crash();
        }
      } finally {
        await target.dispose();
      }
      snapshot.close();
    });

    it('forgets the progress of an install when another begins', async () => {
      store.beginInstall(9);
      store.installPacked(packed(store), undefined);
      store.beginInstall(12);
      expect(store.installProgress).toEqual({ index: 12, frontier: undefined });
      store.beginInstall();
      expect(store.installProgress).toBeUndefined();
      await store.finishInstall(12);
      expect(store.installProgress).toBeUndefined();
    });

    it('refuses rows with any bit changed, and installs nothing of them', async () => {
      await fillForSnapshot(store);
      const snapshot = store.openSnapshotAt(60, [session(7, 'changed')]);
      const { rows } = snapshot.readPacked({ after: undefined, upTo: undefined }, 1_000_000);
      snapshot.close();
      const recordBytes = positionsInRecords(rows);
      expect(recordBytes.size).toBeGreaterThan(rows.bytes.length / 2);
      store.beginInstall(60);
      for (let at = 0; at < rows.bytes.length; at++) {
        const damaged = Uint8Array.from(rows.bytes);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << (at % 8));
        expect(store.installPacked({ ...rows, bytes: damaged }, undefined), `byte ${at}`).toBe(false);
        // A donor whose disk is damaged gives a checksum that fits what it read: then that of a row must not fit.
        const ofDamaged = { bytes: damaged, checksum: crc32(damaged) };
        if (recordBytes.has(at))
          expect(store.installPacked(ofDamaged, undefined), `byte ${at} of a record`).toBe(false);
      }
      await store.finishInstall(60);
      expect(store.range(everything).pairs).toEqual([]);
      expect([...store.sessions()]).toEqual([]);
    });

    it('agrees with a plain map, whatever is done to it', async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(stepArbitrary, { minLength: 1, maxLength: 60 }), async (steps) => {
          const run = await kind.open();
          try {
            await replay(run, steps);
          } finally {
            await run.dispose();
          }
        }),
        { numRuns: 60 },
      );
    });
  });
}

/** Pairs and sessions on the disk, in a checkpoint and staged. */
async function fillForSnapshot(store: StateStore): Promise<void> {
  for (let at = 0; at < 30; at++) store.put(`key ${100 + at}`, bytes(`value ${at}`), at);
  await checkpointAt(store, 30, [session(7, 'old'), session(8, 'b'), session(10_000_000_000, 'c')]);
  for (let at = 0; at < 30; at += 3) store.delete(`key ${100 + at}`);
  for (let at = 30; at < 60; at += 2) store.put(`key ${100 + at}\xff`, bytes(`value ${at}`), at);
}

/** All ranges that a snapshot is cut into. */
function rangesOf(snapshot: StateSnapshot, rowsPerCut: number, rowsMax: number): RowRange[] {
  const ranges: RowRange[] = [];
  for (let after: SnapshotCursor | undefined, done = false; !done; ) {
    const cuts = snapshot.cuts(after, rowsPerCut, rowsMax);
    for (const upTo of cuts.cursors) {
      ranges.push({ after, upTo });
      after = upTo;
    }
    expect(cuts.done || cuts.cursors.length > 0).toBe(true);
    ({ done } = cuts);
    if (done) ranges.push({ after, upTo: undefined });
  }
  return ranges;
}

/** In chunks of about `bytesMax`. */
function installRange(store: StateStore, snapshot: StateSnapshot, range: RowRange, bytesMax: number): void {
  for (let after = range.after, done = false; !done; ) {
    const chunk = snapshot.readPacked({ after, upTo: range.upTo }, bytesMax);
    expect(chunk.done || chunk.last !== undefined).toBe(true);
    expect(store.installPacked(chunk.rows, undefined)).toBe(true);
    after = chunk.last;
    ({ done } = chunk);
  }
}

/** All rows of a store. */
function packed(store: StateStore): PackedRows {
  const snapshot = store.openDurableSnapshot();
  const { rows } = snapshot.readPacked({ after: undefined, upTo: undefined }, 1_000_000);
  snapshot.close();
  return rows;
}

/** Where the bytes of records are in packed rows. */
function positionsInRecords(rows: PackedRows): Set<number> {
  const records = unpackRows(rows, crc32, ({ record }) => record) ?? [];
  return new Set(
    records.flatMap((record) => [...record.keys()].map((at) => record.byteOffset - rows.bytes.byteOffset + at)),
  );
}

type Step =
  | { readonly type: 'put' | 'delete'; readonly key: ByteString; readonly length: number }
  | { readonly type: 'range'; readonly range: KvRange }
  | { readonly type: 'seal' }
  | { readonly type: 'checkpoint'; readonly isAwaited: boolean }
  | { readonly type: 'crash' | 'reopen' };

const keyArbitrary = fc
  .uint8Array({ minLength: 1, maxLength: 4 })
  .map((key) => toByteString(key.map((byte) => [0, 1, 97, 127, 128, 255][byte % 6] ?? 0)));

const rangeArbitrary: fc.Arbitrary<KvRange> = fc.record({
  prefix: fc.oneof(fc.constant(''), keyArbitrary),
  after: fc.option(keyArbitrary, { nil: undefined }),
  limit: fc.integer({ min: 1, max: 12 }),
  bytesMax: fc.integer({ min: 0, max: 300 }),
});

const stepArbitrary: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ type: fc.constant('put' as const), key: keyArbitrary, length: fc.nat(60) }) },
  { weight: 4, arbitrary: fc.record({ type: fc.constant('delete' as const), key: keyArbitrary, length: fc.nat(60) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('range' as const), range: rangeArbitrary }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('seal' as const) }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('checkpoint' as const), isAwaited: fc.boolean() }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constantFrom('crash' as const, 'reopen' as const) }) },
);

type Twin = Map<ByteString, { value: Uint8Array; revision: number }>;

/** Runs `steps` on the store and on a map; the map is copied at each seal to know what a crash leaves. */
async function replay(run: StateStoreUnderTest, steps: readonly Step[]): Promise<void> {
  let store = run.store;
  let twin: Twin = new Map();
  let durable: Twin = new Map();
  let sealed: Twin[] = [];
  let checkpoint: Promise<void> = Promise.resolve();
  for (const [revision, step] of steps.entries()) {
    switch (step.type) {
      case 'put': {
        const value = new Uint8Array(step.length).fill(revision);
        store.put(step.key, value, revision);
        twin.set(step.key, { value, revision });
        break;
      }
      case 'delete':
        store.delete(step.key);
        twin.delete(step.key);
        break;
      case 'range':
        expect(store.range(step.range)).toMatchObject(rangeOf(twin, step.range));
        break;
      case 'seal':
        store.seal(revision, []);
        sealed.push(new Map(twin));
        break;
      case 'checkpoint': {
        await checkpoint;
        const oldest = sealed.shift();
        if (oldest === undefined) break;
        checkpoint = store.checkpoint();
        durable = oldest;
        if (step.isAwaited) await checkpoint;
        break;
      }
      case 'crash':
      case 'reopen':
        await checkpoint;
        store = await (step.type === 'crash' ? run.crash() : run.reopen());
        twin = new Map(durable);
        sealed = [];
        break;
    }
    if (step.type === 'put' || step.type === 'delete') expect(store.get(step.key)).toEqual(twin.get(step.key));
  }
  expect(store.range(everything)).toMatchObject(rangeOf(twin, everything));
  await checkpoint;
  expect(store.range(everything)).toMatchObject(rangeOf(twin, everything));
}

/** A listing as slow and plain as can be. */
function rangeOf(twin: Twin, range: KvRange): { pairs: KvPair[]; more: boolean } {
  const order = (a: string, b: string) => Buffer.compare(Buffer.from(a, 'latin1'), Buffer.from(b, 'latin1'));
  const keys = [...twin.keys()]
    .filter((key) => key.startsWith(range.prefix) && (range.after === undefined || order(key, range.after) > 0))
    .sort(order);
  const pairs: KvPair[] = [];
  let total = 0;
  for (const key of keys) {
    const record = twin.get(key) as { value: Uint8Array; revision: number };
    total += key.length + record.value.length;
    if (pairs.length === range.limit || (pairs.length > 0 && total > range.bytesMax)) return { pairs, more: true };
    pairs.push({ key, ...record });
  }
  return { pairs, more: false };
}

function readAll(snapshot: StateSnapshot, after: SnapshotCursor | undefined, bytesMax: number): SnapshotRow[] {
  const rows: SnapshotRow[] = [];
  for (let cursor = after, done = false; !done; cursor = cursorOf(rows)) {
    const chunk = snapshot.read(cursor, bytesMax);
    expect(chunk.done || chunk.rows.length > 0).toBe(true);
    rows.push(...chunk.rows);
    done = chunk.done;
  }
  return rows;
}

function cursorOf(rows: readonly SnapshotRow[]): SnapshotCursor | undefined {
  const last = rows.at(-1);
  if (last === undefined) return undefined;
  return last.type === 'pair' ? { type: 'pair', key: last.key } : { type: 'session', id: last.id };
}

function listed(store: StateStore, range: Partial<KvRange>): ByteString[] {
  return store.range({ ...everything, ...range }).pairs.map((each) => each.key);
}

function pair(key: ByteString, value: string, revision: number): KvPair {
  return { key, value: bytes(value), revision };
}

function session(id: number, text: string): SessionChange {
  return { id, bytes: bytes(text) };
}

function row(id: number, text: string): SessionRow {
  return { id, bytes: bytes(text) };
}

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
