import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { SpaceMeasured } from '../../replica/events.ts';
import type { SpaceLevel } from '../../wire/client-message.ts';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { availableBytes, type DiskRoom, isNoSpace } from '../disk/disk-room.ts';
import { DamagedError, diskFailure } from '../disk/storage-error.ts';
import type { FileLogStore } from '../log/file-log-store.ts';
import type { LmdbStateStore } from '../state/lmdb-state-store.ts';
import { logThatFits } from './log-backlog.ts';

const mebibyte = 1024 * 1024;

const lowFrom = 0.8;
const okBelow = 0.75;
const fullFrom = 0.95;
const notFullBelow = 0.9;

/**
 * Space stays full for so long, milliseconds. Where somebody else has the rest of the disk, the log is nearly full before each time that it is
 * trimmed, and half full behind it: puts would be refused and taken by turns, many times a second.
 */
const fullMsMin = 5_000;

/** The log may take this part of the space. */
const logPart = 1 / 4;
/** Log and state together are to stay below this part of the space: where the state has much the log may take less, so that it does not make space low. */
const wantedPart = 0.7;
/** The log may take this part of the space in any case. */
const leastLogPart = 1 / 32;
/**
 * More than so often the size of the state is of no use, since who lacks that much takes the state; but so many bytes are always of use,
 * as the longer the log may grow the fewer checkpoints there are of a state that is small and changes fast. Not many
 * more: with 64 MiB the p99 of 256 puts in flight was a third longer.
 */
const logPerState = 2.5;
const usefulLogBytes = 12 * mebibyte;
const usefulLogBytesWhereAmple = 24 * mebibyte;
/** The capacity from which on that is little. */
const ampleBytes = 2048 * mebibyte;
/** From this part of what it may have on the log is to be trimmed as soon as it suits. */
const amplePart = 1 / 2;
/** Of the log that fits on the disk, and for which the state has room, it takes this part: the rest is for what comes while it is trimmed. */
const logRoomPart = 1 / 2;
/** Segments that lie ready, so that no write waits for one to be made; as many as are dropped at a time are kept, where that is little. */
const readySegments = { min: 2, max: 4 };
const readySegmentsWhereAmple = { min: 2, max: 6 };
/** Segments that lie ready once space is low, for what must go through then. */
const readySegmentsWhenLow = { min: 3, max: 4 };
/** What waits for room may be the state, and once it has some the log lets segments go. */
const readySegmentsWhileWaiting = { min: 1, max: 1 };
/**
 * A write that has waited for so long, milliseconds, finds the disk full, however much it seems to have: it may have no inodes left, its user
 * no quota, or what it is made of no room. Longer than the log is held up for the state's sake.
 */
const stuckMsMin = 15_000;

/** So much is to be free for a piece of a state that is being taken, or this part of a small space: by the least that a piece may need. */
const installPieceBytes = 16 * mebibyte;
const installPiecePart = 1 / 16;

/** Space is measured at least this often, milliseconds. */
const measureMsMax = 1_000;
/** Space is measured at most this often, milliseconds. */
const measureMsMin = 50;
/** No node writes more than this, bytes a millisecond. */
const writtenPerMsMax = mebibyte / 4;

/** What a directory is allowed, and what that means for the files in it. All in bytes. */
export interface SpacePlan {
  /** Undefined: what the file system has. */
  readonly quotaBytes: number | undefined;
  /** What it may hold now: the quota, or what it holds and what is free. */
  readonly capacityBytes: number;
  readonly segmentBytes: number;
  readonly reserveBytes: number;
}

/** What was measured, and when to do so again. */
export interface SpaceMeasurement extends SpaceMeasured {
  readonly againMs: number;
  /** Why a file of the log could not be made or removed ahead of time, other than for want of room. */
  readonly logProblem?: string | undefined;
}

/** Settles the sizes of files by the space that directory `path` has. */
export async function planSpace(path: string, quotaBytes: number | undefined): Promise<SpacePlan> {
  const room = (await heldBytes(path)) + (await availableBytes(path));
  const capacityBytes = Math.min(quotaBytes ?? Number.POSITIVE_INFINITY, room);
  const segmentBytes = 2 ** Math.floor(Math.log2(clamp(capacityBytes / 64, mebibyte / 4, 4 * mebibyte)));
  const reserveBytes = Math.floor(clamp(capacityBytes / 40, mebibyte, 64 * mebibyte));
  return { quotaBytes, capacityBytes, segmentBytes, reserveBytes };
}

/** The level that follows `before` when this part of the space is used. It falls later than it rises. */
export function levelAfter(before: SpaceLevel, part: number): SpaceLevel {
  if (part >= (before === 'full' ? notFullBelow : fullFrom)) return 'full';
  return part >= (before === 'ok' ? lowFrom : okBelow) ? 'low' : 'ok';
}

/**
 * Measures the space of a data directory: the files of the log, and what is in use of the state's file, which itself never
 * shrinks; what is free in it is room. The log cannot use that room: if what it can get runs out, the space is full, too.
 */
export class SpaceWatch {
  readonly #path: string;
  readonly #plan: SpacePlan;
  readonly #room: DiskRoom;
  readonly #log: FileLogStore;
  readonly #state: LmdbStateStore;
  #level: SpaceLevel = 'ok';
  /** When it was last found to be full, on the clock of `performance.now()`. */
  #fullAtMs = Number.NEGATIVE_INFINITY;
  /** True if then not all was used: what was free was not where it was needed. */
  #wasFullEarly = false;

  constructor(path: string, plan: SpacePlan, room: DiskRoom, log: FileLogStore, state: LmdbStateStore) {
    this.#path = path;
    this.#plan = plan;
    this.#room = room;
    this.#log = log;
    this.#state = state;
  }

