import { closeSync, fsyncSync, openSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { onDisk } from './storage-error.ts';

/**
 * Replaces file `name` in `directory` by `text`, durably: after a crash it is the old or the new one, whole. Throws a
 * {@link import('./storage-error.ts').DiskFailedError} if the device fails, as `syncDirectory` does.
 */
export function writeFileDurably(directory: string, name: string, text: string): void {
  const temporary = join(directory, `${name}.new`);
  onDisk(temporary, 'write', () => {
    const file = openSync(temporary, 'w', 0o600);
    try {
      writeSync(file, text);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, join(directory, name));
  });
  syncDirectory(directory);
}

/** Makes what was created, renamed or removed in a directory durable. */
export function syncDirectory(path: string): void {
  // Windows cannot open directories, and needs no such step.
  if (process.platform === 'win32') return;
  onDisk(path, 'write', () => {
    const directory = openSync(path, 'r');
    try {
      fsyncSync(directory);
    } finally {
      closeSync(directory);
    }
  });
}
