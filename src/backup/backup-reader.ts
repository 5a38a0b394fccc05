import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { DecodeError, toByteString } from '../base/bytes.ts';
import type { SnapshotRow } from '../kv/state-store.ts';
import type { WirePair } from '../wire/client-message.ts';
import {
  BackupFileError,
  type BackupHeader,
  type BackupSummary,
  type BackupTrailer,
  backupFormat,
  decodeChunk,
  decodeFrameHead,
  decodeHeader,
  decodeTrailer,
  type FrameKind,
  formatIn,
  frameHeadBytes,
  isFrameIntact,
  preambleBytes,
} from './backup-format.ts';

/** Told how far the reading is. */
export type ReadProgress = (readBytes: number, fileBytes: number) => void;

/**
 * Reads the whole backup in file `path` and checks all of it. Rejects with a {@link BackupFileError}, or with the system's error if
 * the file cannot be read. Holds one chunk at a time.
 */
export async function verifyBackup(path: string, onProgress: ReadProgress = () => {}): Promise<BackupSummary> {
  const scan = new BackupScan(path);
  for await (const _ of scan.chunks(onProgress));
  return scan.summary();
}

/**
 * The pairs of a backup that was verified, some at a time. Checks everything once more as it reads: throws a
 * {@link BackupFileError} if the file is not the one that `verified` is about.
 */
export async function* readBackup(
  path: string,
  verified: BackupSummary,
  onProgress: ReadProgress = () => {},
): AsyncGenerator<SnapshotRow[]> {
  const scan = new BackupScan(path);
  for await (const pairs of scan.chunks(onProgress)) {
    yield pairs.map(({ key, value, revision }) => ({ type: 'pair', key: toByteString(key), value, revision }));
  }
  if (scan.summary().sha256 !== verified.sha256) throw damaged(path, 'it was replaced while it was read');
}

interface Frame {
  readonly kind: FrameKind;
  readonly body: Uint8Array;
  /** All of its bytes but the body. */
  readonly head: Uint8Array;
  readonly offset: number;
}

