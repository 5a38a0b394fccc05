import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { type KeyedChange, Overlay } from './overlay.ts';
import {
  openPairRecord,
  openSessionRecord,
  packRows,
  pairRecord,
  type StoredRow,
  sessionRecord,
  unpackRows,
} from './packed-rows.ts';
import { cutRows, readSnapshotRows, type SnapshotSource } from './snapshot-rows.ts';
import { SortedKeys } from './sorted-keys.ts';
import { type DurablePairs, StagedChanges } from './staged-changes.ts';
import type {
  InstallProgress,
  InstallUse,
  KvPage,
  KvPair,
  KvRange,
  KvRecord,
  PackedRows,
  RowChunk,
  RowCuts,
  RowRange,
  SessionChange,
  SessionRow,
  SnapshotCursor,
  SnapshotRow,
  StagedSizes,
  StateSnapshot,
  StateStore,
} from './state-store.ts';

/** What survives of a {@link MemoryStateStore}: give it to the next one to see what a restart would see. */
export class MemoryStateDisk {
  table = new MemoryTable();
  appliedIndex = 0;
  /** A half-installed state. */
  install: { readonly table: MemoryTable; readonly progress: InstallProgress } | undefined;
}

/**
 * The state in memory. A checkpoint is durable at once, on a {@link MemoryStateDisk}; what is only staged is gone with
 * the store, as after a crash. For tests, examples and simulation.
 */
export class MemoryStateStore implements StateStore {
  readonly #disk: MemoryStateDisk;
  readonly #staged = new StagedChanges(() => new Overlay());
  #installing: MemoryTable | undefined;

  constructor(disk = new MemoryStateDisk()) {
    this.#disk = disk;
  }

  /** Rows are on the disk as soon as they are given. */
  readonly installBacklogBytes: number = 0;
  readonly installUse: InstallUse = { rowBytes: 0, diskBytes: 0 };
  readonly installLacksRoom: boolean = false;
  readonly stagedPages = 0;
  readonly rowPages = 0;

  get durableIndex(): number {
    return this.#disk.appliedIndex;
  }

  get staged(): StagedSizes {
    return this.#staged;
  }

  get(key: ByteString): KvRecord | undefined {
    return this.#staged.get(key, this.#disk.table);
  }

  range(range: KvRange): KvPage {
    return this.#staged.range(range, this.#disk.table);
  }

  put(key: ByteString, value: Uint8Array, revision: number): void {
    this.#staged.set(key, { value, revision });
  }

  delete(key: ByteString): void {
    this.#staged.set(key, null);
  }

  sessions(): Iterable<SessionRow> {
    return this.#disk.table.sessionsAfter(undefined);
  }

  seal(appliedIndex: number, sessions: readonly SessionChange[]): void {
    this.#staged.seal(appliedIndex, sessions);
  }

  checkpoint(): Promise<void> {
    const { layer, appliedIndex, sessions } = this.#staged.beginWrite();
    const table = this.#disk.table.writable();
    table.apply(layer, sessions);
    this.#disk.table = table;
    this.#disk.appliedIndex = appliedIndex;
    this.#staged.endWrite();
    return Promise.resolve();
  }

  /** It takes no time. */
  hurryCheckpoint(): void {}

  hurryInstall(): void {}

