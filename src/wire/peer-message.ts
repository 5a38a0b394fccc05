import type { Configuration, Opening } from '../cluster/configuration.ts';
import type { Origin } from '../cluster/origin.ts';
import type { RowChunk, RowRange, SnapshotCursor } from '../kv/state-store.ts';
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
  /** Over `from` and all entries (replica/catch-up/segment-checksum.ts). */
  readonly checksum: number;
  readonly decidedIndex: number;
  /** Below this the donor has only state. */
  readonly trimmedIndex: number;
}

/** Newcomer or straggler → every node it has a link with: what do you have? */
export interface DonorQuery {
  readonly type: 'DonorQuery';
}

/** The answer. */
export interface DonorStanding {
  readonly type: 'DonorStanding';
  readonly decidedIndex: number;
  readonly appliedIndex: number;
  /** Below this the donor has only state. */
  readonly trimmedIndex: number;
  /** It leads, and is to give no more than its share. */
  readonly isLeader: boolean;
}

/** Member → node that is to become one: get all that is decided up to `index`, as it stands in this configuration. */
export interface Fill {
  readonly type: 'Fill';
  readonly clusterId: string;
  readonly configuration: Configuration;
  readonly index: number;
}

/** Newcomer → donor: hold a snapshot of exactly `index`. Donors are interchangeable only there. */
export interface SnapshotRequest {
  readonly type: 'SnapshotRequest';
  readonly index: number;
}

/** Donor → newcomer: `isHeld`, or it has passed that index, or does not come there. */
export interface SnapshotOffer {
  readonly type: 'SnapshotOffer';
  readonly index: number;
  readonly isHeld: boolean;
  readonly appliedIndex: number;
  /** About how many rows, and bytes of them, the snapshot has. */
  readonly rows: number;
  readonly bytes: number;
}

/** Newcomer → donor: where can the rows behind `after` be cut into ranges of `rowsPerCut`? */
export interface CutsRequest {
  readonly type: 'CutsRequest';
  readonly index: number;
  readonly after: SnapshotCursor | undefined;
  readonly rowsPerCut: number;
}

/** Donor → newcomer: the next cuts, as many as it looked for; `done`: the rest is one range. */
export interface Cuts {
  readonly type: 'Cuts';
  readonly index: number;
  readonly after: SnapshotCursor | undefined;
  readonly cursors: readonly SnapshotCursor[];
  readonly done: boolean;
}

/** Newcomer → donor: the first rows of a range of the snapshot at `index`. */
export interface StateRequest extends RowRange {
  readonly type: 'StateRequest';
  readonly index: number;
}

/** Donor → newcomer. `chunk` undefined: the donor no longer has that snapshot. */
export interface StateChunk extends RowRange {
  readonly type: 'StateChunk';
  readonly index: number;
  readonly chunk: RowChunk | undefined;
}

/** A leader that stops, whose disk is slow, or that does not get into office → the follower that is furthest: lead now, above my ballot. */
export interface TakeOver {
  readonly type: 'TakeOver';
}

/** What handover and catch-up say. */
export type CatchUpPayload =
  | Announce
  | Fill
  | LogRequest
  | LogSegment
  | DonorQuery
  | DonorStanding
  | SnapshotRequest
  | SnapshotOffer
  | CutsRequest
  | Cuts
  | StateRequest
  | StateChunk;

export type PeerPayload = PaxosPayload<Uint8Array> | BallotPayload | TakeOver | CatchUpPayload;

/** One message on a link. */
export interface PeerMessage {
  readonly configurationId: number;
  readonly payload: PeerPayload;
  /** It need not wait behind what was sent before. Not in the bytes. */
  readonly isUrgent?: boolean;
}

/** True for what may overtake all else that was sent to a node: heartbeats, and what is urgent. */
export function isAhead({ payload, isUrgent }: PeerMessage): boolean {
  return payload.type === 'HeartbeatRequest' || payload.type === 'HeartbeatReply' || isUrgent === true;
}
