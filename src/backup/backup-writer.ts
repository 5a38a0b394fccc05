import { createHash } from 'node:crypto';
import type { WirePair } from '../wire/client-message.ts';
import {
  type BackupHeader,
  type BackupSummary,
  type BackupTrailer,
  backupFormat,
  encodeChunk,
  encodeFrame,
  encodeHeader,
  encodePreamble,
  encodeTrailer,
} from './backup-format.ts';

/** Where a backup goes. Resolves when more may come. */
export type BackupSink = (bytes: Uint8Array) => Promise<void>;

/** Puts a backup together and hands it on piece by piece: it holds no more than one page. */
export class BackupWriter {
  readonly #sink: BackupSink;
  readonly #header: BackupHeader;
  readonly #hash = createHash('sha256');
  #chunks = 0;
  #pairs = 0;
  #bytes = 0;
  #fileBytes = 0;

  private constructor(sink: BackupSink, header: BackupHeader) {
    this.#sink = sink;
    this.#header = header;
  }

  /** Begins a backup. Rejects with whatever `sink` does. */
  static async begin(sink: BackupSink, header: BackupHeader): Promise<BackupWriter> {
    const writer = new BackupWriter(sink, header);
    await writer.#write(encodePreamble());
    await writer.#write(encodeFrame('header', encodeHeader(header)));
    return writer;
  }

  /** Pairs so far. */
  get pairs(): number {
    return this.#pairs;
  }

  /** Bytes of keys and values so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Adds pairs, whose keys follow all before. Together they take at most 16 MiB. */
  async add(pairs: readonly WirePair[]): Promise<void> {
    if (pairs.length === 0) return;
    await this.#write(encodeFrame('chunk', encodeChunk(pairs)));
    this.#chunks++;
    this.#pairs += pairs.length;
    for (const { key, value } of pairs) this.#bytes += key.length + value.length;
  }

  /** Writes the end. Only then is it a backup. */
  async finish(): Promise<BackupSummary> {
    const sha256 = this.#hash.digest('hex');
    const trailer: BackupTrailer = { chunks: this.#chunks, pairs: this.#pairs, bytes: this.#bytes, sha256 };
    const frame = encodeFrame('trailer', encodeTrailer(trailer));
    await this.#sink(frame);
    return { ...this.#header, ...trailer, format: backupFormat, fileBytes: this.#fileBytes + frame.length };
  }

  async #write(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    this.#fileBytes += bytes.length;
    await this.#sink(bytes);
  }
}
