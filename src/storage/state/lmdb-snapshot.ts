import { crc32 } from 'node:zlib';
import type { Transaction } from 'lmdb';
import { assert } from '../../base/assert.ts';
import { giveBuffer, takeBuffer } from '../../base/buffer-pool.ts';
import type { ByteString } from '../../base/bytes.ts';
import { FrozenChanges } from '../../kv/frozen-changes.ts';
import { packedBytesHint, packRows, type StoredRow } from '../../kv/packed-rows.ts';
import { readSnapshotRows, type SnapshotSource } from '../../kv/snapshot-rows.ts';
import type { RowChunk, RowCuts, RowRange, SnapshotCursor, SnapshotRow, StateSnapshot } from '../../kv/state-store.ts';
import type { DiskUse, LmdbStateTables } from './lmdb-state-tables.ts';
import type { FrozenPairs } from './staged-pairs.ts';
import { decodePair, decodeSession } from './state-codec.ts';

/** Changes above the tables. */
export interface RecordChanges {
  /** The oldest first. */
  readonly pairs: readonly FrozenPairs[];
  /** As records. */
  readonly sessions: FrozenChanges<Uint8Array>;
}

export const noChanges: RecordChanges = { pairs: [], sessions: new FrozenChanges([]) };

/** What a snapshot reads from. */
export interface LmdbSnapshotView {
  /** The file to name in errors. */
  readonly file: string;
  readonly index: number;
  readonly tables: LmdbStateTables;
  /** Rows of the tables, and what they take of the file. */
  readonly rowCount: number;
  readonly diskUse: DiskUse;
  readonly transaction: Transaction;
  readonly changes: RecordChanges;
}

/** How many rows tell how large one is, and at how many places they are read. */
const sampleRows = 64;
const samplePlaces = 8;
/** How much of their pages rows fill mostly: those that share pages, and those that have some of their own. */
const treeFill = 0.7;
const largeFill = 0.9;
/** Pages that share rows are merged where they hold less than a quarter; a row that does not is larger than half a page. */
const treeFillMin = 0.2;
const largeFillMin = 0.5;

/** A view of the tables, and what was staged above them when it was opened. */
export class LmdbSnapshot implements StateSnapshot {
  readonly index: number;
  readonly #view: LmdbSnapshotView;
  readonly #source: SnapshotSource;
  readonly #onClose: () => void;
  #isOpen = true;

  constructor(view: LmdbSnapshotView, onClose: () => void) {
    this.index = view.index;
    this.#view = view;
    this.#source = decodedSource(view);
    this.#onClose = onClose;
  }

