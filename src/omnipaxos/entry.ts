import type { NodeId } from './ballot.ts';

/** What a client proposed. */
export interface NormalEntry<T> {
  readonly type: 'Normal';
  readonly entry: T;
}

/** Ends a configuration: the last entry of it, at one index of the log like any other. */
export interface StopSignEntry {
  readonly type: 'StopSign';
  readonly stopSign: StopSign;
}

/** One entry of the replicated log. */
export type Entry<T> = NormalEntry<T> | StopSignEntry;

/** What a decided StopSign says of the configuration that follows. */
export interface StopSign {
  /** Id of the next configuration. */
  readonly configId: number;
  /** Its members. */
  readonly nodes: readonly NodeId[];
  /** What else it needs to start: addresses, quorum sizes. Opaque here. */
  readonly metadata?: Uint8Array;
}
