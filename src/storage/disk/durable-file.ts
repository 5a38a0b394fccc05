import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { onDisk } from './storage-error.ts';

/**
 * Replaces file `name` in `directory` by `text`, durably: after a crash it is the old or the new one, whole. Throws a
 * {@link import('./storage-error.ts').DiskFailedError} if the device fails, as `syncDirectory` does.
 */
export function writeFileDurably(directory: string, name: string, text: string): void {
  const temporary = join(directory, nameWhileWritten(name));
  try {
    onDisk(temporary, 'write', () => writeWhole(temporary, Buffer.from(text)));
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  onDisk(temporary, 'write', () => renameSync(temporary, join(directory, name)));
  syncDirectory(directory);
}

/** What a file is called that is not whole yet, and is to replace that of this name. */
export function nameWhileWritten(name: string): string {
  return `${name}.new`;
}

/** A disk that is full takes a part of what it is given, and says so only the next time. */
function writeWhole(path: string, bytes: Uint8Array): void {
  const file = openSync(path, 'w', 0o600);
  try {
    for (let start = 0; start < bytes.length; ) start += writeSync(file, bytes, start);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
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
