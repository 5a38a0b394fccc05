import { isNoSpace } from './disk-room.ts';

/** Bytes on disk that are not what was written there. Fatal to the node: its data cannot be trusted. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError';
  readonly code = 'damaged';

  /** `where` names the record, such as `log entry 17`; `problem` says what is wrong with it. */
  constructor(file: string, where: string, problem: string) {
    super(`${file} is damaged at ${where}: ${problem}; restore the data directory from a copy or start as a new node`);
  }
}

/**
 * A write that the disk refused. What of it was written is unknown and a second try proves nothing (an fsync that failed
 * once may report success the next time), so the store takes no more calls and the process must end.
 */
export class DiskFailedError extends Error {
  override readonly name = 'DiskFailedError';
  readonly code = 'diskFailed';
  /** The disk had no room for it. */
  readonly isFull: boolean;

  constructor(file: string, cause: unknown) {
    super(`a write to ${file} failed (${messageOf(cause)}): check the disk and its free space, then start again`, {
      cause,
    });
    this.isFull = isNoSpace(cause);
  }
}

/** True for a write that found no room, as {@link DiskFailedError} or as the system said it. */
export function isFullDisk(error: unknown): boolean {
  return isNoSpace(error) || (error instanceof DiskFailedError && error.isFull);
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