  openDurableSnapshot(): StateSnapshot {
    return new MemorySnapshot(this.#disk.table, this.#disk.appliedIndex);
  }

  openSnapshotAt(appliedIndex: number, sessions: readonly SessionChange[]): StateSnapshot {
    const allSessions = [...this.#staged.sessions(), sessions].flat();
    return this.openSnapshotWith(appliedIndex, this.#staged.layers(), allSessions);
  }

  /** A view of the table with `changes` above it, the oldest first. */
  openSnapshotWith(
    appliedIndex: number,
    changes: readonly Overlay[],
    sessions: readonly SessionChange[],
  ): StateSnapshot {
    const table = this.#disk.table.copy();
    for (const overlay of changes) table.apply(overlay, []);
    table.apply(undefined, sessions);
    return new MemorySnapshot(table, appliedIndex);
  }

  get installProgress(): InstallProgress | undefined {
    return this.#disk.install?.progress;
  }

  beginInstall(index?: number): void {
    this.#installing = new MemoryTable();
    this.#disk.install =
      index === undefined ? undefined : { table: this.#installing, progress: { index, frontier: undefined } };
  }

  resumeInstall(): void {
    assert(this.#disk.install !== undefined, 'there is no install to go on with');
    this.#installing = this.#disk.install.table;
  }

  installPacked(rows: PackedRows, frontier: SnapshotCursor | undefined): boolean {
    assert(this.#installing !== undefined, 'rows were installed without beginInstall');
    const opened = unpackRows(rows, crc32, openRow);
    if (opened === undefined) return false;
    this.installRows(opened);
    const { install } = this.#disk;
    if (install) this.#disk.install = { ...install, progress: { ...install.progress, frontier } };
    return true;
  }

  installRows(rows: readonly SnapshotRow[]): void {
    assert(this.#installing !== undefined, 'rows were installed without beginInstall');
    for (const row of rows) this.#installing.install(row);
  }

  finishInstall(appliedIndex: number): Promise<void> {
    assert(this.#installing !== undefined, 'an install was finished without beginInstall');
    this.#disk.table = this.#installing;
    this.#disk.appliedIndex = appliedIndex;
    this.#staged.clear();
    this.#installing = undefined;
    this.#disk.install = undefined;
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Pairs and sessions at one applied index. Copied before it is written to while a snapshot reads it. */
class MemoryTable implements SnapshotSource, DurablePairs {
  #records = new Map<ByteString, KvRecord>();
  #keys = new SortedKeys();
  /** Deleted keys that `#keys` still has. */
  #dead = new Set<ByteString>();
  #sessions = new Map<number, Uint8Array>();
  #readers = 0;

  get(key: ByteString): KvRecord | undefined {
    return this.#records.get(key);
  }

  /** This table, or a copy of it if someone reads this one. */
  writable(): MemoryTable {
    return this.#readers === 0 ? this : this.copy();
  }

  copy(): MemoryTable {
    const copy = new MemoryTable();
    copy.#records = new Map(this.#records);
    copy.#keys = this.#keys.clone();
    copy.#dead = new Set(this.#dead);
    copy.#sessions = new Map(this.#sessions);
    return copy;
  }

  acquire(): void {
    this.#readers++;
  }

  release(): void {
    this.#readers--;
  }

  get size(): number {
    return this.#records.size + this.#sessions.size;
  }

  /** The rows behind `cursor` in the form in which they travel. */
  *storedAfter(cursor: SnapshotCursor | undefined): Generator<StoredRow> {
    if (cursor?.type !== 'session') {
      for (const pair of this.pairsAfter(cursor?.key))
        yield { type: 'pair', key: pair.key, record: pairRecord(pair.key, pair) };
    }
    for (const { id, bytes } of this.sessionsAfter(cursor?.type === 'session' ? cursor.id : undefined)) {
      yield { type: 'session', id, record: sessionRecord(id, bytes) };
    }
  }

  *cursorsAfter(cursor: SnapshotCursor | undefined): Generator<SnapshotCursor> {
    for (const row of this.storedAfter(cursor)) {
      yield row.type === 'pair' ? { type: 'pair', key: row.key } : { type: 'session', id: row.id };
    }
  }

  apply(overlay: Overlay | undefined, sessions: readonly SessionChange[]): void {
    for (const [key, change] of overlay?.entries() ?? []) {
      if (change === null) this.#delete(key);
      else this.#put(key, change);
    }
    for (const { id, bytes } of sessions) {
      if (bytes === undefined) this.#sessions.delete(id);
      else this.#sessions.set(id, ownBytes(bytes));
    }
  }

  install(row: SnapshotRow): void {
    if (row.type === 'pair') this.#put(row.key, row);
    else this.#sessions.set(row.id, ownBytes(row.bytes));
  }

  *scan(from: ByteString, prefix: ByteString): Generator<KeyedChange, void, undefined> {
    for (const key of this.#keys.from(from)) {
      if (!key.startsWith(prefix)) return;
      const change = this.#records.get(key);
      if (change !== undefined) yield { key, change };
    }
  }

  *pairsAfter(after: ByteString | undefined): Generator<KvPair> {
    for (const { key, change } of this.scan(after === undefined ? '' : `${after}\0`, '')) {
      if (change !== null) yield { key, value: change.value, revision: change.revision };
    }
  }

  *sessionsAfter(after: number | undefined): Generator<SessionRow> {
    const ids = [...this.#sessions.keys()].sort((a, b) => a - b);
    for (const id of ids) {
      if (after === undefined || id > after) yield { id, bytes: this.#sessions.get(id) as Uint8Array };
    }
  }

  #put(key: ByteString, record: KvRecord): void {
    if (!this.#records.has(key) && !this.#dead.delete(key)) this.#keys.add(key);
    this.#records.set(key, { value: ownBytes(record.value), revision: record.revision });
  }

  #delete(key: ByteString): void {
    if (!this.#records.delete(key)) return;
    this.#dead.add(key);
    if (this.#dead.size <= this.#records.size) return;
    this.#keys.filter((kept) => !this.#dead.has(kept));
    this.#dead.clear();
  }
}

class MemorySnapshot implements StateSnapshot {
  readonly index: number;
  #table: MemoryTable | undefined;

  constructor(table: MemoryTable, index: number) {
    table.acquire();
    this.#table = table;
    this.index = index;
  }

  read(cursor: SnapshotCursor | undefined, bytesMax: number): { readonly rows: SnapshotRow[]; readonly done: boolean } {
    return readSnapshotRows(this.#reading(), cursor, bytesMax);
  }

  get size(): { readonly rows: number; readonly bytes: number } {
    const sample = this.read(undefined, 1000).rows;
    let bytes = 0;
    for (const row of sample) bytes += row.type === 'pair' ? row.key.length + row.value.length : row.bytes.length;
    const rows = this.#reading().size;
    return { rows, bytes: Math.ceil((bytes / Math.max(1, sample.length)) * rows) };
  }

  readPacked(range: RowRange, bytesMax: number): RowChunk {
    return packRows(this.#reading().storedAfter(range.after), range, bytesMax, crc32);
  }

  cuts(after: SnapshotCursor | undefined, rowsPerCut: number, rowsMax: number): RowCuts {
    return cutRows(this.#reading().cursorsAfter(after), rowsPerCut, rowsMax);
  }

  #reading(): MemoryTable {
    assert(this.#table !== undefined, 'a closed snapshot was read');
    return this.#table;
  }

  close(): void {
    this.#table?.release();
    this.#table = undefined;
  }
}

/** `bytes`, copied if they are a part of something larger that they would keep alive. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  return bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
}

function openRow(row: StoredRow): SnapshotRow | undefined {
  if (row.type === 'session') {
    const bytes = openSessionRecord(row.id, row.record);
    return bytes && { type: 'session', id: row.id, bytes };
  }
  const record = openPairRecord(row.key, row.record);
  return record && { type: 'pair', key: row.key, ...record };
}
