import { mkdirSync } from 'node:fs';
import type { Database } from 'lmdb';
import { assert } from '../../base/assert.ts';
import type { ByteString } from '../../base/bytes.ts';
import { FrozenChanges } from '../../kv/frozen-changes.ts';
import type { StagedChange } from '../../kv/overlay.ts';
import { StagedChanges } from '../../kv/staged-changes.ts';
import type {
  InstallProgress,
  InstallUse,
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
} from '../../kv/state-store.ts';
import { DiskRoom, NoRoomError } from '../disk/disk-room.ts';
import { openRecord, sealRecord } from '../disk/sealed-record.ts';
import { DamagedError, DiskFailedError, isFullDisk } from '../disk/storage-error.ts';
import { clearReaders, type FileUse, LmdbEnvironment, prepareToOpen } from './lmdb-environment.ts';
import { LmdbSnapshot, noChanges, type RecordChanges } from './lmdb-snapshot.ts';
import { checkedKey, LmdbStateTables } from './lmdb-state-tables.ts';
import { pagesTouched } from './page-estimate.ts';
import { StagedPairs } from './staged-pairs.ts';
import { ChunkPool, StateBatch } from './state-batch.ts';
import { encodeSession } from './state-codec.ts';
import { installKey, openInstallProgress, StateInstall } from './state-install.ts';

const headKey = 'head';

/** Which generation of the tables is the state, and up to which log index it is applied. */
interface StateHead {
  readonly generation: number;
  readonly appliedIndex: number;
}

/** A checkpoint's work is spread over this part of the time since the last one began, and over so many milliseconds at the most. */
const spreadPart = 1 / 2;
const spreadMsMax = 3_000;

/**
 * The state store on LMDB. What is staged stays in memory until a checkpoint writes it, in one durable transaction.
 * Another state is installed into a second set of tables; one durable write then makes that one the state.
 *
 * Once a write has failed, every later call throws that same error: the process must end. Reads throw a
 * {@link DamagedError} where the disk does not hold what was written.
 */
export class LmdbStateStore implements StateStore {
  readonly #environment: LmdbEnvironment;
  readonly #heads: Database<Uint8Array, ByteString>;
  readonly #generations: readonly [LmdbStateTables, LmdbStateTables];
  readonly #chunks = new ChunkPool();
  readonly #staged: StagedChanges<StagedPairs>;
  readonly #snapshots = new Set<LmdbSnapshot>();
  #head: StateHead;
  #install: StateInstall | undefined;
  /** A half-installed state on the disk, to go on with. */
  #resumable: InstallProgress | undefined;
  #isFinishingInstall = false;
  #rowPages: number;
  #checkpointBeganMs = performance.now();
  /** The checkpoint or the end of an install under way. */
  #busy: Promise<unknown> = Promise.resolve();
  #failure: Error | undefined;

