import { closeSync, fstatSync, openSync } from 'node:fs';
import { DamagedError } from '../disk/storage-error.ts';
import { messageOf } from '../disk/system-error.ts';
import { BlockIndex } from './block-index.ts';
import type { LogHead } from './log-head.ts';
import { listSegments, readAt, segmentFile } from './wal-files.ts';
import {
  claimedLineage,
  damagedEntry,
  type FoundRecord,
  findRecord,
  type LogOwner,
  type RecordContent,
  recordEnd,
  recordHeaderBytes,
  signatureOf,
} from './wal-record.ts';

/*
 * Recovery: which records are there, and what they make up.
 *
 * One write is under way at a time, and a record is acknowledged once its write is durable. So after a crash at most the
 * last record is torn, and nothing whole stands behind it. Hence:
 *
 * - An invalid record with no whole later record anywhere is the torn end: cut off, it was never acknowledged.
 * - An invalid record with a whole later one (of a number as high or higher) is damage.
 * - A record is acknowledged in a new segment only once the segment before has a mark. After a mark the next segment's
 *   first record is due: lost, it is damage and no torn end.
 * - Closing in good order writes a last record that changes nothing: damage to any that does is then in the middle.
 *
 * What cannot be told: after a crash, bytes that rotted in the very last record look like a torn end. And a last record
 * that was read may stand in the system's cache alone, so the opening writes it again (`Wal.tidy`).
 *
 * What a torn end left never becomes valid later. The opening that cut it off writes a record of the same number in its
 * place (or, if it does not fit there, in the next segment, over whatever is there); records behind that have higher
 * numbers, and a new incarnation, than any that a torn write can have left there; a recycled file has another segment in
 * all its records. Bytes of clients do not pass for a record, since they cannot know the lineage.
 *
 * A segment's first record has a base, so that the log may begin with any segment: with the first of the last unbroken
 * row. If that lacks entries that the log should have, a segment before is missing.
 */

/** What was recovered, and where the log goes on. */
export interface RecoveredLog {
  readonly lineage: Uint8Array;
  readonly head: LogHead;
  readonly owner: LogOwner;
  readonly incarnation: number;
  readonly blocks: BlockIndex;
  /** Segments with records, ascending, the last of which is the present one. */
  readonly segments: readonly { readonly segment: number; readonly bytes: number }[];
  /** Where in the present segment the next record goes, and its number. */
  readonly offset: number;
  readonly number: number;
  /** Where in the present segment its last record begins. */
  readonly lastOffset: number;
  /** A segment that lacks its mark, and where that goes. */
  readonly unmarked: { readonly segment: number; readonly offset: number; readonly number: number } | undefined;
  /** Segments whose files hold no records: prepared ahead, or left behind. */
  readonly unused: readonly { readonly segment: number; readonly bytes: number }[];
}

/** Reads the log in `directory`, changing nothing; `undefined` if none was ever made there. Throws a {@link DamagedError}. */
export function recoverLog(directory: string): RecoveredLog | undefined {
  const numbers = listSegments(directory);
  return numbers.length === 0 ? undefined : new Recovery(directory, numbers).run();
}

class Recovery {
  readonly #directory: string;
  readonly #numbers: readonly number[];
  readonly #blocks = new BlockIndex();
  #buffer = new Uint8Array(0);
  /** Segments that begin with a whole record with a base, and its number. */
  readonly #begun = new Map<number, number>();
  readonly #segments: { segment: number; bytes: number }[] = [];
  #lineage: Uint8Array = new Uint8Array(0);
  #head: LogHead | undefined;
  #owner: LogOwner = { configuration: undefined, clusterId: undefined, openings: undefined };
  #incarnation = 0;
  #number = 0;
  #offset = 0;
  #lastOffset = 0;
  #end = 0;
  /** The log is there from here to its end. */
  #coveredFrom = 0;
  #unmarked: RecoveredLog['unmarked'];

  constructor(directory: string, numbers: readonly number[]) {
    this.#directory = directory;
    this.#numbers = numbers;
  }