/** One reading of a file, from its first byte to its last. */
class BackupScan {
  readonly #path: string;
  readonly #hash = createHash('sha256');
  #offset = 0;
  #fileBytes = 0;
  #header: BackupHeader | undefined;
  #trailer: BackupTrailer | undefined;
  #counted = { chunks: 0, pairs: 0, bytes: 0 };
  #lastKey: Uint8Array | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** The chunks, each checked. To be read to the end: what is wrong with the file may stand in its last byte. */
  async *chunks(onProgress: ReadProgress): AsyncGenerator<WirePair[]> {
    const file = await open(this.#path, 'r');
    try {
      this.#fileBytes = (await file.stat()).size;
      await this.#readPreamble(file);
      while (this.#trailer === undefined) {
        const pairs = this.#take(await this.#readFrame(file));
        onProgress(this.#offset, this.#fileBytes);
        if (pairs !== undefined) yield pairs;
      }
      const [rest] = await this.#read(file, 1);
      if (rest !== undefined) throw this.#damaged('something follows its end');
    } finally {
      await file.close();
    }
  }

  /** What the file said, once all of it was read. */
  summary(): BackupSummary {
    if (this.#header === undefined || this.#trailer === undefined) throw this.#damaged('it was not read to its end');
    return { ...this.#header, ...this.#trailer, format: backupFormat, fileBytes: this.#fileBytes };
  }

  async #readPreamble(file: FileHandle): Promise<void> {
    const preamble = await this.#read(file, preambleBytes);
    const format = formatIn(preamble);
    if (format === undefined) {
      throw new BackupFileError('noBackup', `${this.#path} is no backup: give a file that kv backup save wrote`);
    }
    if (format > backupFormat) {
      throw new BackupFileError(
        'newerFormat',
        `${this.#path} has format ${format}, this version knows formats up to ${backupFormat}: use the version that wrote it, or a newer one`,
      );
    }
    if (format < 1) throw this.#damaged(`format ${format} is none`);
    this.#hash.update(preamble);
  }

  async #readFrame(file: FileHandle): Promise<Frame> {
    const offset = this.#offset;
    const head = await this.#readWhole(file, frameHeadBytes);
    const { kind, bodyBytes } = this.#decoded(offset, () => decodeFrameHead(head));
    if (offset + frameHeadBytes + bodyBytes > this.#fileBytes) throw this.#cutOff();
    const body = await this.#readWhole(file, bodyBytes);
    if (!isFrameIntact(head, body)) throw this.#damaged(`the checksum of the part at offset ${offset} does not fit`);
    return { kind, head, body, offset };
  }

  /** Checks a frame against what came before. The pairs, if it has any. */
  #take(frame: Frame): WirePair[] | undefined {
    if ((frame.kind === 'header') !== (this.#header === undefined)) {
      throw this.#damaged(`a ${frame.kind} is not due at offset ${frame.offset}`);
    }
    if (frame.kind === 'trailer') return this.#takeTrailer(frame);
    this.#hash.update(frame.head).update(frame.body);
    if (frame.kind === 'chunk') return this.#takeChunk(frame);
    this.#header = this.#decoded(frame.offset, () => decodeHeader(frame.body));
    return undefined;
  }

  #takeChunk({ body, offset }: Frame): WirePair[] {
    const pairs = this.#decoded(offset, () => decodeChunk(body));
    const index = this.#header?.index ?? 0;
    for (const { key, value, revision } of pairs) {
      const isNext = key.length > 0 && (this.#lastKey === undefined || Buffer.compare(this.#lastKey, key) < 0);
      if (!isNext) throw this.#damaged(`the keys in the part at offset ${offset} are not in order`);
      if (revision < 1 || revision > index) throw this.#damaged(`revision ${revision} is not of 1 to ${index}`);
      this.#lastKey = key;
      this.#counted.bytes += key.length + value.length;
    }
    this.#counted.chunks++;
    this.#counted.pairs += pairs.length;
    return pairs;
  }

  #takeTrailer({ body, offset }: Frame): undefined {
    const trailer = this.#decoded(offset, () => decodeTrailer(body));
    const { chunks, pairs, bytes } = this.#counted;
    if (trailer.chunks !== chunks || trailer.pairs !== pairs || trailer.bytes !== bytes) {
      throw this.#damaged(`its end tells of ${trailer.pairs} keys, and ${pairs} are there`);
    }
    if (trailer.sha256 !== this.#hash.digest('hex')) throw this.#damaged('its sha-256 does not fit');
    this.#trailer = trailer;
  }

  async #readWhole(file: FileHandle, count: number): Promise<Uint8Array> {
    const bytes = await this.#read(file, count);
    if (bytes.length < count) throw this.#cutOff();
    return bytes;
  }

  /** As many bytes as are there, `count` at the most. */
  async #read(file: FileHandle, count: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(count);
    let filled = 0;
    while (filled < count) {
      const { bytesRead } = await file.read(bytes, filled, count - filled, this.#offset);
      if (bytesRead === 0) break;
      filled += bytesRead;
      this.#offset += bytesRead;
    }
    return bytes.subarray(0, filled);
  }

  #decoded<T>(offset: number, decode: () => T): T {
    try {
      return decode();
    } catch (error) {
      if (error instanceof DecodeError) throw this.#damaged(`the part at offset ${offset}: ${error.message}`);
      throw error;
    }
  }

  #cutOff(): BackupFileError {
    return this.#damaged(`it ends too early, after ${this.#fileBytes} bytes`);
  }

  #damaged(problem: string): BackupFileError {
    return damaged(this.#path, problem);
  }
}

function damaged(path: string, problem: string): BackupFileError {
  return new BackupFileError('damagedBackup', `${path} is damaged: ${problem}; use another copy or another backup`);
}