  /** Opens the environment in directory `path`, made if absent; it must be locked by this process. Rejects with a {@link DamagedError} or a `DiskFailedError`. */
  static async open(path: string, room = new DiskRoom(path)): Promise<LmdbStateStore> {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    await prepareToOpen(path, room);
    clearReaders(path);
    const environment = new LmdbEnvironment(path, room);
    try {
      const store = new LmdbStateStore(environment);
      const unused = store.#tables(1 - store.#head.generation);
      // A former state that was not dropped any more, or an install that cannot be gone on with.
      if (store.#resumable === undefined && !unused.isEmpty()) await store.#clear(1 - store.#head.generation);
      return store;
    } catch (error) {
      await environment.close();
      throw error;
    }
  }

  /** As {@link open} for an environment that must not change: what is staged stays in memory, and nothing can be written. */
  static openReadOnly(path: string): LmdbStateStore {
    try {
      clearReaders(path);
    } catch (error) {
      // There LMDB does without.
      if ((error as NodeJS.ErrnoException).code !== 'EROFS') throw error;
    }
    return new LmdbStateStore(new LmdbEnvironment(path, new DiskRoom(path), true));
  }

  private constructor(environment: LmdbEnvironment) {
    this.#environment = environment;
    this.#heads = environment.byteStringTable('heads');
    this.#generations = [new LmdbStateTables(environment, 0), new LmdbStateTables(environment, 1)];
    this.#head = this.#readHead(this.#heads.getBinary(headKey));
    this.#rowPages = this.#current().leafPages;
    this.#staged = new StagedChanges(() => new StagedPairs(this.#chunks, this.#head.generation));
    const progress = openInstallProgress(this.#heads.getBinary(installKey), 1 - this.#head.generation);
    if (progress !== undefined && progress.index > this.#head.appliedIndex) this.#resumable = progress;
  }

  get durableIndex(): number {
    return this.#head.appliedIndex;
  }

  get staged(): StagedSizes {
    return this.#staged;
  }

  get stagedPages(): number {
    return pagesTouched(this.#rowPages, this.#staged.changes, this.#staged.bytes);
  }

  get rowPages(): number {
    return this.#rowPages;
  }

  /** How much of its file is in use. That is read from the file, in the middle of which nobody may have cut it: see {@link checkFile}. */
  measure(): FileUse {
    this.checkFile();
    return this.#environment.measure();
  }

  /** Bytes of installed rows that wait to be written: whoever installs may wait for it to fall before asking for more. */
  get installBacklogBytes(): number {
    return this.#install?.backlogBytes ?? 0;
  }

  get installUse(): InstallUse {
    if (this.#install === undefined && this.#resumable === undefined) return { rowBytes: 0, diskBytes: 0 };
    const { treeBytes, largeBytes } = this.#tables(1 - this.#head.generation).diskUse;
    return { rowBytes: this.#install?.writtenBytes ?? 0, diskBytes: treeBytes + largeBytes };
  }

  get installLacksRoom(): boolean {
    return this.#install?.lacksRoom ?? false;
  }

  hurryInstall(): void {
    this.#install?.hurry();
  }

  /** Throws a {@link DamagedError} if the file was removed or cut while it is in use; nothing may be read after that. Takes some microseconds. */
  checkFile(): void {
    this.#assertUsable();
    try {
      this.#environment.checkFile();
    } catch (error) {
      this.#failure ??= error as Error;
      throw error;
    }
  }

  get(key: ByteString): KvRecord | undefined {
    this.#assertUsable();
    return this.#staged.get(key, this.#current());
  }

  range(range: KvRange): KvPage {
    this.#assertUsable();
    return this.#staged.range(range, this.#current());
  }

  put(key: ByteString, value: Uint8Array, revision: number): void {
    this.#stage(key, { value, revision });
  }

  delete(key: ByteString): void {
    this.#stage(key, null);
  }

  sessions(): Iterable<SessionRow> {
    this.#assertUsable();
    return this.#current().view().sessionsAfter(undefined);
  }

  seal(appliedIndex: number, sessions: readonly SessionChange[]): void {
    this.#assertUsable();
    assert(!this.#isFinishingInstall, 'a layer was sealed while an install was being finished');
    this.#staged.seal(appliedIndex, sessions);
  }

  async checkpoint(): Promise<void> {
    this.#assertUsable();
    assert(!this.#isFinishingInstall, 'a checkpoint began while an install was being finished');
    const { layer, appliedIndex, sessions } = this.#staged.beginWrite();
    const { batch } = layer;
    const { generation } = this.#head;
    for (const { id, bytes } of sessions) batch.session(generation, id, bytes);
    const nowMs = performance.now();
    const spreadMs = Math.min(spreadMsMax, (nowMs - this.#checkpointBeganMs) * spreadPart);
    this.#checkpointBeganMs = nowMs;
    await this.#run(() => this.#writeHead({ generation, appliedIndex }, batch, spreadMs));
    this.#staged.endWrite();
    this.#rowPages = this.#current().leafPages;
    batch.release();
  }

  hurryCheckpoint(): void {
    this.#environment.hurry();
  }

  openDurableSnapshot(): StateSnapshot {
    this.#assertUsable();
    return this.#openSnapshot(undefined, noChanges);
  }

  openSnapshotAt(appliedIndex: number, sessions: readonly SessionChange[]): StateSnapshot {
    this.#assertUsable();
    assert(!this.#isFinishingInstall, 'a snapshot was opened while an install was being finished');
    const encodeSessions = (changes: readonly SessionChange[]) =>
      changes.map(({ id, bytes }) => [id, bytes && encodeSession(id, bytes)] as const);
    return this.#openSnapshot(appliedIndex, {
      pairs: this.#staged.layers().map((layer) => layer.freeze()),
      sessions: new FrozenChanges([...this.#staged.sessions(), sessions].map(encodeSessions)),
    });
  }

  /** `index` undefined: that of the newest commit. */
  #openSnapshot(index: number | undefined, changes: RecordChanges): StateSnapshot {
    const { file } = this.#environment;
    const transaction = this.#environment.readView();
    const head = this.#readHead(this.#heads.get(headKey, { transaction }));
    const tables = this.#tables(head.generation);
    const { rowCount, diskUse } = tables;
    const view = { file, index: index ?? head.appliedIndex, tables, rowCount, diskUse, transaction, changes };
    const snapshot: LmdbSnapshot = new LmdbSnapshot(view, () => {
      this.#snapshots.delete(snapshot);
      for (const layer of changes.pairs) layer.close();
      transaction.done();
    });
    this.#snapshots.add(snapshot);
    return snapshot;
  }

  get installProgress(): InstallProgress | undefined {
    return this.#install ? this.#install.progress : this.#resumable;
  }

  beginInstall(index?: number): void {
    this.#assertUsable();
    assert(!this.#isFinishingInstall, 'an install began while another was being finished');
    this.#install?.end();
    this.#install = this.#newInstall(index === undefined ? undefined : { index, frontier: undefined });
    this.#install.begin();
    this.#resumable = undefined;
  }

  resumeInstall(): void {
    this.#assertUsable();
    const progress = this.installProgress;
    assert(progress !== undefined, 'there is no install to go on with');
    this.#install ??= this.#newInstall(progress);
  }

  installPacked(rows: PackedRows, frontier: SnapshotCursor | undefined): boolean {
    this.#assertUsable();
    return this.#installing().addPacked(rows, frontier);
  }

  installRows(rows: readonly SnapshotRow[]): void {
    this.#assertUsable();
    this.#installing().addRows(rows);
  }

  #newInstall(progress: InstallProgress | undefined): StateInstall {
    const generation = 1 - this.#head.generation;
    const parts = {
      ...{ environment: this.#environment, chunks: this.#chunks, generation, tables: this.#tables(generation) },
      onFailed: (error: unknown) => this.#fail(error),
    };
    return new StateInstall(parts, progress);
  }

  async finishInstall(appliedIndex: number): Promise<void> {
    this.#assertUsable();
    const install = this.#installing();
    assert(!this.#isFinishingInstall, 'an install was finished twice');
    this.#isFinishingInstall = true;
    this.hurryInstall();
    const former = this.#head.generation;
    const checkpoint = this.#busy;
    this.hurryCheckpoint();
    await this.#run(async () => {
      await checkpoint;
      await install.written;
      // Who can do something else looks before, once nothing waits to be written.
      if (install.lacksRoom) throw new DiskFailedError(this.#environment.file, new NoRoomError());
      const batch = new StateBatch(this.#chunks);
      batch.head(installKey, undefined);
      await this.#writeHead({ generation: install.generation, appliedIndex }, batch);
      batch.release();
    });
    this.#staged.clear();
    this.#rowPages = this.#current().leafPages;
    install.end();
    this.#install = undefined;
    this.#resumable = undefined;
    this.#isFinishingInstall = false;
    this.#busy = this.#guarded(this.#clear(former));
  }

  /** Removes all of a generation. */
  async #clear(generation: number): Promise<void> {
    const batch = new StateBatch(this.#chunks);
    batch.clear(generation);
    await this.#environment.commit(batch, () => this.#tables(generation).pages);
    batch.release();
  }

  /** Waits for what is under way, lets go of the snapshots still open, then closes. What is only staged is lost. */
  async close(): Promise<void> {
    this.hurryCheckpoint();
    try {
      await this.#busy;
      this.#install?.hurry();
      await this.#install?.written;
    } catch (error) {
      // Of a write that found no room nothing is on the disk, and the log has it all.
      if (!isFullDisk(error)) throw error;
    } finally {
      this.#failure ??= new Error('the state store is closed');
      for (const snapshot of this.#snapshots) snapshot.close();
      await this.#environment.close();
    }
  }

  #stage(key: ByteString, change: StagedChange): void {
    this.#assertUsable();
    assert(!this.#isFinishingInstall, 'a change was staged while an install was being finished');
    this.#staged.set(checkedKey(key), change);
  }

  /** Adds the head to `batch` and commits it. */
  async #writeHead(head: StateHead, batch: StateBatch, spreadMs = 0): Promise<void> {
    batch.head(
      headKey,
      sealRecord((writer) => writer.u8(head.generation).varuint(head.appliedIndex)),
    );
    await this.#environment.commitAfterTrial(batch, spreadMs);
    this.#head = head;
  }

  #readHead(bytes: Uint8Array | undefined): StateHead {
    if (bytes === undefined) return { generation: 0, appliedIndex: 0 };
    const reader = openRecord(bytes);
    if (reader === undefined) {
      throw new DamagedError(this.#environment.file, `the record '${headKey}'`, 'the checksum does not fit');
    }
    return { generation: reader.u8(), appliedIndex: reader.varuint() };
  }

  #run(work: () => Promise<void>): Promise<void> {
    const running = this.#guarded(work());
    this.#busy = running;
    return running;
  }

  /** `work`, whose failure makes the store unusable. It is seen by whoever calls next, even if nobody waits for it. */
  #guarded<T>(work: Promise<T>): Promise<T> {
    work.catch((error: unknown) => this.#fail(error));
    return work;
  }

  #fail(error: unknown): void {
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
  }

  #installing(): StateInstall {
    assert(this.#install !== undefined, 'no install has begun');
    return this.#install;
  }

  #current(): LmdbStateTables {
    return this.#tables(this.#head.generation);
  }

  #tables(generation: number): LmdbStateTables {
    return generation === 0 ? this.#generations[0] : this.#generations[1];
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
