import { expect, it } from 'vitest';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import type { SnapshotCursor } from '../../src/kv/state-store.ts';
import { type DecidedLog, Donor } from '../../src/replica/catch-up/donor.ts';
import { defaultReplicaSettings } from '../../src/replica/settings.ts';
import { encodePeerFrames } from '../../src/wire/peer-frame.ts';
import type { Cuts, StateChunk } from '../../src/wire/peer-message.ts';

const log: DecidedLog = { decidedIndex: 500, trimmedIndex: 0, read: () => [] };
const rows = { type: 'StateRequest', index: 0, after: undefined, upTo: undefined } as const;
const logFromThere = { type: 'LogRequest', from: 0, to: 200 } as const;

function isHeld(donor: Donor, nodeId: number): boolean | undefined {
  return donor.hold(nodeId, 0)?.isHeld;
}

it('a snapshot stays for a second newcomer to whom it was offered, also while its requests wait', () => {
  const donor = new Donor(new KvStateMachine(new MemoryStateStore()), defaultReplicaSettings);
  expect([isHeld(donor, 4), isHeld(donor, 5)]).toEqual([true, true]);
  donor.take(4, rows);
  donor.serve(log);
  donor.take(5, { type: 'CutsRequest', index: 0, after: undefined, rowsPerCut: 5 });
  donor.take(5, rows);
  donor.take(4, logFromThere);
  expect(donor.serve(log)?.payload).toMatchObject({ type: 'Cuts', done: true });
  expect(donor.serve(log)?.payload).toMatchObject({ type: 'StateChunk', chunk: { done: true } });
  donor.take(5, logFromThere);
  donor.take(5, rows);
  const chunks: unknown[] = [];
  while (donor.hasWork) {
    const payload = donor.serve(log)?.payload;
    if (payload?.type === 'StateChunk') chunks.push(payload.chunk);
  }
  expect(chunks, 'nobody needs it any more').toEqual([undefined]);
  expect(donor.logHeld).toEqual({ fromIndex: 0, readers: [4, 5] });
});

it('a snapshot that was let go of is made anew where the state is still the same', () => {
  const donor = new Donor(new KvStateMachine(new MemoryStateStore()), defaultReplicaSettings);
  expect(isHeld(donor, 4)).toBe(true);
  donor.take(4, logFromThere);
  expect(isHeld(donor, 5)).toBe(true);
});

it('a snapshot that nobody reads now goes where a write waits for room on the disk: it keeps pages from being used again', () => {
  const donor = new Donor(new KvStateMachine(new MemoryStateStore()), defaultReplicaSettings);
  const pass = (ticks: number) => {
    for (let tick = 0; tick < ticks; tick++) donor.tick({ isServing: false, lateness: 1, appliedBytes: 0 });
  };
  const chunkOf = (nodeId: number) => {
    donor.take(nodeId, rows);
    const payload = donor.serve(log)?.payload as StateChunk;
    return payload.chunk;
  };
  expect(isHeld(donor, 4)).toBe(true);
  pass(defaultReplicaSettings.donorTimeoutTicks - 1);
  expect(chunkOf(4)).toBeDefined();
  pass(defaultReplicaSettings.donorTimeoutTicks - 1);
  donor.makeRoomOnDisk();
  expect(chunkOf(4), 'it was read a moment ago').toBeDefined();
  pass(defaultReplicaSettings.donorTimeoutTicks);
  donor.makeRoomOnDisk();
  expect(donor.logHeld).toBeUndefined();
  expect(chunkOf(4)).toBeUndefined();
});

it('cuts of a snapshot of large rows come in messages that fit into frames', () => {
  const store = new MemoryStateStore();
  for (let at = 0; at < 9_000; at++) store.put(`key-${at}`, new Uint8Array(1), at + 1);
  const donor = new Donor(new KvStateMachine(store), defaultReplicaSettings);
  const index = donor.hold(4, 0)?.index;
  expect(index).toBe(0);
  const counts: number[] = [];
  let after: SnapshotCursor | undefined;
  for (let isDone = false; !isDone; ) {
    // Of rows of 64 KiB and more, each is a piece of its own.
    donor.take(4, { type: 'CutsRequest', index: 0, after, rowsPerCut: 1 });
    const payload = donor.serve(log)?.payload as Cuts;
    expect(() => encodePeerFrames('0123456789abcdef', [{ configurationId: 1, payload }])).not.toThrow();
    counts.push(payload.cursors.length);
    after = payload.cursors.at(-1);
    isDone = payload.done;
  }
  expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(8_999);
});

