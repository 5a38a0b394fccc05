import type { Configuration, Opening } from '../../src/cluster/configuration.ts';
import type { Origin } from '../../src/cluster/origin.ts';
import { MemoryStateDisk, MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import type { SnapshotRow } from '../../src/kv/state-store.ts';
import { bottomBallot } from '../../src/omnipaxos/ballot.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import { MemorySequence } from '../../src/omnipaxos/memory-store.ts';
import type { PaxosState } from '../../src/omnipaxos/storage.ts';

/** What of the log survives a crash. */
export interface LogImage {
  readonly sequence: MemorySequence<Uint8Array>;
  readonly paxos: PaxosState;
  clusterId: string | undefined;
  configuration: Configuration | undefined;
  openings: readonly Opening[];
}

/** A copy of all that a disk held at one moment. */
export interface DiskImage {
  readonly incarnation: number;
  readonly trimmedIndex: number;
  readonly entries: readonly Entry<Uint8Array>[];
  readonly paxos: PaxosState;
  readonly clusterId: string | undefined;
  readonly configuration: Configuration | undefined;
  readonly openings: readonly Opening[];
  readonly appliedIndex: number;
  readonly rows: readonly SnapshotRow[];
}

/** A node's data directory: all that is left of it after a crash. */
export class SimulatedDisk {
  readonly nodeId: number;
  readonly storageId: string;
  readonly log: LogImage = {
    sequence: new MemorySequence<Uint8Array>(),
    paxos: { promise: bottomBallot, acceptedRound: bottomBallot, decidedIndex: 0 },
    clusterId: undefined,
    configuration: undefined,
    openings: [],
  };
  readonly state = new MemoryStateDisk();
  /** What it was made with, if not empty. */
  origin: Origin | undefined;
  /** Somebody else fills it: no checkpoint ends until there is room. */
  isFull = false;
  /** Nor does a flush. */
  isLogFull = false;
  /** How often it was opened. */
  incarnation = 0;
  #openedBefore = 0;

  /** Put back from an image: it forgot what came after. */
  readonly isRolledBack: boolean;
  /** The node was told so, and refuses it from then on. */
  isRefused = false;
  /** Nonces given, in the directory's copies too. */
  readonly #nonces: { given: number };

  /** An empty disk; with `original`, that disk as it was when `image` was taken. */
  constructor(
    nodeId: number,
    storageId: string,
    original?: { readonly disk: SimulatedDisk; readonly image: DiskImage },
  ) {
    this.nodeId = nodeId;
    this.storageId = storageId;
    this.isRolledBack = original !== undefined;
    this.#nonces = original ? original.disk.#nonces : { given: 0 };
    this.origin = original?.disk.origin;
    if (original) this.#putBack(original.image);
  }

  /** The disk with everything on it as it was. */
  rolledBack(image: DiskImage): SimulatedDisk {
    return new SimulatedDisk(this.nodeId, this.storageId, { disk: this, image });
  }

  newNonce(): string {
    return (++this.#nonces.given).toString(16);
  }

  /** Somebody ran on what was put back: the next opening may be one more than anybody has seen of the disk. */
  get isCopyUsed(): boolean {
    return this.isRolledBack && this.incarnation > this.#openedBefore;
  }

  image(): DiskImage {
    const { sequence, paxos, clusterId, configuration, openings } = this.log;
    const { trimmedIndex, endIndex } = sequence;
    const snapshot = new MemoryStateStore(this.state).openDurableSnapshot();
    const { rows } = snapshot.read(undefined, Number.POSITIVE_INFINITY);
    snapshot.close();
    return {
      incarnation: this.incarnation,
      trimmedIndex,
      entries: sequence.read(trimmedIndex, endIndex),
      paxos: { ...paxos },
      clusterId,
      configuration,
      openings,
      appliedIndex: this.state.appliedIndex,
      rows,
    };
  }

  #putBack(image: DiskImage): void {
    const { trimmedIndex, entries, paxos, clusterId, configuration, openings, appliedIndex, rows } = image;
    this.incarnation = image.incarnation;
    this.#openedBefore = image.incarnation;
    this.log.sequence.reset(trimmedIndex);
    this.log.sequence.append(entries);
    Object.assign(this.log.paxos, paxos);
    Object.assign(this.log, { clusterId, configuration, openings });
    const state = new MemoryStateStore(this.state);
    state.beginInstall();
    state.installRows(rows);
    void state.finishInstall(appliedIndex);
  }
}
