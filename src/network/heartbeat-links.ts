import type { Socket } from 'node:net';
import type { WebSocket } from 'ws';
import { heartbeatFrameBytesMax } from '../wire/limits.ts';
import { encodePeerFrames, type PeerFrame } from '../wire/peer-frame.ts';
import { isAhead, type PeerHello, type PeerMessage } from '../wire/peer-message.ts';
import { Backoff } from './backoff.ts';
import type { Log } from './log.ts';
import { openingOf, PeerLink } from './peer-link.ts';
import { closeCodes } from './sockets.ts';

/**
 * Where a request was sent on a connection and nothing has come for so long, heartbeats take the link as well: it may be dead, which is noticed seconds
 * later. No sooner: on a slow link they come late, and what they say then is of the past.
 */
const quietMsMax = 150;

export interface HeartbeatLinksOptions {
  /** What this node says of itself, see {@link PeerLink}. */
  readonly hello: () => PeerHello;
  /** Opens a connection for heartbeats to that node. */
  readonly dial: (nodeId: number, address: string) => WebSocket;
  /** Those that are dialled are encrypted. */
  readonly isSecure: () => boolean;
  /** A connection for heartbeats is up: to be watched for silence. */
  readonly onUp: (heartbeats: PeerLink) => void;
  /** What came for the link `beside` which it is. */
  readonly onFrame: (beside: PeerLink, frame: PeerFrame) => void;
  readonly log: Log;
  readonly limits: {
    readonly handshakeTimeoutMs: number;
    readonly redialMinMs: number;
    readonly heartbeatRedialMaxMs: number;
    readonly heartbeatDeadPauseMs: number;
  };
}

/** What stands beside one link. */
interface Lane {
  readonly beside: PeerLink;
  /** Where it is dialled: this end dialled the link. Undefined: the other end did, and dials this as well. */
  readonly address: string | undefined;
  readonly backoff: Backoff;
  nextAttemptMs: number;
  attempt: PeerLink | undefined;
  up: PeerLink | undefined;
  /** When the first request was sent since something came. */
  askedMs: number;
}

/**
 * A connection beside each link for heartbeats, and what else may overtake all that is on the link. On the link itself they would wait behind entries and
 * pieces of state: over a slow one for longer than an election timeout, and the lead would go to and fro between nodes that all hear each other.
 *
 * Whoever dialled the link dials this, once it has a heartbeat to send. It is of the link: it ends with it, and is of the same two processes. While it is
 * not there, heartbeats take the link.
 */
export class HeartbeatLinks {
  readonly #options: HeartbeatLinksOptions;
  readonly #lanes = new Map<PeerLink, Lane>();
  /** Connections whose other end has not said hello yet. */
  readonly #strangers = new Set<PeerLink>();
  #closed = false;

  constructor(options: HeartbeatLinksOptions) {
    this.#options = options;
  }

  /** Connections that were accepted from nobody knows whom yet. */
  get strangerCount(): number {
    return this.#strangers.size;
  }

