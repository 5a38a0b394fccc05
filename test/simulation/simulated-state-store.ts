import { assert } from '../../src/base/assert.ts';
import type { ByteString } from '../../src/base/bytes.ts';
import { type MemoryStateDisk, MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { Overlay } from '../../src/kv/overlay.ts';
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
import { checkPacked } from '../../src/storage/state/packed-check.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

type Work =
  | { readonly type: 'checkpoint'; readonly changes: SealedChanges<Overlay> }
  | { readonly type: 'install'; readonly appliedIndex: number };

/** Rows that were given and are not on the disk yet. */
interface LateRows {
  readonly rows: PackedRows;
  readonly frontier: SnapshotCursor | undefined;
}

/** So many that each change is of another one. */
const manyPages = 1_000_000;

/**
 * The state store on a simulated disk: a checkpoint and the end of an install take virtual time and are atomic. The promises that
 * it returns mean nothing: its owner calls `endWork` when the time has come, or crashes. Below it is the real store in memory.
 * Rows of an install are written when its owner calls `writeRows`, if it is one that writes them late, or find no room then.
 */
export class SimulatedStateStore implements StateStore {
  readonly #disk: MemoryStateDisk;
  /** What it stages is durable at once: all that it has is on `#disk`. */
  readonly #inner: MemoryStateStore;
  readonly #staged = new StagedChanges(() => new Overlay());
  readonly #writesLate: boolean;
  #work: Work | undefined;
  /** In the order in which they were given. */
  #lateRows: LateRows[] = [];
  /** Of the install that rows were given to: what is on the disk may be behind it. */
  #progress: InstallProgress | undefined;
  #lacksRoom = false;

  constructor(disk: SimulatedDisk, writesLate = false) {
    this.#disk = disk.state;
    this.#inner = new MemoryStateStore(disk.state);
    this.#writesLate = writesLate;
    this.#progress = this.#inner.installProgress;
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
    return this.#staged.get(key, this.#disk.table);
  }

  range(range: KvRange): KvPage {
    return this.#staged.range(range, this.#disk.table);
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
    return this.#progress;
  }

  get installBacklogBytes(): number {
    return this.#lateRows.reduce((bytes, { rows }) => bytes + rows.bytes.length, 0);
  }

  readonly installUse = { rowBytes: 0, diskBytes: 0 };

  get installLacksRoom(): boolean {
    return this.#lacksRoom;
  }

  /** Rows of an install, or of one from before a crash, are on the disk. */
  get holdsInstalledRows(): boolean {
    return (this.#disk.install?.table.size ?? 0) > 0;
  }

  /** When rows are written is for the world to say. */
  hurryInstall(): void {}

  beginInstall(index?: number): void {
    assert(this.#work?.type !== 'install', 'an install began while another was being finished');
    this.#inner.beginInstall(index);
    this.#progress = this.#inner.installProgress;
    this.#lateRows = [];
    this.#lacksRoom = false;
  }

  resumeInstall(): void {
    this.#inner.resumeInstall();
  }

  installPacked(rows: PackedRows, frontier: SnapshotCursor | undefined): boolean {
    if (!this.#writesLate) return this.#write({ rows, frontier });
    if (checkPacked(rows) === undefined) return false;
    this.#progress &&= { ...this.#progress, frontier };
    this.#lateRows.push({ rows: { bytes: rows.bytes.slice(), checksum: rows.checksum }, frontier });
    return true;
  }

  /** Writes the first `count` of the rows that wait, unless there is no room for them: then none are ever written before a new install. */
  writeRows(hasRoom: boolean, count = this.#lateRows.length): void {
    if (!hasRoom) this.#lacksRoom = true;
    for (const late of this.#lateRows.splice(0, count)) {
      if (!this.#lacksRoom) assert(this.#write(late), 'rows were changed while they waited');
    }
  }

  installRows(rows: readonly SnapshotRow[]): void {
    this.#inner.installRows(rows);
  }

  finishInstall(appliedIndex: number): Promise<void> {
    assert(this.#work === undefined, 'an install was finished while the state store was busy');
    assert(this.installBacklogBytes === 0, 'an install was finished while rows wait to be written');
    assert(!this.#lacksRoom, 'an install was finished of which rows found no room');
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
      this.writeRows(true);
      void this.#inner.finishInstall(work.appliedIndex);
      this.#progress = undefined;
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

  #write({ rows, frontier }: LateRows): boolean {
    if (!this.#inner.installPacked(rows, frontier)) return false;
    if (!this.#writesLate) this.#progress = this.#inner.installProgress;
    return true;
  }

  #stage(): void {
    assert(this.#work?.type !== 'install', 'a change was staged while an install was being finished');
  }
}
