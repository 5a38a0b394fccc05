/** A node's id within a cluster: a positive integer, sparse ids welcome. */
export type NodeId = number;

/**
 * The round of a leader. Ordered by `n`, then `priority`, then `pid`; no two nodes ever own the same one.
 * The configuration id travels with every message beside it and is no part of the order (PROTOCOL: BLE).
 */
export interface Ballot {
  readonly n: number;
  readonly priority: number;
  readonly pid: NodeId;
}

/** Below every ballot that anyone can own. */
export const bottomBallot: Ballot = { n: 0, priority: 0, pid: 0 };

/** Negative if `a` is lower, positive if higher, 0 if they are the same ballot. */
export function compareBallots(a: Ballot, b: Ballot): number {
  // Mostly it is the very same object.
  if (a === b) return 0;
  return a.n - b.n || a.priority - b.priority || a.pid - b.pid;
}
