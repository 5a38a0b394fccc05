import type { Ballot, NodeId } from './ballot.ts';
import type { Entry } from './entry.ts';

/*
 * Every message of the algorithm. README.md beside this file has them as a table.
 * Every `*Index` is an exclusive end.
 */

/** Who sent a message, to whom, in which configuration. Messages of another configuration are refused on receipt. */
export interface Envelope {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly configurationId: number;
}

/** Leader → all: a new leader asks for promises and says how far its log goes. */
export interface Prepare {
  readonly type: 'Prepare';
  readonly ballot: Ballot;
  readonly decidedIndex: number;
  readonly acceptedRound: Ballot;
  readonly acceptedIndex: number;
}

/** Follower → leader: the promise, and what the leader lacks. */
export interface PromiseMessage<T> {
  readonly type: 'Promise';
  readonly ballot: Ballot;
  readonly decidedIndex: number;
  readonly acceptedRound: Ballot;
  readonly acceptedIndex: number;
  /** Index of the first entry of `suffix`. */
  readonly suffixFrom: number;
  /** What the leader lacks; `undefined` if that is trimmed or over the limit: it must catch up on decided entries first. */
  readonly suffix: readonly Entry<T>[] | undefined;
}

/** Leader → follower: makes the follower's log the leader's, from `syncIndex` on, and opens an accept session. */
export interface AcceptSync<T> {
  readonly type: 'AcceptSync';
  readonly ballot: Ballot;
  readonly session: number;
  readonly decidedIndex: number;
  readonly syncIndex: number;
  readonly suffix: readonly Entry<T>[];
}

/** Leader → follower: new entries and the decided index. */
export interface AcceptDecide<T> {
  readonly type: 'AcceptDecide';
  readonly ballot: Ballot;
  readonly session: number;
  readonly counter: number;
  readonly decidedIndex: number;
  /** Index of the first entry. */
  readonly startIndex: number;
  readonly entries: readonly Entry<T>[];
}

/** Leader → follower: only the decided index moved. */
export interface Decide {
  readonly type: 'Decide';
  readonly ballot: Ballot;
  readonly session: number;
  readonly counter: number;
  readonly decidedIndex: number;
}

/**
 * Leader → follower, repeated in silence: "this is the last counter I sent". The follower answers with Accepted,
 * or sees that it missed something and asks with PrepareRequest.
 */
export interface Probe {
  readonly type: 'Probe';
  readonly ballot: Ballot;
  readonly session: number;
  readonly counter: number;
}

/** Leader → follower: what you lack is trimmed here or over the limit; catch up on decided entries, then ask again. */
export interface Behind {
  readonly type: 'Behind';
  readonly ballot: Ballot;
  readonly decidedIndex: number;
}

/**
 * Follower → leader: all below `acceptedIndex` is on disk here, in this round. And leader → all, now and then, of its own disk: that
 * counts for nothing in the algorithm, but whoever heard it knows the directory again.
 */
export interface Accepted {
  readonly type: 'Accepted';
  readonly ballot: Ballot;
  readonly acceptedIndex: number;
  /** The decided index that the sender knows. */
  readonly decidedIndex: number;
}

/** Follower → a leader of the past: I promised this higher ballot. */
export interface NotAccepted {
  readonly type: 'NotAccepted';
  readonly ballot: Ballot;
}

/** Follower → leader: prepare me again (after a crash, a reconnect, a gap). `ballot` is the asker's promise. */
export interface PrepareRequest {
  readonly type: 'PrepareRequest';
  readonly ballot: Ballot;
}

/** Follower → leader: entries proposed here. */
export interface ForwardProposals<T> {
  readonly type: 'ForwardProposals';
  readonly entries: readonly Entry<T>[];
}

/** Leader → who forwarded them: a StopSign overtook these, or there is no room; propose them again later. */
export interface ReturnProposals<T> {
  readonly type: 'ReturnProposals';
  readonly entries: readonly Entry<T>[];
}

/** Anyone → leader: from which index on is a read linearizable? Counts as the sender's own confirmation of `ballot`. */
export interface ReadIndexRequest {
  readonly type: 'ReadIndexRequest';
  readonly ballot: Ballot;
  readonly readId: number;
}

/** Leader → all: do you still follow `ballot`, with no StopSign accepted? */
export interface ConfirmRequest {
  readonly type: 'ConfirmRequest';
  readonly ballot: Ballot;
  readonly round: number;
}

/** Follower → leader: yes, as of this round. */
export interface Confirm {
  readonly type: 'Confirm';
  readonly ballot: Ballot;
  readonly round: number;
}

/** Leader → who asked: serve the read once `readIndex` is applied. */
export interface ReadIndexReply {
  readonly type: 'ReadIndexReply';
  readonly readId: number;
  readonly readIndex: number;
}

export type PaxosPayload<T> =
  | Prepare
  | PromiseMessage<T>
  | AcceptSync<T>
  | AcceptDecide<T>
  | Decide
  | Probe
  | Behind
  | Accepted
  | NotAccepted
  | PrepareRequest
  | ForwardProposals<T>
  | ReturnProposals<T>
  | ReadIndexRequest
  | ConfirmRequest
  | Confirm
  | ReadIndexReply;

/** A message of sequence consensus. */
export type PaxosMessage<T> = Envelope & { readonly payload: PaxosPayload<T> };

/** BLE, to all: a round of heartbeats begins. `stands`: the sender wants to take over with this ballot; does the other yield? */
export interface HeartbeatRequest {
  readonly type: 'HeartbeatRequest';
  readonly round: number;
  readonly stands?: Ballot;
}

/**
 * BLE: the replier's own ballot, the leader it follows, and whether it is happy with it. `yieldsTo`: the ballot that it lets go first; to one that it let go
 * first before: a higher one that another stands with.
 */
export interface HeartbeatReply {
  readonly type: 'HeartbeatReply';
  readonly round: number;
  readonly ballot: Ballot;
  readonly leader: Ballot;
  readonly happy: boolean;
  readonly yieldsTo?: Ballot;
}

export type BallotPayload = HeartbeatRequest | HeartbeatReply;

/** A message of ballot leader election. */
export type BallotMessage = Envelope & { readonly payload: BallotPayload };
