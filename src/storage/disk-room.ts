import { statfs } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import type { DiskReserve } from './disk-reserve.ts';

/** How often to look whether there is room again, milliseconds. */
const pollMs = 250;
/** A write is tried again after so long even if no more is free than before, milliseconds: pages may be, inside a file. */
const retryMs = 5_000;
/** With less free than this, LMDB's word for a write that was cut short (EIO) means a full disk, bytes. */
const scarceBytes = 16 * 1024 * 1024;

/** Codes of system calls, as Node names them and as LMDB does. */
const noSpaceCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT', 28, 122];
const cutShortCodes: readonly unknown[] = ['EIO', 5];

/** The disk has no room for a write, of which nothing counts. */
class NoRoomError extends Error {
  override readonly name = 'NoRoomError';
  readonly code = 'ENOSPC';
}

/** True if the disk, or the quota of its user on it, is full. */
export function isNoSpace(error: unknown): boolean {
  return noSpaceCodes.includes((error as { readonly code?: unknown } | undefined)?.code);
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
  #waiting = 0;
  #stop = new AbortController();
  /** For the state: without it, no checkpoint could let log go. Undefined: none. */
  readonly reserve: DiskReserve | undefined;

  constructor(path: string, reserve?: DiskReserve) {
    this.#path = path;
    this.reserve = reserve;
  }

  /** True while a write waits. */
  get isWaiting(): boolean {
    return this.#waiting > 0;
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

  /** Makes a file of the log, of `bytes` bytes, as soon as that leaves so much free for the state as the reserve has. */
  async make(bytes: number, write: () => Promise<void>): Promise<void> {
    await this.#retry(async () => {
      await this.check(bytes);
      await write();
    });
  }

  /** Rejects if a file of the log of `bytes` bytes would not leave that. */
  async check(bytes: number): Promise<void> {
    await this.checkFree(bytes + (this.reserve?.bytes ?? 0));
  }

  /** Rejects, as the system does on a full disk, if fewer than `bytes` bytes are free. */
  async checkFree(bytes: number): Promise<void> {
    const free = await availableBytes(this.#path);
    if (free < bytes) throw new NoRoomError(`no space left on device: ${bytes} bytes are needed, ${free} are free`);
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
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (!(await this.#isFull(error))) throw error;
        const full = isNoSpace(error) ? error : new NoRoomError('no space left on device', { cause: error });
        if (!this.#mayWait) throw full;
        await this.#wait(full);
      }
    }
  }

  async #isFull(error: unknown): Promise<boolean> {
    if (isNoSpace(error)) return true;
    const isCutShort = cutShortCodes.includes((error as { readonly code?: unknown } | undefined)?.code);
    return isCutShort && (await availableBytes(this.#path)) < scarceBytes;
  }

  /** Until more is free than there was, or some time has passed. Rejects with `full` if the waiting is stopped. */
  async #wait(full: unknown): Promise<void> {
    const { signal } = this.#stop;
    const freeBefore = await availableBytes(this.#path);
    this.#waiting++;
    try {
      for (let waitedMs = 0; waitedMs < retryMs; waitedMs += pollMs) {
        await delay(pollMs, undefined, { signal });
        if ((await availableBytes(this.#path)) > freeBefore) return;
      }
    } catch (error) {
      throw signal.aborted ? full : error;
    } finally {
      this.#waiting--;
    }
  }
}
