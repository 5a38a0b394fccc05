import type { Entry } from '../../omnipaxos/entry.ts';
import type { Sequence } from '../../omnipaxos/storage.ts';
import { DamagedError, DiskFailedError } from '../disk/storage-error.ts';
import { messageOf } from '../disk/system-error.ts';
import type { BlockIndex } from './block-index.ts';
import { BlockDamage, decodeBlock } from './log-block-codec.ts';
import { entryMemoryBytes, LogTail, type TailLimits } from './log-tail.ts';
import { RecentBlocks } from './recent-blocks.ts';
import type { Wal } from './wal.ts';
import type { LogChange } from './wal-record.ts';

/**
 * The log over a write-ahead log: blocks of consecutive entries on disk, and the tail in memory. Writes are staged in the
 * tail; a flush takes what differs from the disk, so that what was appended and truncated in between never gets there.
 *
 * The index of blocks is ahead of the disk while a flush is under way. That is harmless: entries that the flush writes
 * are in the tail until it has succeeded, and if it fails the whole store is unusable.
 */
export class FileLog implements Sequence<Uint8Array> {
  readonly #wal: Wal;
  readonly #limits: TailLimits;
  readonly #onRead: () => void;
  readonly #onStage: () => void;
  readonly #tail: LogTail;
  /** Each block ends where the next begins, the last at `#blocksEnd`. */
  readonly #blocks: BlockIndex;
  #blocksEnd: number;
  #trimmed: number;
  #diskEnd: number;
  /** Entries below are on disk as they are here; above, the disk lacks them or has others. -1: it has none of this log. */
  #cleanEnd: number;
  readonly #recent = new RecentBlocks();

  /**
   * `onRead` is called before every read and `onStage` before every change: either may throw to refuse it.
   * Throws a {@link DamagedError} if an entry of the tail is damaged.
   */
  constructor(
    wal: Wal,
    blocks: BlockIndex,
    bounds: { readonly trimmedIndex: number; readonly endIndex: number },
    limits: TailLimits,
    gates: { readonly onRead: () => void; readonly onStage: () => void },
  ) {
    this.#wal = wal;
    this.#blocks = blocks;
    this.#blocksEnd = bounds.endIndex;
    this.#limits = limits;
    this.#onRead = gates.onRead;
    this.#onStage = gates.onStage;
    this.#trimmed = bounds.trimmedIndex;
    this.#diskEnd = bounds.endIndex;
    this.#cleanEnd = bounds.endIndex;
    this.#tail = new LogTail(bounds.endIndex);
    this.#loadTail();
  }

  get trimmedIndex(): number {
    return this.#trimmed;
  }

  get endIndex(): number {
    return this.#tail.end;
  }

  /** Where the flush in the making puts its blocks. */
  get blocks(): BlockIndex {
    return this.#blocks;
  }

  /** Where the log on disk ends, as of the last change taken. */
  get diskEnd(): number {
    return this.#diskEnd;
  }

  /** The oldest segment that entries are in. Undefined: none. */
  get oldestSegment(): number | undefined {
    return this.#blocks.segment(0);
  }

  /** The segment that holds the entry at `index`; undefined behind what is, or is just being written, there. */
  segmentOf(index: number): number | undefined {
    return index < this.#blocksEnd ? this.#blocks.segment(this.#blocks.find(index)) : undefined;
  }

