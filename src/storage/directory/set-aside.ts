import { existsSync, lstatSync, realpathSync, renameSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import type { VerifyReport } from '../../cluster/verify-report.ts';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { syncDirectory } from '../disk/durable-file.ts';
import { diskFailure } from '../disk/storage-error.ts';
import { messageOf } from '../disk/system-error.ts';
import { assertReadable } from './access.ts';
import { makeDirectory } from './data-directory.ts';
import { lockDirectory } from './directory-lock.ts';
import { type DirectoryUser, hasData, readIdentity } from './identity-file.ts';
import { type VerifyProgress, verifyDirectory } from './verify.ts';

/** - `absent`: there is no data yet. - `sound`: nothing is wrong with it, and it stays. - `setAside`: it was renamed. */
export type SetAside =
  | { readonly type: 'absent' | 'sound' }
  | { readonly type: 'setAside'; readonly to: string; readonly report: VerifyReport };

/**
 * Renames a data directory that is damaged or an older copy to `<path>.damaged-<n>`, so that its node can begin with an empty
 * one. It deletes nothing, and leaves a sound directory where it is: a start that is repeated loses no vote.
 *
 * Rejects with a {@link DataDirectoryError}: `inUse`, `otherNode`, `otherCluster`, `newerFormat`, `notWritable`.
 */
export async function setAsideIfDamaged(
  directory: string,
  user: DirectoryUser,
  onProgress?: VerifyProgress,
): Promise<SetAside> {
  const path = targetOf(directory);
  if (!existsSync(path) || !hasData(path)) return { type: 'absent' };
  assertReadable(path);
  refuseStranger(path, user);
  const report = await verifyDirectory(path, onProgress);
  if (report.isSound) return { type: 'sound' };
  const to = freeName(path);
  const lock = await lockDirectory(path);
  try {
    renameSync(path, to);
  } catch (error) {
    lock.release();
    throw unmovable(path, error);
  }
  lock.release(to);
  syncDirectory(dirname(path));
  // A link to it must lead somewhere.
  if (path !== resolve(directory)) makeDirectory(path);
  return { type: 'setAside', to, report };
}

/** What is renamed is the directory, on its own disk, and not a link to it. */
function targetOf(directory: string): string {
  const path = resolve(directory);
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() && existsSync(path) ? realpathSync(path) : path;
}

/** A disk is mounted there, or the folder above is another user's. */
function unmovable(path: string, error: unknown): unknown {
  const code = String((error as NodeJS.ErrnoException).code);
  if (!['EBUSY', 'EXDEV', 'EACCES', 'EPERM', 'EROFS'].includes(code)) return diskFailure(path, 'write', error);
  const message = `${path} cannot be set aside (${messageOf(error)}): move all that is in it elsewhere, then start again with --rebuild`;
  return new DataDirectoryError('notWritable', message, error);
}

/** What belongs to another is not this node's to move; what cannot be told any more is. */
function refuseStranger(path: string, user: DirectoryUser): void {
  try {
    readIdentity(path, user);
  } catch (error) {
    if (!(error instanceof DataDirectoryError) || error.code !== 'damaged') throw error;
  }
}

/** The first that was set aside of those in the place of `directory`, and is there still; none if that was made with data since. */
export function setAsideBeside(directory: string): string | undefined {
  const path = targetOf(directory);
  const first = asideName(path, 1);
  return existsSync(first) && !existsSync(join(path, 'origin')) ? first : undefined;
}

function freeName(path: string): string {
  for (let number = 1; ; number++) {
    const name = asideName(path, number);
    if (!existsSync(name)) return name;
  }
}

function asideName(path: string, number: number): string {
  return join(dirname(path), `${basename(path)}.damaged-${number}`);
}
