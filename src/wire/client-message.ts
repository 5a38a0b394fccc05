import type { ClientOutcome } from '../kv/outcome.ts';

/*
 * What clients and nodes say to each other. One connection carries many requests at a time; answers come in any order.
 */

/** `linearizable` asks the leader for the index; `local` serves what this node has applied, maybe stale. */
export type Consistency = 'linearizable' | 'local';

/** A node as named in a reconfiguration; without an address the one already known, else the default, is meant. */
export interface TargetNode {
  readonly id: number;
  readonly address?: string;
  /** A member that is to vote with another data directory from now on: the one that it is running with. */
  readonly isRebuilt?: boolean;
  /** The data directory that is meant, as the node tells it in its status; without it, whichever is linked under the id. */
  readonly storageId?: string;
}

export type ClientRequest = {
  /** Chosen by the client, unique among those without an answer on this connection. */
  readonly id: number;
  /** How long the client will wait, milliseconds. */
  readonly timeoutMs: number;
} & RequestBody;

export type RequestBody =
  | { readonly type: 'write' /** An encoded command. */; readonly command: Uint8Array }
  | { readonly type: 'get'; readonly consistency: Consistency; readonly key: Uint8Array }
  | {
      readonly type: 'list';
      readonly consistency: Consistency;
      readonly prefix: Uint8Array;
      /** Go on after this key. */
      readonly after: Uint8Array | undefined;
      readonly limit: number;
    }
  /**
   * What changed of a key, or of all with a prefix, behind revision `since`: answered by `changes` as soon as there is something, after `waitMs` at
   * the latest. Where `since` is not given, or longer ago than the node remembers, it is answered by `snapshot` at once.
   */
  | {
      readonly type: 'watch';
      readonly key: Uint8Array;
      /** The key stands for all that begin with it. */
      readonly isPrefix: boolean;
      readonly since: number | undefined;
      /** Without `since`: go on with the keys after this one. */
      readonly after: Uint8Array | undefined;
      readonly waitMs: number;
    }
  | { readonly type: 'status' }
  | {
      readonly type: 'reconfigure';
      readonly nodes: readonly TargetNode[];
      /** Only if this is the present configuration: refused as `reconfiguring` once there is a later one. */
      readonly ifConfigurationId?: number;
    }
  /**
   * Has those of the nodes that are no members pull all data, so that they may become members, and waits for those that stay and are behind, where there
   * is no majority without them; to be asked again and again.
   */
  | {
      readonly type: 'fill';
      readonly nodes: readonly TargetNode[];
      /** As for `reconfigure`: there is no use in it once the change that it is for cannot come about any more. */
      readonly ifConfigurationId?: number;
    }
  /** Opens a backup: a view of all keys at one index, with everything in it that was acknowledged before this was sent. */
  | { readonly type: 'backupOpen' }
  /** Pairs of an open backup, after a key if one is given. Only the node that opened it has it, and lets go of it when it is not read. */
  | { readonly type: 'backupRead'; readonly backup: string; readonly after: Uint8Array | undefined }
  | { readonly type: 'backupClose'; readonly backup: string };

/** A request of that body. By hand where there are many: a spread costs V8 more than the rest of what is made of a frame. */
export function requestOf(id: number, timeoutMs: number, body: RequestBody): ClientRequest {
  switch (body.type) {
    case 'get':
      return { id, timeoutMs, type: 'get', consistency: body.consistency, key: body.key };
    case 'write':
      return { id, timeoutMs, type: 'write', command: body.command };
    default:
      return { id, timeoutMs, ...body };
  }
}