  run(): RecoveredLog {
    for (const segment of this.#numbers) this.#look(segment);
    for (let segment: number | undefined = this.#firstSegment(); segment !== undefined; ) {
      segment = this.#replay(segment);
    }
    const head = this.#head;
    if (head === undefined) throw new Error('a segment without records was replayed');
    if (head.trimmedIndex < this.#coveredFrom) throw this.#lacks(head.trimmedIndex);
    const used = new Set(this.#segments.map(({ segment }) => segment));
    return {
      lineage: this.#lineage,
      head,
      owner: this.#owner,
      incarnation: this.#incarnation,
      blocks: this.#blocks,
      segments: this.#segments,
      offset: this.#offset,
      number: this.#number,
      lastOffset: this.#lastOffset,
      unmarked: this.#unmarked,
      unused: this.#numbers
        .filter((segment) => !used.has(segment))
        .map((segment) => ({ segment, bytes: this.#sizeOf(segment) })),
    };
  }

  /** Looks whether the segment has begun. */
  #look(segment: number): void {
    const start = this.#read(segment, recordHeaderBytes);
    const lineage = claimedLineage(start, segment);
    if (lineage === undefined) return;
    const record = this.#recordAt(this.#read(segment, recordEnd(start)), segment, 0, signatureOf(lineage, segment));
    if (record?.content?.base === undefined) return;
    if (this.#begun.size > 0 && Buffer.compare(lineage, this.#lineage) !== 0) {
      throw this.#damage(segment, 0, 'it belongs to another log');
    }
    this.#lineage = lineage;
    this.#begun.set(segment, record.number);
  }

  /** The first segment of the last unbroken row. */
  #firstSegment(): number {
    const begun = [...this.#begun.keys()];
    let first = begun.pop();
    if (first === undefined) {
      throw this.#damage(this.#numbers[0] as number, 0, 'no segment of the log begins with a whole record');
    }
    for (let before = begun.pop(); before === first - 1; before = begun.pop()) first = before;
    this.#number = this.#begun.get(first) as number;
    return first;
  }

  /** Replays a segment; gives the next, if the log goes on there. */
  #replay(segment: number): number | undefined {
    const file = this.#read(segment);
    const signature = signatureOf(this.#lineage, segment);
    let offset = 0;
    for (;;) {
      const record = this.#recordAt(file, segment, offset, signature);
      if (record === undefined || record.number !== this.#number || record.incarnation < this.#incarnation) break;
      if (record.content === undefined) {
        this.#segments.push({ segment, bytes: file.length });
        if (this.#begun.get(segment + 1) === this.#number) return segment + 1;
        throw this.#missing(segment + 1);
      }
      this.#apply(record.content, segment, offset, file.length);
      this.#incarnation = record.incarnation;
      this.#number++;
      this.#lastOffset = offset;
      offset = record.end;
    }
    this.#segments.push({ segment, bytes: file.length });
    if (this.#begun.get(segment + 1) === this.#number) {
      this.#unmarked = { segment, offset, number: this.#number };
      return segment + 1;
    }
    this.#offset = offset;
    this.#checkEnd(file, segment, signature);
    return undefined;
  }

  /** Throws if there is a whole later record behind the present end. */
  #checkEnd(file: Uint8Array, segment: number, signature: Uint8Array): void {
    const offset = this.#offset;
    const entry = damagedEntry(file, offset, signature);
    if (!this.#hasLater(file, segment, signature, offset + 1) && !this.#isGoingOn(segment)) return;
    throw entry === undefined
      ? this.#damage(
          segment,
          offset,
          `the checksum of a record does not fit; log entries from ${this.#end} on are in doubt`,
        )
      : this.#damage(segment, offset, 'the checksum does not fit', `log entry ${entry}`);
  }

  /** True if there is a whole later record in a segment behind. Reads into the buffer. */
  #isGoingOn(segment: number): boolean {
    for (const [other, number] of this.#begun) if (other > segment && number >= this.#number) return true;
    const next = segment + 1;
    // A segment that lost its first record, behind one that lost its mark.
    return this.#numbers.includes(next) && this.#hasLater(this.#read(next), next, signatureOf(this.#lineage, next), 0);
  }

  #hasLater(file: Uint8Array, segment: number, signature: Uint8Array, from: number): boolean {
    const bytes = Buffer.from(file.buffer, file.byteOffset, file.length);
    for (let at = bytes.indexOf(signature, from); at >= 0; at = bytes.indexOf(signature, at + 1)) {
      const record = this.#recordAt(file, segment, at, signature);
      if (record !== undefined && record.number >= this.#number) return true;
    }
    return false;
  }

  #apply(content: RecordContent, segment: number, offset: number, fileBytes: number): void {
    const { base, head, owner, cut, blocks } = content;
    if (base !== undefined) this.#applyBase(base, segment, offset, fileBytes);
    if (cut?.type === 'truncate') {
      this.#blocks.cut(cut.index);
      this.#coveredFrom = Math.min(this.#coveredFrom, cut.index);
      this.#end = cut.index;
    } else if (cut?.type === 'reset') {
      this.#blocks.cut(0);
      this.#coveredFrom = cut.index;
      this.#end = cut.index;
    }
    for (const block of blocks) {
      if (block.firstIndex !== this.#end) throw this.#contradiction(segment, offset);
      this.#blocks.push(block.firstIndex, segment, block.offset, block.length);
      this.#end += block.count;
    }
    if (head.endIndex !== this.#end) throw this.#contradiction(segment, offset);
    this.#blocks.dropBelow(head.trimmedIndex, this.#end);
    this.#head = head;
    this.#owner = {
      configuration: owner.configuration ?? this.#owner.configuration,
      clusterId: owner.clusterId ?? this.#owner.clusterId,
      openings: owner.openings ?? this.#owner.openings,
    };
  }

  #applyBase(base: NonNullable<RecordContent['base']>, segment: number, offset: number, fileBytes: number): void {
    if (base.segmentBytes !== fileBytes) {
      throw this.#damage(segment, 0, `the file has ${fileBytes} bytes where it was made with ${base.segmentBytes}`);
    }
    if (this.#head === undefined) {
      this.#end = base.endBefore;
      this.#coveredFrom = base.endBefore;
    } else if (base.endBefore !== this.#end) {
      throw this.#contradiction(segment, offset);
    }
  }

  #recordAt(file: Uint8Array, segment: number, offset: number, signature: Uint8Array): FoundRecord | undefined {
    try {
      return findRecord(file, offset, signature);
    } catch (error) {
      throw this.#damage(segment, offset, messageOf(error));
    }
  }

  /** The file of a segment, or its first `length` bytes, valid until the next call. */
  #read(segment: number, length = Number.POSITIVE_INFINITY): Uint8Array {
    const file = openSync(segmentFile(this.#directory, segment), 'r');
    try {
      const wanted = Math.min(length, fstatSync(file).size);
      if (this.#buffer.length < wanted) this.#buffer = new Uint8Array(wanted);
      return readAt(file, 0, wanted, this.#buffer);
    } finally {
      closeSync(file);
    }
  }

  #sizeOf(segment: number): number {
    const file = openSync(segmentFile(this.#directory, segment), 'r');
    try {
      return fstatSync(file).size;
    } finally {
      closeSync(file);
    }
  }

  #contradiction(segment: number, offset: number): DamagedError {
    return this.#damage(segment, offset, 'it does not follow from the records before it');
  }

  /** The log entry at `index` is in no segment that is there. */
  #lacks(index: number): DamagedError {
    return this.#missing((this.#segments[0]?.segment ?? 1) - 1, index);
  }

  #missing(segment: number, index = this.#end): DamagedError {
    const file = segmentFile(this.#directory, segment);
    const problem = this.#numbers.includes(segment)
      ? 'the segment does not begin with a whole record'
      : 'it is missing';
    return new DamagedError(file, `log entry ${index} (offset 0)`, problem);
  }

  #damage(segment: number, offset: number, problem: string, what = `a record`): DamagedError {
    return new DamagedError(segmentFile(this.#directory, segment), `${what} (offset ${offset})`, problem);
  }
}
