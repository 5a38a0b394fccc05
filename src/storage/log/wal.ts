import { closeSync, fstatSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { assert } from '../../base/assert.ts';
import type { DiskRoom } from '../disk/disk-room.ts';
import { DamagedError, DiskFailedError, onDisk } from '../disk/storage-error.ts';
import {
  createSegment,
  lengthOf,
  listUnfinished,
  openSegment,
  readAt,
  recycleSegment,
  segmentFile,
  writeDurably,
} from './wal-files.ts';
import { encodeMark, markBytesMax, type RecordId } from './wal-record.ts';
import type { RecoveredLog } from './wal-recovery.ts';

export interface ReadySegments {
  readonly min: number;
  readonly max: number;
}

/** Where the next record goes. */
export interface RecordPlace {
  readonly id: RecordId;
  readonly offset: number;
  /** Size of the segment's file if the record is its first. */
  readonly newSegmentBytes: number | undefined;
}

/** What each segment keeps free for records that only say where the log begins, see LogRecordWriter: some four or five. */
const trimBytesMax = 512;

interface Segment {
  readonly segment: number;
  readonly bytes: number;
}

/**
 * The files behind the log: where records are written, one at a time, and read. The next segment is made ready, or a
 * dropped one renamed to it, while the present one is written to, so that in steady state a write allocates nothing.
 */
export class Wal {
  readonly #directory: string;
  readonly #room: DiskRoom;
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
  /** Files made ready for the segments after the present one. */
  readonly #ready = new Set<number>();
  /** How many are to be. */
  #readyMin = 2;
  #readyMax = 4;
  /** Segments whose files are being made or removed. */
  readonly #making = new Set<number>();
  /** The segment behind the present one, from when a record is to begin it: nobody else makes its file. */
  #claimed: number | undefined;
  /** The claimed segment, once its file is there. */
  #begun: number | undefined;
  /** What is done to other files than the present one; never rejects. */
  #background: Promise<void> = Promise.resolve();
  #reader: { readonly segment: number; readonly file: number } | undefined;

  constructor(directory: string, recovered: RecoveredLog, segmentBytes: number, room: DiskRoom) {
    this.#directory = directory;
    this.#room = room;
    this.#lineage = recovered.lineage;
    this.#incarnation = recovered.incarnation + 1;
    this.segmentBytes = segmentBytes;
    this.#older = recovered.segments.slice(0, -1);
    this.#present = recovered.segments.at(-1) as Segment;
    this.#offset = recovered.offset;
    this.#number = recovered.number;
    this.#file = openSegment(directory, this.#present.segment);
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
    return this.neededBytes + this.#ready.size * this.segmentBytes;
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

  /**
   * How many segments are to lie ready beside the present one, at least and at most: more are removed. To make another costs the disk its
   * size in zeros.
   */
  set readySegments({ min, max }: ReadySegments) {
    this.#readyMin = min;
    this.#readyMax = max;
    while (this.#ready.size > max) this.#removeReady(Math.max(...this.#ready));
    this.#prepareNext();
  }

  /** Puts the files in order after recovery: what a crash left undone or half done. */
  async tidy(recovered: RecoveredLog): Promise<void> {
    for (const file of listUnfinished(this.#directory)) rmSync(file);
    await this.#writeAgain(recovered.lastOffset, recovered.offset);
    const { unmarked } = recovered;
    if (unmarked !== undefined) await this.#mark(unmarked.segment, unmarked.offset, unmarked.number);
    for (const { segment, bytes } of recovered.unused) {
      if (segment === this.#lastAllotted + 1 && bytes === this.segmentBytes && this.#ready.size < this.#readyMax) {
        this.#ready.add(segment);
      } else {
        rmSync(segmentFile(this.#directory, segment));
      }
    }
    this.#prepareNext();
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
    const isReady = await this.#claim(segment);
    try {
      if (!isReady || bytes !== this.segmentBytes) await this.#makeNext(segment, bytes, letGo);
      await this.#room.admit(bytes);
      this.#begun = segment;
    } catch (error) {
      this.#claimed = undefined;
      if (error instanceof DiskFailedError) throw error;
      throw new DiskFailedError(segmentFile(this.#directory, segment), error);
    }
  }

  /** Resolves when all files that were dropped are gone, or ready to serve again. */
  async tidied(): Promise<void> {
    await this.#background;
  }

  /** True if the disk has more than enough room for one more segment of `bytes` bytes. */
  hasRoomFor(bytes: number): Promise<boolean> {
    return this.#room.hasAmple(bytes);
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
    const { segment } = place.id;
    const isReady = await this.#claim(segment);
    try {
      const isMade = await this.#room.attempt(() => createSegment(this.#directory, segment, newSegmentBytes, record));
      if (isMade) await this.#writeFirst(place, newSegmentBytes, record, false);
      else if (isReady) this.#ready.add(segment);
      return isMade;
    } catch (error) {
      return this.#onFailed(place)(error);
    } finally {
      this.#claimed = undefined;
    }
  }

  /** Nothing in the segments before `segment` is needed any more. */
  dropBelow(segment: number): void {
    let count = 0;
    while (count < this.#older.length && (this.#older[count] as Segment).segment < segment) count++;
    if (count === 0) return;
    for (const dropped of this.#older.splice(0, count)) this.#drop(dropped);
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
    await this.#background;
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
      this.#claimed = undefined;
      this.#begun = undefined;
    }
    this.#prepareNext();
  }

  /** Until it is the present one, nobody else makes the file of `segment`: it would take the place of what is written there. True if it lay ready. */
  async #claim(segment: number): Promise<boolean> {
    if (!this.#ready.has(segment)) await this.#background;
    while (this.#making.has(segment)) await this.#background;
    this.#claimed = segment;
    return this.#ready.delete(segment);
  }

  /** The file of a segment, which is claimed, of zeros, or one that lay ready in its place. */
  #makeNext(segment: number, bytes: number, letGo: () => Promise<void>): Promise<void> {
    const takeSpare = async () => bytes === this.segmentBytes && (await this.#takeSpare(segment));
    let isRefused = false;
    return this.#room.make(bytes, async () => {
      if (await takeSpare()) return undefined;
      // The quota of a user is not in what is said to be free.
      if (isRefused || !(await this.#room.has(bytes))) {
        await letGo();
        if (await takeSpare()) return undefined;
        if (bytes !== this.segmentBytes) await this.#giveWay(segment);
      }
      isRefused = true;
      return () => createSegment(this.#directory, segment, bytes);
    });
  }

  /** The files that lie ready, and that of `segment`, which is claimed, if there is one, give way to one of another size. */
  async #giveWay(segment: number): Promise<void> {
    for (const ready of this.#ready) this.#removeReady(ready);
    await this.#background;
    await rm(segmentFile(this.#directory, segment), { force: true });
  }

  /** Where the file of the next segment could not be made, one that is ready for a later segment serves. */
  async #takeSpare(segment: number): Promise<boolean> {
    const spare = Math.max(...this.#ready);
    if (!(spare > segment)) return false;
    this.#ready.delete(spare);
    this.#making.add(spare);
    try {
      await recycleSegment(this.#directory, spare, segment);
    } finally {
      this.#making.delete(spare);
    }
    return true;
  }

  #prepareNext(): void {
    while (this.#allotted < this.#readyMin) {
      let segment = (this.#claimed ?? this.#present.segment) + 1;
      while (this.#ready.has(segment) || this.#making.has(segment)) segment++;
      this.#make(segment, () => this.#prepare(segment));
    }
  }

  /** How many segments are ready or being made. */
  get #allotted(): number {
    return this.#ready.size + this.#making.size;
  }

  /** The highest of them, else the present one. */
  get #lastAllotted(): number {
    return Math.max(this.#claimed ?? this.#present.segment, ...this.#ready, ...this.#making);
  }

  #make(segment: number, make: () => Promise<void>): void {
    this.#making.add(segment);
    this.#inBackground(async () => {
      try {
        await make();
        this.#ready.add(segment);
      } finally {
        this.#making.delete(segment);
      }
    });
  }

  async #prepare(segment: number): Promise<void> {
    await this.#room.check(this.segmentBytes);
    await createSegment(this.#directory, segment, this.segmentBytes);
  }

  #removeReady(segment: number): void {
    this.#ready.delete(segment);
    this.#making.add(segment);
    this.#inBackground(async () => {
      try {
        await rm(segmentFile(this.#directory, segment), { force: true });
      } finally {
        this.#making.delete(segment);
      }
    });
  }

  #drop({ segment, bytes }: Segment): void {
    if (this.#reader?.segment === segment) this.#closeReader();
    if (bytes !== this.segmentBytes || this.#allotted >= this.#readyMax) {
      this.#inBackground(() => rm(segmentFile(this.#directory, segment)));
      return;
    }
    const next = this.#lastAllotted + 1;
    this.#make(next, () => recycleSegment(this.#directory, segment, next));
  }

  /** A failure here, such as a full disk, counts only if the file is needed: it is then made again, from the start. */
  #inBackground(task: () => Promise<void>): void {
    this.#background = this.#background.then(task).catch(() => undefined);
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
