import { mkdirSync } from 'node:fs';
import type { Database } from 'lmdb';
import { assert } from '../../base/assert.ts';
import type { ByteString } from '../../base/bytes.ts';
import { keyBytesMax } from '../../kv/command-limits.ts';
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
import { LmdbStateTables } from './lmdb-state-tables.ts';
import { checkPacked } from './packed-check.ts';
import { pagesTouched } from './page-estimate.ts';
import { StagedPairs } from './staged-pairs.ts';
import { ChunkPool, StateBatch } from './state-batch.ts';
import { encodeSession } from './state-codec.ts';

const headKey = 'head';
const installKey = 'install';

/** Which generation of the tables is the state, and up to which log index it is applied. */
interface StateHead {
  readonly generation: number;
  readonly appliedIndex: number;
}

/** A state being taken over from elsewhere. */
interface Install {
  readonly generation: number;
  /** Set if a crash is not to lose it. */
  progress: InstallProgress | undefined;
  /** Bytes of rows given and not yet written. */
  backlogBytes: number;
  /** Bytes of rows that were. */
  writtenBytes: number;
  /** The disk had no room for one of the groups: none of those behind it is written. */
  lacksRoom: boolean;
  /** What the next commit writes. */
  gathered: InstallGroup | undefined;
  /** Everything given so far is written. */
  written: Promise<unknown>;
}

/** Pieces of an install that one commit writes. */
interface InstallGroup {
  readonly batch: StateBatch;
  rowBytes: number;
  /** Lets the commit begin as soon as the one before is done. */
  readonly close: () => void;
}

