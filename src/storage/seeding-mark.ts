import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataDirectoryError } from './data-directory-error.ts';

/** There while data is put into a new directory: until that is done, the directory is neither empty nor whole. */
export const seedingName = 'seeding';

/** Throws if the directory at `path` was to be made with data, and that was cut off: no node may begin empty there. */
export function refuseUnfinishedSeed(path: string): void {
  if (!existsSync(join(path, seedingName))) return;
  throw new DataDirectoryError(
    'unfinished',
    `data directory ${path} was not finished (a restore or a recovery was cut off): run that again, or remove the directory`,
  );
}
