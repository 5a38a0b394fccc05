import { closeSync, fstatSync, rmSync } from 'node:fs';
import { assert } from '../../base/assert.ts';
import type { DiskRoom } from '../disk/disk-room.ts';
import { DamagedError, DiskFailedError, onDisk } from '../disk/storage-error.ts';
import { type ReadySegments, type Segment, SegmentSupply } from './segment-supply.ts';
import { lengthOf, listUnfinished, openSegment, readAt, segmentFile, writeDurably } from './wal-files.ts';
import { encodeMark, markBytesMax, type RecordId } from './wal-record.ts';
import type { RecoveredLog } from './wal-recovery.ts';

/** Where the next record goes. */
export interface RecordPlace {
  readonly id: RecordId;
  readonly offset: number;
  /** Size of the segment's file if the record is its first. */
  readonly newSegmentBytes: number | undefined;
}

/** What each segment keeps free for records that only say where the log begins, see LogRecordWriter: some four or five. */
const trimBytesMax = 512;

/**
 * The files behind the log: where records are written, one at a time, and read. Those for the segments to come are of its
 * {@link SegmentSupply}.
 */
export class Wal {
  readonly #directory: string;
  readonly #lineage: Uint8Array;
  readonly #incarnation: number;
  /** Usual size of a segment's file. */
  readonly segmentBytes: number;
  #present: Segment;
  #file: number;
  #offset: number;
  #number: number;
  /** Segments before the present one that are still there, ascending. */
  #older: Segment[];
  readonly #supply: SegmentSupply;
  /** The segment behind the present one, once its file is there for a record to begin it. */
  #begun: number | undefined;
  #reader: { readonly segment: number; readonly file: number } | undefined;

  constructor(directory: string, recovered: RecoveredLog, segmentBytes: number, room: DiskRoom) {
    this.#directory = directory;
    this.#lineage = recovered.lineage;
    this.#incarnation = recovered.incarnation + 1;
    this.segmentBytes = segmentBytes;
    this.#older = recovered.segments.slice(0, -1);
    this.#present = recovered.segments.at(-1) as Segment;
    this.#offset = recovered.offset;
    this.#number = recovered.number;
    this.#file = openSegment(directory, this.#present.segment);
    this.#supply = new SegmentSupply(directory, segmentBytes, room, this.#present.segment);
  }

  /** Records ever written. */
  get records(): number {
    return this.#number - 1;
  }

  /** Size of the present segment's file. */
  get presentBytes(): number {
    return this.#present.bytes;
  }

  /** Bytes of records that still go into the present segment. */
  get leftBytes(): number {
    return this.leftForTrimBytes - trimBytesMax;
  }

  /** Bytes that still go into the present segment if the record only says where the log begins. */
  get leftForTrimBytes(): number {
    return this.#present.bytes - this.#offset - markBytesMax;
  }

  /** Bytes of records that go into a new segment of the usual size. */
  get leftWhenNewBytes(): number {
    return this.segmentBytes - markBytesMax - trimBytesMax;
  }

