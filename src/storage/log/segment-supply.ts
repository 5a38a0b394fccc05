import { rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import type { DiskRoom } from '../disk/disk-room.ts';
import { isFullDisk } from '../disk/storage-error.ts';
import { messageOf } from '../disk/system-error.ts';
import { createSegment, recycleSegment, segmentFile } from './wal-files.ts';

/** A segment of the log, and the size of its file. */
export interface Segment {
  readonly segment: number;
  readonly bytes: number;
}

/** How many files are to lie ready, at least and at most. */
export interface ReadySegments {
  readonly min: number;
  readonly max: number;
}

/**
 * The files for the segments behind the one that is written to: made ready ahead, or dropped ones renamed, so that in steady state a write
 * allocates nothing. That is done in the background, one after the other, and may fail: a file counts only once it is needed, and is then made
 * again, from the start.
 *
 * Whoever is to write the next segment claims it with {@link provide} or {@link tryMake}. Until {@link release}, nobody else makes the file
 * of that one: it would take the place of what is written there.
 */
export class SegmentSupply {
  readonly #directory: string;
  /** Usual size of a segment's file. */
  readonly #segmentBytes: number;
  readonly #room: DiskRoom;
  /** The segment that is written to. */
  #present: number;
  readonly #ready = new Set<number>();
  #readyMin = 2;
  #readyMax = 4;
  /** Segments whose files are being made or removed. */
  readonly #making = new Set<number>();
  /** The segment behind the present one, from when a record is to begin it. */
  #claimed: number | undefined;
  /** What is done to these files; never rejects. */
  #background: Promise<void> = Promise.resolve();
  /** Why something of that failed, until it was told. */
  #problem: string | undefined;

  constructor(directory: string, segmentBytes: number, room: DiskRoom, present: number) {
    this.#directory = directory;
    this.#segmentBytes = segmentBytes;
    this.#room = room;
    this.#present = present;
  }

  /** Bytes of the files that lie ready. */
  get readyBytes(): number {
    return this.#ready.size * this.#segmentBytes;
  }

  /** More than are to lie ready are removed. To make another costs the disk its size in zeros. */
  keepReady({ min, max }: ReadySegments): void {
    this.#readyMin = min;
    this.#readyMax = max;
    while (this.#ready.size > max) this.#removeLast();
    this.#prepare();
  }

  /** Begins with files without records that were found, ascending: those that cannot serve are removed. */
  takeOver(unused: readonly Segment[]): void {
    for (const { segment, bytes } of unused) {
      if (segment === this.#lastAllotted + 1 && bytes === this.#segmentBytes && this.#ready.size < this.#readyMax) {
        this.#ready.add(segment);
      } else {
        rmSync(segmentFile(this.#directory, segment));
      }
    }
    this.#prepare();
  }

  /** True if the disk has more than enough room for one more segment of `bytes` bytes. */
  hasRoomFor(bytes: number): Promise<boolean> {
    return this.#room.hasAmple(bytes);
  }

  /**
   * Claims the next segment, `segment`, and sees to it that its file is there and has `bytes` bytes. Where the disk has no room for it, that is
   * waited for, and `letGo` is asked for segments that are not needed any more. Where it rejects, nothing is claimed.
   */
  async provide(segment: number, bytes: number, letGo: () => Promise<void>): Promise<void> {
    const isReady = await this.#claim(segment);
    try {
      if (!isReady || bytes !== this.#segmentBytes) await this.#makeNext(segment, bytes, letGo);
      await this.#room.admit(bytes);
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** Claims the next segment, `segment`, and makes its file of `record`, once. False, and nothing is claimed or changed: the disk refused that. */
  async tryMake(segment: number, bytes: number, record: readonly Uint8Array[]): Promise<boolean> {
    const isReady = await this.#claim(segment);
    let isMade = false;
    try {
      isMade = await this.#room.attempt(() => createSegment(this.#directory, segment, bytes, record));
      if (!isMade && isReady) this.#ready.add(segment);
      return isMade;
    } finally {
      if (!isMade) this.release();
    }
  }

  /** The claimed segment has its first record, or there was an error. */
  release(): void {
    this.#claimed = undefined;
  }

  /** `present` is written to from now on: files for those behind it are made ready. */
  prepareBehind(present: number): void {
    this.#present = present;
    this.#prepare();
  }

  /** The file of a segment that is not needed any more serves again, if it can, or is removed. Nobody may have it open for reading. */
  reuse(dropped: Segment): void {
    const { segment, bytes } = dropped;
    if (bytes !== this.#segmentBytes || this.#allotted >= this.#readyMax) {
      this.#inBackground(() => this.#removeUnlessNeeded(dropped));
      return;
    }
    const next = this.#lastAllotted + 1;
    this.#make(next, () => recycleSegment(this.#directory, segment, next));
  }

  /** Why a file could not be made or removed since this was asked last, other than for want of room: nothing is lost, but the disk may not be sound. */
  takeProblem(): string | undefined {
    const problem = this.#problem;
    this.#problem = undefined;
    return problem;
  }

  /** Resolves when all files that are to be ready, or gone, are. */
  async settled(): Promise<void> {
    await this.#background;
  }

  /** True if it lay ready. */
  async #claim(segment: number): Promise<boolean> {
    if (!this.#ready.has(segment)) await this.#background;
    while (this.#making.has(segment)) await this.#background;
    this.#claimed = segment;
    return this.#ready.delete(segment);
  }

  /** The file of a segment, which is claimed, of zeros, or one that lay ready in its place. */
  #makeNext(segment: number, bytes: number, letGo: () => Promise<void>): Promise<void> {
    const takeSpare = async () => bytes === this.#segmentBytes && (await this.#takeSpare(segment));
    let isRefused = false;
    return this.#room.make(bytes, async () => {
      if (await takeSpare()) return undefined;
      // The quota of a user is not in what is said to be free.
      if (isRefused || !(await this.#room.has(bytes))) {
        await letGo();
        if (await takeSpare()) return undefined;
        if (bytes !== this.#segmentBytes) await this.#giveWay(segment);
      }
      isRefused = true;
      return () => createSegment(this.#directory, segment, bytes);
    });
  }

  /** The files that lie ready, and that of `segment`, which is claimed, if there is one, give way to one of another size. */
  async #giveWay(segment: number): Promise<void> {
    while (this.#ready.size > 0) this.#removeLast();
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

  #prepare(): void {
    while (this.#allotted < this.#readyMin) {
      let segment = (this.#claimed ?? this.#present) + 1;
      while (this.#ready.has(segment) || this.#making.has(segment)) segment++;
      this.#make(segment, () => this.#makeAhead(segment));
    }
  }

  async #makeAhead(segment: number): Promise<void> {
    await this.#room.check(this.#segmentBytes);
    await createSegment(this.#directory, segment, this.#segmentBytes);
  }

  /** How many segments are ready or being made. */
  get #allotted(): number {
    return this.#ready.size + this.#making.size;
  }

  /** The highest of them, else the present one. */
  get #lastAllotted(): number {
    return Math.max(this.#claimed ?? this.#present, ...this.#ready, ...this.#making);
  }

  /** On a full disk none of the files that were being made is there, and there will be no other than this one. */
  async #removeUnlessNeeded({ segment, bytes }: Segment): Promise<void> {
    if (bytes !== this.#segmentBytes || this.#ready.size >= this.#readyMax) {
      return rm(segmentFile(this.#directory, segment));
    }
    const next = this.#lastAllotted + 1;
    this.#making.add(next);
    await this.#makeAllotted(next, () => recycleSegment(this.#directory, segment, next));
  }

  #make(segment: number, make: () => Promise<void>): void {
    this.#making.add(segment);
    this.#inBackground(() => this.#makeAllotted(segment, make));
  }

  async #makeAllotted(segment: number, make: () => Promise<void>): Promise<void> {
    try {
      await make();
      this.#ready.add(segment);
    } finally {
      this.#making.delete(segment);
    }
    // Fewer may be wanted by now, or dropped ones have served in its place.
    if (this.#ready.size > this.#readyMax) await this.#removeTaken(this.#takeLast());
  }

  #removeLast(): void {
    const segment = this.#takeLast();
    this.#inBackground(() => this.#removeTaken(segment));
  }

  /** The last of the files that lie ready: from now on it does not, and until it is removed no other is made in its place. */
  #takeLast(): number {
    const segment = Math.max(...this.#ready);
    this.#ready.delete(segment);
    this.#making.add(segment);
    return segment;
  }

  async #removeTaken(segment: number): Promise<void> {
    try {
      await rm(segmentFile(this.#directory, segment), { force: true });
    } finally {
      this.#making.delete(segment);
    }
  }

  /** A failure here, such as a full disk, counts only if the file is needed. */
  #inBackground(task: () => Promise<void>): void {
    this.#background = this.#background.then(task).catch((error: unknown) => {
      if (!isFullDisk(error)) this.#problem ??= messageOf(error);
    });
  }
}
