/**
 * Why a data directory was refused:
 *
 * - `inUse`: another process has it.
 * - `otherNode`, `otherCluster`: it belongs to another node or cluster.
 * - `newerFormat`: a newer version of the software wrote it.
 * - `damaged`: what is in it is not what was written.
 * - `unfinished`: data was being put into it, and that was cut off.
 * - `notWritable`: it cannot be made, read or written.
 * - `notEmpty`: a new one is to be made, and something is there.
 * - `absent`: one with data was asked for, and there is none.
 */
export type DataDirectoryErrorCode =
  | 'inUse'
  | 'otherNode'
  | 'otherCluster'
  | 'newerFormat'
  | 'damaged'
  | 'unfinished'
  | 'notWritable'
  | 'notEmpty'
  | 'absent';

/** A data directory that was refused, as it is. The message is one line that says what is wrong and what would be right. */
export class DataDirectoryError extends Error {
  override readonly name = 'DataDirectoryError';
  readonly code: DataDirectoryErrorCode;

  constructor(code: DataDirectoryErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}

/** The error for a directory that belongs to `bound` where `wanted` is asked for. */
export function otherClusterError(bound: string, wanted: string): DataDirectoryError {
  return new DataDirectoryError(
    'otherCluster',
    `the data directory belongs to cluster ${bound}, not ${wanted}: use another directory, or this one's own cluster`,
  );
}

/** The error where there is none with data. */
export function absentError(path: string): DataDirectoryError {
  return new DataDirectoryError(
    'absent',
    `data directory ${path} has no data, and was to be an existing one (--existing): mount its disk, or begin a new one without that`,
  );
}

/** The error for a directory that another node recognized as an older copy of what this node voted with. */
export function olderCopyError(path: string, reason: string): DataDirectoryError {
  return new DataDirectoryError(
    'damaged',
    `data directory ${path} was rolled back to an older copy, which does not know how this node voted since (${reason})`,
  );
}
