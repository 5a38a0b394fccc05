import { assert } from '../../base/assert.ts';
import { type Ballot, compareBallots } from '../../omnipaxos/ballot.ts';
import type { Entry } from '../../omnipaxos/entry.ts';
import type { FileLog } from './file-log.ts';
import type { LogHead } from './log-head.ts';
import type { RecordPlace, Wal } from './wal.ts';
import { lengthOf } from './wal-files.ts';
import {
  bufferBytesMax,
  encodeRecord,
  entriesThatFit,
  type LogChange,
  type LogOwner,
  ownerBytesMax,
  recordBytesMax,
} from './wal-record.ts';

/** What needs a larger buffer gets one of its own. */
const keptBufferBytesMax = 4 * 1024 * 1024;
/** A part of an append is at least so much of a segment, unless it is the last; and for a large record so much of it is let go of at a time. */
const leastPart = 1 / 4;

export const unchangedOwner: LogOwner = { configuration: undefined, clusterId: undefined, openings: undefined };
const noEntries: LogChange = { cut: undefined, from: 0, entries: [] };

/** What is on the disk once a record is. */
export interface DurableState {
  readonly head: LogHead;
  readonly owner: LogOwner;
}

/** What goes into a record. */
export interface RecordParts {
  readonly change: LogChange;
  readonly endBefore: number;
  readonly changedOwner: LogOwner;
  readonly hasBase: boolean;
}

/**
 * Makes records of what the log store flushes, and writes them, one after the other. On a full disk, where no further segment can be
 * had, it lets go of what the log has trimmed meanwhile.
 */
export class LogRecordWriter {
  readonly #wal: Wal;
  readonly #log: FileLog;
  #durable: DurableState;
  /** At least what configuration, cluster id and openings take in a record. */
  #ownerBytes: number;
  #buffer = new Uint8Array(0);
  #flushBytes = 0;

  constructor(wal: Wal, log: FileLog, durable: DurableState) {
    this.#wal = wal;
    this.#log = log;
    this.#durable = durable;
    this.#ownerBytes = ownerBytesMax(durable.owner);
  }

  /** What is on the disk. */
  get durable(): DurableState {
    return this.#durable;
  }

  /** Bytes of what is being written, so far, or was last. */
  get flushBytes(): number {
    return this.#flushBytes;
  }

  /** A record to come may have to tell of `owner`. */
  makeRoomFor(owner: LogOwner): void {
    this.#ownerBytes = Math.max(this.#ownerBytes, ownerBytesMax(owner));
  }

  /** Leaves `after` on the disk, mostly with one record. No `await` before that is issued, unless it begins a segment. */
  write(record: RecordParts, after: DurableState): Promise<void> {
    this.#flushBytes = 0;
    return this.#write(record, after);
  }

  #write(record: RecordParts, after: DurableState): Promise<void> {
    const bytesMax = recordBytesMax(record.change, this.#ownerBytes);
    const place = this.#wal.place(bytesMax);
    if (place.newSegmentBytes === undefined) return this.#writeAt(place, bytesMax, record, after);
    if (place.newSegmentBytes > this.#wal.segmentBytes) return this.#writeLarge(place, bytesMax, record, after);
    return this.#writeFirst(place.newSegmentBytes, bytesMax, record, after);
  }

  /** A record that is too large for a segment of the usual size gets one of its own, unless the disk has little room for that. */
  async #writeLarge(place: RecordPlace, bytesMax: number, record: RecordParts, after: DurableState): Promise<void> {
    const { newSegmentBytes } = place;
    assert(newSegmentBytes !== undefined, 'a large record is not to begin a segment');
    const hasRoom = await this.#wal.hasRoomFor(newSegmentBytes);
    if (hasRoom && (await this.#writeOwnSegment(place, bytesMax, record, after))) return;
    if (this.#isDivisible(record, after)) return this.#writeInParts(record.change, after);
    return this.#writeFirst(newSegmentBytes, bytesMax, record, after);
  }

  /** False: the disk has no room for it after all. */
  async #writeOwnSegment(
    place: RecordPlace,
    bytesMax: number,
    record: RecordParts,
    state: DurableState,
  ): Promise<boolean> {
    const { parts, length, after } = this.#encode(place, bytesMax, record, state);
    const oldestSegment = this.#oldestSegmentWith(place);
    if (await this.#wal.writeOwnSegment(place, parts)) {
      this.#onWritten(oldestSegment, after);
      return true;
    }
    this.#flushBytes -= length;
    this.#log.displaced(record.change.from);
    return false;
  }

  /** A record that begins a segment, once there may be one. */
  async #writeFirst(segmentBytes: number, bytesMax: number, record: RecordParts, after: DurableState): Promise<void> {
    await this.#wal.begin(segmentBytes, () => this.#letGo(segmentBytes, record.change, after.head.decidedIndex));
    await this.#writeAt(this.#wal.place(bytesMax), bytesMax, record, after);
  }

  #writeAt(place: RecordPlace, bytesMax: number, record: RecordParts, state: DurableState): Promise<void> {
    const { parts, after } = this.#encode(place, bytesMax, record, state);
    const oldestSegment = this.#oldestSegmentWith(place);
    return this.#wal.write(place, parts).then(() => this.#onWritten(oldestSegment, after));
  }

