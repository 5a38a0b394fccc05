import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type BackupFileError,
  type BackupHeader,
  type BackupSummary,
  encodeChunk,
  encodeFrame,
  encodeHeader,
  encodePreamble,
} from '../../src/backup/backup-format.ts';
import { readBackup, verifyBackup } from '../../src/backup/backup-reader.ts';
import { BackupWriter } from '../../src/backup/backup-writer.ts';
import { intoNewFile } from '../../src/backup/save.ts';
import { toByteString } from '../../src/base/bytes.ts';
import type { SnapshotRow } from '../../src/kv/state-store.ts';
import type { WirePair } from '../../src/wire/client-message.ts';

const header: BackupHeader = {
  clusterId: '0123456789abcdef',
  clusterName: 'Fluß',
  nodeId: 2,
  index: 2 ** 41 + 7,
  madeAt: '2026-01-02T03:04:05.678Z',
};

const pages: readonly (readonly WirePair[])[] = [
  [pair('a', 'one', 1), pair('b', '', 2)],
  [pair('b\0', 'x'.repeat(40), 2 ** 41 + 7)],
];

let folder: string;
let count = 0;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'omnikv-backup-'));
});

afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
});

function pair(key: string, value: string, revision: number): WirePair {
  return { key: new TextEncoder().encode(key), value: new TextEncoder().encode(value), revision };
}

/** A file with these bytes. */
function fileOf(...parts: readonly Uint8Array[]): string {
  const path = join(folder, String(++count));
  writeFileSync(path, Buffer.concat(parts));
  return path;
}

async function bytesOf(content: readonly (readonly WirePair[])[]): Promise<{ bytes: Buffer; summary: BackupSummary }> {
  const parts: Uint8Array[] = [];
  const writer = await BackupWriter.begin(async (bytes) => void parts.push(bytes), header);
  for (const page of content) await writer.add(page);
  const summary = await writer.finish();
  return { bytes: Buffer.concat(parts), summary };
}

async function rowsOf(path: string): Promise<SnapshotRow[]> {
  const rows: SnapshotRow[] = [];
  for await (const some of readBackup(path, await verifyBackup(path))) rows.push(...some);
  return rows;
}

async function refusal(path: string): Promise<BackupFileError> {
  const error = await verifyBackup(path).then(
    () => undefined,
    (refused: BackupFileError) => refused,
  );
  if (error === undefined) throw new Error('the file was not refused');
  expect(error.name).toBe('BackupFileError');
  expect(error.message).toContain(path);
  expect(error.message).not.toContain('\n');
  return error;
}

