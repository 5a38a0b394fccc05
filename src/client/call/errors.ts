/**
 * What a caller can do about a failure:
 *
 * - `invalid`, `tooLarge`: the request is wrong; the same one fails again.
 * - `noMajority`: no leader with a majority, or no node, answered in time.
 * - `timeout`: no answer in time though the request was on its way.
 * - `conflict`: the write has a condition, and the key is at another revision: `revision` says at which, 0 for none. Of a transaction `condition` says
 *   which one.
 * - `busy`: a limit on outstanding work is reached; later it may go.
 * - `sessionExpired`: the session was dropped while a retried command was out.
 * - `reconfiguring`: another reconfiguration is under way, or was first.
 * - `unreachable`: a node that a reconfiguration needs does not answer, or the one node that was asked.
 * - `notKvNode`: an endpoint answered, but is no kv node.
 * - `untrusted`: an endpoint answered, and its certificate is not of an authority in `tls.ca`, or is for another host; or it says that it does not take
 *   ours. (A node of ours hangs up without a word: `noMajority`, with that among the reasons.)
 * - `noSpace`: a node has no space, and the cluster takes no puts; deletes go through, and later puts may. Of `reconfigure`: a newcomer
 *   has no room for all data, and the members are what they were.
 * - `closed`: the client was closed.
 * - `aborted`: the caller's signal was aborted; `cause` is its reason.
 * - `internal`: a node answered what it should not.
 */
export type KvErrorCode =
  | 'invalid'
  | 'tooLarge'
  | 'noMajority'
  | 'timeout'
  | 'conflict'
  | 'busy'
  | 'sessionExpired'
  | 'reconfiguring'
  | 'unreachable'
  | 'notKvNode'
  | 'untrusted'
  | 'noSpace'
  | 'closed'
  | 'aborted'
  | 'internal';

/** What else there is to say of a failure. */
interface KvErrorDetails extends ErrorOptions {
  readonly revision?: number;
  readonly condition?: number;
}

/** A request that failed. */
export class KvError extends Error {
  override readonly name = 'KvError';
  readonly code: KvErrorCode;
  /** `notApplied`: it has no effect and never will. `unknown`: it may have been applied, or may yet be. */
  readonly outcome: 'notApplied' | 'unknown';

  /** Of a `conflict`: the key's revision when the write was decided; 0: there was no such key. */
  readonly revision: number | undefined;

  /** Of a `conflict` of a transaction: the first of its conditions that does not hold, counted from 0. */
  readonly condition: number | undefined;

  constructor(code: KvErrorCode, message: string, outcome: 'notApplied' | 'unknown', details?: KvErrorDetails) {
    super(message, details);
    this.code = code;
    this.outcome = outcome;
    this.revision = details?.revision;
    this.condition = details?.condition;
  }
}
