import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { nameWhileWritten } from '../disk/durable-file.ts';

/** There while data is put into a new directory: until that is done, the directory is neither empty nor whole. */
export const seedingName = 'seeding';

/** True for a directory that was to be made with data, and is not finished; also where that was cut off before the mark had its name. */
export function isUnfinishedSeed(path: string): boolean {
  return [seedingName, nameWhileWritten(seedingName)].some((name) => existsSync(join(path, name)));
}

/** Throws if the directory at `path` was to be made with data, and that was cut off: no node may begin empty there. */
export function refuseUnfinishedSeed(path: string): void {
  if (!isUnfinishedSeed(path)) return;
  throw new DataDirectoryError(
    'unfinished',
    `data directory ${path} is incomplete (a restore or a recovery was interrupted): run that again, or remove the directory`,
  );
}
