import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { assert } from '../../base/assert.ts';
import type { Configuration, Identity, Opening } from '../../cluster/configuration.ts';
import type { Origin } from '../../cluster/origin.ts';
import { bottomBallot } from '../../omnipaxos/ballot.ts';
import type { PaxosState, Sequence } from '../../omnipaxos/storage.ts';
import type { LogStore } from '../../replica/log-store.ts';
import { otherClusterError } from '../disk/data-directory-error.ts';
import { DiskRoom } from '../disk/disk-room.ts';
import { syncDirectory } from '../disk/durable-file.ts';
import { diskFailure, isFullDisk, onDisk } from '../disk/storage-error.ts';
import { BlockIndex } from './block-index.ts';
import { FileLog } from './file-log.ts';
import type { LogHead } from './log-head.ts';
import { LogRecordWriter, unchangedOwner } from './log-record-writer.ts';
import type { TailLimits } from './log-tail.ts';
import type { ReadySegments } from './segment-supply.ts';
import { StagedPaxosState } from './staged-paxos-state.ts';
import { Wal } from './wal.ts';
import { createSegment, segmentFile } from './wal-files.ts';
import { encodeRecord, type LogOwner, ownerBytesMax, recordBytesMax } from './wal-record.ts';
import { type RecoveredLog, recoverLog } from './wal-recovery.ts';
import { WriteLedger } from './write-ledger.ts';

/**
 * What of the log stays in memory unless told otherwise, for followers that are a little behind. Few, since all that lives when
 * garbage is collected makes that take longer: with one put at a time there is a collection each 300 to 600 entries.
 */
const defaultTailLimits: TailLimits = { entriesMax: 64, bytesMax: 16 * 1024 * 1024 };

/** Size of a segment's file unless told otherwise. */
const defaultSegmentBytes = 4 * 1024 * 1024;

const emptyHead: LogHead = {
  trimmedIndex: 0,
  endIndex: 0,
  decidedIndex: 0,
  promise: bottomBallot,
  acceptedRound: bottomBallot,
};

/** Which directory, whose, and how much of the log to keep in memory. */
export interface FileLogStoreOptions {
  /** Directory of the log's files; made if absent. It must be locked by this process. */
  readonly path: string;
  readonly nodeId: number;
  readonly storageId: string;
  /** If given, a store that belongs to another cluster is refused, unchanged. */
  readonly clusterId?: string;
  /** What the directory was made with, if not empty. */
  readonly origin?: Origin;
  readonly tail?: TailLimits;
  /** Size of new segments; a larger record gets one of its own size. */
  readonly segmentBytes?: number;
  /** Where writes wait that find the disk full; if not given, they fail. */
  readonly room?: DiskRoom;
  /** Told how many records are found before anything is written; may throw. */
  readonly onRecovered?: (records: number) => void;
}

/**
 * The log store on a write-ahead log of its own. A flush writes everything committed since the last one, mostly
 * as one record, with one write that one flush of the device makes durable (log-record-writer.ts). The format is in wal-record.ts, recovery in wal-recovery.ts.
 *
 * `flush()` must not be called in the middle of a transition. Once it has rejected, every later call throws the same
 * {@link import('../disk/storage-error.ts').DiskFailedError}: the process must end. Reads throw a
 * {@link import('../disk/storage-error.ts').DamagedError} where the disk does not hold what was written.
 */
export class FileLogStore implements LogStore {
  readonly sequence: Sequence<Uint8Array>;
  readonly state: PaxosState;
  readonly incarnation: number;
  readonly nonce = randomBytes(8).toString('hex');
  readonly #wal: Wal;
  readonly #log: FileLog;
  readonly #ledger = new WriteLedger();
  #identity: Identity;
  #configuration: Configuration | undefined;
  #openings: readonly Opening[];
  /** What of configuration, cluster id and openings the next flush writes. */
  #changedOwner = unchangedOwner;
  readonly #writer: LogRecordWriter;
  #flushing: Promise<unknown> = Promise.resolve();
  #closing: Promise<void> | undefined;
  #failure: Error | undefined;