it('a snapshot that keeps too much of the file from being used again is let go of, and its readers are named', () => {
  const mebibyte = 1024 * 1024;
  const donor = new Donor(new KvStateMachine(new MemoryStateStore()), defaultReplicaSettings);
  const measured = { level: 'ok', logSurplusIndex: 0, logAmpleIndex: 0, isWaiting: false } as const;
  const space = { ...measured, usedBytes: 100 * mebibyte, capacityBytes: 500 * mebibyte };
  expect(isHeld(donor, 4)).toBe(true);
  const lost = [50, 249, 251].map((free) => donor.onSpace({ ...space, stateFreeBytes: free * mebibyte }));
  expect(lost).toEqual([[], [], [4]]);
  donor.take(4, rows);
  expect(donor.serve(log)?.payload).toMatchObject({ type: 'StateChunk', chunk: undefined });
});

it('log that is held for who has the state goes where space is low, once that one asks for no more of it', () => {
  const store = new MemoryStateStore();
  for (let at = 0; at < 10; at++) store.put(`key-${at}`, new Uint8Array(1), at + 1);
  const donor = new Donor(new KvStateMachine(store), defaultReplicaSettings);
  const { donorTimeoutTicks } = defaultReplicaSettings;
  const pass = (ticks: number) => {
    for (let tick = 0; tick < ticks; tick++) donor.tick({ isServing: false, lateness: 1, appliedBytes: 0 });
  };
  donor.hold(4, 0);
  donor.take(4, { type: 'StateRequest', index: 0, after: undefined, upTo: undefined });
  donor.serve(log);
  pass(donorTimeoutTicks);
  donor.letGoOfLog();
  expect(donor.logHeld, 'its snapshot is read still').toBeDefined();
  donor.take(4, { type: 'LogRequest', from: 0, to: 5 });
  pass(donorTimeoutTicks - 1);
  donor.letGoOfLog();
  expect(donor.logHeld, 'it asked for log a moment ago').toBeDefined();
  pass(1);
  donor.letGoOfLog();
  expect(donor.logHeld).toBeUndefined();
});

it('gives to each who catches up more than its own clients bring, however busy it is: else nobody would come to the end of its log', () => {
  const mebibyte = 1024 * 1024;
  const donor = new Donor(new KvStateMachine(new MemoryStateStore()), defaultReplicaSettings);
  const entry = { type: 'Normal' as const, entry: new Uint8Array(100_000) };
  const large: DecidedLog = { decidedIndex: 1e6, trimmedIndex: 0, read: () => [entry, entry, entry] };
  /** Bytes that nodes 4 and 5 get in so many ticks, in each of which this node applies `appliedBytes`. */
  const given = (ticks: number, appliedBytes: number, takers: readonly number[]) => {
    const before = donor.givenBytes;
    for (let tick = 0; tick < ticks; tick++) {
      for (const node of takers) donor.forget(node);
      donor.tick({ isServing: true, lateness: 3, appliedBytes });
      for (let piece = 0; piece < 100; piece++) {
        for (const node of takers) donor.take(node, { type: 'LogRequest', from: 1000 * tick + piece, to: 1e6 });
        donor.serve(large);
      }
    }
    return (donor.givenBytes - before) / ticks;
  };
  expect(given(100, 0, [4])).toBeLessThan(0.1 * mebibyte);
  given(50, mebibyte, [4]);
  expect(given(100, mebibyte, [4])).toBeGreaterThan(1.4 * mebibyte);
  given(50, mebibyte, [4, 5]);
  expect(given(100, mebibyte, [4, 5])).toBeGreaterThan(2.8 * mebibyte);
});

it('reads no more of the log than it gives', () => {
  const donor = new Donor(new KvStateMachine(new MemoryStateStore()), defaultReplicaSettings);
  const wanted: number[] = [];
  const read = (from: number, to: number, bytesMax: number) => {
    wanted.push(from, to, bytesMax);
    return [];
  };
  donor.take(4, { type: 'LogRequest', from: 0, to: 8192 });
  donor.serve({ decidedIndex: 1e6, trimmedIndex: 0, read });
  expect(wanted).toEqual([0, 8192, defaultReplicaSettings.catchUpBytesMax]);
});
