import type { NodeId } from './ballot.ts';
import type { Fill } from './fill.ts';
import type { PromiseMessage } from './messages.ts';

/**
 * What the leader knows of one follower.
 *
 * - `unprepared`: Prepare is out (or due), no Promise yet.
 * - `promised`: only in the prepare phase.
 * - `synced`: in an accept session.
 * - `behind`: was told to catch up on decided entries first.
 * - `outranked`: promised a higher ballot; prepared again by this leader if it asks, or after a while.
 */
export interface Progress<T> {
  readonly pid: NodeId;
  status: 'unprepared' | 'promised' | 'synced' | 'behind' | 'outranked';
  promise: PromiseMessage<T> | undefined;
  /** Times that a promise, kept while this leader catches up, was asked for again without an answer. */
  unansweredRefreshes: number;
  session: number;
  counter: number;
  /** Exclusive end of what was sent in this session. */
  sentIndex: number;
  sentDecided: number;
  /** Exclusive end of what the follower has on disk in this ballot. */
  acceptedIndex: number;
  /** The decided index that the follower said it knows. */
  knownDecided: number;
  /** False until the follower has answered in this session. */
  hasAnswered: boolean;
  /** Set while it is not in step: its AcceptSync had more to carry than one message should, or it takes what it is sent too slowly. */
  fill: Fill | undefined;
}

/** Nothing is known of it yet. */
export function newProgress<T>(pid: NodeId): Progress<T> {
  return {
    pid,
    status: 'unprepared',
    promise: undefined,
    unansweredRefreshes: 0,
    session: 0,
    counter: 0,
    sentIndex: 0,
    sentDecided: 0,
    acceptedIndex: -1,
    knownDecided: 0,
    hasAnswered: false,
    fill: undefined,
  };
}

/** It has to promise anew. */
export function forgetPromise<T>(follower: Progress<T>): void {
  follower.status = 'unprepared';
  follower.promise = undefined;
}

/** True if nothing is under way: it has answered in its session, and has and knows all that there is. */
export function isComplete<T>(follower: Progress<T>, acceptedIndex: number, decidedIndex: number): boolean {
  return follower.hasAnswered && follower.acceptedIndex === acceptedIndex && follower.knownDecided >= decidedIndex;
}
