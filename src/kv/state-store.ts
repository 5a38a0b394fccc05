import type { ByteString } from '../base/bytes.ts';

/*
 * Where the state machine keeps its state. Implementations: memory (kv/memory-state-store.ts), LMDB (storage/), simulated disk (test/).
 *
 * Reads and staged writes are synchronous and see each other at once. What is staged becomes durable by a checkpoint,
 * together with the applied index it belongs to: after a crash the state is exactly that of the last durable checkpoint.
 */

/** A key's value and the log index of its last change. */
export interface KvRecord {
  readonly value: Uint8Array;
  readonly revision: number;
}

export interface KvPair extends KvRecord {
  readonly key: ByteString;
}

/** Which keys a listing covers: those with `prefix`, above `after` if given, in byte order. */
export interface KvRange {
  readonly prefix: ByteString;
  readonly after?: ByteString;
  /** Most pairs. */
  readonly limit: number;
  /** Stop after about so many bytes of keys and values (at least one pair is returned). */
  readonly bytesMax: number;
}

/** A session as it is stored: its id and opaque bytes made by the session table. */
export interface SessionRow {
  readonly id: number;
  readonly bytes: Uint8Array;
}

/** Sessions changed since the last checkpoint; `bytes` undefined: dropped. */
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

/** A stable view of the state at one applied index. */
export interface StateSnapshot {
  /** Applied index of the view. */
  readonly index: number;
  /** Rows after `cursor` (from the start if undefined), about `bytesMax` bytes; `done` when nothing follows. */
  read(cursor: SnapshotCursor | undefined, bytesMax: number): { readonly rows: SnapshotRow[]; readonly done: boolean };
  /** Lets go of it. Must be called. */
  close(): void;
}

export interface StateStore {
  /** Applied index of the last durable checkpoint; 0 in a new directory. */
  readonly durableIndex: number;
  get(key: ByteString): KvRecord | undefined;
  /** `more` says that pairs in the range follow those returned. */
  range(range: KvRange): { readonly pairs: KvPair[]; readonly more: boolean };
  put(key: ByteString, value: Uint8Array, revision: number): void;
  delete(key: ByteString): void;
  /** All sessions of the last durable checkpoint (or install). */
  sessions(): Iterable<SessionRow>;
  /** Bytes staged and not yet handed to a checkpoint: when to make one. */
  readonly stagedBytes: number;
  /** Keys with a change that is staged and not yet handed to a checkpoint. */
  readonly stagedChanges: number;
  /**
   * Makes all staged so far durable, with `appliedIndex` and the changed sessions, in one atomic step.
   * One at a time. Staging may go on meanwhile and belongs to the next. Waits while the disk is full. Rejects if it failed: fatal.
   */
  checkpoint(appliedIndex: number, sessions: readonly SessionChange[]): Promise<void>;
  /** A stable view of the last durable checkpoint: call right after one. */
  openSnapshot(): StateSnapshot;
  /** Begins to take over a state from elsewhere, beside the present one, dropping any half-installed one. */
  beginInstall(): void;
  installRows(rows: readonly SnapshotRow[]): void;
  /** Replaces the whole state, staged writes included, by the installed rows, durably and in one step; never merges. */
  finishInstall(appliedIndex: number): Promise<void>;
  close(): Promise<void>;
}
