import { assert } from '../../src/base/assert.ts';
import type { ByteString } from '../../src/base/bytes.ts';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { type KeyedChange, mergeRange, Overlay, rangeStart } from '../../src/kv/overlay.ts';
import { type SealedChanges, StagedChanges } from '../../src/kv/staged-changes.ts';
import type {
  InstallProgress,
  KvPage,
  KvRange,
  KvRecord,
  PackedRows,
  SessionChange,
  SessionRow,
  SnapshotCursor,
  SnapshotRow,
  StagedSizes,
  StateSnapshot,
  StateStore,
} from '../../src/kv/state-store.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

type Work =
  | { readonly type: 'checkpoint'; readonly changes: SealedChanges<Overlay> }
  | { readonly type: 'install'; readonly appliedIndex: number };

/** So many that each change is of another one. */
const manyPages = 1_000_000;

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

  get staged(): StagedSizes {
    return this.#staged;
  }

  /** Each change is of a page of its own. */
  get stagedPages(): number {
    return this.#staged.changes;
  }

  readonly rowPages = manyPages;

  get(key: ByteString): KvRecord | undefined {
    const change = this.#staged.get(key);
    return change === undefined ? this.#inner.get(key) : (change ?? undefined);
  }

  range(range: KvRange): KvPage {
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

  seal(appliedIndex: number, sessions: readonly SessionChange[]): void {
    assert(this.#work?.type !== 'install', 'a layer was sealed while an install was being finished');
    this.#staged.seal(appliedIndex, sessions);
  }

  checkpoint(): Promise<void> {
    assert(this.#work === undefined, 'a checkpoint began while the state store was busy');
    this.#work = { type: 'checkpoint', changes: this.#staged.beginWrite() };
    return Promise.resolve();
  }

  /** How long it takes is for the world to say. */
  hurryCheckpoint(): void {}

  openDurableSnapshot(): StateSnapshot {
    return this.#inner.openDurableSnapshot();
  }

  openSnapshotAt(appliedIndex: number, sessions: readonly SessionChange[]): StateSnapshot {
    assert(this.#work?.type !== 'install', 'a snapshot was opened while an install was being finished');
    const allSessions = [...this.#staged.sessions(), sessions].flat();
    return this.#inner.openSnapshotWith(appliedIndex, this.#staged.layers(), allSessions);
  }

  get installProgress(): InstallProgress | undefined {
    return this.#inner.installProgress;
  }

  get installBacklogBytes(): number {
    return this.#inner.installBacklogBytes;
  }

  get installLacksRoom(): boolean {
    return this.#inner.installLacksRoom;
  }

  hurryInstall(): void {}

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
    const { layer, appliedIndex, sessions } = work.changes;
    for (const [key, change] of layer.entries()) {
      if (change === null) this.#inner.delete(key);
      else this.#inner.put(key, change.value, change.revision);
    }
    this.#inner.seal(appliedIndex, sessions);
    void this.#inner.checkpoint();
    this.#staged.endWrite();
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
