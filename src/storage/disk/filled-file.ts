import { type FileHandle, open } from 'node:fs/promises';
import { assert } from '../../base/assert.ts';

const zeros = new Uint8Array(256 * 1024);

/** Makes a file of `bytes` zeros, in the place of one that is there: the disk has room for so much then. Not durable. */
export async function fillFile(path: string, bytes: number): Promise<void> {
  assert(Number.isSafeInteger(bytes), `a file cannot have ${bytes} bytes`);
  const file = await open(path, 'w', 0o600);
  try {
    await fillOpened(file, bytes, []);
  } finally {
    await file.close();
  }
}

/** Writes `first` and then zeros, `bytes` in all, from the beginning of a file that is open for it. Not durable. */
export async function fillOpened(file: FileHandle, bytes: number, first: readonly Uint8Array[]): Promise<void> {
  let at = 0;
  const put = async (parts: readonly Uint8Array[]): Promise<void> => {
    for (let left = parts; left.length > 0; ) {
      const { bytesWritten } = await file.writev(left, at);
      at += bytesWritten;
      left = partsFrom(left, bytesWritten);
    }
  };
  await put(first);
  while (at < bytes) await put([zeros.subarray(0, Math.min(zeros.length, bytes - at))]);
}

/** What is behind the first `count` bytes of `parts`: what is left to do of a write that took only those. */
export function partsFrom(parts: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let left = count;
  let at = 0;
  for (; at < parts.length && left >= (parts[at] as Uint8Array).length; at++) left -= (parts[at] as Uint8Array).length;
  if (at === parts.length) return [];
  return [(parts[at] as Uint8Array).subarray(left), ...parts.slice(at + 1)];
}