/** Why a request failed. The exit code of a command follows from it. */
export type FailureCode =
  /** No leader with a majority is in reach, or this node is not the one to say: a client asks another one. */
  | 'noMajority'
  /** The deadline passed. `outcome` says whether the command may have been proposed. */
  | 'timeout'
  /** This node is no member: go to `members`. */
  | 'notMember'
  /** A queue or table is full. */
  | 'busy'
  /** The request itself is wrong. */
  | 'invalid'
  /** A limit of size is broken. */
  | 'tooLarge'
  | 'sessionExpired'
  /** A reconfiguration is under way already, or another one came first. */
  | 'reconfiguring'
  /** A node named in a reconfiguration cannot take part. */
  | 'unreachable'
  | 'shuttingDown'
  /** A member has no space: puts are refused. */
  | 'noSpace';

/** Whether the command of a failed request may have been applied. Reads are always `notApplied`. */
export type FailureOutcome = 'notApplied' | 'unknown';

export interface Failure {
  readonly type: 'failed';
  readonly code: FailureCode;
  readonly outcome: FailureOutcome;
  readonly message: string;
  /** Addresses of the members, where they are known and this node is none. */
  readonly members?: readonly string[];
}

export interface WirePair {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  readonly revision: number;
}

/** A key that changed: what it is now. */
export interface WireChange {
  readonly key: Uint8Array;
  /** Undefined: there is no such key any more. */
  readonly value: Uint8Array | undefined;
  /** Of its last change. */
  readonly revision: number;
}

/** An open backup, and what it is of. */
export interface BackupOpened {
  readonly type: 'backupOpened';
  /** Names the backup, and differs on all nodes. */
  readonly backup: string;
  /** Count of log entries whose effects are in it. */
  readonly index: number;
  readonly nodeId: number;
  readonly clusterId: string;
  readonly clusterName: string;
}

/** How far a node is that is to become a member, or stays one and is behind. */
export interface NewcomerFilling {
  readonly id: number;
  /** Where it is, as the node that was asked knows; undefined if it does not. */
  readonly address?: string;
  /** The node that was asked has a link with it. */
  readonly isLinked: boolean;
  /** It has all that was decided when its filling began, and lacks next to nothing of what was decided since. */
  readonly isFilled: boolean;
}

/** The id of a response that answers no request: none has it. */
export const newsId = 0;

/** To every client as soon as its node knows of other members, asked for or not: those whom it knows may all be gone before it asks again. */
export interface MembersNews {
  readonly type: 'members';
  readonly addresses: readonly string[];
  /** False: this node is none of them, go to one. */
  readonly isMember: boolean;
}

export type ResponseBody =
  | { readonly type: 'outcome'; readonly outcome: ClientOutcome }
  | { readonly type: 'record'; readonly record: { readonly value: Uint8Array; readonly revision: number } | undefined }
  | { readonly type: 'pairs'; readonly pairs: readonly WirePair[]; readonly more: boolean }
  /**
   * All that changed behind `since` up to `revision`, each key once, in the order of the revisions. With `more` there is something behind it
   * already, and what changed again there is not in here: so it need not be the state at any moment.
   */
  | {
      readonly type: 'changes';
      readonly changes: readonly WireChange[];
      readonly more: boolean;
      readonly revision: number;
    }
  /** The keys, or the next of them, as of `revision`. */
  | {
      readonly type: 'snapshot';
      readonly pairs: readonly WirePair[];
      readonly more: boolean;
      readonly revision: number;
    }
  | { readonly type: 'status'; readonly status: NodeStatus }
  | { readonly type: 'reconfigured'; readonly configurationId: number }
  | { readonly type: 'filling'; readonly newcomers: readonly NewcomerFilling[] }
  | BackupOpened
  /** `last`: the last key that was looked at, in the backup or not; undefined if there is none. */
  | {
      readonly type: 'backupPairs';
      readonly pairs: readonly WirePair[];
      readonly last: Uint8Array | undefined;
      readonly done: boolean;
    }
  | { readonly type: 'backupClosed' }
  | MembersNews
  | Failure;

export type ClientResponse = { readonly id: number } & ResponseBody;

