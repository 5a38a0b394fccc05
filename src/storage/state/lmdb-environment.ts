import { closeSync, constants, existsSync, fstatSync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type Database, type DatabaseOptions, open, type RootDatabase } from 'lmdb';
import type { ByteString } from '../../base/bytes.ts';
import { type DiskRoom, isNoSpace } from '../disk/disk-room.ts';
import { DamagedError, DiskFailedError, diskFailure, onDisk } from '../disk/storage-error.ts';
import { type CommitSize, fileGrowth } from './commit-size.ts';
import type { StateBatch } from './state-batch.ts';
import { StateWriter } from './state-writer.ts';

/**
 * Keys as LMDB takes them: written into and read from its own buffers, without an array in between.
 * lmdb also gives an empty array where it has no key (to clear a table): that is written as nothing.
 */
interface KeyEncoder<K> {
  writeKey(key: K | Uint8Array, target: Buffer, start: number): number;
  readKey(source: Buffer, start: number, end: number): K;
}

const byteStringKeys: KeyEncoder<ByteString> = {
  writeKey: (key, target, start) => (typeof key === 'string' ? start + target.write(key, start, 'latin1') : start),
  readKey: (source, start, end) => source.toString('latin1', start, end),
};

/** 8 bytes, big-endian: numbers in order, without the wrap of LMDB's own `uint32` keys. */
const numberKeys: KeyEncoder<number> = {
  writeKey: (key, target, start) => {
    if (typeof key !== 'number') return start;
    target.writeUInt32BE(Math.floor(key / 2 ** 32), start);
    return target.writeUInt32BE(key >>> 0, start + 4);
  },
  readKey: (source, start) => source.readUInt32BE(start) * 2 ** 32 + source.readUInt32BE(start + 4),
};

/** Values as lmdb takes and gives them. */
interface ValueEncoder {
  encode(value: Uint8Array): Uint8Array;
  decode(bytes: Uint8Array, length: number): Uint8Array;
}

const passingValues: ValueEncoder = {
  encode: (value) => value,
  decode: (bytes, length) => new Uint8Array(bytes.buffer, bytes.byteOffset, length),
};

/** Name of LMDB's data file in an environment's directory. */
export const dataFileName = 'data.mdb';

/** Name of the file in which LMDB notes who reads, and its size: whole pages, and more than LMDB would make it. */
const readersFileName = 'lock.mdb';
const readersBytes = 16_384;

/** More than a new data file has, bytes. */
const newEnvironmentBytes = 128 * 1024;

/** Written before what must not fail, see {@link tryDisk}. */
const trialFileName = 'trial';
const trial = new Uint8Array(4096);

/** The smallest key in byte order. */
export const firstByteString: ByteString = '\0';

/** How a data file is used, in bytes. */
export interface FileUse {
  readonly usedBytes: number;
  readonly freeBytes: number;
}

/** Pages that a commit may take beside those of its keys and values, and those that list what is free. */
const sparePages = 16;

/** Pages that are changed, and not new, where keys come behind all others: the last ones of a few tables, and all above them. */
const lastPages = 16;

/** Pages at the start of the data file. */
const metaPages = 2;

/** Pages of a table, as LMDB counts them. */
export interface PageCounts {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface EnvironmentStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  /** The table of tables, and that of free pages. */
  readonly root: PageCounts;
  readonly free: PageCounts;
}

/** All pages of a table. */
export function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: PageCounts): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages;
}

/** A commit that goes before others, and what it is to do once it is durable. */
interface AheadCommit {
  readonly batch: StateBatch;
  readonly freedPages: () => number;
  readonly onDone: () => void;
}

/** A page that is freed is listed with so many bytes. */
const listedPageBytes = 8;

/** One LMDB environment in a directory of its own, with the settings that all of ours share. */
export class LmdbEnvironment {
  /** The file to name in errors. */
  readonly file: string;
  readonly #root: RootDatabase<Uint8Array, ByteString>;
  readonly #writer: StateWriter;
  readonly #room: DiskRoom;
  readonly #tables: Database<Uint8Array>[] = [];
  /** Those that go before the commit that waits for room, the oldest first. */
  readonly #ahead: AheadCommit[] = [];
  /** The commit before the next one, well or badly ended. */
  #committed: Promise<unknown> = Promise.resolve();
  /** To look at the size of the very file that LMDB has mapped. Undefined once closed. */
  #descriptor: number | undefined;
  /** The largest size seen, bytes: LMDB never makes its file smaller. */
  #fileBytes = 0;
  #isCut = false;
  /** Somebody waits for the commit under way: it takes no time that it does not need. */
  #isHurried = false;

