import type { Ballot, NodeId } from './ballot.ts';
import { compareBallots } from './ballot.ts';
import type { ResolvedOptions } from './configuration.ts';
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
 * True if a node that has decided `otherDecided` can be given this log from `from` to its end; not if that is trimmed here, or over `syncSizeMax` or
 * `syncEntriesMax` while the other can shorten it by catching up on decided entries.
 */
export function canSyncFrom<T>(log: Log<T>, options: ResolvedOptions<T>, from: number, otherDecided: number): boolean {
  if (from < log.trimmedIndex) return false;
  if (otherDecided >= log.decidedIndex) return true;
  return log.acceptedIndex - from <= options.syncEntriesMax && !isOver(log, options, from, options.syncSizeMax);
}

/** True if the log from `from` to its end is over `sizeMax`, as far as the store knows. */
export function isOver<T>(log: Log<T>, options: ResolvedOptions<T>, from: number, sizeMax: number): boolean {
  const size = log.sizeFrom(from);
  if (size !== undefined) return size > sizeMax;
  const read = log.read(from, log.acceptedIndex, sizeMax);
  return read.length < log.acceptedIndex - from || entriesSize(read, options.sizeOf) > sizeMax;
}
