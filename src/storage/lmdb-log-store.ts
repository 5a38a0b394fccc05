import type { Database } from 'lmdb';
import type { ByteReader, ByteString } from '../base/bytes.ts';
import type { Configuration, Identity } from '../cluster/configuration.ts';
import { bottomBallot } from '../omnipaxos/ballot.ts';
import type { PaxosState, Sequence } from '../omnipaxos/storage.ts';
import type { LogStore } from '../replica/log-store.ts';
import { otherClusterError } from './data-directory-error.ts';
import { LmdbEnvironment } from './lmdb-environment.ts';
import { LmdbLog } from './lmdb-log.ts';
import {
  decodeConfiguration,
  decodeHead,
  encodeConfiguration,
  encodeHead,
  encodeNumber,
  encodeText,
  type LogHead,
} from './log-records.ts';
import type { TailLimits } from './log-tail.ts';
import { openRecord } from './sealed-record.ts';
import { StagedPaxosState } from './staged-paxos-state.ts';
import { DamagedError } from './storage-error.ts';
import { WriteLedger } from './write-ledger.ts';

/** What of the log stays in memory unless told otherwise. */
const defaultTailLimits: TailLimits = { entriesMax: 16_384, bytesMax: 16 * 1024 * 1024 };

const headKey = 'head';
const configurationKey = 'configuration';
const clusterKey = 'cluster';
const incarnationKey = 'incarnation';

const emptyHead: LogHead = {
  trimmedIndex: 0,
  endIndex: 0,
  decidedIndex: 0,
  promise: bottomBallot,
  acceptedRound: bottomBallot,
};

/** Which directory, whose, and how much of the log to keep in memory. */
export interface LmdbLogStoreOptions {
  /** Directory of the LMDB environment; made if absent. It must be locked by this process. */
  readonly path: string;
  readonly nodeId: number;
  readonly storageId: string;
  /** If given, a store that belongs to another cluster is refused, unchanged. */
  readonly clusterId?: string;
  readonly tail?: TailLimits;
}

/**
 * The log store on LMDB. A flush writes everything committed since the last one in one durable transaction.
 *
 * `flush()` must not be called in the middle of a transition. Once it has rejected, every later call throws the same
 * {@link import('./storage-error.ts').DiskFailedError}: the process must end. Reads throw a {@link DamagedError} where
 * the disk does not hold what was written.
 */
export class LmdbLogStore implements LogStore {
  readonly sequence: Sequence<Uint8Array>;
  readonly state: PaxosState;
  readonly incarnation: number;
  readonly #environment: LmdbEnvironment;
  readonly #records: Database<Uint8Array, ByteString>;
  readonly #log: LmdbLog;
  readonly #ledger = new WriteLedger();
  #identity: Identity;
  #configuration: Configuration | undefined;
  /** Encoded records, by key, that the next flush writes beside the head. */
  #changedRecords = new Map<ByteString, Uint8Array>();
  #isDecidedIndexAhead = false;
  #flushing: Promise<unknown> = Promise.resolve();
  #failure: Error | undefined;

