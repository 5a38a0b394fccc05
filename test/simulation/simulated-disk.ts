import type { Configuration } from '../../src/cluster/configuration.ts';
import type { Origin } from '../../src/cluster/origin.ts';
import { MemoryStateDisk } from '../../src/kv/memory-state-store.ts';
import { bottomBallot } from '../../src/omnipaxos/ballot.ts';
import { MemorySequence } from '../../src/omnipaxos/memory-store.ts';
import type { PaxosState } from '../../src/omnipaxos/storage.ts';

/** What of the log survives a crash. */
export interface LogImage {
  readonly sequence: MemorySequence<Uint8Array>;
  readonly paxos: PaxosState;
  clusterId: string | undefined;
  configuration: Configuration | undefined;
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

  constructor(nodeId: number, storageId: string) {
    this.nodeId = nodeId;
    this.storageId = storageId;
  }
}
