import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { DiskReserve } from './disk-reserve.ts';
import { isQuotaExceeded, messageOf, quotaErrno } from './system-error.ts';

/** How often to look whether there is room again, milliseconds. */
const pollMs = 50;
/** A write that the system refused is tried again after so long even if no more is free than before, milliseconds: pages may be, inside a file. */
const retryMs = 5_000;
/** The log is held up for the state's sake no longer than this, milliseconds. */
const admitMsMax = 10_000;
/** If holding the log up was of no use, it is not held up again for so long, milliseconds. */
const admitPauseMs = 60_000;
/** With less free than this, LMDB's word for a write that was cut short (EIO) means a full disk, bytes. */
const scarceBytes = 16 * 1024 * 1024;

/** Codes of system calls, as Node names them and as LMDB does. */
const noSpaceCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT', 28, quotaErrno];
const cutShortCodes: readonly unknown[] = ['EIO', 5];

/** The disk has no room for a write, of which nothing counts. */
export class NoRoomError extends Error {
  override readonly name: string = 'NoRoomError';
  readonly code = 'ENOSPC';

  constructor(message = 'no space left on device', options?: ErrorOptions) {
    super(message, options);
  }
}

/** It has so little that the write was not begun: to look again costs next to nothing. */
class TooLittleRoomError extends NoRoomError {
  override readonly name = 'TooLittleRoomError';
}

/** A write that waits. */
export interface Waiter {
  /** Since when, on the clock of `performance.now()`. */
  readonly sinceMs: number;
  /** What the system, or the look at what is free, said first. */
  readonly problem: string;
}

/** The log that is not in the durable state yet. Only once it is can the log be shorter: there has to be room for it in the state. */
export interface Backlog {
  /** There is none but in the segment that is written to: no checkpoint makes it much less. */
  readonly isLeast: boolean;
  /** By how many bytes the state's file may grow to take it, and `moreBytes` of log beside. */
  growthBytes(moreBytes: number): number;
}

const noBacklog: Backlog = { isLeast: true, growthBytes: () => 0 };

/** True if the disk, or the quota of its user on it, is full. */
export function isNoSpace(error: unknown): boolean {
  return noSpaceCodes.includes((error as { readonly code?: unknown } | undefined)?.code) || isQuotaExceeded(error);
}

/** Bytes that are free on the file system of `path` for those who are not root. */
export async function availableBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

/**
 * The room on the disk of a directory, for writes that leave nothing behind when there is none: they wait for it, as for a
 * slow disk, and nothing is acknowledged meanwhile. It does so between {@link allowWaiting} and {@link stopWaiting}; before
 * and after, such a write fails at once.
 */
export class DiskRoom {
  readonly #path: string;
  #mayWait = false;
  /** The oldest first. */
  readonly #waiters = new Set<Waiter>();
  /** Until then the log is not held up. */
  #holdsUpAgainMs = 0;
  #stop = new AbortController();
  /** For the state: without it, no checkpoint could let log go. Undefined: none. */
  readonly reserve: DiskReserve | undefined;
  /** To be set by whoever opens log and state on this disk. */
  backlog = noBacklog;

  constructor(path: string, reserve?: DiskReserve) {
    this.#path = path;
    this.reserve = reserve;
  }

  /** True while a write waits. */
  get isWaiting(): boolean {
    return this.#waiters.size > 0;
  }

  /** Who has waited for the longest. */
  get waiter(): Waiter | undefined {
    const [oldest] = this.#waiters;
    return oldest;
  }

  allowWaiting(): void {
    this.#mayWait = true;
  }

  /** Writes that wait fail now. */
  stopWaiting(): void {
    this.#mayWait = false;
    this.#stop.abort();
    this.#stop = new AbortController();
  }