  /** Opens the store and recovers what the last flush left. Counts the opening durably. Throws {@link DamagedError}. */
  static async open(options: LmdbLogStoreOptions): Promise<LmdbLogStore> {
    const environment = new LmdbEnvironment(options.path);
    try {
      const store = new LmdbLogStore(environment, options);
      const bound = store.identity.clusterId;
      if (bound !== undefined && bound !== (options.clusterId ?? bound)) {
        throw otherClusterError(bound, options.clusterId ?? bound);
      }
      await environment.commit(() => void store.#records.put(incarnationKey, encodeNumber(store.incarnation + 1)));
      return store;
    } catch (error) {
      await environment.close();
      throw error;
    }
  }

  private constructor(environment: LmdbEnvironment, options: LmdbLogStoreOptions) {
    this.#environment = environment;
    this.#records = environment.byteStringTable('records');
    const head = this.#readRecord(headKey, decodeHead) ?? emptyHead;
    this.#configuration = this.#readRecord(configurationKey, decodeConfiguration);
    this.incarnation = this.#readRecord(incarnationKey, (reader) => reader.varuint()) ?? 0;
    this.#identity = {
      nodeId: options.nodeId,
      storageId: options.storageId,
      clusterId: this.#readRecord(clusterKey, (reader) => reader.text()),
    };
    const onStage = () => {
      this.#assertUsable();
      this.#ledger.stage();
    };
    this.#log = new LmdbLog(environment, environment.numberTable('log'), head, options.tail ?? defaultTailLimits, {
      onRead: () => this.#assertUsable(),
      onStage,
    });
    this.sequence = this.#log;
    this.state = new StagedPaxosState(head, onStage, () => {
      this.#assertUsable();
      this.#isDecidedIndexAhead = true;
    });
  }

  get identity(): Identity {
    return this.#identity;
  }

  get configuration(): Configuration | undefined {
    return this.#configuration;
  }

  get hasStagedWrites(): boolean {
    return this.#ledger.hasStagedWrites;
  }

  bindCluster(clusterId: string): void {
    this.#assertUsable();
    const bound = this.#identity.clusterId;
    if (bound === clusterId) return;
    if (bound !== undefined) throw otherClusterError(bound, clusterId);
    this.#identity = { ...this.#identity, clusterId };
    this.#stageRecord(clusterKey, encodeText(clusterId));
  }

  setConfiguration(configuration: Configuration): void {
    this.#assertUsable();
    if (configuration.configurationId !== this.#configuration?.configurationId) {
      this.state.promise = bottomBallot;
      this.state.acceptedRound = bottomBallot;
    }
    this.#configuration = configuration;
    this.#stageRecord(configurationKey, encodeConfiguration(configuration));
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
      this.#flushing = this.#write();
      await this.#flushing;
      this.#ledger.endFlush();
    }
    return this.#ledger.durableWrite();
  }

  /** Waits for a flush under way, then closes. What was never flushed is lost, except a lone change of the decided index. */
  async close(): Promise<void> {
    try {
      await this.#flushing;
      if (this.#isDecidedIndexAhead && !this.hasStagedWrites && this.#failure === undefined) await this.#write();
    } finally {
      this.#failure ??= new Error('the log store is closed');
      await this.#environment.close();
    }
  }

  /** Writes all that is staged in one transaction. */
  async #write(): Promise<void> {
    try {
      const change = this.#log.takeChange();
      const head = this.#takeHead();
      const records = this.#changedRecords;
      this.#changedRecords = new Map();
      await this.#environment.commit(() => {
        this.#log.write(change);
        for (const [key, bytes] of records) void this.#records.put(key, bytes);
        void this.#records.put(headKey, head);
      });
      this.#log.written();
    } catch (error) {
      this.#failure = error instanceof Error ? error : new Error(String(error));
      throw error;
    }
  }

  #takeHead(): Uint8Array {
    this.#isDecidedIndexAhead = false;
    const { trimmedIndex, endIndex } = this.#log;
    const { promise, acceptedRound, decidedIndex } = this.state;
    return encodeHead({ trimmedIndex, endIndex, decidedIndex, promise, acceptedRound });
  }

  #stageRecord(key: ByteString, bytes: Uint8Array): void {
    this.#ledger.stage();
    this.#changedRecords.set(key, bytes);
  }

  #readRecord<T>(key: ByteString, decode: (reader: ByteReader) => T): T | undefined {
    const bytes = this.#records.getBinary(key);
    if (bytes === undefined) return undefined;
    const reader = openRecord(bytes);
    if (reader === undefined) {
      throw new DamagedError(this.#environment.file, `the record '${key}'`, 'the checksum does not fit');
    }
    return decode(reader);
  }

  #assertUsable(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
