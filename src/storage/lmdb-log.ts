import type { Database } from 'lmdb';
import type { Entry } from '../omnipaxos/entry.ts';
import type { Sequence } from '../omnipaxos/storage.ts';
import { type LmdbEnvironment, plainBytes } from './lmdb-environment.ts';
import { decodeSegment, encodeSegment, SegmentDamage, segmentEnd } from './log-segment-codec.ts';
import { entryMemoryBytes, LogTail, type TailLimits } from './log-tail.ts';
import { DamagedError, messageOf } from './storage-error.ts';

/** Where the log begins and ends, as the last flush wrote it. */
export interface LogBounds {
  readonly trimmedIndex: number;
  readonly endIndex: number;
}

/** What a flush changes in the table of segments: removals first. */
export interface LogChange {
  readonly removed: readonly number[];
  readonly added: readonly { readonly firstIndex: number; readonly bytes: Uint8Array }[];
}

/**
 * The log on LMDB: segments of consecutive entries on disk, and the tail in memory. Writes are staged in the tail;
 * a flush takes what differs from the disk, so that what was appended and truncated in between never gets there.
 *
 * The list of segments is ahead of the disk while a flush is under way. That is harmless: entries that the flush
 * writes are in the tail until it has succeeded, and if it fails the whole store is unusable.
 */
export class LmdbLog implements Sequence<Uint8Array> {
  readonly #table: Database<Uint8Array, number>;
  readonly #environment: LmdbEnvironment;
  readonly #limits: TailLimits;
  readonly #onRead: () => void;
  readonly #onStage: () => void;
  readonly #tail: LogTail;
  #trimmed: number;
  /** First index of each segment, ascending. Each ends where the next begins, the last at `#diskEnd`. */
  #segments: number[];
  #diskEnd: number;
  /** Entries below are on disk as they are here; above, the disk lacks them or has others. */
  #cleanEnd: number;
  #lastRead: { readonly firstIndex: number; readonly entries: Entry<Uint8Array>[] } | undefined;

  /**
   * `onRead` is called before every read and `onStage` before every change: either may throw to refuse it.
   * Throws a {@link DamagedError} if the segments do not make up the log within `bounds`.
   */
  constructor(
    environment: LmdbEnvironment,
    table: Database<Uint8Array, number>,
    bounds: LogBounds,
    limits: TailLimits,
    gates: { readonly onRead: () => void; readonly onStage: () => void },
  ) {
    this.#environment = environment;
    this.#table = table;
    this.#limits = limits;
    this.#onRead = gates.onRead;
    this.#onStage = gates.onStage;
    this.#trimmed = bounds.trimmedIndex;
    this.#diskEnd = bounds.endIndex;
    this.#cleanEnd = bounds.endIndex;
    this.#segments = [...table.getKeys({ start: 0 })];
    this.#tail = new LogTail(bounds.endIndex);
    this.#checkSegments();
    this.#loadTail();
  }

  get trimmedIndex(): number {
    return this.#trimmed;
  }

  get endIndex(): number {
    return this.#tail.end;
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
    this.#cleanEnd = 0;
  }