  /** Opens the store and recovers what the last flush left. Counts the opening durably. Throws a `DamagedError` or a `DiskFailedError`. */
  static async open(options: FileLogStoreOptions): Promise<FileLogStore> {
    const { path, clusterId, segmentBytes = defaultSegmentBytes, room = new DiskRoom(path) } = options;
    const found = recover(path);
    if (found !== undefined) options.onRecovered?.(found.number - 1);
    const recovered = found ?? (await createLog(path, segmentBytes));
    const bound = recovered.owner.clusterId;
    if (bound !== undefined && bound !== (clusterId ?? bound)) throw otherClusterError(bound, clusterId ?? bound);
    const wal = new Wal(path, recovered, segmentBytes, room);
    try {
      const store = new FileLogStore(wal, recovered, options);
      await wal.tidy(recovered);
      await store.#write(true);
      return store;
    } catch (error) {
      await wal.close();
      throw error;
    }
  }

  private constructor(wal: Wal, recovered: RecoveredLog, options: FileLogStoreOptions) {
    const { head, owner } = recovered;
    this.#wal = wal;
    this.#configuration = owner.configuration;
    this.#openings = owner.openings ?? [];
    this.incarnation = recovered.incarnation;
    const { nodeId, storageId, origin } = options;
    this.#identity = { nodeId, storageId, clusterId: owner.clusterId, origin };
    const onStage = () => {
      this.#assertUsable();
      this.#ledger.stage();
    };
    const onRead = () => this.#assertUsable();
    const tail = options.tail ?? defaultTailLimits;
    this.#log = new FileLog(wal, recovered.blocks, head, tail, { onRead, onStage });
    this.#writer = new LogRecordWriter(wal, this.#log, { head, owner });
    this.sequence = this.#log;
    this.state = new StagedPaxosState(head, onStage, onRead);
  }

  get identity(): Identity {
    return this.#identity;
  }

  /** Records ever written to the log. */
  get records(): number {
    return this.#wal.records;
  }

  get configuration(): Configuration | undefined {
    return this.#configuration;
  }

  get openings(): readonly Opening[] {
    return this.#openings;
  }

  setOpenings(openings: readonly Opening[]): void {
    this.#assertUsable();
    this.#openings = openings;
    this.#stageOwner({ openings });
  }

  get hasStagedWrites(): boolean {
    return this.#ledger.hasStagedWrites;
  }

  /** Size of the flush that is under way, as far as it has come, or of the last. */
  get flushBytes(): number {
    return this.#writer.flushBytes;
  }

  /** Bytes of the files that hold log. */
  get neededBytes(): number {
    return this.#wal.neededBytes;
  }

  /** Bytes of all the log's files, those ready for use included. */
  get fileBytes(): number {
    return this.#wal.fileBytes;
  }

  /** Size of the file that is written to. */
  get presentBytes(): number {
    return this.#wal.presentBytes;
  }

  /** Bytes of the files that hold log from `index` on. */
  bytesFrom(index: number): number {
    return this.#wal.bytesFrom(this.#log.segmentOf(index) ?? Number.POSITIVE_INFINITY);
  }

  /** How many files are to lie ready, see {@link Wal}. */
  set readySegments(counts: ReadySegments) {
    this.#wal.readySegments = counts;
  }

  /** Resolves when all files that were to be made ready, or removed, by now are. */
  tidied(): Promise<void> {
    return this.#wal.tidied();
  }

  /** See {@link Wal}. */
  takeProblem(): string | undefined {
    return this.#wal.takeProblem();
  }

  /** Trimmed to here, the log's files hold about `bytes` bytes at the most. */
  surplusIndex(bytes: number): number {
    return this.#log.firstIndexIn(this.#wal.oldestWithin(bytes));
  }

  bindCluster(clusterId: string): void {
    this.#assertUsable();
    const bound = this.#identity.clusterId;
    if (bound === clusterId) return;
    if (bound !== undefined) throw otherClusterError(bound, clusterId);
    this.#identity = { ...this.#identity, clusterId };
    this.#stageOwner({ clusterId });
  }

  setConfiguration(configuration: Configuration): void {
    this.#assertUsable();
    if (configuration.configurationId !== this.#configuration?.configurationId) {
      this.state.promise = bottomBallot;
      this.state.acceptedRound = bottomBallot;
    }
    this.#configuration = configuration;
    this.#stageOwner({ configuration });
  }

