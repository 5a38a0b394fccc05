import { assert } from '../../src/base/assert.ts';
import type { ByteString } from '../../src/base/bytes.ts';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { type KeyedChange, mergeRange, Overlay, rangeStart } from '../../src/kv/overlay.ts';
import { StagedChanges } from '../../src/kv/staged-changes.ts';
import type {
  InstallProgress,
  KvPair,
  KvRange,
  KvRecord,
  PackedRows,
  SessionChange,
  SessionRow,
  SnapshotCursor,
  SnapshotRow,
  StateSnapshot,
  StateStore,
} from '../../src/kv/state-store.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

type Work =
  | {
      readonly type: 'checkpoint';
      readonly appliedIndex: number;
      readonly changes: Overlay;
      readonly sessions: readonly SessionChange[];
    }
  | { readonly type: 'install'; readonly appliedIndex: number };

/**
 * The state store on a simulated disk: a checkpoint and the end of an install take virtual time and are atomic. The promises that
 * it returns mean nothing: its owner calls `endWork` when the time has come, or crashes. Below it is the real store in memory.
 */
export class SimulatedStateStore implements StateStore {
  readonly #inner: MemoryStateStore;
  readonly #staged = new StagedChanges(() => new Overlay());
  #work: Work | undefined;

  constructor(disk: SimulatedDisk) {
    this.#inner = new MemoryStateStore(disk.state);
  }

  get durableIndex(): number {
    return this.#inner.durableIndex;
  }

  get stagedBytes(): number {
    return this.#staged.bytes;
  }

  get stagedMemoryBytes(): number {
    return this.#staged.memoryBytes;
  }

  get stagedChanges(): number {
    return this.#staged.count;
  }

  get stagedPages(): number {
    return this.#inner.stagedPages;
  }

  get rowPages(): number {
    return this.#inner.rowPages;
  }

  get(key: ByteString): KvRecord | undefined {
    const change = this.#staged.get(key);
    return change === undefined ? this.#inner.get(key) : (change ?? undefined);
  }

  range(range: KvRange): { readonly pairs: KvPair[]; readonly more: boolean } {
    return mergeRange(range, [...this.#staged.scans(rangeStart(range), range.prefix), this.#innerScan(range)]);
  }

  put(key: ByteString, value: Uint8Array, revision: number): void {
    this.#stage();
    this.#staged.set(key, { value, revision });
  }

  delete(key: ByteString): void {
    this.#stage();
    this.#staged.set(key, null);
  }

  sessions(): Iterable<SessionRow> {
    return this.#inner.sessions();
  }

  checkpoint(appliedIndex: number, sessions: readonly SessionChange[]): Promise<void> {
    assert(this.#work === undefined, 'a checkpoint began while the state store was busy');
    this.#work = { type: 'checkpoint', appliedIndex, changes: this.#staged.freeze(), sessions };
    return Promise.resolve();
  }

  openSnapshot(): StateSnapshot {
    return this.#inner.openSnapshot();
  }

  openSnapshotAt(appliedIndex: number, sessions: readonly SessionChange[]): StateSnapshot {
    assert(this.#work?.type !== 'install', 'a snapshot was opened while an install was being finished');
    const before = this.#work?.type === 'checkpoint' ? this.#work.sessions : [];
    return this.#inner.openSnapshotWith(appliedIndex, this.#staged.generations(), [...before, ...sessions]);
  }

  get installProgress(): InstallProgress | undefined {
    return this.#inner.installProgress;
  }

  get installBacklogBytes(): number {
    return this.#inner.installBacklogBytes;
  }

  beginInstall(index?: number): void {
    assert(this.#work?.type !== 'install', 'an install began while another was being finished');
    this.#inner.beginInstall(index);
  }

  resumeInstall(): void {
    this.#inner.resumeInstall();
  }

  installPacked(rows: PackedRows, frontier: SnapshotCursor | undefined): boolean {
    return this.#inner.installPacked(rows, frontier);
  }

  installRows(rows: readonly SnapshotRow[]): void {
    this.#inner.installRows(rows);
  }

  finishInstall(appliedIndex: number): Promise<void> {
    assert(this.#work === undefined, 'an install was finished while the state store was busy');
    this.#work = { type: 'install', appliedIndex };
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  /** What was under way is durable now. */
  endWork(): void {
    const work = this.#work;
    assert(work !== undefined, 'nothing was under way');
    this.#work = undefined;
    if (work.type === 'install') {
      void this.#inner.finishInstall(work.appliedIndex);
      this.#staged.clear();
      return;
    }
    for (const [key, change] of work.changes.entries()) {
      if (change === null) this.#inner.delete(key);
      else this.#inner.put(key, change.value, change.revision);
    }
    void this.#inner.checkpoint(work.appliedIndex, work.sessions);
    this.#staged.thaw();
  }

  #stage(): void {
    assert(this.#work?.type !== 'install', 'a change was staged while an install was being finished');
  }

  *#innerScan(range: KvRange): Generator<KeyedChange> {
    const everything = { ...range, limit: Number.POSITIVE_INFINITY, bytesMax: Number.POSITIVE_INFINITY };
    for (const { key, value, revision } of this.#inner.range(everything).pairs)
      yield { key, change: { value, revision } };
  }
}
