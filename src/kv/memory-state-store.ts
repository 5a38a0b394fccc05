import { assert } from '../base/assert.ts';
import type { ByteString } from '../base/bytes.ts';
import { type KeyedChange, mergeRange, type Overlay, rangeStart } from './overlay.ts';
import { readSnapshotRows, type SnapshotSource } from './snapshot-rows.ts';
import { SortedKeys } from './sorted-keys.ts';
import { StagedChanges } from './staged-changes.ts';
import type {
  KvPair,
  KvRange,
  KvRecord,
  SessionChange,
  SessionRow,
  SnapshotCursor,
  SnapshotRow,
  StateSnapshot,
  StateStore,
} from './state-store.ts';

/** What survives of a {@link MemoryStateStore}: give it to the next one to see what a restart would see. */
export class MemoryStateDisk {
  table = new MemoryTable();
  appliedIndex = 0;
}

/**
 * The state in memory. A checkpoint is durable at once, on a {@link MemoryStateDisk}; what is only staged is gone with
 * the store, as after a crash. For tests, examples and simulation.
 */
export class MemoryStateStore implements StateStore {
  readonly #disk: MemoryStateDisk;
  readonly #staged = new StagedChanges();
  #installing: MemoryTable | undefined;

  constructor(disk = new MemoryStateDisk()) {
    this.#disk = disk;
  }

  get durableIndex(): number {
    return this.#disk.appliedIndex;
  }

  get stagedBytes(): number {
    return this.#staged.bytes;
  }

  get stagedChanges(): number {
    return this.#staged.count;
  }

  get(key: ByteString): KvRecord | undefined {
    const change = this.#staged.get(key);
    return change === undefined ? this.#disk.table.get(key) : (change ?? undefined);
  }

  range(range: KvRange): { readonly pairs: KvPair[]; readonly more: boolean } {
    const start = rangeStart(range);
    return mergeRange(range, [...this.#staged.scans(start, range.prefix), this.#disk.table.scan(start, range.prefix)]);
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

  checkpoint(appliedIndex: number, sessions: readonly SessionChange[]): Promise<void> {
    const table = this.#disk.table.writable();
    table.apply(this.#staged.freeze(), sessions);
    this.#disk.table = table;
    this.#disk.appliedIndex = appliedIndex;
    this.#staged.thaw();
    return Promise.resolve();
  }

  openSnapshot(): StateSnapshot {
    return new MemorySnapshot(this.#disk.table, this.#disk.appliedIndex);
  }

  beginInstall(): void {
    this.#installing = new MemoryTable();
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
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Pairs and sessions at one applied index. Copied before it is written to while a snapshot reads it. */
class MemoryTable implements SnapshotSource {
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
    if (this.#readers === 0) return this;
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

  apply(overlay: Overlay, sessions: readonly SessionChange[]): void {
    for (const [key, change] of overlay.entries()) {
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
    for (let position = this.#keys.lowerBound(from); position < this.#keys.length; position++) {
      const key = this.#keys.at(position) as ByteString;
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
    assert(this.#table !== undefined, 'a closed snapshot was read');
    return readSnapshotRows(this.#table, cursor, bytesMax);
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