  stageDecided(): void {
    this.#assertUsable();
    this.#ledger.stage();
  }

  commit(): number {
    this.#assertUsable();
    return this.#ledger.commit();
  }

  durableWrite(): number {
    this.#assertUsable();
    return this.#ledger.durableWrite();
  }

  async flush(): Promise<number> {
    this.#assertUsable();
    if (this.#ledger.beginFlush()) {
      this.#flushing = this.#write(false);
      await this.#flushing;
      this.#ledger.endFlush();
    }
    return this.#ledger.durableWrite();
  }

  /** Throws a {@link DamagedError} if the file that is written to was removed or cut while it is in use. */
  checkFile(): void {
    this.#assertUsable();
    try {
      this.#wal.checkPresent();
    } catch (error) {
      this.#failure ??= error as Error;
      throw error;
    }
  }

  /** Writes nothing more, not even when it is closed. */
  giveUp(error: Error): void {
    this.#failure ??= error;
  }

  /** Waits for a flush under way, then closes. What was never flushed is lost, except a lone change of the decided index. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await this.#flushing;
      if (this.#failure === undefined) await this.#writeClosing();
    } catch (error) {
      // What found no room was acknowledged to nobody; and without a last record the log is as sound.
      if (!isFullDisk(error)) throw error;
    } finally {
      this.#failure ??= new Error('the log store is closed');
      await this.#wal.close();
    }
  }

  /** Writes all that is staged, mostly as one record: no `await` before the write is issued, unless that begins a segment. */
  async #write(hasBase: boolean): Promise<void> {
    try {
      const endBefore = this.#log.diskEnd;
      const change = this.#log.takeChange();
      const changedOwner = this.#changedOwner;
      this.#changedOwner = unchangedOwner;
      const after = { head: this.#head(), owner: this.#owner() };
      await this.#writer.write({ change, endBefore, changedOwner, hasBase }, after);
      this.#log.written(this.state.decidedIndex);
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }

  /**
   * A record behind all others, so that damage to any of those is in the middle of the log. It has the decided index;
   * what was staged and never flushed it leaves out.
   */
  async #writeClosing(): Promise<void> {
    if (!this.hasStagedWrites) return this.#write(false);
    const { durable } = this.#writer;
    const endBefore = durable.head.endIndex;
    const change = { cut: undefined, from: endBefore, entries: [] };
    await this.#writer.write({ change, endBefore, changedOwner: unchangedOwner, hasBase: false }, durable);
  }

  #head(): LogHead {
    const { trimmedIndex, endIndex } = this.#log;
    const { promise, acceptedRound, decidedIndex } = this.state;
    return { trimmedIndex, endIndex, decidedIndex, promise, acceptedRound };
  }

  #owner(): LogOwner {
    return { configuration: this.#configuration, clusterId: this.#identity.clusterId, openings: this.#openings };
  }

  #stageOwner(changed: Partial<LogOwner>): void {
    this.#ledger.stage();
    this.#changedOwner = { ...this.#changedOwner, ...changed };
    this.#writer.makeRoomFor(this.#owner());
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function recover(path: string): RecoveredLog | undefined {
  return onDisk(path, 'read', () => recoverLog(path));
}

/** Makes the first segment with a first record: a log is there from the moment that file has its name. */
async function createLog(path: string, segmentBytes: number): Promise<RecoveredLog> {
  if (mkdirSync(path, { recursive: true, mode: 0o700 }) !== undefined) syncDirectory(dirname(path));
  const change = { cut: undefined, from: 0, entries: [] };
  const bytesMax = recordBytesMax(change, ownerBytesMax(unchangedOwner));
  const parts = {
    buffer: new Uint8Array(bytesMax),
    base: { segmentBytes, endBefore: 0 },
    head: emptyHead,
    owner: unchangedOwner,
    change,
  };
  const id = { lineage: randomBytes(8), segment: 1, number: 1, incarnation: 0 };
  try {
    await createSegment(path, 1, segmentBytes, encodeRecord(id, parts, 0, new BlockIndex()));
  } catch (error) {
    throw diskFailure(segmentFile(path, 1), 'write', error);
  }
  const recovered = recover(path);
  assert(recovered !== undefined, 'a log that was just made is not there');
  return recovered;
}