  /** Bytes of the segments before `segment`, but for the present one. */
  bytesBelow(segment: number): number {
    let bytes = 0;
    for (const older of this.#older) if (older.segment < segment) bytes += older.bytes;
    return bytes;
  }

  /** Bytes of the segments that hold log. */
  get neededBytes(): number {
    return this.#older.reduce((sum, { bytes }) => sum + bytes, this.#present.bytes);
  }

  /** Bytes of all segments, those ready for use included. */
  get fileBytes(): number {
    return this.neededBytes + this.#supply.readyBytes;
  }

  /** Bytes of the segments that hold log, of `segment` and those behind it. */
  bytesFrom(segment: number): number {
    let bytes = this.#present.bytes;
    for (const older of this.#older) if (older.segment >= segment) bytes += older.bytes;
    return bytes;
  }

  /** The oldest segment of those, from the newest on, that come to at most `bytes` bytes; the present one always counts. */
  oldestWithin(bytes: number): number {
    let sum = this.#present.bytes;
    let oldest = this.#present.segment;
    for (const segment of this.#older.toReversed()) {
      sum += segment.bytes;
      if (sum > bytes) break;
      oldest = segment.segment;
    }
    return oldest;
  }

  /** How many files are to lie ready for the segments behind the present one. */
  set readySegments(counts: ReadySegments) {
    this.#supply.keepReady(counts);
  }

  /** Puts the files in order after recovery: what a crash left undone or half done. */
  async tidy(recovered: RecoveredLog): Promise<void> {
    for (const file of listUnfinished(this.#directory)) rmSync(file);
    await this.#writeAgain(recovered.lastOffset, recovered.offset);
    const { unmarked } = recovered;
    if (unmarked !== undefined) await this.#mark(unmarked.segment, unmarked.offset, unmarked.number);
    this.#supply.takeOver(recovered.unused);
  }

  /** Where a record of at most `bytesMax` bytes goes. */
  place(bytesMax: number): RecordPlace {
    const fits = bytesMax <= this.leftBytes;
    if (fits) return this.placeForTrim();
    return {
      id: this.#nextRecord(this.#present.segment + 1),
      offset: 0,
      newSegmentBytes: Math.max(this.segmentBytes, bytesMax + markBytesMax + trimBytesMax),
    };
  }

  /** The same for a record that fits into what is left of the present segment, see {@link leftForTrimBytes}. */
  placeForTrim(): RecordPlace {
    return { id: this.#nextRecord(this.#present.segment), offset: this.#offset, newSegmentBytes: undefined };
  }

  /**
   * Sees to it that there is a file for the next segment, which is to have `bytes` bytes: then the first record of it, and none before, can
   * be written. Where the disk has no room for it, that is waited for, and `letGo` is asked for segments that are not needed any more.
   * Rejects as {@link write} does.
   */
  async begin(bytes: number, letGo: () => Promise<void>): Promise<void> {
    const segment = this.#present.segment + 1;
    try {
      await this.#supply.provide(segment, bytes, letGo);
      this.#begun = segment;
    } catch (error) {
      if (error instanceof DiskFailedError) throw error;
      throw new DiskFailedError(segmentFile(this.#directory, segment), error);
    }
  }

  /** Resolves when all files that were dropped are gone, or ready to serve again. */
  tidied(): Promise<void> {
    return this.#supply.settled();
  }

  /** See {@link SegmentSupply.takeProblem}. */
  takeProblem(): string | undefined {
    return this.#supply.takeProblem();
  }

  /** True if the disk has more than enough room for one more segment of `bytes` bytes. */
  hasRoomFor(bytes: number): Promise<boolean> {
    return this.#supply.hasRoomFor(bytes);
  }

  #nextRecord(segment: number): RecordId {
    return { lineage: this.#lineage, segment, number: this.#number, incarnation: this.#incarnation };
  }

  /**
   * Writes the record for the place that `place` gave last; if that is a new segment, after {@link begin}. Rejects with a
   * {@link DiskFailedError}: then all is over.
   */
  write(place: RecordPlace, record: readonly Uint8Array[]): Promise<void> {
    const onFailed = this.#onFailed(place);
    if (place.newSegmentBytes !== undefined) {
      assert(this.#begun === place.id.segment, 'a segment is written to that was not begun');
      return this.#writeFirst(place, place.newSegmentBytes, record, true).catch(onFailed);
    }
    const end = place.offset + lengthOf(record);
    assert(end + markBytesMax <= this.#present.bytes, 'a record is larger than was said');
    return writeDurably(this.#file, record, place.offset).then(() => {
      this.#offset = end;
      this.#number++;
    }, onFailed);
  }

  /**
   * The same for a new segment that was not begun, where the disk {@link hasRoomFor} it: its file is made of the record. False: the disk
   * refused that; nothing is written, and nothing has changed.
   */
  async writeOwnSegment(place: RecordPlace, record: readonly Uint8Array[]): Promise<boolean> {
    const { newSegmentBytes } = place;
    assert(newSegmentBytes !== undefined, 'a record that goes into the present segment gets one of its own');
    try {
      const isMade = await this.#supply.tryMake(place.id.segment, newSegmentBytes, record);
      if (isMade) await this.#writeFirst(place, newSegmentBytes, record, false);
      return isMade;
    } catch (error) {
      return this.#onFailed(place)(error);
    }
  }

  /** Nothing in the segments before `segment` is needed any more. */
  dropBelow(segment: number): void {
    let count = 0;
    while (count < this.#older.length && (this.#older[count] as Segment).segment < segment) count++;
    if (count === 0) return;
    for (const dropped of this.#older.splice(0, count)) {
      if (this.#reader?.segment === dropped.segment) this.#closeReader();
      this.#supply.reuse(dropped);
    }
  }

  /** Bytes of a segment. Fewer if its file ends before. Throws a {@link DiskFailedError}. */
  read(segment: number, offset: number, length: number): Uint8Array {
    return onDisk(this.fileOf(segment), 'read', () => this.#read(segment, offset, length));
  }

  /** The file of a segment, to be named in errors. */
  fileOf(segment: number): string {
    return segmentFile(this.#directory, segment);
  }

  /** Throws a {@link DamagedError} if the present segment's file was removed or cut while it is in use. Takes some microseconds. */
  checkPresent(): void {
    const { segment, bytes } = this.#present;
    const file = this.fileOf(segment);
    const { nlink, size } = onDisk(file, 'read', () => fstatSync(this.#file));
    if (nlink === 0) throw new DamagedError(file, 'its folder', 'it was removed while it is in use');
    if (size >= bytes) return;
    throw new DamagedError(file, `offset ${size}`, `it was cut there, while in use, from ${bytes} bytes`);
  }

  /** Waits for what is under way beside writes, then closes. */
  async close(): Promise<void> {
    await this.#supply.settled();
    this.#closeReader();
    closeSync(this.#file);
  }

  #read(segment: number, offset: number, length: number): Uint8Array {
    if (segment === this.#present.segment) return readAt(this.#file, offset, length);
    if (this.#reader?.segment !== segment) {
      this.#closeReader();
      this.#reader = { segment, file: openSegment(this.#directory, segment) };
    }
    return readAt(this.#reader.file, offset, length);
  }

  #onFailed(place: RecordPlace): (error: unknown) => never {
    return (error) => {
      throw new DiskFailedError(segmentFile(this.#directory, place.id.segment), error);
    };
  }

  /**
   * The first record of a new segment, which `isToWrite` unless the file was made of it. It counts once the segment before says so: a
   * loss of the file is then noticed.
   */
  async #writeFirst(
    place: RecordPlace,
    bytes: number,
    record: readonly Uint8Array[],
    isToWrite: boolean,
  ): Promise<void> {
    const { segment } = place.id;
    try {
      const file = openSegment(this.#directory, segment);
      try {
        if (isToWrite) await writeDurably(file, record, 0);
        await writeDurably(this.#file, [encodeMark({ ...place.id, segment: this.#present.segment })], this.#offset);
      } catch (error) {
        closeSync(file);
        throw error;
      }
      closeSync(this.#file);
      this.#older.push(this.#present);
      this.#present = { segment, bytes };
      this.#file = file;
      this.#offset = lengthOf(record);
      this.#number++;
    } finally {
      this.#supply.release();
      this.#begun = undefined;
    }
    this.#supply.prepareBehind(segment);
  }

  /**
   * The last record may have been read from the system's cache alone: its process was killed, or the device refused it.
   * Those before it were durable when it was written.
   */
  async #writeAgain(offset: number, end: number): Promise<void> {
    try {
      await writeDurably(this.#file, [readAt(this.#file, offset, end - offset)], offset);
    } catch (error) {
      throw new DiskFailedError(segmentFile(this.#directory, this.#present.segment), error);
    }
  }

  async #mark(segment: number, offset: number, number: number): Promise<void> {
    const file = openSegment(this.#directory, segment);
    try {
      const id = { lineage: this.#lineage, segment, number, incarnation: this.#incarnation };
      await writeDurably(file, [encodeMark(id)], offset);
    } catch (error) {
      throw new DiskFailedError(segmentFile(this.#directory, segment), error);
    } finally {
      closeSync(file);
    }
  }

  #closeReader(): void {
    if (this.#reader !== undefined) closeSync(this.#reader.file);
    this.#reader = undefined;
  }
}
