import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileDurably } from '../disk/durable-file.ts';
import { isFullDisk } from '../disk/storage-error.ts';

/*
 * A file that is there once another node has recognized the directory as an older copy of what this node voted with. It
 * forgot votes, so it never votes again, whoever is up when it is started the next time.
 */

const fileName = 'older-copy';

/** Notes durably that the directory is an older copy; `reason` is one line. Not if the disk is full: others will say so again. */
export function markOlderCopy(directory: string, reason: string): void {
  try {
    writeFileDurably(directory, fileName, `${reason}\n`);
  } catch (error) {
    if (!isFullDisk(error)) throw error;
  }
}

/** What was noted, or `undefined`. */
export function olderCopyReason(directory: string): string | undefined {
  const file = join(directory, fileName);
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : undefined;
}
