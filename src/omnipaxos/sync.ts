import type { Ballot, NodeId } from './ballot.ts';
import { compareBallots } from './ballot.ts';
import type { ResolvedOptions } from './configuration.ts';
import type { Entry } from './entry.ts';
import type { Log } from './log.ts';
import { entriesSize } from './proposals.ts';

/** Decided entries to catch up on, and who has them for certain. */
export interface CatchUpTarget {
  /** Catch up at least to this index. */
  readonly index: number;
  readonly from: NodeId;
}

/** How far a log goes: compared as a pair, round first (PROTOCOL mistake 1). */
export interface LogPosition {
  readonly acceptedRound: Ballot;
  readonly acceptedIndex: number;
}

/** Negative if `a` is the older log, positive if it is the newer, 0 if they are alike. */
export function comparePositions(a: LogPosition, b: LogPosition): number {
  return compareBallots(a.acceptedRound, b.acceptedRound) || a.acceptedIndex - b.acceptedIndex;
}

/*
 * Two logs of one round agree as far as both go, but for one thing: below a node's decided index entries may have come by
 * catch-up, decided in a later round. So logs of one round are only compared above both decided indexes.
 */

/** How far a log goes, and how much of it is decided. */
export interface DecidedPosition extends LogPosition {
  readonly decidedIndex: number;
}

/** Where a Promise's suffix starts: what the leader lacks (PROTOCOL: Promise). Never past the end of the log here. */
export function promiseSuffixFrom(mine: DecidedPosition, leader: DecidedPosition): number {
  const round = compareBallots(mine.acceptedRound, leader.acceptedRound);
  const isNewer = round > 0 || (round === 0 && mine.acceptedIndex > leader.acceptedIndex);
  if (!isNewer) return mine.acceptedIndex;
  const isPrefix = round === 0 && mine.decidedIndex <= leader.decidedIndex;
  return Math.min(isPrefix ? leader.acceptedIndex : leader.decidedIndex, mine.acceptedIndex);
}

/** Where a follower's log meets the leader's for certain (PROTOCOL: AcceptSync; mistake 2 is to forget the `min`). */
export function acceptSyncIndex(follower: DecidedPosition, leaderBallot: Ballot, adopted: DecidedPosition): number {
  if (compareBallots(follower.acceptedRound, leaderBallot) === 0) return follower.acceptedIndex;
  const isSameRound = compareBallots(follower.acceptedRound, adopted.acceptedRound) === 0;
  if (isSameRound && follower.decidedIndex >= adopted.decidedIndex) {
    return Math.max(follower.decidedIndex, Math.min(follower.acceptedIndex, adopted.acceptedIndex));
  }
  return follower.decidedIndex;
}

/**
 * The log from `from` to its end for a node that has decided `otherDecided`; `undefined` if that is trimmed here, or over
 * `syncSizeMax` or `syncEntriesMax` while the other can shorten it by catching up on decided entries.
 */
export function suffixFor<T>(
  log: Log<T>,
  options: ResolvedOptions<T>,
  from: number,
  otherDecided: number,
): Entry<T>[] | undefined {
  if (from < log.trimmedIndex) return undefined;
  const canCatchUp = otherDecided < log.decidedIndex;
  if (canCatchUp && log.acceptedIndex - from > options.syncEntriesMax) return undefined;
  if (!canCatchUp) return log.read(from, log.acceptedIndex);
  const suffix = log.read(from, log.acceptedIndex, options.syncSizeMax);
  const isWhole = suffix.length === log.acceptedIndex - from;
  return isWhole && entriesSize(suffix, options.sizeOf) <= options.syncSizeMax ? suffix : undefined;
}
