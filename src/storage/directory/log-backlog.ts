import type { Backlog } from '../disk/disk-room.ts';
import type { FileLogStore } from '../log/file-log-store.ts';
import { fileGrowth } from '../state/commit-size.ts';
import type { LmdbStateStore } from '../state/lmdb-state-store.ts';

/**
 * So many bytes the state takes for a byte of log: values of 4 KiB and more have pages of their own, of which the last is not full; small rows lie
 * in pages of which, written in no order, two thirds are full.
 */
const statePerLog = 3 / 2;

/** The log of a data directory that its durable state does not have yet, by whole files. */
export class LogBacklog implements Backlog {
  readonly #log: FileLogStore;
  readonly #state: LmdbStateStore;

  constructor(log: FileLogStore, state: LmdbStateStore) {
    this.#log = log;
    this.#state = state;
  }

  /** Bytes of the files that hold it. */
  get bytes(): number {
    return this.#log.bytesFrom(this.#state.durableIndex);
  }

  get isLeast(): boolean {
    return this.bytes <= this.#log.presentBytes;
  }

  growthBytes(moreBytes: number): number {
    return fileGrowth((this.bytes + moreBytes) * statePerLog, this.#state.measure().freeBytes);
  }
}

/** The most log for which the state's file does not grow by more than `growthBytes`. */
export function logThatFits(growthBytes: number, freeBytes: number): number {
  return Math.max(growthBytes, (growthBytes + freeBytes) / 2) / statePerLog;
}