  read(from: number, to: number): Entry<Uint8Array>[] {
    this.#onRead();
    this.#checkIndex(from);
    this.#checkIndex(to);
    if (from >= to) return [];
    if (from >= this.#tail.from) return this.#tail.slice(from, to);
    const entries = this.#readSegments(from, Math.min(to, this.#tail.from));
    if (to > this.#tail.from) for (const entry of this.#tail.slice(this.#tail.from, to)) entries.push(entry);
    return entries;
  }

  /** What must be written for the disk to hold the log as it is now. The next change belongs to the next flush. */
  takeChange(): LogChange {
    const removed: number[] = [];
    const from = Math.max(this.#cutEnd(removed), this.#trimmed);
    this.#cutFront(removed);
    if (removed.length > 0) this.#lastRead = undefined;
    const added = this.#encodeFrom(from);
    this.#diskEnd = this.endIndex;
    this.#cleanEnd = this.endIndex;
    return { removed, added };
  }

  /** Stages a change in the transaction that is being put together. */
  write(change: LogChange): void {
    for (const firstIndex of change.removed) void this.#table.remove(firstIndex);
    for (const { firstIndex, bytes } of change.added) void this.#table.put(firstIndex, bytes);
  }

  /** The change taken last is durable: its entries may leave memory. */
  written(): void {
    this.#tail.evict(this.#limits, this.#cleanEnd);
  }

  /** Takes off the segments that hold anything above the clean end; gives the index from which to write. */
  #cutEnd(removed: number[]): number {
    if (this.#cleanEnd >= this.#diskEnd) return this.#cleanEnd;
    const cut = this.#segmentAt(this.#cleanEnd);
    const first = this.#segments[cut];
    let from = this.#cleanEnd;
    if (first !== undefined && first < this.#cleanEnd && this.#trimmed < this.#cleanEnd) {
      // The clean end is in the middle of this segment: what is clean in it is written again.
      from = Math.max(first, this.#trimmed);
      if (from < this.#tail.from) this.#tail.prepend(this.#readSegments(from, this.#tail.from));
    }
    for (const segment of this.#segments.splice(cut)) removed.push(segment);
    this.#diskEnd = from;
    return from;
  }

  /** Takes off the segments that end at or below the trimmed index. */
  #cutFront(removed: number[]): void {
    let count = 0;
    while (count < this.#segments.length && this.#endOf(count) <= this.#trimmed) count++;
    if (count > 0) for (const segment of this.#segments.splice(0, count)) removed.push(segment);
  }

  #encodeFrom(from: number): LogChange['added'] {
    const added: { firstIndex: number; bytes: Uint8Array }[] = [];
    const entries = this.#tail.slice(from, this.endIndex);
    for (let at = 0; at < entries.length; ) {
      const end = segmentEnd(entries, at);
      added.push({ firstIndex: from + at, bytes: encodeSegment(entries, at, end, from + at) });
      this.#segments.push(from + at);
      at = end;
    }
    return added;
  }

  /** Entries that are not in the tail, from disk. */
  #readSegments(from: number, to: number): Entry<Uint8Array>[] {
    this.#environment.refreshReads();
    const entries: Entry<Uint8Array>[] = [];
    for (let at = this.#segmentAt(from), index = from; index < to; at++) {
      const first = this.#segments[at] as number;
      const segment = this.#readSegment(at);
      const end = Math.min(to, first + segment.length);
      for (; index < end; index++) entries.push(segment[index - first] as Entry<Uint8Array>);
    }
    return entries;
  }

  #readSegment(at: number): Entry<Uint8Array>[] {
    const firstIndex = this.#segments[at] as number;
    if (this.#lastRead?.firstIndex === firstIndex) return this.#lastRead.entries;
    const bytes = this.#table.getBinary(firstIndex);
    if (bytes === undefined) throw this.#damage(firstIndex, 'it is missing');
    const entries = this.#decode(plainBytes(bytes), firstIndex, this.#endOf(at) - firstIndex);
    this.#lastRead = { firstIndex, entries };
    return entries;
  }

  #decode(bytes: Uint8Array, firstIndex: number, count: number): Entry<Uint8Array>[] {
    try {
      return decodeSegment(bytes, firstIndex, count);
    } catch (error) {
      throw this.#damage(error instanceof SegmentDamage ? error.index : firstIndex, messageOf(error));
    }
  }

  /** Position of the segment that holds `index`; 0 if that is below the first. */
  #segmentAt(index: number): number {
    let low = 0;
    let high = this.#segments.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#segments[middle] as number) <= index) low = middle + 1;
      else high = middle;
    }
    return Math.max(low - 1, 0);
  }

  #endOf(at: number): number {
    return this.#segments[at + 1] ?? this.#diskEnd;
  }

  #checkIndex(index: number): void {
    if (!(index >= this.#trimmed && index <= this.endIndex)) {
      throw new RangeError(`log index ${index} is outside ${this.#trimmed}…${this.endIndex}`);
    }
  }

  #checkSegments(): void {
    const first = this.#segments[0];
    const last = this.#segments[this.#segments.length - 1];
    if (first === undefined || last === undefined) {
      if (this.#trimmed !== this.#diskEnd) throw this.#damage(this.#trimmed, 'it is missing');
    } else if (first > this.#trimmed) {
      throw this.#damage(this.#trimmed, 'it is missing');
    } else if (last >= this.#diskEnd) {
      throw this.#damage(last, `the log ends at ${this.#diskEnd}`);
    }
  }

  /** Takes segments into memory from the end on, as far as the limits allow. */
  #loadTail(): void {
    const chunks: Entry<Uint8Array>[][] = [];
    let from = this.#diskEnd;
    for (let at = this.#segments.length - 1, bytes = 0; at >= 0 && bytes < this.#limits.bytesMax; at--) {
      const first = Math.max(this.#segments[at] as number, this.#trimmed);
      if (this.#diskEnd - first > this.#limits.entriesMax) break;
      const chunk = this.#readSegments(first, from);
      for (const entry of chunk) bytes += entryMemoryBytes(entry);
      chunks.push(chunk);
      from = first;
    }
    this.#tail.prepend(chunks.reverse().flat());
  }

  #damage(index: number, problem: string): DamagedError {
    return new DamagedError(this.#environment.file, `log entry ${index}`, problem);
  }
}
