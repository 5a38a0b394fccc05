import type { ByteString } from '../../base/bytes.ts';
import type { InstallProgress, PackedRows, SnapshotCursor, SnapshotRow } from '../../kv/state-store.ts';
import { openRecord, sealRecord } from '../disk/sealed-record.ts';
import type { LmdbEnvironment } from './lmdb-environment.ts';
import { checkedKey, type LmdbStateTables } from './lmdb-state-tables.ts';
import { checkPacked } from './packed-check.ts';
import { type ChunkPool, StateBatch } from './state-batch.ts';

/** In the table of heads: how far an install is that a crash is not to lose. */
export const installKey: ByteString = 'install';

/** About what an operation takes beside key and value. */
const operationBytes = 24;
/** Bytes of operations in one commit: at least so many, unless no more come in time, and at most. */
const groupBytesMin = 4 * 1024 * 1024;
const groupBytesMax = 8 * 1024 * 1024;
/** How long pieces wait for more of them, milliseconds. */
const groupPatienceMs = 500;

/** Where a state is installed, and by what. */
export interface InstallParts {
  readonly environment: Pick<LmdbEnvironment, 'commitAhead' | 'commitIfRoom'>;
  readonly chunks: ChunkPool;
  /** The generation that is not the state, and its tables. */
  readonly generation: number;
  readonly tables: Pick<LmdbStateTables, 'pages'>;
  /** A commit failed, and the store is of no more use. */
  readonly onFailed: (error: unknown) => void;
}

/** Pieces that one commit writes. */
interface InstallGroup {
  readonly batch: StateBatch;
  rowBytes: number;
  /** Lets the commit begin as soon as the one before is done. */
  readonly close: () => void;
}

/**
 * A state that is being taken over from elsewhere, into the tables that are not in use. A commit costs two flushes of the disk, whatever it
 * holds, and others' disks may be the same one: pieces are gathered until they are worth it, and while a commit is under way.
 *
 * Where the disk has no room for a commit, neither that one nor any behind it is written: {@link lacksRoom}. To make what was installed the
 * state is for the store, once all of it is {@link written}.
 */
export class StateInstall {
  readonly #parts: InstallParts;
  #progress: InstallProgress | undefined;
  #backlogBytes = 0;
  #writtenBytes = 0;
  #lacksRoom = false;
  /** What the next commit writes. */
  #gathered: InstallGroup | undefined;
  #written: Promise<unknown> = Promise.resolve();
  #hasEnded = false;

  /** `progress`: how far it is, if a crash is not to lose it. Goes on with what is in the tables, unless it is to {@link begin}. */
  constructor(parts: InstallParts, progress: InstallProgress | undefined) {
    this.#parts = parts;
    this.#progress = progress;
  }

  get generation(): number {
    return this.#parts.generation;
  }

  get progress(): InstallProgress | undefined {
    return this.#progress;
  }

  /** Bytes of rows that were given and are not written yet. */
  get backlogBytes(): number {
    return this.#backlogBytes;
  }

  /** Bytes of rows that were. */
  get writtenBytes(): number {
    return this.#writtenBytes;
  }

  /** The disk had no room for one of the commits: none of those behind it is made. */
  get lacksRoom(): boolean {
    return this.#lacksRoom;
  }

  /** Resolves when all that was given so far is written, or will not be. Rejects with a `DiskFailedError`. */
  get written(): Promise<unknown> {
    return this.#written;
  }

