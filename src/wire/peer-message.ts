import type { Configuration, Opening } from '../cluster/configuration.ts';
import type { Origin } from '../cluster/origin.ts';
import type { SnapshotCursor, SnapshotRow } from '../kv/state-store.ts';
import type { Ballot } from '../omnipaxos/ballot.ts';
import type { Entry } from '../omnipaxos/entry.ts';
import type { BallotPayload, PaxosPayload } from '../omnipaxos/messages.ts';

/*
 * What nodes say to each other. `from` and `to` are known from the link and are not in the bytes.
 */

/** First thing on a link, from both ends. */
export interface PeerHello {
  readonly protocolVersion: number;
  /** Name in the cluster file: nodes of clusters with different names never form one. */
  readonly clusterName: string;
  /** Undefined while the sender belongs to no cluster yet. */
  readonly clusterId: string | undefined;
  readonly nodeId: number;
  /** Where the sender is reached. */
  readonly address: string;
  readonly storageId: string;
  /** Ids of the first configuration as the sender's cluster file has it: nodes that disagree do not form a cluster. */
  readonly initialMembers: readonly number[];
  /** Whence the data of its cluster came, or its own before there is a cluster; absent where that began empty. */
  readonly origin?: Origin;
  /** What the sender's directory held when the sender opened it. */
  readonly opened: OpenedWith;
  /** The newest openings of members' directories that the sender knows of. */
  readonly openings: readonly Opening[];
}

/** What a data directory held durably when it was opened. */
export interface OpenedWith {
  /** Count and nonce of the opening. */
  readonly incarnation: number;
  readonly nonce: string;
  /** 0: none. */
  readonly configurationId: number;
  readonly promise: Ballot;
  readonly acceptedRound: Ballot;
  /** Exclusive end of the log. */
  readonly endIndex: number;
  /** The last entry of the log is a StopSign. */
  readonly isSealed: boolean;
}

/** The current configuration, told to a newcomer, to a member that missed a StopSign, to one left out, and when a cluster forms. */
export interface Announce {
  readonly type: 'Announce';
  readonly clusterId: string;
  readonly configuration: Configuration;
}

/** Newcomer or straggler → donor: decided entries from `from` on, below `to`. */
export interface LogRequest {
  readonly type: 'LogRequest';
  readonly from: number;
  readonly to: number;
}

/** Donor → newcomer: decided entries; fewer than asked if over a limit; none if they are trimmed here. */
export interface LogSegment {
  readonly type: 'LogSegment';
  readonly from: number;
  readonly entries: readonly Entry<Uint8Array>[];
  readonly decidedIndex: number;
  /** Below this the donor has only state. */
  readonly trimmedIndex: number;
}

/** Newcomer → donor: rows of a snapshot after `cursor`; `snapshotIndex` 0 asks for a new snapshot. */
export interface StateRequest {
  readonly type: 'StateRequest';
  readonly snapshotIndex: number;
  readonly cursor: SnapshotCursor | undefined;
}

/** Donor → newcomer. `rows` undefined: the donor no longer has that snapshot, ask for a new one. */
export interface StateChunk {
  readonly type: 'StateChunk';
  readonly snapshotIndex: number;
  readonly cursor: SnapshotCursor | undefined;
  readonly rows: readonly SnapshotRow[] | undefined;
  readonly done: boolean;
}

/** A leader that is about to stop → the follower that is furthest: lead now, above my ballot. */
export interface TakeOver {
  readonly type: 'TakeOver';
}

export type PeerPayload =
  | PaxosPayload<Uint8Array>
  | BallotPayload
  | Announce
  | TakeOver
  | LogRequest
  | LogSegment
  | StateRequest
  | StateChunk;

/** One message on a link. */
export interface PeerMessage {
  readonly configurationId: number;
  readonly payload: PeerPayload;
}
