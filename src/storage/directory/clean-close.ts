import { existsSync, readFileSync, rmSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { syncDirectory, writeFileDurably } from '../disk/durable-file.ts';
import { checksumText, openSealedText, sealText } from '../disk/sealed-text.ts';
import { DamagedError, diskFailure, isFullDisk } from '../disk/storage-error.ts';

/*
 * A file that is there while a data directory is closed in good order. It holds size and checksum of the state's file as
 * it was closed, since LMDB has no checksums of its own: what changed in it while it lay there is noticed, whatever it is.
 * It also holds how many records of the log there were, whose end is else taken for where the last write was torn.
 */

export const closedName = 'closed';
const wholeBody = /^(state \d+ bytes crc32 [0-9a-f]{8}\n)(?:log (\d+) records\n)?$/;
const chunkBytes = 1024 * 1024;

/** - `asClosed`: the file is what it was when it was closed. - `changed`: it is not. - `unknown`: it was not closed in good order. */
export type CloseVerdict = 'asClosed' | 'changed' | 'unknown';

/**
 * Notes that `file`, which nobody writes to any more, was closed in good order, and the log after `logRecords` records; not if the disk
 * is full: the next start then checks it record by record. Rejects with a `DiskFailedError`.
 */
export async function markClosed(directory: string, file: string, logRecords: number): Promise<void> {
  const text = `state ${await fingerprint(file)}\nlog ${logRecords} records\n`;
  try {
    writeFileDurably(directory, closedName, sealText(text));
  } catch (error) {
    if (!isFullDisk(error)) throw error;
  }
}

/** Whether `file` is as it was when it was closed in good order. Reads all of it. Rejects with a `DiskFailedError`. */
export async function closeVerdict(directory: string, file: string): Promise<CloseVerdict> {
  const note = readNote(directory);
  if (note === undefined) return 'unknown';
  return `state ${await fingerprint(file)}\n` === note.state ? 'asClosed' : 'changed';
}

/** Throws a {@link DamagedError} if the log, of which `records` are found, had more when it was closed in good order. */
export function checkLogEnd(directory: string, logDirectory: string, records: number): void {
  const closedAfter = readNote(directory)?.logRecords;
  if (closedAfter === undefined || records >= closedAfter) return;
  const problem = `it had ${closedAfter} records when it was closed: its end is not what was written`;
  throw new DamagedError(logDirectory, `record ${records + 1}`, problem);
}

function readNote(directory: string): { readonly state: string; readonly logRecords: number | undefined } | undefined {
  const note = join(directory, closedName);
  if (!existsSync(note)) return undefined;
  const { body, isIntact } = openSealedText(readFileSync(note, 'latin1'));
  const match = wholeBody.exec(body);
  if (!isIntact || match === null) return undefined;
  return { state: match[1] as string, logRecords: match[2] === undefined ? undefined : Number(match[2]) };
}

/** To be called before the file is opened. */
export function markOpened(directory: string): void {
  rmSync(join(directory, closedName), { force: true });
  syncDirectory(directory);
}

async function fingerprint(path: string): Promise<string> {
  try {
    const file = await open(path, 'r');
    try {
      const { bytes, checksum } = await sum(file);
      return `${bytes} bytes crc32 ${checksumText(checksum)}`;
    } finally {
      await file.close();
    }
  } catch (error) {
    throw diskFailure(path, 'read', error);
  }
}

async function sum(file: FileHandle): Promise<{ bytes: number; checksum: number }> {
  const chunk = new Uint8Array(chunkBytes);
  let bytes = 0;
  let checksum = 0;
  for (;;) {
    const { bytesRead } = await file.read(chunk, 0, chunkBytes, bytes);
    if (bytesRead === 0) return { bytes, checksum };
    checksum = crc32(chunk.subarray(0, bytesRead), checksum);
    bytes += bytesRead;
  }
}