  /**
   * Opens or creates it. The directory must be locked by this process, and its file sound: a broken one kills by signal.
   * Throws a {@link DiskFailedError}.
   */
  constructor(path: string, room: DiskRoom, isReadOnly = false) {
    this.#room = room;
    this.file = join(path, dataFileName);
    this.#root = onDisk(this.file, 'write', () =>
      open<Uint8Array, ByteString>({
        path,
        encoding: 'binary',
        // Durable before visible, and a failed fsync leaves the value invisible.
        overlappingSync: false,
        // Only explicit batches: what belongs together is said where it is written.
        eventTurnBatching: false,
        ...(isReadOnly && { readOnly: true }),
      }),
    );
    this.#writer = new StateWriter(path);
    this.#descriptor = onDisk(this.file, 'read', () => openSync(this.file, 'r'));
  }

  /** Throws a {@link DamagedError} if the file was removed, or was cut: a read of what is gone would end the process by a signal. */
  checkFile(): void {
    if (this.#descriptor === undefined) return;
    const descriptor = this.#descriptor;
    const { nlink, size } = onDisk(this.file, 'read', () => fstatSync(descriptor));
    if (nlink === 0) throw new DamagedError(this.file, 'its folder', 'it was removed while it is in use');
    if (size < this.#fileBytes) {
      this.#isCut = true;
      throw new DamagedError(
        this.file,
        `offset ${size}`,
        `it was cut there, while in use, from ${this.#fileBytes} bytes`,
      );
    }
    this.#fileBytes = size;
  }

  /** A table whose keys are byte strings of 1 to 1,978 bytes. */
  byteStringTable(name: string): Database<Uint8Array, ByteString> {
    return this.#counted(this.#table(name, byteStringKeys));
  }

  /** A table whose keys are unsigned 53-bit integers. */
  numberTable(name: string): Database<Uint8Array, number> {
    return this.#counted(this.#table(name, numberKeys));
  }

  /**
   * The same tables for reading in passing: what a range of it gives is good until the next value is read. Twice as fast
   * as values to keep, of which each is a buffer of its own.
   */
  passingByteStringTable(name: string): Database<Uint8Array, ByteString> {
    return this.#passing(this.#table(name, byteStringKeys, passingValues));
  }

  passingNumberTable(name: string): Database<Uint8Array, number> {
    return this.#passing(this.#table(name, numberKeys, passingValues));
  }

  /**
   * Makes `batch` one transaction, durable and to be seen by reads when this resolves. It must not change until then. Rejects
   * with a {@link DiskFailedError}. One commit after the other: those behind one that finds no room on the disk wait with it, and
   * it is run again when there is. It is not run while less is free than it may take: lmdb may not outlive a write of pages
   * that fails, see {@link tryDisk}. `freedPages` tells how many pages it clears: they are listed, and the list takes room.
   */
  commit(batch: StateBatch, freedPages = (): number => 0): Promise<void> {
    return this.#inTurn(() => this.#commitChecked(batch, freedPages));
  }

  /** As {@link commit}, but before a commit that waits for room, and all behind that: what `batch` clears may be the room. */
  commitAhead(batch: StateBatch, freedPages: () => number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#ahead.push({ batch, freedPages, onDone: resolve });
      // Where no other one does this does what is to go ahead.
      this.#inTurn(async () => {}).catch(reject);
    });
  }

  /**
   * As {@link commit}, of what is not needed, whose keys come behind all in their tables: once, and only where that leaves what log and state may need.
   * False, and nothing of it counts, if the disk has no room for it. Nothing is done if `isWanted` says so when its turn has come.
   */
  async commitIfRoom(batch: StateBatch, isWanted: () => boolean): Promise<boolean> {
    let isDone = true;
    await this.#serially(async () => {
      if (!isWanted()) return;
      isDone = await this.#room.attempt(async () => {
        await this.#room.checkBeside(this.#growthOf({ changes: lastPages, bytes: batch.size.bytes }));
        await this.#commitOnce(batch, 0);
      });
    });
    return isDone;
  }

  /**
   * As {@link commit}, after a trial of the disk: each time that it is run. What the trial says of the device is final. `spreadMs`:
   * see {@link StateWriter.write}.
   */
  commitAfterTrial(batch: StateBatch, spreadMs = 0): Promise<void> {
    this.#isHurried = false;
    return this.#inTurn(async () => {
      await this.#checkRoom(batch.size);
      await tryDisk(dirname(this.file));
      await this.#commitOnce(batch, this.#isHurried ? 0 : spreadMs);
    });
  }

  /** Somebody waits for the commit under way. */
  hurry(): void {
    if (this.#isHurried) return;
    this.#isHurried = true;
    this.#writer.hurry();
  }

  /** What is in use of the data file, which never shrinks, and what is free in it. */
  measure(): FileUse {
    const { pageSize, usedPages, freePages } = this.#countPages();
    return { usedBytes: usedPages * pageSize, freeBytes: freePages * pageSize };
  }

  /** Lets the next read see the newest commit, whatever was read earlier in this turn of the event loop. */
  refreshReads(): void {
    this.#root.resetReadTxn();
  }

  /** A read view that stays as it is until `done()`. */
  readView(): ReturnType<RootDatabase['useReadTransaction']> {
    this.refreshReads();
    return this.#root.useReadTransaction();
  }

  /** Waits for writes under way, then closes. One whose file was cut is left as it is: the process must end. */
  async close(): Promise<void> {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
    if (this.#isCut) return;
    await this.#writer.close();
    await this.#root.close();
  }

  #countPages() {
    this.refreshReads();
    const { root, free, pageSize, lastPageNumber } = this.#root.getStats() as EnvironmentStats;
    const tables = [root, ...this.#tables.map((table) => table.getStats() as PageCounts)];
    const usedPages = [free, ...tables].reduce((sum, counts) => sum + pagesOf(counts), metaPages);
    return {
      pageSize,
      usedPages,
      freePages: Math.max(0, lastPageNumber + 1 - usedPages),
      /** Those of trees, which a commit writes anew where it changes them. */
      treePages: tables.reduce((sum, counts) => sum + counts.treeBranchPageCount + counts.treeLeafPageCount, 0),
      listPages: pagesOf(free),
    };
  }

  /** Rejects, as the system does on a full disk, if the data file may have to grow by more than is free. */
  #checkRoom(size: CommitSize, freedPages = 0): Promise<void> {
    return this.#room.checkFree(this.#growthOf(size, freedPages));
  }

  /**
   * By how many bytes the data file may have to grow. The list of freed pages is one record, in pages that follow each other: those that are free may all
   * lie apart.
   */
  #growthOf({ changes, bytes }: CommitSize, freedPages = 0): number {
    const { pageSize, freePages, treePages, listPages } = this.#countPages();
    const freedListPages = Math.ceil((freedPages * listedPageBytes) / pageSize);
    const changedPages = Math.ceil(bytes / pageSize) + Math.min(2 * changes, treePages);
    const pages = changedPages + listPages + sparePages;
    return (fileGrowth(pages, freePages) + freedListPages) * pageSize;
  }

  #inTurn(commit: () => Promise<void>): Promise<void> {
    const attempt = async (): Promise<void> => {
      await this.#commitThoseAhead();
      await commit();
    };
    return this.#serially(() => this.#room.write(attempt));
  }

  async #commitThoseAhead(): Promise<void> {
    for (let first = this.#ahead[0]; first !== undefined; first = this.#ahead[0]) {
      await this.#commitChecked(first.batch, first.freedPages);
      this.#ahead.shift();
      first.onDone();
    }
  }

  /**
   * One that frees pages is committed twice: LMDB takes pages of the last commit for the next but one, while they count as free at once. The second
   * time it changes next to nothing.
   */
  async #commitChecked(batch: StateBatch, freedPages: () => number): Promise<void> {
    const freed = freedPages();
    await this.#checkRoom(batch.size, freed);
    await this.#commitOnce(batch, 0);
    if (freed === 0) return;
    await this.#checkRoom(batch.size);
    await this.#commitOnce(batch, 0);
  }

  async #serially(commit: () => Promise<void>): Promise<void> {
    const committed = this.#committed.then(commit);
    this.#committed = committed.catch(() => undefined);
    try {
      await committed;
    } catch (error) {
      throw error instanceof DiskFailedError ? error : new DiskFailedError(this.file, error);
    }
  }

  async #commitOnce(batch: StateBatch, spreadMs: number): Promise<void> {
    try {
      await this.#writer.write(batch, spreadMs);
    } catch (error) {
      throw withoutBuffers(error);
    }
    this.refreshReads();
  }

  #passing<K extends ByteString | number>(table: Database<Uint8Array, K>): Database<Uint8Array, K> {
    // Says that the decoder does not keep what it is given, so that lmdb need not copy it first.
    return Object.assign(table, { decoderCopies: true });
  }

  #table<K extends ByteString | number>(
    name: string,
    keyEncoder: KeyEncoder<K>,
    encoder?: ValueEncoder,
  ): Database<Uint8Array, K> {
    const options: DatabaseOptions & { keyEncoder: KeyEncoder<K>; encoder?: ValueEncoder } = {
      encoding: 'binary',
      keyEncoder,
      ...(encoder && { encoder }),
    };
    return onDisk(this.file, 'write', () => this.#root.openDB<Uint8Array, K>(name, options));
  }

  /** Each once, however often it was opened: its pages count. */
  #counted<K extends ByteString | number>(table: Database<Uint8Array, K>): Database<Uint8Array, K> {
    this.#tables.push(table as unknown as Database<Uint8Array>);
    return table;
  }
}