  async measure(): Promise<SpaceMeasurement> {
    const { reserve, isWaiting, waiter } = this.#room;
    const isStuck = waiter !== undefined && performance.now() - waiter.sinceMs >= stuckMsMin;
    const [freeBytes, heldHere] = await this.#lookAtDisk();
    const state = this.#state.measure();
    const { neededBytes, fileBytes } = this.#log;
    const usedBytes = fileBytes + state.usedBytes;
    const capacityBytes = Math.min(this.#plan.quotaBytes ?? Number.POSITIVE_INFINITY, heldHere + freeBytes);
    const spareBytes = Math.max(0, freeBytes - this.#plan.reserveBytes);
    const logRoomBytes = fileBytes + spareBytes;
    const stateLeftBytes = freeBytes + state.freeBytes;
    if (stateLeftBytes > capacityBytes * (1 - notFullBelow)) reserve?.forget();
    const isLogFull = levelAfter(this.#level, neededBytes / logRoomBytes) === 'full';
    const isFull = isLogFull || reserve?.isSpent === true || isStuck;
    const levelOfAll = levelAfter(this.#level, usedBytes / capacityBytes);
    this.#level = this.#held(isFull ? 'full' : levelOfAll, isFull, performance.now());
    const isAmple = capacityBytes >= ampleBytes;
    await this.#prepare(freeBytes, isAmple);
    const stateLeaves = capacityBytes * wantedPart - state.usedBytes;
    const logBytesMax = Math.min(
      clamp(stateLeaves, capacityBytes * leastLogPart, capacityBytes * logPart),
      Math.max(isAmple ? usefulLogBytesWhereAmple : usefulLogBytes, state.usedBytes * logPerState),
    );
    const roomBytes = Math.min(logRoomBytes, logThatFits(spareBytes, state.freeBytes));
    const surplusBytes = Math.min(logBytesMax, roomBytes * logRoomPart);
    return {
      level: this.#level,
      usedBytes,
      capacityBytes: this.#level === 'full' && this.#wasFullEarly ? Math.min(capacityBytes, usedBytes) : capacityBytes,
      logSurplusIndex: this.#log.surplusIndex(surplusBytes),
      logAmpleIndex: this.#log.surplusIndex(surplusBytes * amplePart),
      isWaiting,
      waitsFor: waiter?.problem,
      stateFreeBytes: state.freeBytes,
      stateRoomBytes: this.#stateRoom(stateLeftBytes, usedBytes, capacityBytes),
      logProblem: this.#log.takeProblem(),
      againMs: isWaiting
        ? measureMsMin
        : clamp((capacityBytes - usedBytes) / writtenPerMsMax, measureMsMin, measureMsMax),
    };
  }

  /** A state that made the space full would keep the cluster from taking puts. It is written in pieces, and only where log and state have what they may need. */
  #stateRoom(stateLeftBytes: number, usedBytes: number, capacityBytes: number): number {
    const { besideBytes } = this.#room;
    const pieceBytes = Math.min(installPieceBytes, capacityBytes * installPiecePart);
    return Math.min(stateLeftBytes - besideBytes - pieceBytes, capacityBytes * fullFrom - usedBytes);
  }

  /** What is free there, and what the directory takes, bytes. */
  async #lookAtDisk(): Promise<[number, number]> {
    try {
      return [await availableBytes(this.#path), await heldBytes(this.#path)];
    } catch (error) {
      throw lookFailure(this.#path, error);
    }
  }

  /** The level, if it is not full still. */
  #held(level: SpaceLevel, isEarly: boolean, nowMs: number): SpaceLevel {
    if (level === 'full') {
      this.#fullAtMs = nowMs;
      this.#wasFullEarly = isEarly;
    }
    return nowMs - this.#fullAtMs < fullMsMin ? 'full' : level;
  }

  /** While space is low, room is taken in advance for what must go through when it is full. */
  async #prepare(freeBytes: number, isAmple: boolean): Promise<void> {
    const { reserve, isWaiting } = this.#room;
    const isLow = this.#level !== 'ok';
    if (isWaiting) this.#log.readySegments = readySegmentsWhileWaiting;
    else if (isLow) this.#log.readySegments = readySegmentsWhenLow;
    else this.#log.readySegments = isAmple ? readySegmentsWhereAmple : readySegments;
    if (reserve === undefined || isLow === reserve.isHeld) return;
    if (!isLow) return reserve.release();
    if (freeBytes < 2 * reserve.bytes) return;
    await reserve.hold().catch((error: unknown) => {
      if (!isNoSpace(error)) throw error;
    });
  }
}

/** The directory itself may be gone, or another user's. */
function lookFailure(path: string, error: unknown): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return new DamagedError(path, 'its folder', 'it was removed or renamed while it is in use');
  if (code !== 'EACCES' && code !== 'EPERM') return diskFailure(path, 'read', error);
  const problem = `data directory ${path} cannot be used any more (${message}): give it back to this user`;
  return new DataDirectoryError('notWritable', problem, error);
}

/** Bytes that the files below a directory take on the disk, two levels deep. */
async function heldBytes(path: string, depth = 2): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const child = join(path, entry.name);
    if (entry.isDirectory()) bytes += depth > 1 ? await heldBytes(child, depth - 1) : 0;
    else bytes += await fileBytes(child);
  }
  return bytes;
}

/** A file that has just gone has none. */
async function fileBytes(path: string): Promise<number> {
  try {
    const { blocks, size } = await stat(path);
    return blocks > 0 ? blocks * 512 : size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
}

function clamp(value: number, min: number, max: number): number {
  return Math.min(max, Math.max(min, value));
}
