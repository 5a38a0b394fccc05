import { getSystemErrorName } from 'node:util';
import { isNoSpace } from './disk-room.ts';
import { messageOf } from './system-error.ts';

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

/** What was done to a file when its disk failed. */
export type DiskAccess = 'read' | 'write';

/**
 * A write or a read that the disk refused. What of a write is there is unknown and a second try proves nothing (an fsync
 * that failed once may report success the next time), so the store takes no more calls and the process must end.
 */
export class DiskFailedError extends Error {
  override readonly name = 'DiskFailedError';
  readonly code = 'diskFailed';
  /** The disk had no room for it. */
  readonly isFull: boolean;

  constructor(file: string, cause: unknown, access: DiskAccess = 'write') {
    const what = access === 'write' ? `a write to ${file}` : `a read of ${file}`;
    super(`${what} failed (${messageOf(cause)}): ${remedyFor(cause, access)}, then start again`, { cause });
    this.isFull = isNoSpace(cause);
  }
}

/** What lacks where it is not the disk. */
const remedies: ReadonlyMap<unknown, string> = new Map([
  ['EMFILE', 'let it have more open files (ulimit -n)'],
  ['ENFILE', 'let the machine have more open files (sysctl fs.file-max)'],
  ['ENOMEM', 'give it, or the machine, more memory'],
]);

function remedyFor(cause: unknown, access: DiskAccess): string {
  return (
    remedies.get(systemCodeOf(cause)) ?? (access === 'read' ? 'check the disk' : 'check the disk and its free space')
  );
}

/** Codes of the system that blame the device, not the caller, its rights or the space that is left. */
const deviceCodes: ReadonlySet<string> = new Set(['EIO', 'ENXIO', 'ENODEV', 'EREMOTEIO', 'EUCLEAN', 'EBADMSG']);

/** `error` as a {@link DiskFailedError} that names `file`, if it says that the device failed; else as it is. */
export function diskFailure(file: string, access: DiskAccess, error: unknown): unknown {
  return deviceCodes.has(systemCodeOf(error) ?? '') ? new DiskFailedError(file, error, access) : error;
}

/** Runs `step`, which reads or writes `file`. Throws what {@link diskFailure} makes of its error. */
export function onDisk<T>(file: string, access: DiskAccess, step: () => T): T {
  try {
    return step();
  } catch (error) {
    throw diskFailure(file, access, error);
  }
}

/** Such as `EIO`, which lmdb gives as the number 5. */
function systemCodeOf(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (typeof code === 'string') return code;
  return typeof code === 'number' && code > 0 ? getSystemErrorName(-code) : undefined;
}

/** True for a write that found no room, as {@link DiskFailedError} or as the system said it. */
export function isFullDisk(error: unknown): boolean {
  return isNoSpace(error) || (error instanceof DiskFailedError && error.isFull);
}
