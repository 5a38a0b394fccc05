import { crc32 } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { CatchUp } from '../../src/replica/catch-up/catch-up.ts';
import { defaultReplicaSettings as settings } from '../../src/replica/settings.ts';
import type { StateRoom } from '../../src/replica/state/space.ts';
import type { PeerPayload, StateRequest } from '../../src/wire/peer-message.ts';

const donor = 2;
const gigabyte = 1e9;
const stateBytes = 1_000_000;
const ample: StateRoom = { roomBytes: 100 * gigabyte, isOver: false, isWaiting: false };
const none: StateRoom = { roomBytes: 0, isOver: true, isWaiting: false };
const pauseTicks = 2 * settings.snapshotIdleTicks;

/** What it is given is written when the test says so. */
class SlowStore extends MemoryStateStore {
  override installBacklogBytes = 0;
  override installUse = { rowBytes: 0, diskBytes: 0 };
  override installLacksRoom = false;

  override installPacked(): boolean {
    return true;
  }
}

/** One that catches up, and its donor, that has a state in so many pieces, and gives the first few. */
class Taker {
  readonly store = new SlowStore();
  readonly #sink = { decidedIndex: 0, installDecided: () => {}, installState: () => {} };
  readonly catchUp = new CatchUp(this.#sink as never, this.store, settings, 10);
  asked: string[] = [];
  pieces = 1;
  rows = 1000;
  pieceBytes = 0;
  gives = 0;

  tick(room: StateRoom, ticks = 1, linked: readonly number[] = [donor]): void {
    for (let count = 0; count < ticks; count++) {
      this.catchUp.tick();
      for (const { payload } of this.catchUp.requests(linked, room)) this.#answer(payload);
    }
  }

  #answer(payload: PeerPayload): void {
    this.asked.push(payload.type);
    const { index = 0 } = payload as { readonly index?: number };
    const at = { decidedIndex: 100, appliedIndex: 100, trimmedIndex: 90 };
    if (payload.type === 'DonorQuery')
      this.catchUp.onStanding(donor, { type: 'DonorStanding', ...at, isLeader: false });
    if (payload.type === 'SnapshotRequest') {
      const size = { rows: this.rows, bytes: this.rows === 0 ? 0 : stateBytes };
      this.catchUp.onSnapshotOffer(donor, { type: 'SnapshotOffer', index, isHeld: true, appliedIndex: 100, ...size });
    }
    if (payload.type === 'CutsRequest') {
      const cursors = Array.from(
        { length: this.pieces - 1 },
        (_, at) => ({ type: 'pair', key: `${100 + at}` }) as const,
      );
      this.catchUp.onCuts(donor, { type: 'Cuts', index, after: undefined, cursors, done: true });
    }
    if (payload.type === 'StateRequest' && this.gives > 0) this.#give(payload);
  }

  #give({ index, after, upTo }: StateRequest): void {
    this.gives--;
    const bytes = new Uint8Array(this.pieceBytes);
    const chunk = { rows: { bytes, checksum: crc32(bytes) }, last: undefined, done: true };
    this.catchUp.onStateChunk(donor, { type: 'StateChunk', index, after, upTo, chunk });
  }

  /** Gives a part of a state, which takes so many bytes on the disk, until there is no room any more. */
  runOutOfRoom(room: StateRoom, pieces: number, diskBytes: number): void {
    this.gives = pieces;
    this.tick(room, 20);
    expect(this.catchUp.status().stage).toBe('state');
    this.store.installUse = { rowBytes: pieces * this.pieceBytes, diskBytes };
    this.tick({ roomBytes: 0, isOver: true, isWaiting: true });
    expect(this.catchUp.status().stage).not.toBe('state');
    this.store.installUse = { rowBytes: 0, diskBytes: 0 };
    this.asked = [];
  }
}

let taker: Taker;
beforeEach(() => {
  taker = new Taker();
});