  /** Empties the tables, before what waits for room, since that may be what makes some. */
  begin(): void {
    const { generation, chunks } = this.#parts;
    const batch = new StateBatch(chunks);
    batch.clear(generation);
    batch.head(installKey, this.#progress && sealInstallProgress(generation, this.#progress));
    this.#commit(this.#commitClear(batch));
  }

  /** Rows, and that with them all up to `frontier` are there. False, and nothing done, if a checksum, of all or of a row, does not fit. */
  addPacked(rows: PackedRows, frontier: SnapshotCursor | undefined): boolean {
    const size = checkPacked(rows);
    if (size === undefined) return false;
    const { generation } = this.#parts;
    this.#progress &&= { ...this.#progress, frontier };
    const batch = this.#batchFor(rows.bytes.length);
    batch.packedRows(generation, rows.bytes, size);
    if (this.#progress) batch.head(installKey, sealInstallProgress(generation, this.#progress));
    return true;
  }

  addRows(rows: readonly SnapshotRow[]): void {
    const { generation } = this.#parts;
    for (const row of rows) {
      const rowBytes = row.type === 'pair' ? row.key.length + row.value.length : row.bytes.length;
      const batch = this.#batchFor(rowBytes + operationBytes);
      if (row.type === 'pair') batch.pair(generation, checkedKey(row.key), row);
      else batch.session(generation, row.id, row.bytes);
    }
  }

  /** What waits for more to be written with it is written now. */
  hurry(): void {
    this.#gathered?.close();
  }

  /** It is the state, or another is installed into the same tables: nothing of this one may come any more. */
  end(): void {
    this.#hasEnded = true;
  }

  /** Where to put a piece that has `rowBytes` bytes. */
  #batchFor(rowBytes: number): StateBatch {
    this.#backlogBytes += rowBytes;
    if (this.#gathered && this.#gathered.batch.memoryBytes + rowBytes > groupBytesMax) {
      this.#gathered.close();
      this.#gathered = undefined;
    }
    this.#gathered ??= this.#beginGroup();
    const group = this.#gathered;
    group.rowBytes += rowBytes;
    if (group.batch.memoryBytes + rowBytes >= groupBytesMin) group.close();
    return group.batch;
  }

  #beginGroup(): InstallGroup {
    let close = (): void => {};
    const isClosed = new Promise<void>((resolve) => {
      close = resolve;
    });
    const patience = setTimeout(close, groupPatienceMs);
    const group = { batch: new StateBatch(this.#parts.chunks), rowBytes: 0, close };
    const commit = async (): Promise<void> => {
      await Promise.all([this.#written, isClosed]);
      clearTimeout(patience);
      await this.#commitGroup(group);
    };
    this.#commit(commit());
    return group;
  }

  async #commitGroup(group: InstallGroup): Promise<void> {
    if (this.#gathered === group) this.#gathered = undefined;
    const isWanted = (): boolean => !this.#hasEnded && !this.#lacksRoom;
    if (isWanted()) this.#lacksRoom = !(await this.#parts.environment.commitIfRoom(group.batch, isWanted));
    if (isWanted()) this.#writtenBytes += group.rowBytes;
    group.batch.release();
    this.#backlogBytes -= group.rowBytes;
  }

  async #commitClear(batch: StateBatch): Promise<void> {
    const { environment, tables } = this.#parts;
    await environment.commitAhead(batch, () => tables.pages);
    batch.release();
  }

  #commit(commit: Promise<void>): void {
    commit.catch(this.#parts.onFailed);
    this.#written = commit;
  }
}

/** What is in the table of heads of a half-installed state. */
function sealInstallProgress(generation: number, { index, frontier }: InstallProgress): Uint8Array {
  return sealRecord((writer) => {
    writer.u8(generation).varuint(index);
    if (frontier === undefined) writer.u8(0);
    else if (frontier.type === 'pair') writer.u8(1).byteString(frontier.key);
    else writer.u8(2).varuint(frontier.id);
  });
}

/** Undefined unless it is of `generation`, and whole: then the install starts over. */
export function openInstallProgress(bytes: Uint8Array | undefined, generation: number): InstallProgress | undefined {
  const reader = bytes && openRecord(bytes);
  if (!reader || reader.u8() !== generation) return undefined;
  const index = reader.varuint();
  const kind = reader.u8();
  if (kind === 0) return { index, frontier: undefined };
  if (kind === 1) return { index, frontier: { type: 'pair', key: reader.byteString() } };
  return { index, frontier: { type: 'session', id: reader.varuint() } };
}
