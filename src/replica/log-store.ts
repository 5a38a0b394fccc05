import type { Configuration, Identity, Opening } from '../cluster/configuration.ts';
import type { Store } from '../omnipaxos/storage.ts';

/**
 * The replica's durable log: the algorithm's two seams, and beside them, in the same atomic writes, the configuration
 * and the identity of the directory. Implementations: files and memory (storage/), simulated disk (test/).
 */
export interface LogStore extends Store<Uint8Array> {
  readonly identity: Identity;
  /** The configuration that this node last took part in or was told of; undefined in a new directory. */
  readonly configuration: Configuration | undefined;
  /** How often this directory was opened before, durably counted: makes read ids unique across restarts. */
  readonly incarnation: number;
  /** Random, drawn with this opening: tells it from that of a copy with the same `incarnation`. */
  readonly nonce: string;
  /** The newest opening known of each member's directory: what tells an older copy. */
  readonly openings: readonly Opening[];
  /** Stages `openings`. At most one a member. */
  setOpenings(openings: readonly Opening[]): void;
  /** Stages: the directory belongs to this cluster from now on. Throws if it belongs to another. */
  bindCluster(clusterId: string): void;
  /**
   * Stages the configuration. If its id differs from the present one, promise and accepted round start afresh
   * at the bottom (a fresh ballot space); the log and the decided index go on.
   */
  setConfiguration(configuration: Configuration): void;
  /** Stages the decided index as it is: a flush is worth it for that alone, too. */
  stageDecided(): void;
  /**
   * True when a flush would write something. A change of the decided index alone does not count: it rides along with
   * the next flush, and its commit is durable as soon as everything before it is.
   */
  readonly hasStagedWrites: boolean;
  /**
   * Makes all transitions committed so far durable, in order, each whole (but see {@link Store}). One at a time; commits may go on meanwhile
   * and belong to the next. Resolves with the number of the last durable transition. Rejects if the disk failed: fatal,
   * the outcome of the writes is unknown and the process must end.
   */
  flush(): Promise<number>;
  close(): Promise<void>;
}