/** A response of that body; by hand as {@link requestOf}. */
export function responseOf(id: number, body: ResponseBody): ClientResponse {
  switch (body.type) {
    case 'record':
      return { id, type: 'record', record: body.record };
    case 'outcome':
      return { id, type: 'outcome', outcome: body.outcome };
    default:
      return { id, ...body };
  }
}

export type NodeRole = 'leader' | 'follower' | 'standby' | 'unreachable';

/** How quickly the disk of a node makes its log durable. */
export interface DiskStatus {
  /** What a flush took, over the last 1,024 at most, milliseconds. Undefined before the first. */
  readonly flushP50Ms: number | undefined;
  readonly flushP99Ms: number | undefined;
  /** Flushes since the node started. */
  readonly flushes: number;
}

/** From 80 % of the space on it is `low`, until it is below 75 % again; from 95 % on it is `full`, until it is below 90 % again. */
export type SpaceLevel = 'ok' | 'low' | 'full';

/** The space of a node: bytes of log and state in use, and how many there may be. */
export interface NodeSpace {
  readonly level: SpaceLevel;
  readonly usedBytes: number;
  readonly capacityBytes: number;
}

/** How one node sees itself and the cluster. Travels as JSON. */
export interface NodeStatus {
  readonly clusterId: string | undefined;
  readonly nodeId: number;
  readonly address: string;
  /** What the node is doing: forming a cluster, voting, catching up, or standing by. */
  readonly state: 'forming' | 'member' | 'joining' | 'standby';
  readonly configurationId: number;
  readonly leader: number | undefined;
  readonly decidedIndex: number;
  readonly appliedIndex: number;
  readonly members: readonly {
    readonly id: number;
    readonly address: string;
    /** The data directory that it votes with; undefined while no cluster has formed. */
    readonly storageId?: string;
  }[];
  /** The id of this node's own data directory. */
  readonly storageId: string;
  /** Below this the log is gone: only state is left of it. */
  readonly trimmedIndex: number;
  /** Nodes that this one has a link with. */
  readonly connected: readonly number[];
  /** The last configurations, the oldest first and the present one last. Set once there is one. */
  readonly history?: readonly ConfigurationSummary[];
  readonly disk: DiskStatus;
  /** Set while this node catches up. */
  readonly catchUp?: CatchUpStatus;
  /** Set while readers of snapshots keep this node from trimming its log. */
  readonly logHeld?: LogHeld;
  /** Set once it was measured. */
  readonly space?: NodeSpace;
  /** Members without space, by which the cluster refuses puts, as applied here. Ascending. */
  readonly fullNodes: readonly number[];
}

/** One configuration of a cluster's history. */
export interface ConfigurationSummary {
  readonly configurationId: number;
  /** Index of its first entry. */
  readonly startIndex: number;
  readonly members: readonly number[];
}

/**
 * How far a node is that catches up.
 *
 * - `plan`: it finds out who has what.
 * - `state`: it receives the rows of a snapshot.
 * - `install`: it has all of them and makes them its state.
 * - `log`: it receives decided entries.
 */
export interface CatchUpStatus {
  readonly stage: 'plan' | 'state' | 'install' | 'log';
  readonly bytesReceived: number;
  /** Bytes that there are to receive, where that is known. */
  readonly bytesTotal?: number;
  /** Where its log ended when it began. */
  readonly fromIndex: number;
  /** It is complete when its log has reached this. */
  readonly targetIndex: number;
  /** Who gave how much. */
  readonly donors: readonly { readonly id: number; readonly bytes: number }[];
  /** Set while it waits because the state that it lacks does not fit beside the present one. */
  readonly lackOfRoom?: LackOfRoom;
}

/** A state that does not fit beside the present one, in bytes. */
export interface LackOfRoom {
  readonly neededBytes: number;
  readonly roomBytes: number;
}

/** What keeps a log from being trimmed. */
export interface LogHeld {
  /** Nothing from here on is dropped. */
  readonly fromIndex: number;
  /** The nodes that read. */
  readonly readers: readonly number[];
}
