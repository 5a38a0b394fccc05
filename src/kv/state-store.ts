import type { ByteString } from '../base/bytes.ts';

/*
 * Where the state machine keeps its state. Implementations: memory (kv/memory-state-store.ts), LMDB (storage/), simulated disk (test/).
 *
 * Reads and staged writes are synchronous and see each other at once. What is staged is sealed, layer by layer, and
 * becomes durable by a checkpoint of each, together with the applied index it belongs to: after a crash the state is exactly that of the
 * last durable checkpoint.
 */

/** A key's value, and the revision of its last change: that change's log index + 1. */
export interface KvRecord {
  readonly value: Uint8Array;
  readonly revision: number;
}

export interface KvPair extends KvRecord {
  readonly key: ByteString;
}

/** Which keys a listing covers: those with `prefix`, above `after` if there is one, in byte order. */
export interface KvRange {
  readonly prefix: ByteString;
  readonly after?: ByteString | undefined;
  /** Most pairs. */
  readonly limit: number;
  /** Stop after about so many bytes of keys and values (at least one pair is returned). */
  readonly bytesMax: number;
}

/** What a listing found. */
export interface KvPage {
  readonly pairs: KvPair[];
  /** Pairs in the range follow those. */
  readonly more: boolean;
  /** Keys that were gone through for nothing, since they are deleted and the table does not know it yet: they take as long as others. */
  readonly skipped: number;
}

/**
 * A row of what the state machine keeps beside the pairs, under a number: row 0 is the cluster's register (cluster-register.ts), those from
 * 2^52 on are keys that expire (expiry-table.ts), and the others, for which it is named, sessions of clients (session-table.ts).
 */