  /** The first index of the log that is in `segment` or behind it. */
  firstIndexIn(segment: number): number {
    return Math.max(this.#trimmed, this.#blocks.firstIn(segment) ?? this.#diskEnd);
  }

  /** The blocks of the entries up to `end`, of the change taken last, are in `blocks` now. */
  placed(end: number): void {
    this.#blocksEnd = end;
  }

  /** They are there no more, from `from` on, where the change begins: it goes somewhere else. */
  displaced(from: number): void {
    this.#blocks.cut(from);
    this.#blocksEnd = from;
  }

  /** Blocks below `index`, to which the log is trimmed on the disk or is just being, are of no use. */
  dropBlocks(index: number): void {
    this.#blocks.dropBelow(index, this.#blocksEnd);
  }

  append(entries: readonly Entry<Uint8Array>[]): void {
    if (entries.length === 0) return;
    this.#onStage();
    this.#tail.append(entries);
  }

  truncate(index: number): void {
    this.#checkIndex(index);
    if (index === this.endIndex) return;
    this.#onStage();
    this.#tail.truncate(index);
    this.#cleanEnd = Math.min(this.#cleanEnd, index);
  }

  trim(index: number): void {
    this.#checkIndex(index);
    if (index === this.#trimmed) return;
    this.#onStage();
    this.#tail.dropBelow(index);
    this.#trimmed = index;
  }

  reset(index: number): void {
    this.#onStage();
    this.#tail.reset(index);
    this.#trimmed = index;
    this.#cleanEnd = -1;
  }

  read(from: number, to: number, sizeMax?: number): Entry<Uint8Array>[] {
    this.#onRead();
    this.#checkIndex(from);
    this.#checkIndex(to);
    if (from >= to) return [];
    if (from >= this.#tail.from) return this.#tail.slice(from, to);
    const end = Math.min(to, this.#tail.from);
    const entries = this.#readBlocks(from, end, sizeMax);
    if (from + entries.length < end) return entries;
    if (to > this.#tail.from) for (const entry of this.#tail.slice(this.#tail.from, to)) entries.push(entry);
    return entries;
  }

  /** By the lengths of the blocks that it is in whole, which are a little more than what their entries hold. */
  sizeFrom(from: number): number {
    this.#checkIndex(from);
    let size = this.#tail.sizeFrom(from);
    for (let at = this.#blocks.find(from); at < this.#blocks.count; at++) {
      const first = this.#blocks.first(at) as number;
      if (first >= this.#tail.from) break;
      if (first >= from) size += this.#blocks.place(at).length;
    }
    return size;
  }

  /**
   * What must be written for the disk to hold the log as it is now, up to `diskEnd`, read before. Its blocks must be put into `blocks`, as
   * {@link placed} is told, before the next change, which belongs to the next flush.
   */
  takeChange(): LogChange {
    const cut = this.#takeCut();
    const from = Math.max(this.#cleanEnd, this.#trimmed);
    this.#blocksEnd = this.#diskEnd;
    this.dropBlocks(this.#trimmed);
    this.#diskEnd = this.endIndex;
    this.#cleanEnd = this.endIndex;
    return { cut, from, entries: this.#tail.slice(from, this.endIndex) };
  }

  /** The change taken last is durable: its entries may leave memory, once they are decided and so, mostly, have been read to be applied. */
  written(decidedIndex: number): void {
    this.#tail.evict(this.#limits, Math.min(this.#cleanEnd, decidedIndex));
  }

  #takeCut(): LogChange['cut'] {
    if (this.#cleanEnd < this.#trimmed) {
      // Nothing that is on disk belongs to the log any more.
      this.#cut(0, this.#trimmed);
      return { type: 'reset', index: this.#trimmed };
    }
    if (this.#cleanEnd === this.#diskEnd) return undefined;
    this.#cut(this.#cleanEnd, this.#cleanEnd);
    return { type: 'truncate', index: this.#cleanEnd };
  }

  #cut(index: number, end: number): void {
    this.#blocks.cut(index);
    this.#diskEnd = end;
    this.#recent.clear();
  }

  /** Entries that are not in the tail, from disk: up to `to`, or to the end of the block with which they are over `bytesMax`. */
  #readBlocks(from: number, to: number, bytesMax = Number.POSITIVE_INFINITY): Entry<Uint8Array>[] {
    const entries: Entry<Uint8Array>[] = [];
    let bytes = 0;
    for (let at = this.#blocks.find(from), index = from; index < to && bytes <= bytesMax; at++) {
      const first = this.#blocks.first(at) as number;
      const block = this.#readBlock(at, first);
      const end = Math.min(to, first + block.length);
      for (; index < end; index++) {
        const entry = block[index - first] as Entry<Uint8Array>;
        // A StopSign is small.
        if (entry.type === 'Normal') bytes += entry.entry.length;
        entries.push(entry);
      }
    }
    return entries;
  }

  #readBlock(at: number, firstIndex: number): Entry<Uint8Array>[] {
    const recent = this.#recent.get(firstIndex);
    if (recent !== undefined) return recent;
    const { segment, offset, length } = this.#blocks.place(at);
    const end = this.#blocks.first(at + 1) ?? this.#blocksEnd;
    try {
      const entries = decodeBlock(this.#wal.read(segment, offset, length), firstIndex, end - firstIndex);
      this.#recent.add(firstIndex, entries, length);
      return entries;
    } catch (error) {
      if (error instanceof DiskFailedError) throw error;
      const index = error instanceof BlockDamage ? error.index : firstIndex;
      throw new DamagedError(this.#wal.fileOf(segment), `log entry ${index} (offset ${offset})`, messageOf(error));
    }
  }

  #checkIndex(index: number): void {
    if (!(index >= this.#trimmed && index <= this.endIndex)) {
      throw new RangeError(`log index ${index} is outside ${this.#trimmed}…${this.endIndex}`);
    }
  }

  /** Takes blocks into memory from the end on, as far as the limits allow. */
  #loadTail(): void {
    const chunks: Entry<Uint8Array>[][] = [];
    let from = this.#diskEnd;
    for (let at = this.#blocks.count - 1, bytes = 0; at >= 0 && bytes < this.#limits.bytesMax; at--) {
      const first = Math.max(this.#blocks.first(at) as number, this.#trimmed);
      if (this.#diskEnd - first > this.#limits.entriesMax) break;
      const chunk = this.#readBlocks(first, from);
      for (const entry of chunk) bytes += entryMemoryBytes(entry);
      chunks.push(chunk);
      from = first;
    }
    this.#tail.prepend(chunks.reverse().flat());
  }
}
