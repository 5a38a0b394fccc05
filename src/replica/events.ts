import type { NodeId } from '../omnipaxos/ballot.ts';
import type { ClientRequest, ClientResponse, NodeSpace } from '../wire/client-message.ts';
import type { PeerHello, PeerMessage } from '../wire/peer-message.ts';

/** A client's connection, named by its gateway. */
export type ConnectionId = number;

/** What an owner measured of its disk. */
export interface SpaceMeasured extends NodeSpace {
  /** Entries below are more log than there is room for: to be dropped as soon as the state covers them. */
  readonly logSurplusIndex: number;
  /** Entries below will soon be. */
  readonly logAmpleIndex: number;
  /** A write waits until the disk has room again. */
  readonly isWaiting: boolean;
  /** Why, if it does: not all that a disk can run out of is counted in bytes. */
  readonly waitsFor?: string | undefined;
  /** How much more of a state the disk can take without being full, bytes. Undefined: as much as comes. */
  readonly stateRoomBytes?: number;
  /** What nothing is in of the state's file, bytes; of that, what was freed since a snapshot was opened cannot be used while it is. */
  readonly stateFreeBytes?: number;
}

/** What happens to a replica. Sockets, disks and timers only put these into the inbox. */
export type ReplicaEvent =
  /**
   * A step of time; `elapsedMs` since the last one, for clients' deadlines. `flushingMs`: how long the flush that is under way has taken so
   * far, and `flushingBytes`: of how much it is; 0 if there is none.
   */
  | {
      readonly type: 'tick';
      readonly elapsedMs: number;
      readonly flushingMs: number;
      readonly flushingBytes: number;
    }
  /** A link is new. Comes before any message on it. */
  | { readonly type: 'peerConnected'; readonly hello: PeerHello }
  | { readonly type: 'peerDisconnected'; readonly nodeId: NodeId }
  /** A node that was to be dialled could not be: `isRefusal` if one end said why it will not have the other. */
  | { readonly type: 'peerUnreached'; readonly nodeId: NodeId; readonly reason: string; readonly isRefusal: boolean }
  | { readonly type: 'peerMessages'; readonly from: NodeId; readonly messages: readonly PeerMessage[] }
  | { readonly type: 'requests'; readonly connection: ConnectionId; readonly requests: readonly ClientRequest[] }
  /** A client's connection is gone. */
  | { readonly type: 'clientGone'; readonly connection: ConnectionId }
  /** The log store made more writes durable, `bytes` in `durationMs`. */
  | { readonly type: 'flushed'; readonly durationMs: number; readonly bytes: number }
  | { readonly type: 'checkpointed' }
  | { readonly type: 'stateInstalled'; readonly index: number }
  /** The space on the disk was measured. */
  | ({ readonly type: 'space' } & SpaceMeasured)
  /** The process is about to end: no new requests; the lead goes to another node. */
  | { readonly type: 'stopping' }
  /** It ends now: who still waits is told so. */
  | { readonly type: 'stopped' };

/** Work on the disk that a turn asks its owner to do; the answer is an event. One of a kind at a time. */
export type StorageJob =
  /** `StateStore.checkpoint`, answered by `checkpointed`. */
  | { readonly type: 'checkpoint'; readonly run: () => Promise<void> }
  /** `StateStore.finishInstall`, answered by `stateInstalled`. */
  | { readonly type: 'finishInstall'; readonly index: number; readonly run: () => Promise<void> };

export type LogLevel = 'info' | 'warn';

/** Something that an operator would want to know. */
export interface Notice {
  readonly level: LogLevel;
  readonly message: string;
}

/** A node that is not linked with. */
export interface Refusal {
  /** What it said on the link that is to end, the very object: by then another one may be up to a node of that id, which is not meant. */
  readonly hello: PeerHello;
  /** `olderCopy`: its directory forgot how it voted; told so, it must end. `stranger`: told so, it may come again. */
  readonly kind: 'stranger' | 'olderCopy';
  readonly reason: string;
}

/** What goes to one node, in one frame. */
export interface PeerOutput {
  readonly to: NodeId;
  readonly messages: PeerMessage[];
}

/** What a turn gives to the world outside. */
export interface TurnOutput {
  /** At most one for each node. */
  readonly messages: readonly PeerOutput[];
  readonly responses: ReadonlyMap<ConnectionId, ClientResponse[]>;
  readonly jobs: readonly StorageJob[];
  /** Links to close, and why. */
  readonly refusals: readonly Refusal[];
  readonly notices: readonly Notice[];
  /** The inbox still holds events, or decided entries wait to be applied: take another turn soon. */
  readonly hasMore: boolean;
}
