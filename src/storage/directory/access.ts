import { accessSync, constants, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { messageOf } from '../disk/system-error.ts';

const refusals: readonly unknown[] = ['EACCES', 'EPERM'];

/**
 * Refuses a data directory of which something may not be read by this user, with code `notWritable`: that says nothing of what is in it, and
 * must not be taken for damage.
 */
export function assertReadable(path: string): void {
  for (const folder of [path, join(path, 'log'), join(path, 'state')]) {
    for (const name of namesIn(folder)) {
      const file = join(folder, name);
      asUser(file, () => accessSync(file, constants.R_OK), isGone);
    }
  }
}

/** None where there is no such folder: that is for others to judge. */
function namesIn(folder: string): string[] {
  try {
    return asUser(folder, () => readdirSync(folder)) ?? [];
  } catch (error) {
    if (error instanceof DataDirectoryError) throw error;
    return [];
  }
}

/** Locks come and go, and so do segments of a node that runs. */
function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT';
}

function asUser<Result>(file: string, read: () => Result, isFine?: (error: unknown) => boolean): Result | undefined {
  try {
    return read();
  } catch (error) {
    if (isFine?.(error)) return undefined;
    if (!refusals.includes((error as NodeJS.ErrnoException).code)) throw error;
    const message = `${file} may not be read (${messageOf(error)}): run this as the user whose node it is, or give it back to that user`;
    throw new DataDirectoryError('notWritable', message, error);
  }
}
