import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { syncDirectory, writeFileDurably } from './durable-file.ts';
import { isFullDisk } from './storage-error.ts';

/*
 * A file that is there while a data directory is closed in good order. It holds size and time of change of the data
 * files, so that one that was cut or replaced since does not pass.
 */

const fileName = 'closed';

/** Notes that `files` were closed in good order; not if the disk is full: the next start then reads them to be sure. */
export function markClosed(directory: string, files: readonly string[]): void {
  try {
    writeFileDurably(directory, fileName, fingerprint(files));
  } catch (error) {
    if (!isFullDisk(error)) throw error;
  }
}

/** True if `files` are as they were when they were closed in good order. */
export function wasClosed(directory: string, files: readonly string[]): boolean {
  const file = join(directory, fileName);
  return (
    existsSync(file) && files.every((data) => existsSync(data)) && readFileSync(file, 'latin1') === fingerprint(files)
  );
}

/** To be called before the files are opened. */
export function markOpened(directory: string): void {
  rmSync(join(directory, fileName), { force: true });
  syncDirectory(directory);
}

function fingerprint(files: readonly string[]): string {
  return files
    .map((file) => {
      const { size, mtimeNs } = statSync(file, { bigint: true });
      return `${size} bytes, changed ${mtimeNs}\n`;
    })
    .join('');
}
