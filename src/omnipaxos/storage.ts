import type { Ballot } from './ballot.ts';
import type { Entry } from './entry.ts';

/** The log. Indexes count from 0 over the whole life of the log, across configurations; they never restart. */
export interface Sequence<T> {
  /** Index of the first entry that is still here; all below was trimmed. */
  readonly trimmedIndex: number;
  /** Exclusive end: the index that the next appended entry gets. */
  readonly endIndex: number;
  /** Adds entries at the end. */
  append(entries: readonly Entry<T>[]): void;
  /** Drops every entry at `index` and above. */
  truncate(index: number): void;
  /**
   * Entries `from` (inclusive) to `to` (exclusive). Both within `trimmedIndex … endIndex`, else a RangeError. Where `sizeMax` is given, what is read may
   * end before `to`, behind the first entry with which all of it is over `sizeMax` (as `sizeOf` of the options measures) or any behind that: a store
   * whose entries are on a disk should, since a few of many may be wanted; one that has them in memory need not look.
   */
  read(from: number, to: number, sizeMax?: number): Entry<T>[];
  /**
   * About how large the entries from `from`, within `trimmedIndex … endIndex`, to the end are, as `sizeOf` of the options measures. For a store whose entries
   * are on a disk and that knows this without reading them; without it they are read.
   */
  sizeFrom?(from: number): number;
  /** Drops every entry below `index`, at most `endIndex`. */
  trim(index: number): void;
  /** Drops all entries; the log goes on, empty, at `index`: what lies below is known as state. */
  reset(index: number): void;
}

/** What a replica must remember beside the log. */
export interface PaxosState {
  promise: Ballot;
  acceptedRound: Ballot;
  /** May be lost in a crash without harm: it is only a lower bound then. */
  decidedIndex: number;
}

/**
 * The two storage seams behind one gate, which makes what was staged through both durable in one step.
 *
 * Writes are *staged*: they are visible to reads at once, and durable only when `durableWrite()` says so.
 * An implementation may make several transitions durable together, but never a part of one, with two exceptions: of entries that are appended
 * in the round accepted before, and nothing else, the first may be durable alone, since each might have come in a transition of its own; and a
 * trim may be durable before what was staged earlier.
 *
 * The core stages writes, then calls `commit()` once for each transition and remembers the number.
 * What depends on the write leaves only when `durableWrite()` has reached it.
 * A store in memory is durable at once: `durableWrite()` equals the last number given.
 */
export interface Store<T> {
  readonly sequence: Sequence<T>;
  readonly state: PaxosState;
  /** Closes one transition: all that was staged since the last call becomes durable together or not at all, but for the exceptions above. */
  commit(): number;
  /** Number of the last transition that is known to be durable. Never goes back. */
  durableWrite(): number;
}