export interface SessionRow {
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** Such a row that changed since the last layer was sealed; `bytes` undefined: dropped. */
export interface SessionChange {
  readonly id: number;
  readonly bytes: Uint8Array | undefined;
}

/** One row of a snapshot. Pairs come first in key order, then sessions in id order. */
export type SnapshotRow =
  | { readonly type: 'pair'; readonly key: ByteString; readonly value: Uint8Array; readonly revision: number }
  | { readonly type: 'session'; readonly id: number; readonly bytes: Uint8Array };

/** The last row already read: where the next chunk goes on. The same on every replica for the same index. */
export type SnapshotCursor =
  | { readonly type: 'pair'; readonly key: ByteString }
  | { readonly type: 'session'; readonly id: number };

/** A stretch of the rows of a snapshot: those behind `after` (from the first if undefined), up to and with `upTo` (to the last if undefined). */
export interface RowRange {
  readonly after: SnapshotCursor | undefined;
  readonly upTo: SnapshotCursor | undefined;
}

/** Rows as they travel from store to store (kv/packed-rows.ts). */
export interface PackedRows {
  readonly bytes: Uint8Array;
  /** CRC-32 of the bytes. */
  readonly checksum: number;
  /** Lets the memory of the bytes be used again: to be called once, by who alone has them, or never. */
  readonly release?: () => void;
}

/** Some of the rows of a range, from its beginning on. */
export interface RowChunk {
  readonly rows: PackedRows;
  /** The last row in it; undefined if it has none. */
  readonly last: SnapshotCursor | undefined;
  /** No row of the range follows. */
  readonly done: boolean;
}

/** Where a snapshot may be cut into ranges of about as many rows each. A cut need not be a row. */
export interface RowCuts {
  /** In order. */
  readonly cursors: readonly SnapshotCursor[];
  /** What follows the last one is less than a whole range. */
  readonly done: boolean;
}

/** A stable view of the state at one applied index. */
export interface StateSnapshot {
  /** Applied index of the view. */
  readonly index: number;
  /** About how many rows, and how many bytes of them, it has: for progress, and to cut it. */
  readonly size: { readonly rows: number; readonly bytes: number };
  /** Rows after `cursor` (from the start if undefined), about `bytesMax` bytes; `done` when nothing follows. */
  read(cursor: SnapshotCursor | undefined, bytesMax: number): { readonly rows: SnapshotRow[]; readonly done: boolean };
  /** The first rows of `range`, about `bytesMax` bytes, one row at least. What is damaged is found by who installs them. */
  readPacked(range: RowRange, bytesMax: number): RowChunk;
  /** About every `rowsPerCut`-th row behind `after`, among no more than `rowsMax` rows. */
  cuts(after: SnapshotCursor | undefined, rowsPerCut: number, rowsMax: number): RowCuts;
  /** Lets go of it. Must be called. */
  close(): void;
}

/** A half-installed state: rows of the snapshot at `index`, all up to `frontier` and some behind it. */
export interface InstallProgress {
  readonly index: number;
  readonly frontier: SnapshotCursor | undefined;
}

/** How much of an install is written, bytes. */
export interface InstallUse {
  /** Of the rows that were given in this process, as they were given. */
  readonly rowBytes: number;
  /** About what all of its rows, also those from before a crash, take of the disk. */
  readonly diskBytes: number;
}

/** How much is staged above the last checkpoint. */
export interface StagedSizes {
  /** About how many bytes are not sealed yet: when to do so. */
  readonly bytes: number;
  /** About how many bytes of memory they take: more, where changes that were overwritten since still take some. */
  readonly memoryBytes: number;
  /** Keys with a change that is not sealed yet. */
  readonly changes: number;
  /** Layers that are sealed and not yet handed to a checkpoint, and about how many bytes of memory they take. */
  readonly sealedLayers: number;
  readonly sealedMemoryBytes: number;
}

export interface StateStore {
  /** Applied index of the last durable checkpoint; 0 in a new directory. */
  readonly durableIndex: number;
  get(key: ByteString): KvRecord | undefined;
  range(range: KvRange): KvPage;
  put(key: ByteString, value: Uint8Array, revision: number): void;
  delete(key: ByteString): void;
  /** All sessions of the last durable checkpoint (or install). */
  sessions(): Iterable<SessionRow>;
  readonly staged: StagedSizes;
  /** About how many pages of a disk a checkpoint of what is staged and not sealed yet writes; 0 where there are none. */
  readonly stagedPages: number;
  /** Pages that hold rows of the last checkpoint, each of which is written anew as a whole when a row of it changes. */
  readonly rowPages: number;
  /**
   * Ends a layer: all staged since the last one was sealed, with `appliedIndex` and the sessions changed meanwhile. Takes no write. Staging
   * goes on and belongs to the next. Not while an install is being finished.
   */
  seal(appliedIndex: number, sessions: readonly SessionChange[]): void;
  /**
   * Makes the oldest sealed layer durable, in one atomic step. One at a time; there must be one.
   * Staging and sealing may go on meanwhile. Waits while the disk is full. Takes its time, so that others get processors and disk.
   * Rejects if it failed: fatal.
   */
  checkpoint(): Promise<void>;
  /** Somebody waits for the checkpoint under way, if there is one. */
  hurryCheckpoint(): void;
  /** A stable view of the last durable checkpoint: call right after one. */
  openDurableSnapshot(): StateSnapshot;
  /**
   * A stable view of all that is staged now, at `appliedIndex`, with the sessions changed since the last layer was sealed.
   * Needs no write; keeps what is staged in memory until it is closed. Not while an install is being finished.
   */
  openSnapshotAt(appliedIndex: number, sessions: readonly SessionChange[]): StateSnapshot;
  /**
   * Begins to take over a state from elsewhere, beside the present one, dropping any half-installed one.
   * With the `index` that the rows belong to, a crash does not lose what is installed: see {@link installProgress}.
   */
  beginInstall(index?: number): void;
  /** How far the install is that was begun with an index, in this process or before a crash; undefined: none is. */
  readonly installProgress: InstallProgress | undefined;
  /** Goes on with the install that {@link installProgress} tells of. */
  resumeInstall(): void;
  installRows(rows: readonly SnapshotRow[]): void;
  /**
   * Installs rows, in any order of ranges, and makes the progress durable with them. False, and nothing done, if a checksum,
   * of all or of a row, does not fit. `frontier`: with these rows, all up to there are installed (undefined: not even the first range).
   */
  installPacked(rows: PackedRows, frontier: SnapshotCursor | undefined): boolean;
  /** Bytes of installed rows that wait to be written: whoever installs waits for it to fall before asking for more. */
  readonly installBacklogBytes: number;
  /** What of an install is written. */
  readonly installUse: InstallUse;
  /** The disk had no room for some of the rows: the install cannot be finished, and its rows are to make room again, by another `beginInstall`. */
  readonly installLacksRoom: boolean;
  /** All rows are given: what waits for more of them to be written together is written now. */
  hurryInstall(): void;
  /**
   * Replaces the whole state, staged writes included, by the installed rows, durably and in one step; never merges. Rejects, and the store is of no more
   * use, where some of them found no room.
   */
  finishInstall(appliedIndex: number): Promise<void>;
  close(): Promise<void>;
}