/**
 * Makes LMDB's table of readers in directory `path` anew, in the place of a former one. Nobody may have the environment open, so
 * whatever a former process left there is of no account. LMDB would make it with holes, and on a full disk a write into
 * a hole of a mapped file ends the process by SIGBUS. Throws a {@link DiskFailedError}, or as the system does on a full disk.
 */
export function clearReaders(path: string): void {
  const readersFile = join(path, readersFileName);
  const none = new Uint8Array(readersBytes);
  onDisk(readersFile, 'write', () => {
    const file = openSync(readersFile, constants.O_WRONLY | constants.O_CREAT, 0o600);
    try {
      for (let start = 0; start < none.length; ) {
        start += writeSync(file, none, start, none.length - start, start);
      }
      ftruncateSync(file, none.length);
    } finally {
      closeSync(file);
    }
  });
}

/**
 * Makes sure that the disk takes writes before the environment in directory `path` is opened. Rejects with a
 * {@link DiskFailedError} if it fails, and as the system does if it has no room for a new environment: lmdb 3.5.6 dies of
 * SIGSEGV if the first write to a new file fails. One that is there can be opened on a full disk: nothing is written to it.
 */
export async function prepareToOpen(path: string, room: DiskRoom): Promise<void> {
  const isNew = !existsSync(join(path, dataFileName));
  try {
    if (isNew) await room.checkFree(newEnvironmentBytes);
    await tryDisk(path);
  } catch (error) {
    if (isNew || !isNoSpace(error)) throw error;
  }
}

/**
 * Writes a little beside the data file of the environment in directory `path`, durably. Rejects with a
 * {@link DiskFailedError} if the device fails, else as the system does. A commit should not be what finds that out:
 * where a write of pages fails (not their sync), lmdb 3.5.6 puts a message of over 100 bytes into a buffer of 100
 * (mdb_page_flush), and may die of SIGABRT. It goes over what an earlier trial wrote, and so needs no room of a full disk.
 */
async function tryDisk(path: string): Promise<void> {
  const trialFile = join(path, trialFileName);
  try {
    const file = await openFile(trialFile, constants.O_WRONLY | constants.O_CREAT, 0o600);
    try {
      await file.write(trial, 0, trial.length, 0);
      await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw diskFailure(trialFile, 'write', error);
  }
}

/** The numbers that lmdb adds to the system's text are of buffers in its memory, and some of them of none. */
function withoutBuffers(cause: unknown): unknown {
  if (!(cause instanceof Error)) return cause;
  const [text, rest] = cause.message.split(': Attempting to write page');
  if (rest === undefined) return cause;
  // The code tells a full disk from one that failed.
  return Object.assign(new Error(text, { cause }), { code: 'code' in cause ? cause.code : undefined });
}