  /** `link` is up. `address`: where it was dialled, if it was dialled here. */
  begin(link: PeerLink, address: string | undefined): void {
    const { redialMinMs, heartbeatRedialMaxMs } = this.#options.limits;
    const backoff = new Backoff(redialMinMs, heartbeatRedialMaxMs);
    this.#lanes.set(link, {
      ...{ beside: link, address, backoff },
      ...{ nextAttemptMs: 0, attempt: undefined, up: undefined, askedMs: Number.NEGATIVE_INFINITY },
    });
  }

  /** `link` is gone, and so is what stands beside it. */
  end(link: PeerLink): void {
    const lane = this.#lanes.get(link);
    if (lane === undefined) return;
    this.#lanes.delete(link);
    lane.attempt?.cut('its link is gone');
    lane.up?.cut('its link is gone');
  }

  /** When something came for `link` on its connection for heartbeats, on the clock of `performance.now()`; minus infinity if nothing did. */
  heardAtMs(link: PeerLink): number {
    return this.#lanes.get(link)?.up?.heardAtMs ?? Number.NEGATIVE_INFINITY;
  }

  /** Sends what of `messages` may go ahead beside `link`, if that can be done. What is left to be sent by the link itself, if only to be sure. */
  sendOf(
    link: PeerLink,
    messages: readonly PeerMessage[],
    clusterId: string | undefined,
    nowMs: number,
  ): readonly PeerMessage[] {
    if (!messages.some(isAhead)) return messages;
    const lane = this.#lanes.get(link);
    if (lane?.up === undefined || !this.#isOpen(lane.up)) {
      if (lane) this.#attempt(lane, nowMs);
      return messages;
    }
    const heartbeats = messages.filter(isAhead);
    const isUnanswered = lane.up.heardAtMs < lane.askedMs;
    const isQuiet = isUnanswered && nowMs - lane.askedMs > quietMsMax;
    if (!isUnanswered && heartbeats.some(isRequest)) lane.askedMs = nowMs;
    for (const frame of encodePeerFrames(clusterId, heartbeats, heartbeatFrameBytesMax)) lane.up.send(frame);
    if (isQuiet) return messages;
    return heartbeats.length === messages.length ? [] : messages.filter((message) => !isAhead(message));
  }

  /** Takes over a connection for heartbeats that another node opened, which means node `meantNodeId`, if it said so. */
  accept(socket: WebSocket, tcp: Socket, meantNodeId: number | undefined): void {
    this.#strangers.add(this.#make(socket, tcp, { dialledNodeId: undefined, meantNodeId, isSecure: false }));
  }

  close(): void {
    this.#closed = true;
    for (const link of [...this.#lanes.keys()]) this.end(link);
    for (const stranger of [...this.#strangers]) stranger.cut('shutting down');
  }

  /** False, and it is cut, if the other end takes nothing any more. */
  #isOpen(up: PeerLink): boolean {
    if (up.bufferedBytes <= heartbeatFrameBytesMax) return up.isOpen;
    up.cut(`${up.bufferedBytes} bytes of heartbeats wait to be sent`);
    return false;
  }

  /** Dials, if this is the end that does, and it is time. */
  #attempt(lane: Lane, nowMs: number): void {
    const { address, beside, attempt, up } = lane;
    const nodeId = beside.peer?.nodeId;
    if (address === undefined || nodeId === undefined || attempt || up || nowMs < lane.nextAttemptMs) return;
    lane.nextAttemptMs = nowMs + lane.backoff.nextMs();
    const socket = this.#options.dial(nodeId, address);
    const isSecure = this.#options.isSecure();
    lane.attempt = this.#make(socket, undefined, { dialledNodeId: nodeId, meantNodeId: undefined, isSecure });
  }

  #make(
    socket: WebSocket,
    tcp: Socket | undefined,
    whom: {
      readonly dialledNodeId: number | undefined;
      readonly meantNodeId: number | undefined;
      readonly isSecure: boolean;
    },
  ): PeerLink {
    const { limits, hello } = this.#options;
    const { handshakeTimeoutMs } = limits;
    const events = {
      onHello: (link: PeerLink, other: PeerHello) => this.#onHello(link, other),
      onFrame: (link: PeerLink, frame: PeerFrame) => this.#onFrame(link, frame),
      // Said on the link itself.
      onOlderCopy: () => {},
      onEnded: (link: PeerLink, reason: string) => this.#onEnded(link, reason),
    };
    return new PeerLink(socket, tcp, { ...whom, handshakeTimeoutMs, hello, events });
  }

  /** The link has been looked at when it came up; this must be with the same process. */
  #onHello(link: PeerLink, hello: PeerHello): void {
    this.#strangers.delete(link);
    const isMeant = link.meantNodeId === undefined || link.meantNodeId === this.#options.hello().nodeId;
    const lane = isMeant ? this.#laneFor(link, hello) : undefined;
    if (this.#closed || lane === undefined) {
      link.end(closeCodes.refused, 'there is no link beside which it could stand');
      return;
    }
    lane.attempt = undefined;
    const { up } = lane;
    lane.up = link;
    up?.end(closeCodes.duplicate, 'a newer connection for heartbeats is up');
    this.#options.onUp(link);
    this.#options.log('debug', 'heartbeats have a connection of their own', { node: hello.nodeId });
  }

  /** Of those that were dialled here the one that tried; of the others one that the other end dialled, with the very process. */
  #laneFor(link: PeerLink, hello: PeerHello): Lane | undefined {
    for (const lane of this.#lanes.values()) {
      const { peer, dialledNodeId } = lane.beside;
      if (peer === undefined || peer.nodeId !== hello.nodeId || openingOf(peer) !== openingOf(hello)) continue;
      const isOwn = link.dialledNodeId === undefined ? dialledNodeId === undefined : lane.attempt === link;
      return isOwn ? lane : undefined;
    }
    return undefined;
  }

  #onFrame(link: PeerLink, frame: PeerFrame): void {
    for (const lane of this.#lanes.values()) {
      if (lane.up !== link) continue;
      this.#options.onFrame(lane.beside, frame);
      return;
    }
  }

  #onEnded(link: PeerLink, reason: string): void {
    this.#strangers.delete(link);
    for (const lane of this.#lanes.values()) {
      if (lane.attempt === link) lane.attempt = undefined;
      if (lane.up !== link) continue;
      lane.up = undefined;
      // The link stands: what is between the nodes lets this come up and nothing through, and each time that costs heartbeats.
      lane.nextAttemptMs = performance.now() + this.#options.limits.heartbeatDeadPauseMs;
      this.#options.log('debug', 'heartbeats take the link', { node: lane.beside.peer?.nodeId, reason });
    }
  }
}

/** Any other than a request need not be answered. */
function isRequest({ payload }: PeerMessage): boolean {
  return payload.type === 'HeartbeatRequest';
}