  get size(): { readonly rows: number; readonly bytes: number } {
    this.#assertOpen();
    const { rowCount, changes } = this.#view;
    const rows = rowCount + changes.pairs.reduce((sum, layer) => sum + layer.size, changes.sessions.size);
    let sampled = 0;
    let bytes = 0;
    for (const row of this.#sample()) {
      sampled++;
      bytes += row.record.length + (row.type === 'pair' ? row.key.length : 0);
    }
    return { rows, bytes: Math.ceil(this.#plausible((bytes / Math.max(1, sampled)) * rows)) };
  }

  /**
   * Those that were looked at may be much larger or smaller than most, and a key counts in each layer that changes it. How many pages there are is known: what
   * cannot be, with so many, is a worse guess than what mostly is.
   */
  #plausible(bytes: number): number {
    const { diskUse, changes } = this.#view;
    const changedBytes = changes.pairs.reduce((sum, layer) => sum + layer.bytes, 0);
    const { treeBytes, largeBytes } = diskUse;
    if (bytes < treeBytes * treeFillMin + largeBytes * largeFillMin)
      return treeBytes * treeFill + largeBytes * largeFill;
    return Math.min(bytes, treeBytes + largeBytes + changedBytes);
  }

  /** Of the table alone, if it has any: the changes would have to be put in order first. */
  *#sample(): Generator<StoredRow> {
    const { tables, rowCount, transaction } = this.#view;
    if (rowCount === 0) return yield* firstOf(this.#storedAfter(undefined), sampleRows);
    const places = tables.placesIn(samplePlaces, transaction);
    for (const after of places) {
      yield* firstOf(storedRows(tables, transaction, after), Math.ceil(sampleRows / places.length));
    }
  }

  read(cursor: SnapshotCursor | undefined, bytesMax: number): { readonly rows: SnapshotRow[]; readonly done: boolean } {
    this.#assertOpen();
    return readSnapshotRows(this.#source, cursor, bytesMax);
  }

  readPacked(range: RowRange, bytesMax: number): RowChunk {
    this.#assertOpen();
    const buffer = takeBuffer(packedBytesHint(bytesMax));
    const chunk = packRows(this.#storedAfter(range.after), range, bytesMax, crc32, buffer);
    return { ...chunk, rows: { ...chunk.rows, release: () => giveBuffer(buffer) } };
  }

  /** Cut by what of table and changes has the most rows right there: what the others have makes ranges longer, by no more than as many. */
  cuts(after: SnapshotCursor | undefined, rowsPerCut: number, rowsMax: number): RowCuts {
    this.#assertOpen();
    const cursors: SnapshotCursor[] = [];
    let last = after;
    for (let rows = rowsPerCut; rows <= rowsMax; rows += rowsPerCut) {
      last = this.#cursorBehind(last, rowsPerCut);
      if (last === undefined) return { cursors, done: true };
      cursors.push(last);
    }
    return { cursors, done: false };
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#onClose();
  }

  *#storedAfter(cursor: SnapshotCursor | undefined): Generator<StoredRow> {
    const { tables, transaction, changes } = this.#view;
    if (cursor?.type !== 'session') {
      const after = cursor?.key;
      for (const [key, record] of pairRecords(this.#view, after)) yield { type: 'pair', key, record };
    }
    const after = cursor?.type === 'session' ? cursor.id : undefined;
    const sessions = changes.sessions.over(tables.sessionRecordsAfter(after, transaction), after);
    for (const [id, record] of sessions) yield { type: 'session', id, record };
  }

  #cursorBehind(cursor: SnapshotCursor | undefined, rows: number): SnapshotCursor | undefined {
    const { tables, transaction } = this.#view;
    if (cursor?.type !== 'session') {
      const key = this.#pairKeyBehind(cursor?.key, rows);
      if (key !== undefined) return { type: 'pair', key };
    }
    // What is left of the pairs goes with the first sessions.
    const after = cursor?.type === 'session' ? cursor.id : undefined;
    let count = 0;
    for (const [id] of tables.sessionRecordsAfter(after, transaction))
      if (++count === rows) return { type: 'session', id };
    return undefined;
  }

  /**
   * The first key with `rows` keys of the table, or of a layer of changes, behind `after`; undefined if none has so many. Keys that are written in their
   * order are behind all of the table until a checkpoint: cut by the table alone, they would all be in the last range, for one donor to give.
   */
  #pairKeyBehind(after: ByteString | undefined, rows: number): ByteString | undefined {
    const { tables, transaction, changes } = this.#view;
    let first = tables.pairKeyBehind(after, rows, transaction);
    for (const layer of changes.pairs) {
      const key = layer.keyBehind(after, rows);
      if (key !== undefined && (first === undefined || key < first)) first = key;
    }
    return first;
  }

  #assertOpen(): void {
    assert(this.#isOpen, 'a closed snapshot was read');
  }
}

function* storedRows(
  tables: LmdbStateTables,
  transaction: Transaction,
  after: ByteString | undefined,
): Generator<StoredRow> {
  for (const [key, record] of tables.pairRecordsAfter(after, transaction)) yield { type: 'pair', key, record };
  for (const [id, record] of tables.sessionRecordsAfter(undefined, transaction)) yield { type: 'session', id, record };
}

function* firstOf<T>(all: Iterable<T>, count: number): Generator<T> {
  let left = count;
  for (const one of all) {
    yield one;
    left--;
    if (left === 0) return;
  }
}

/** Those of the table as all layers of changes leave it. */
function pairRecords(
  { tables, transaction, changes }: LmdbSnapshotView,
  after: ByteString | undefined,
): Iterable<readonly [ByteString, Uint8Array]> {
  const table: Iterable<readonly [ByteString, Uint8Array]> = tables.pairRecordsAfter(after, transaction);
  return changes.pairs.reduce((rows, layer) => layer.over(rows, after), table);
}

function decodedSource(view: LmdbSnapshotView): SnapshotSource {
  const { file, tables, transaction, changes } = view;
  return {
    *pairsAfter(after) {
      for (const [key, record] of pairRecords(view, after)) {
        const { value, revision } = decodePair(file, key, record);
        yield { key, value: value.slice(), revision };
      }
    },
    *sessionsAfter(after) {
      for (const [id, record] of changes.sessions.over(tables.sessionRecordsAfter(after, transaction), after)) {
        yield { id, bytes: decodeSession(file, id, record).slice() };
      }
    },
  };
}