describe('a state that is complete', () => {
  beforeEach(() => {
    taker.gives = 1;
    taker.store.installBacklogBytes = 1;
    taker.tick(ample, 20);
  });

  it('is installed once all of it is written', () => {
    expect(taker.catchUp.takeComplete(), 'some of it waits').toBeUndefined();
    taker.store.installBacklogBytes = 0;
    expect(taker.catchUp.takeComplete()).toBe(10);
    expect(taker.catchUp.isInstalling).toBe(true);
  });

  it('needs nobody any more who gave it', () => {
    taker.tick(ample, 5, []);
    taker.store.installBacklogBytes = 0;
    expect(taker.catchUp.takeComplete()).toBe(10);
  });

  it('is what makes room once it is written: but for one of which some waits, or a checkpoint does', () => {
    taker.store.installBacklogBytes = 0;
    taker.tick(none);
    expect(taker.catchUp.takeComplete()).toBe(10);
  });

  it.each([
    ['some of it', { backlogBytes: 1, isWaiting: false }],
    ['a checkpoint', { backlogBytes: 0, isWaiting: true }],
  ])('is given up where there is no room and %s waits for some', (_, { backlogBytes, isWaiting }) => {
    taker.store.installBacklogBytes = backlogBytes;
    taker.tick({ ...none, isWaiting });
    taker.store.installBacklogBytes = 0;
    expect(taker.catchUp.takeComplete()).toBeUndefined();
    expect(taker.catchUp.lacksRoom).toBe(true);
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
      expect(taker.asked).not.toContain('SnapshotRequest');
      taker.tick(ample, 20);
      expect(taker.asked).toContain('StateRequest');
    }
  });

  it('is taken as soon as there is much more room than that there was', () => {
    const room = { ...ample, roomBytes: 2 * stateBytes };
    for (let failures = 0; failures < 6; failures++) {
      taker.runOutOfRoom(room, 0, 0);
      taker.tick(room, 32 * pauseTicks);
      taker.asked = [];
    }
    taker.runOutOfRoom(room, 0, 0);
    taker.tick({ ...room, roomBytes: 2.4 * stateBytes }, pauseTicks);
    expect(taker.asked, 'that may be what the last attempt left').not.toContain('SnapshotRequest');
    taker.tick({ ...room, roomBytes: 2.6 * stateBytes }, 20);
    expect(taker.asked).toContain('StateRequest');
  });

  it('fits still, where its part shows that others have taken the rest', () => {
    const room = { ...ample, roomBytes: 2 * stateBytes };
    Object.assign(taker, { pieces: 10, pieceBytes: stateBytes / 10 });
    taker.runOutOfRoom(room, 8, 1.2 * stateBytes);
    taker.tick(room, pauseTicks + 20);
    expect(taker.asked).toContain('StateRequest');
  });

  it('that was begun with the disk full goes where a checkpoint waits for room', () => {
    taker.store.beginInstall(10);
    taker.tick({ ...none, isWaiting: true }, 20);
    expect(taker.asked).toContain('SnapshotRequest');
    expect(taker.store.installProgress).toBeUndefined();
    expect(taker.catchUp.lacksRoom).toBe(true);
  });

  it('that has no rows is asked for again, too', () => {
    Object.assign(taker, { rows: 0 });
    taker.runOutOfRoom(ample, 0, 0);
    taker.tick(ample, pauseTicks + 20);
    expect(taker.asked).toContain('StateRequest');
  });

  it('needs what its part shows, where that is more than was said', () => {
    const room = { ...ample, roomBytes: 2 * stateBytes };
    Object.assign(taker, { pieces: 10, pieceBytes: stateBytes / 10 });
    taker.runOutOfRoom(room, 5, 1.5 * stateBytes);
    expect(taker.catchUp.status().lackOfRoom).toEqual({ neededBytes: 3 * stateBytes, roomBytes: 2 * stateBytes });
    taker.tick(room, 8 * pauseTicks);
    expect(taker.asked).not.toContain('StateRequest');
    taker.tick({ ...room, roomBytes: 3.2 * stateBytes }, 20);
    expect(taker.asked).toContain('StateRequest');
  });

  it('needs more than is there of it, where that is more already than all was to be', () => {
    const room = { ...ample, roomBytes: 2 * stateBytes };
    Object.assign(taker, { pieces: 10, pieceBytes: stateBytes / 5 });
    taker.runOutOfRoom(room, 8, 2 * stateBytes);
    expect(taker.catchUp.status().lackOfRoom).toMatchObject({ neededBytes: 2.5 * stateBytes });
  });
});
