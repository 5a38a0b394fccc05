/** What applying a command of a client gave. Part of the replicated state: every replica computes the same. */
export type ClientOutcome =
  | { readonly type: 'put'; readonly revision: number }
  /** `existed` says whether there was anything to delete; `revision` is that of the command: its log index + 1, so that 0 says that there is none. */
  | { readonly type: 'deleted'; readonly revision: number; readonly existed: boolean }
  /** The command was conditional, and the key has this other revision, or does not exist: 0. Nothing was changed. */
  | { readonly type: 'conflict'; readonly revision: number }
  /** All changes of a transaction were made, at this revision. */
  | { readonly type: 'transacted'; readonly revision: number }
  /** This condition of a transaction, counted from 0, is the first that does not hold: its key has this revision, or does not exist: 0. Nothing was changed. */
  | { readonly type: 'unmet'; readonly condition: number; readonly revision: number }
  | { readonly type: 'sessionOpened'; readonly session: number }
  /** The key stays for its whole time again; `revision` is the key's, which has not changed. */
  | { readonly type: 'renewed'; readonly revision: number }
  /** The command was not applied *by this entry*. */
  | { readonly type: 'refused'; readonly reason: RefusalReason };

/** What applying any command gave: nodes have some of their own. */
export type Outcome =
  | ClientOutcome
  /** A leader said that a key was not renewed in time. */
  | { readonly type: 'expiryNoted' }
  /** A node's report of its space. */
  | { readonly type: 'spaceNoted' };

/**
 * - `sessionExpired`: the session is not (or no longer) known.
 * - `numberForgotten`: the client had said that it has this answer already.
 * - `windowExceeded`: more than `sessionWindowMax` commands without an acknowledgement.
 * - `malformed`: the bytes are no command.
 * - `tooManyExpiring`: a put of a key that is to expire, while as many do as may. Kept, too.
 * - `noSpace`: a put while a member has no space. Kept in the session like any outcome: the same number is refused again.
 */
export type RefusalReason =
  | 'sessionExpired'
  | 'numberForgotten'
  | 'windowExceeded'
  | 'malformed'
  | 'noSpace'
  | 'tooManyExpiring';
