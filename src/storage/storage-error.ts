/** Bytes on disk that are not what was written there. Fatal to the node: its data cannot be trusted, and it is rebuilt from its peers. */
export class DamagedError extends Error {
  override readonly name = 'DamagedError';
  readonly code = 'damaged';
  /** The parts of the message. */
  readonly place: { readonly file: string; readonly where: string; readonly problem: string };

  /** `where` names the record, such as `log entry 17`; `problem` says what is wrong with it. */
  constructor(file: string, where: string, problem: string) {
    super(`${file} is damaged at ${where}: ${problem}`);
    this.place = { file, where, problem };
  }
}

/**
 * A write that the disk refused. What of it was written is unknown and a second try proves nothing (an fsync that failed
 * once may report success the next time), so the store takes no more calls and the process must end.
 */
export class DiskFailedError extends Error {
  override readonly name = 'DiskFailedError';
  readonly code = 'diskFailed';

  constructor(file: string, cause: unknown) {
    super(`a write to ${file} failed (${messageOf(cause)}): check the disk and its free space, then start again`, {
      cause,
    });
  }
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
