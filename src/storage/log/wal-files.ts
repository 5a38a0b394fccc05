import { constants, existsSync, fdatasync, openSync, readdirSync, readSync, write, writev } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fillOpened, partsFrom } from '../disk/filled-file.ts';

/*
 * The files of the write-ahead log: one a segment, of its full size from the start, so that a write changes nothing but
 * the bytes it writes, and one flush of the device makes it durable.
 */

const namePattern = /^(\d{20})\.wal$/;
/** What is being made; it counts once it is renamed. */
const unfinishedPattern = /^\d{20}\.wal\.new$/;

/**
 * On Linux a file opened so makes each write durable by itself, in one call where `write` and `fdatasync` take two.
 * Elsewhere only `fdatasync` is known to go through the device's cache (macOS: `F_FULLFSYNC`).
 */
const writesThrough = process.platform === 'linux';
const openFlags = constants.O_RDWR | (writesThrough ? constants.O_DSYNC : 0);

/** The file of a segment. */
export function segmentFile(directory: string, segment: number): string {
  return join(directory, `${String(segment).padStart(20, '0')}.wal`);
}

/** The segments in a directory, ascending; none if there is no such directory. */
export function listSegments(directory: string): number[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory)
    .flatMap((name) => namePattern.exec(name)?.[1] ?? [])
    .map(Number)
    .sort((a, b) => a - b);
}

/** Files that a crash left half made. */
export function listUnfinished(directory: string): string[] {
  return readdirSync(directory)
    .filter((name) => unfinishedPattern.test(name))
    .map((name) => join(directory, name));
}

/** Opens a segment's file for {@link writeDurably} and reads; for reads alone where the file system is mounted for those. */
export function openSegment(directory: string, segment: number): number {
  const file = segmentFile(directory, segment);
  try {
    return openSync(file, openFlags);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EROFS') throw error;
    return openSync(file, constants.O_RDONLY);
  }
}

/** Makes a segment's file of `bytes` bytes, `first` and then zeros, durably; takes the place of one that is there. */
export async function createSegment(
  directory: string,
  segment: number,
  bytes: number,
  first: readonly Uint8Array[] = [],
): Promise<void> {
  const path = segmentFile(directory, segment);
  const unfinished = `${path}.new`;
  const file = await open(unfinished, 'w', 0o600);
  try {
    await fillOpened(file, bytes, first);
    await file.sync();
  } catch (error) {
    await file.close();
    await rm(unfinished, { force: true });
    throw error;
  }
  await file.close();
  await rename(unfinished, path);
  await syncDirectoryLater(directory);
}

/** Gives the file of segment `from` to segment `to`, durably. What is in it is no record of that segment. */
export async function recycleSegment(directory: string, from: number, to: number): Promise<void> {
  await rename(segmentFile(directory, from), segmentFile(directory, to));
  await syncDirectoryLater(directory);
}

/** Bytes of all `parts`. */
export function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

/** Resolves when `parts`, one behind the other, are on the device. After an error nothing is known of them. */
export function writeDurably(file: number, parts: readonly Uint8Array[], position: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const writeFrom = (left: readonly Uint8Array[], at: number): void => {
      const onWritten = (error: Error | null, written: number): void => {
        if (error !== null) return reject(error);
        const next = partsFrom(left, written);
        if (next.length > 0) writeFrom(next, at + written);
        else if (writesThrough) resolve();
        else fdatasync(file, (failure) => (failure === null ? resolve() : reject(failure)));
      };
      const [first] = left;
      if (first !== undefined && left.length === 1) write(file, first, 0, first.length, at, onWritten);
      else writev(file, left, at, onWritten);
    };
    writeFrom(parts, position);
  });
}

/** Reads `length` bytes at `position` into `bytes`; fewer if the file ends before. */
export function readAt(file: number, position: number, length: number, bytes = unwritten(length)): Uint8Array {
  let count = 0;
  while (count < length) {
    const read = readSync(file, bytes, count, length - count, position + count);
    if (read === 0) break;
    count += read;
  }
  return bytes.subarray(0, count);
}

/** Without the zeros that a new array has, of which all that are read over would have been written in vain. */
function unwritten(length: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}

/** As `syncDirectory`, without keeping the event loop. */
async function syncDirectoryLater(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
