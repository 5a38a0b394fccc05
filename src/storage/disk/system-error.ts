import { constants } from 'node:os';

/** What the system calls a write over the quota of its user: LMDB gives the number, and Node has no name for it. Not every system has one: Linux's stands in. */
export const quotaErrno = (constants.errno as Partial<typeof constants.errno>).EDQUOT ?? 122;

/** True for an error of Node's that says so. */
export function isQuotaExceeded(error: unknown): boolean {
  return error instanceof Error && 'errno' in error && error.errno === -quotaErrno;
}

/** True of an error that says that no more files can be opened now. */
export function isOutOfFiles(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EMFILE' || code === 'ENFILE';
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (!isQuotaExceeded(error)) return error.message;
  const { syscall = 'write', path } = error as NodeJS.ErrnoException;
  return `EDQUOT: disk quota exceeded, ${syscall}${path === undefined ? '' : ` '${path}'`}`;
}