describe('a backup file', () => {
  it('gives back what was put in, and says what it is', async () => {
    const { bytes, summary } = await bytesOf(pages);
    const path = fileOf(bytes);
    expect(await verifyBackup(path)).toEqual(summary);
    expect(summary).toMatchObject({
      ...header,
      chunks: 2,
      pairs: 3,
      bytes: 3 + 1 + 1 + 40 + 2,
      fileBytes: bytes.length,
    });
    const expected = pages
      .flat()
      .map(({ key, value, revision }) => ({ type: 'pair', key: toByteString(key), value, revision }));
    expect(await rowsOf(path)).toEqual(expected);
  });

  it('may hold nothing', async () => {
    const { bytes } = await bytesOf([]);
    expect(await rowsOf(fileOf(bytes))).toEqual([]);
  });

  it('holds any pairs', async () => {
    const keys = fc.uniqueArray(fc.uint8Array({ minLength: 1, maxLength: 20 }), {
      selector: toByteString,
      maxLength: 50,
    });
    await fc.assert(
      fc.asyncProperty(keys, fc.infiniteStream(fc.uint8Array({ maxLength: 30 })), async (found, values) => {
        const sorted = found.sort(Buffer.compare);
        const pairs = sorted.map((key, at) => ({ key, value: values.next().value as Uint8Array, revision: at + 1 }));
        const { bytes } = await bytesOf([pairs.slice(0, 7), pairs.slice(7)]);
        const rows = await rowsOf(fileOf(bytes));
        expect(rows).toEqual(pairs.map((one) => ({ type: 'pair', ...one, key: toByteString(one.key) })));
      }),
      { numRuns: 30 },
    );
  });

  it('is refused however much of its end is missing', async () => {
    const { bytes } = await bytesOf(pages);
    for (let length = 0; length < bytes.length; length++) {
      const { code } = await refusal(fileOf(bytes.subarray(0, length)));
      expect(code, `${length} bytes`).toBe(length < 12 ? 'noBackup' : 'damagedBackup');
    }
  });

  it('is refused with any one bit of it flipped', async () => {
    const { bytes } = await bytesOf(pages);
    const path = fileOf();
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes);
      flipped[bit >>> 3] = (flipped[bit >>> 3] as number) ^ (1 << (bit & 7));
      writeFileSync(path, flipped);
      await refusal(path);
    }
  });

  it('is refused with bytes behind its end, with a part left out, twice or out of order', async () => {
    const { bytes } = await bytesOf(pages);
    expect((await refusal(fileOf(bytes, new Uint8Array(1)))).message).toContain('follows its end');
    const parts = pages.map((page) => encodeFrame('chunk', encodeChunk(page)));
    const [first, second] = parts as [Uint8Array, Uint8Array];
    const start = bytes.indexOf(first);
    const [before, after] = [bytes.subarray(0, start), bytes.subarray(start + first.length + second.length)];
    expect(Buffer.concat([before, first, second, after]).equals(bytes)).toBe(true);
    await refusal(fileOf(before, first, after));
    await refusal(fileOf(before, first, first, second, after));
    await refusal(fileOf(before, second, first, after));
    await refusal(fileOf(before, after));
    await refusal(fileOf(encodePreamble(), first, second, after));
    await refusal(fileOf(before, encodeFrame('header', encodeHeader(header)), first, second, after));
  });

  it('is refused with a revision above its own, whatever its checksums say', async () => {
    const { bytes } = await bytesOf([[pair('a', '1', header.index + 1)]]);
    expect((await refusal(fileOf(bytes))).message).toContain('revision');
  });

  it('of a newer format is refused as such, before anything else in it is looked at', async () => {
    const { bytes } = await bytesOf(pages);
    bytes.writeUInt32BE(2, 8);
    const error = await refusal(fileOf(bytes.subarray(0, 30)));
    expect(error.code).toBe('newerFormat');
    expect(error.message).toContain('format 2');
  });

  it('that is replaced between the check and the reading is not taken for the one that was checked', async () => {
    const { bytes, summary } = await bytesOf(pages);
    const other = await bytesOf([[pair('z', '1', 1)]]);
    const path = fileOf(other.bytes);
    const read = async () => {
      for await (const _ of readBackup(path, summary));
    };
    await expect(read()).rejects.toThrow('replaced');
    writeFileSync(path, bytes);
    await read();
  });
});

describe('a new file', () => {
  const content = new Uint8Array([1, 2, 3]);
  const partOf = (path: string, pid: number) => `${path}.${pid}-0.part`;
  const partsOf = (path: string) => readdirSync(folder).filter((name) => name.startsWith(`${basename(path)}.`));

  it('has its name only when it is whole', async () => {
    const path = join(folder, 'new');
    await expect(
      intoNewFile(path, false, async (write) => {
        await write(content);
        expect(partsOf(path).map((name) => readFileSync(join(folder, name)))).toEqual([Buffer.from(content)]);
        throw new Error('cut off');
      }),
    ).rejects.toThrow('cut off');
    expect(() => readFileSync(path)).toThrow('ENOENT');
    expect(partsOf(path)).toEqual([]);
    await intoNewFile(path, false, (write) => write(content));
    expect(readFileSync(path)).toEqual(Buffer.from(content));
  });

  it('replaces another only if it may', async () => {
    const path = fileOf(content);
    await expect(intoNewFile(path, false, async () => {})).rejects.toThrow('--force');
    await intoNewFile(path, true, (write) => write(new Uint8Array([9])));
    expect(readFileSync(path)).toEqual(Buffer.from([9]));
  });

  it('removes what a process left that was killed, and leaves alone what another is writing or has just written', async () => {
    const path = join(folder, 'saved');
    const gone = spawnSync(process.execPath, ['-e', '0']).pid;
    const longAgo = new Date(Date.now() - 120_000);
    writeFileSync(partOf(path, process.ppid), content);
    utimesSync(partOf(path, process.ppid), longAgo, longAgo);
    writeFileSync(partOf(path, gone), content);
    await intoNewFile(path, false, (write) => write(content));
    expect(existsSync(partOf(path, gone))).toBe(true);
    utimesSync(partOf(path, gone), longAgo, longAgo);
    const other = join(folder, 'other');
    await intoNewFile(other, false, (write) => write(content));
    expect(existsSync(partOf(path, gone))).toBe(true);
    await intoNewFile(path, true, (write) => write(content));
    expect(existsSync(partOf(path, gone))).toBe(false);
    expect(existsSync(partOf(path, process.ppid))).toBe(true);
  });
});
