import { crc32 } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { CatchUp } from '../../src/replica/catch-up/catch-up.ts';
import { defaultReplicaSettings as settings } from '../../src/replica/settings.ts';
import type { StateRoom } from '../../src/replica/state/space.ts';

const donor = 2;
const gigabyte = 1e9;
const stateBytes = 1_000_000;
const ample: StateRoom = { roomBytes: 100 * gigabyte, isOver: false };
const none: StateRoom = { roomBytes: 0, isOver: true };
const pauseTicks = 2 * settings.snapshotIdleTicks;

/** What it is given is written when the test says so. */
class SlowStore extends MemoryStateStore {
  override installBacklogBytes = 0;
  override installLacksRoom = false;
}

/** One that catches up, and its donor, that has one row of a state. */
class Taker {
  readonly store = new SlowStore();
  readonly #sink = { decidedIndex: 0, installDecided: () => {}, installState: () => {} };
  readonly catchUp = new CatchUp(this.#sink as never, this.store, settings, 10);
  asked: string[] = [];
  givesRows = false;

  tick(room: StateRoom, ticks = 1): void {
    for (let count = 0; count < ticks; count++) {
      this.catchUp.tick();
      for (const { payload } of this.catchUp.requests([donor], room)) this.#answer(payload);
    }
  }

  #answer(payload: { readonly type: string; readonly index?: number }): void {
    this.asked.push(payload.type);
    const { index = 0 } = payload;
    const at = { decidedIndex: 100, appliedIndex: 100, trimmedIndex: 90 };
    if (payload.type === 'DonorQuery')
      this.catchUp.onStanding(donor, { type: 'DonorStanding', ...at, isLeader: false });
    if (payload.type === 'SnapshotRequest') {
      const size = { rows: 1000, bytes: stateBytes };
      this.catchUp.onSnapshotOffer(donor, { type: 'SnapshotOffer', index, isHeld: true, appliedIndex: 100, ...size });
    }
    if (payload.type === 'CutsRequest')
      this.catchUp.onCuts(donor, { type: 'Cuts', index, after: undefined, cursors: [], done: true });
    if (payload.type === 'StateRequest' && this.givesRows) this.#give(index);
  }

  #give(index: number): void {
    const bytes = new Uint8Array();
    const chunk = { rows: { bytes, checksum: crc32(bytes) }, last: undefined, done: true };
    this.catchUp.onStateChunk(donor, { type: 'StateChunk', index, after: undefined, upTo: undefined, chunk });
  }
}

let taker: Taker;
beforeEach(() => {
  taker = new Taker();
});

describe('a state that is complete', () => {
  beforeEach(() => {
    taker.givesRows = true;
    taker.store.installBacklogBytes = 1;
    taker.tick(ample, 20);
  });

  it('is installed once all of it is written', () => {
    expect(taker.catchUp.takeComplete(), 'some of it waits').toBeUndefined();
    taker.store.installBacklogBytes = 0;
    expect(taker.catchUp.takeComplete()).toBe(10);
    expect(taker.catchUp.isInstalling).toBe(true);
  });

  it('is given up if some of it found no room', () => {
    taker.store.installBacklogBytes = 0;
    taker.store.installLacksRoom = true;
    expect(taker.catchUp.takeComplete()).toBeUndefined();
    taker.tick(ample);
    expect(taker.catchUp.isInstalling).toBe(false);
    expect(taker.catchUp.lacksRoom).toBe(true);
  });
});

describe('a state that ran out of room', () => {
  it('is taken once there is room again, if others had taken that; not before a while, which gets longer each time', () => {
    for (const pauses of [1, 2, 4]) {
      taker.tick(ample, 20);
      expect(taker.catchUp.status().stage).toBe('state');
      taker.tick(none);
      expect(taker.catchUp.status().lackOfRoom?.roomBytes).toBe(0);
      taker.asked = [];
      taker.tick(ample, pauses * pauseTicks - 1);
      expect(taker.asked).toEqual([]);
      taker.tick(ample, 20);
      expect(taker.asked).toContain('StateRequest');
    }
  });
});
