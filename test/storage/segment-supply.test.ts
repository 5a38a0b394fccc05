import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import { DiskRoom, NoRoomError } from '../../src/storage/disk/disk-room.ts';
import { SegmentSupply } from '../../src/storage/log/segment-supply.ts';
import { createSegment, listSegments, segmentFile } from '../../src/storage/log/wal-files.ts';
import { Scratch } from './scratch.ts';

const scratch = new Scratch();
afterAll(() => scratch.remove());

const segmentBytes = 4096;
const present = 5;
const letGoOfNothing = () => Promise.resolve();

/** A disk that has no room for more than lies there, while it is full. */
class FillingRoom extends DiskRoom {
  isFull = false;

  override async checkFree(bytes: number): Promise<void> {
    if (this.isFull && bytes > 0) throw new NoRoomError();
  }

  override async has(): Promise<boolean> {
    return !this.isFull;
  }

  override async attempt(write: () => Promise<void>): Promise<boolean> {
    return !this.isFull && super.attempt(write);
  }
}

let directory: string;
let room: FillingRoom;
let supply: SegmentSupply;

beforeEach(async () => {
  directory = scratch.fresh();
  mkdirSync(directory);
  await createSegment(directory, present, segmentBytes, [new Uint8Array([1])]);
  room = new FillingRoom(directory);
  supply = new SegmentSupply(directory, segmentBytes, room, present);
});

/** The files there are once nothing is under way. */
async function files(): Promise<number[]> {
  await supply.settled();
  return listSegments(directory);
}

describe('files for the segments to come', () => {
  it('that cannot be made are told of once, unless the disk is full', async () => {
    room.isFull = true;
    supply.takeOver([]);
    await supply.settled();
    expect(supply.takeProblem()).toBeUndefined();
    room.isFull = false;
    // Something else is where the file is to be.
    mkdirSync(segmentFile(directory, 6));
    supply.prepareBehind(present);
    await supply.settled();
    expect(supply.takeProblem()).toMatch(/^E[A-Z]+: .*6\.wal/);
    expect(supply.takeProblem()).toBeUndefined();
  });

  it('are made ahead, two of them, behind the one that is written to', async () => {
    supply.takeOver([]);
    expect(await files()).toEqual([5, 6, 7]);
    expect(supply.readyBytes).toBe(2 * segmentBytes);
    await supply.provide(6, segmentBytes, letGoOfNothing);
    expect(supply.readyBytes).toBe(segmentBytes);
    supply.release();
    supply.prepareBehind(6);
    expect(await files()).toEqual([5, 6, 7, 8]);
  });

  it('are those that were found, if they can serve', async () => {
    await createSegment(directory, 6, segmentBytes);
    await createSegment(directory, 7, 2 * segmentBytes);
    await createSegment(directory, 9, segmentBytes);
    supply.takeOver([
      { segment: 6, bytes: segmentBytes },
      { segment: 7, bytes: 2 * segmentBytes },
      { segment: 9, bytes: segmentBytes },
    ]);
    expect(await files()).toEqual([5, 6, 7]);
    expect(statSync(segmentFile(directory, 7)).size).toBe(segmentBytes);
  });

  it('are made of dropped ones, as long as there are not enough, and all others go', async () => {
    for (const segment of [2, 3, 4]) await createSegment(directory, segment, segmentBytes, [new Uint8Array([segment])]);
    supply.keepReady({ min: 0, max: 2 });
    for (const segment of [2, 3, 4]) supply.reuse({ segment, bytes: segmentBytes });
    expect(await files()).toEqual([5, 6, 7]);
    expect([6, 7].map((segment) => readFileSync(segmentFile(directory, segment))[0])).toEqual([2, 3]);
    supply.keepReady({ min: 0, max: 0 });
    expect(await files()).toEqual([5]);
  });

  it('are of another size where that is asked for', async () => {
    supply.takeOver([]);
    await supply.provide(6, 3 * segmentBytes, letGoOfNothing);
    expect(statSync(segmentFile(directory, 6)).size).toBe(3 * segmentBytes);
  });

  it('never take the place of one that is claimed', async () => {
    supply.keepReady({ min: 0, max: 4 });
    expect(await supply.tryMake(6, segmentBytes, [new Uint8Array([9])])).toBe(true);
    supply.keepReady({ min: 2, max: 4 });
    await createSegment(directory, 4, segmentBytes);
    supply.reuse({ segment: 4, bytes: segmentBytes });
    expect(await files()).toEqual([5, 6, 7, 8, 9]);
    expect(readFileSync(segmentFile(directory, 6))[0]).toBe(9);
  });
});

describe('on a full disk', () => {
  it('a file that lies ready is had, and then one of a segment that is let go of', async () => {
    supply.takeOver([]);
    await supply.settled();
    room.isFull = true;
    for (const segment of [6, 7]) {
      await supply.provide(segment, segmentBytes, letGoOfNothing);
      supply.release();
      supply.prepareBehind(segment);
    }
    await expect(supply.provide(8, segmentBytes, letGoOfNothing)).rejects.toThrow(NoRoomError);
    await createSegment(directory, 4, segmentBytes);
    await supply.provide(8, segmentBytes, async () => {
      supply.reuse({ segment: 4, bytes: segmentBytes });
      await supply.settled();
    });
    expect(listSegments(directory)).toEqual([5, 6, 7, 8]);
  });

  it('what lay ready still does where a file could not be made of a record', async () => {
    supply.takeOver([]);
    await supply.settled();
    room.isFull = true;
    expect(await supply.tryMake(6, 9 * segmentBytes, [new Uint8Array([9])])).toBe(false);
    expect(supply.readyBytes).toBe(2 * segmentBytes);
    expect(statSync(segmentFile(directory, 6)).size).toBe(segmentBytes);
  });
});

it('no more files lie ready than are to, though others were let go of while those that were being made found no room', async () => {
  const max = 4;
  const dropped = Array.from({ length: 7 }, (_, at) => 10 + at);
  for (const segment of dropped) await createSegment(directory, segment, segmentBytes, [new Uint8Array([segment])]);
  let refusals = 0;
  const refusing = new (class extends DiskRoom {
    override async checkFree(): Promise<void> {
      // The others are let go of when the last of those that were being made has failed.
      if (++refusals === max) setTimeout(() => reuse(dropped.slice(4)), 0);
      throw new NoRoomError();
    }
  })(directory);
  const filled = new SegmentSupply(directory, segmentBytes, refusing, 20);
  const reuse = (segments: readonly number[]) => {
    for (const segment of segments) filled.reuse({ segment, bytes: segmentBytes });
  };
  filled.keepReady({ min: max, max });
  reuse(dropped.slice(0, 4));
  await expect.poll(() => refusals).toBeGreaterThanOrEqual(max);
  await new Promise((resolve) => setTimeout(resolve, 100));
  await filled.settled();
  expect(filled.readyBytes).toBe(max * segmentBytes);
  const ready = listSegments(directory).filter((segment) => segment > 20);
  expect(ready).toHaveLength(max);
});
