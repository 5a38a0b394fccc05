import type { Configuration } from './configuration.ts';

/** Something in a data directory that is not as it should be. */
export interface VerifyProblem {
  readonly file: string;
  /** Record, offset, index or key; undefined: the file as a whole. */
  readonly where: string | undefined;
  readonly problem: string;
  /** The disk refused to read it: what is on it is not known. */
  readonly isUnread?: boolean;
}

/** What a data directory holds, as far as it can be read, and what is wrong with it. */
export interface VerifyReport {
  readonly path: string;
  readonly isSound: boolean;
  readonly problems: readonly VerifyProblem[];
  readonly nodeId: number | undefined;
  readonly storageId: string | undefined;
  readonly clusterName: string | undefined;
  /** Undefined while the node belongs to none. */
  readonly clusterId: string | undefined;
  readonly configuration: Configuration | undefined;
  /** The log holds the entries from `trimmedIndex` to `endIndex`. */
  readonly trimmedIndex: number | undefined;
  readonly endIndex: number | undefined;
  readonly decidedIndex: number | undefined;
  /** Up to where the state is applied. */
  readonly appliedIndex: number | undefined;
  readonly logRecords: number | undefined;
  readonly logBytes: number | undefined;
  readonly keys: number;
  readonly sessions: number;
  /** Of keys and values in the state. */
  readonly stateBytes: number;
}