/** About what an operation takes beside key and value. */
const operationBytes = 24;
/** Bytes of operations in one commit of an install: at least so many, unless no more come in time, and at most. */
const groupBytesMin = 4 * 1024 * 1024;
const groupBytesMax = 8 * 1024 * 1024;
/** A checkpoint's work is spread over this part of the time since the last one began, and over so many milliseconds at the most. */
const spreadPart = 1 / 2;
const spreadMsMax = 3_000;
/** How long pieces of an install wait for more of them, milliseconds. */
const groupPatienceMs = 500;

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
  #install: Install | undefined;
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
    this.#install?.gathered?.close();
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
    const progress = index === undefined ? undefined : { index, frontier: undefined };
    this.#install = this.#newInstall(progress);
    const { generation } = this.#install;
    const batch = new StateBatch(this.#chunks);
    batch.clear(generation);
    batch.head(installKey, progress && sealInstallProgress(generation, progress));
    this.#install.written = this.#guarded(this.#commitClear(batch, generation));
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
    const install = this.#installing();
    const size = checkPacked(rows);
    if (size === undefined) return false;
    const { generation } = install;
    install.progress &&= { ...install.progress, frontier };
    const batch = this.#batchOf(install, rows.bytes.length);
    batch.packedRows(generation, rows.bytes, size);
    if (install.progress) batch.head(installKey, sealInstallProgress(generation, install.progress));
    return true;
  }

  installRows(rows: readonly SnapshotRow[]): void {
    this.#assertUsable();
    const install = this.#installing();
    for (const row of rows) {
      const rowBytes = row.type === 'pair' ? row.key.length + row.value.length : row.bytes.length;
      const batch = this.#batchOf(install, rowBytes + operationBytes);
      if (row.type === 'pair') batch.pair(install.generation, checkedKey(row.key), row);
      else batch.session(install.generation, row.id, row.bytes);
    }
  }

  #newInstall(progress: InstallProgress | undefined): Install {
    const generation = 1 - this.#head.generation;
    const written = Promise.resolve();
    return { generation, progress, backlogBytes: 0, writtenBytes: 0, lacksRoom: false, gathered: undefined, written };
  }

  /**
   * Where to put a piece of an install that has `rowBytes` bytes. A commit costs two flushes of the disk, whatever it holds, and
   * others' disks may be the same one: pieces are gathered until they are worth it, and while a commit is under way.
   */
  #batchOf(install: Install, rowBytes: number): StateBatch {
    install.backlogBytes += rowBytes;
    if (install.gathered && install.gathered.batch.memoryBytes + rowBytes > groupBytesMax) {
      install.gathered.close();
      install.gathered = undefined;
    }
    install.gathered ??= this.#beginGroup(install);
    const group = install.gathered;
    group.rowBytes += rowBytes;
    if (group.batch.memoryBytes + rowBytes >= groupBytesMin) group.close();
    return group.batch;
  }

  #beginGroup(install: Install): InstallGroup {
    let close = (): void => {};
    const isClosed = new Promise<void>((resolve) => {
      close = resolve;
    });
    const patience = setTimeout(close, groupPatienceMs);
    const group = { batch: new StateBatch(this.#chunks), rowBytes: 0, close };
    const commit = async (): Promise<void> => {
      await Promise.all([install.written, isClosed]);
      clearTimeout(patience);
      await this.#commitGroup(install, group);
    };
    install.written = this.#guarded(commit());
    return group;
  }

  async #commitGroup(install: Install, group: InstallGroup): Promise<void> {
    if (install.gathered === group) install.gathered = undefined;
    // Once another install has begun, in the same tables, nothing of this one may come after.
    const isWanted = (): boolean => this.#install === install && !install.lacksRoom;
    if (isWanted()) install.lacksRoom = !(await this.#environment.commitIfRoom(group.batch, isWanted));
    if (isWanted()) install.writtenBytes += group.rowBytes;
    group.batch.release();
    install.backlogBytes -= group.rowBytes;
  }

  /** Before what waits for room, since it may be what makes some. */
  async #commitClear(batch: StateBatch, generation: number): Promise<void> {
    await this.#environment.commitAhead(batch, () => this.#tables(generation).pages);
    batch.release();
  }

  /** Removes all of a generation. */
  async #clear(generation: number): Promise<void> {
    const batch = new StateBatch(this.#chunks);
    batch.clear(generation);
    await this.#environment.commit(batch, () => this.#tables(generation).pages);
    batch.release();
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
    this.#install = undefined;
    this.#resumable = undefined;
    this.#isFinishingInstall = false;
    this.#busy = this.#guarded(this.#clear(former));
  }

  /** Waits for what is under way, lets go of the snapshots still open, then closes. What is only staged is lost. */
  async close(): Promise<void> {
    this.hurryCheckpoint();
    try {
      await this.#busy;
      this.#install?.gathered?.close();
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
    work.catch((error: unknown) => {
      this.#failure ??= error instanceof Error ? error : new Error(String(error));
    });
    return work;
  }

  #installing(): Install {
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

/** What is on the heads' table of a half-installed state. */
function sealInstallProgress(generation: number, { index, frontier }: InstallProgress): Uint8Array {
  return sealRecord((writer) => {
    writer.u8(generation).varuint(index);
    if (frontier === undefined) writer.u8(0);
    else if (frontier.type === 'pair') writer.u8(1).byteString(frontier.key);
    else writer.u8(2).varuint(frontier.id);
  });
}

/** Undefined unless it is of `generation`, and whole: then the install starts over. */
function openInstallProgress(bytes: Uint8Array | undefined, generation: number): InstallProgress | undefined {
  const reader = bytes && openRecord(bytes);
  if (!reader || reader.u8() !== generation) return undefined;
  const index = reader.varuint();
  const kind = reader.u8();
  if (kind === 0) return { index, frontier: undefined };
  if (kind === 1) return { index, frontier: { type: 'pair', key: reader.byteString() } };
  return { index, frontier: { type: 'session', id: reader.varuint() } };
}

/** LMDB takes longer keys in part or not at all: refuse them where they come in. */
function checkedKey(key: ByteString): ByteString {
  if (key.length < 1 || key.length > keyBytesMax) {
    throw new RangeError(`a key has ${key.length} bytes: it must have 1 to ${keyBytesMax}`);
  }
  return key;
}