  /**
   * Makes a file of the log, of `bytes` bytes, as soon as that leaves free what the reserve has, and for some time, see {@link admit}, what the
   * state may need. `prepare` is called before each attempt; where it gives nothing, no file is needed.
   */
  async make(bytes: number, prepare: () => Promise<(() => Promise<void>) | undefined>): Promise<void> {
    const holdUp = this.#holdUp();
    await this.#retry(async () => {
      const write = await prepare();
      if (write === undefined) return;
      if (holdUp()) await this.check(bytes);
      else await this.checkFree(bytes + (this.reserve?.bytes ?? 0));
      await write();
    });
  }

  /** True if a file of the log of `bytes` bytes would leave free what the reserve has. */
  async has(bytes: number): Promise<boolean> {
    return (await availableBytes(this.#path)) >= bytes + (this.reserve?.bytes ?? 0);
  }

  /** True if twice as much is free as such a file takes, and the state may need: then it is as good as made, whoever else writes. */
  async hasAmple(bytes: number): Promise<boolean> {
    return this.has(2 * (bytes + this.backlog.growthBytes(bytes)));
  }

  /** Runs a write once. False: the disk, or the quota of its user, which is not in what is said to be free, has no room for it. */
  async attempt(write: () => Promise<void>): Promise<boolean> {
    try {
      await write();
      return true;
    } catch (error) {
      if (await this.#isFull(error)) return false;
      throw error;
    }
  }

  /** Rejects if a file of the log of `bytes` bytes, which nobody needs yet, would not leave that, or what the state may need for all of the log. */
  async check(bytes: number): Promise<void> {
    await this.checkFree(bytes + (this.reserve?.bytes ?? 0) + this.backlog.growthBytes(bytes));
  }

  /**
   * Holds up the log, which is to be `bytes` bytes longer, in a file that is there, until the state has room for all of it, or has taken what
   * it can: log that the state could never take could never be let go. Not for long, since the checkpoint that is to take it may wait
   * for the very write.
   */
  async admit(bytes: number): Promise<void> {
    const holdUp = this.#holdUp();
    try {
      await this.#retry(async () => {
        if (!holdUp()) return;
        const heldBytes = this.reserve?.isHeld ? this.reserve.bytes : 0;
        await this.checkFree(this.backlog.growthBytes(bytes) - heldBytes);
      });
    } catch (error) {
      // The waiting was stopped; but the file is there.
      if (this.#mayWait || !isNoSpace(error)) throw error;
    }
  }

  /** Gives what says, from now on for {@link admitMsMax}, whether the log is to be held up for the state's sake. */
  #holdUp(): () => boolean {
    const nowMs = performance.now();
    const untilMs = nowMs < this.#holdsUpAgainMs ? nowMs : nowMs + admitMsMax;
    return () => {
      if (!this.#mayWait || this.backlog.isLeast) return false;
      if (performance.now() < untilMs) return true;
      if (untilMs > nowMs) this.#holdsUpAgainMs = performance.now() + admitPauseMs;
      return false;
    };
  }

  /** Rejects if `bytes` bytes of state that nobody needs yet would not leave what the reserve has, and what the state may need for the log that is there. */
  async checkBeside(bytes: number): Promise<void> {
    await this.checkFree(bytes + this.besideBytes);
  }

  /** What log and state may need of what is free: a reserve that is held is not in that. */
  get besideBytes(): number {
    const { reserve } = this;
    const reserveBytes = reserve === undefined || reserve.isHeld ? 0 : reserve.bytes;
    return reserveBytes + this.backlog.growthBytes(0);
  }

  /** Rejects, as the system does on a full disk, if fewer than `bytes` bytes are free. */
  async checkFree(bytes: number): Promise<void> {
    const free = await availableBytes(this.#path);
    if (free < bytes)
      throw new TooLittleRoomError(`no space left on device: ${bytes} bytes are needed, ${free} are free`);
  }

  /** Runs a write of the state, which must be safe to be run again, until the disk, or else the reserve, has room for it. */
  write(write: () => Promise<void>): Promise<void> {
    return this.#retry(async () => {
      try {
        await write();
      } catch (error) {
        if (!(await this.#isFull(error)) || !(await this.reserve?.spend())) throw error;
        await write();
      }
    });
  }

  async #retry<Result>(write: () => Promise<Result>): Promise<Result> {
    let waiter: Waiter | undefined;
    try {
      for (;;) {
        try {
          return await write();
        } catch (error) {
          if (!(await this.#isFull(error))) throw error;
          const full = isNoSpace(error) ? error : new NoRoomError(undefined, { cause: error });
          if (!this.#mayWait) throw full;
          waiter ??= { sinceMs: performance.now(), problem: messageOf(full) };
          this.#waiters.add(waiter);
          await this.#wait(full, full instanceof TooLittleRoomError ? pollMs : retryMs);
        }
      }
    } finally {
      if (waiter !== undefined) this.#waiters.delete(waiter);
    }
  }

  async #isFull(error: unknown): Promise<boolean> {
    if (isNoSpace(error)) return true;
    const isCutShort = cutShortCodes.includes((error as { readonly code?: unknown } | undefined)?.code);
    return isCutShort && (await availableBytes(this.#path)) < scarceBytes;
  }

  /** Until more is free than there was, or `mostMs` have passed. Rejects with `full` if the waiting is stopped. */
  async #wait(full: unknown, mostMs: number): Promise<void> {
    const { signal } = this.#stop;
    const freeBefore = await availableBytes(this.#path);
    try {
      for (let waitedMs = 0; waitedMs < mostMs; waitedMs += pollMs) {
        await delay(pollMs, undefined, { signal });
        if ((await availableBytes(this.#path)) > freeBefore) return;
      }
    } catch (error) {
      throw signal.aborted ? full : error;
    }
  }
}