  #encode(place: RecordPlace, bytesMax: number, record: RecordParts, state: DurableState) {
    const { change, endBefore, changedOwner, hasBase } = record;
    const after = change.cut?.type === 'reset' ? state : notBefore(state, this.#durable.head.trimmedIndex);
    const segmentBytes = place.newSegmentBytes ?? this.#wal.presentBytes;
    const base = hasBase || place.newSegmentBytes !== undefined ? { segmentBytes, endBefore } : undefined;
    const owner = base === undefined ? changedOwner : after.owner;
    const buffer = this.#bufferOf(bufferBytesMax(change, bytesMax));
    const content = { buffer, base, head: after.head, owner, change };
    const parts = encodeRecord(place.id, content, place.offset, this.#log.blocks);
    const length = lengthOf(parts);
    if (change.entries.length > 0) this.#log.placed(change.from + change.entries.length);
    this.#flushBytes += length;
    return { parts, length, after };
  }

  #onWritten(oldestSegment: number, after: DurableState): void {
    this.#durable = after;
    this.#wal.dropBelow(oldestSegment);
  }

  /** The oldest segment that is needed once the record at `place`, which is encoded, is there. */
  #oldestSegmentWith(place: RecordPlace): number {
    return this.#log.oldestSegment ?? place.id.segment;
  }

  /** True if each entry that it appends could have come in a transition of its own. */
  #isDivisible({ change, changedOwner }: RecordParts, { head }: DurableState): boolean {
    const { promise, acceptedRound } = this.#durable.head;
    if (change.cut !== undefined || changedOwner !== unchangedOwner || change.entries.length < 2) return false;
    return isSame(head.promise, promise) && isSame(head.acceptedRound, acceptedRound);
  }

  /**
   * Appends entries that are too many for one segment as several records: on a full disk there may be room for no segments but those that
   * lie ready.
   */
  async #writeInParts({ from, entries }: LogChange, after: DurableState): Promise<void> {
    for (let start = 0; start < entries.length; ) {
      const end = start + this.#countThatFits(entries, start);
      const endIndex = from + end;
      const head = { ...after.head, endIndex, decidedIndex: Math.min(after.head.decidedIndex, endIndex) };
      const change = { cut: undefined, from: from + start, entries: entries.slice(start, end) };
      const record = { change, endBefore: from + start, changedOwner: unchangedOwner, hasBase: false };
      await this.#write(record, { head, owner: after.owner });
      start = end;
    }
  }

  /** How many of `entries` fit into what is left of the present segment, if that is worth a write, else into a new one; at least one. */
  #countThatFits(entries: readonly Entry<Uint8Array>[], start: number): number {
    const { segmentBytes, leftBytes, leftWhenNewBytes } = this.#wal;
    const bytes = leftBytes >= segmentBytes * leastPart ? leftBytes : leftWhenNewBytes;
    return Math.max(1, entriesThatFit(entries, start, bytes, this.#ownerBytes));
  }

  /**
   * Segments below what the log was trimmed to serve again, or are removed, only once that is on the disk: the record that says so may
   * itself be waiting for a segment, of `segmentBytes` bytes. So it is said by one for which each segment keeps room. `next` is what is to
   * be written after it: if that cuts the log, then what it cuts off is of the log until it is written, and nothing is let go of.
   */
  async #letGo(segmentBytes: number, next: LogChange, decidedIndex: number): Promise<void> {
    if (next.cut !== undefined || this.#wal.leftForTrimBytes < this.#trimBytesMax) return;
    const { durable } = this;
    const { endIndex } = durable.head;
    const decided = Math.max(durable.head.decidedIndex, Math.min(decidedIndex, endIndex));
    const trimmedIndex = Math.min(this.#log.trimmedIndex, decided);
    if (trimmedIndex <= durable.head.trimmedIndex) return;
    const freedBytes = this.#wal.bytesBelow(this.#log.segmentOf(trimmedIndex) ?? Number.POSITIVE_INFINITY);
    if (freedBytes === 0 || (segmentBytes > this.#wal.segmentBytes && freedBytes < segmentBytes * leastPart)) return;
    this.#log.dropBlocks(trimmedIndex);
    const head = { ...durable.head, trimmedIndex, decidedIndex: decided };
    const record = { change: noEntries, endBefore: endIndex, changedOwner: unchangedOwner, hasBase: false };
    await this.#writeAt(this.#wal.placeForTrim(), this.#trimBytesMax, record, { head, owner: durable.owner });
    await this.#wal.tidied();
  }

  get #trimBytesMax(): number {
    return recordBytesMax(noEntries, 0);
  }

  /** Records are written one at a time, so that one buffer serves all but the largest; else each is garbage at once. */
  #bufferOf(bytes: number): Uint8Array {
    if (bytes > keptBufferBytesMax) return new Uint8Array(bytes);
    if (this.#buffer.length < bytes) this.#buffer = new Uint8Array(Math.min(2 * bytes, keptBufferBytesMax));
    return this.#buffer;
  }
}

function isSame(a: Ballot, b: Ballot): boolean {
  return compareBallots(a, b) === 0;
}

/** Since `state` was taken, the log may have been let go of up to `trimmedIndex`. */
function notBefore(state: DurableState, trimmedIndex: number): DurableState {
  if (state.head.trimmedIndex >= trimmedIndex) return state;
  return { ...state, head: { ...state.head, trimmedIndex } };
}
