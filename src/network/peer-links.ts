import type { IncomingMessage } from 'node:http';
import type { SecureContext } from 'node:tls';
import { WebSocket } from 'ws';
import { OverLimitError } from '../wire/codec.ts';
import { heartbeatPath, isHeartbeatPath, meantNodeId, pathTo, peerPath } from '../wire/handshake.ts';
import { heartbeatFrameBytesMax, peerFrameBytesMax } from '../wire/limits.ts';
import { encodePeerFrames, type PeerFrame } from '../wire/peer-frame.ts';
import type { PeerHello, PeerMessage } from '../wire/peer-message.ts';
import { Backoff } from './backoff.ts';
import { HeartbeatLinks } from './heartbeat-links.ts';
import { clusterProblem, helloProblem } from './hello-problem.ts';
import type { Log } from './log.ts';
import { malformed, openingOf, PeerLink } from './peer-link.ts';
import { isDialAddress, PeerTarget } from './peer-target.ts';
import { SilenceWatch } from './silence-watch.ts';
import { closeCodes, olderCopyMark, socketOptions } from './sockets.ts';

export interface PeerLimits {
  /** From dialling to the other's hello. */
  readonly handshakeTimeoutMs: number;
  readonly pingIntervalMs: number;
  /**
   * A link from which nothing comes for so long is dead, see {@link SilenceWatch}. Not much longer than elections wait: where a network was cut, TCP tries again after
   * ever longer pauses, and a new link is up sooner.
   */
  readonly silenceMsMax: number;
  readonly redialMinMs: number;
  readonly redialMaxMs: number;
  /** A link with more than this unsent is cut; at most one more `send` is on top of it. */
  readonly bufferedBytesMax: number;
  readonly frameBytesMax: number;
  /** Accepted connections that have not said hello yet. */
  readonly strangersMax: number;
  /** Longest pause between two attempts to open a connection for heartbeats, which an older release refuses. */
  readonly heartbeatRedialMaxMs: number;
  /** The pause behind one that was up and ended while the link stood. */
  readonly heartbeatDeadPauseMs: number;
  /** Links to nodes that are not dialled: newcomers, and those that were members. */
  readonly undialledMax: number;
  /** A node that was heard within this time runs: nobody else is it. */
  readonly aliveMsMax: number;
  /** For so long nobody must have reached a node at its known address before one at another address is taken for it. */
  readonly movedMsMin: number;
}

const defaultPeerLimits: PeerLimits = {
  handshakeTimeoutMs: 2000,
  pingIntervalMs: 500,
  silenceMsMax: 2000,
  redialMinMs: 50,
  redialMaxMs: 500,
  bufferedBytesMax: 64 * 1024 * 1024,
  frameBytesMax: peerFrameBytesMax,
  strangersMax: 256,
  heartbeatRedialMaxMs: 5000,
  heartbeatDeadPauseMs: 60_000,
  undialledMax: 64,
  aliveMsMax: 1000,
  movedMsMin: 10_000,
};

/** A link as its owner holds it. */
export interface PeerHandle {
  /** Ends the link and tells the other node why. No `onDisconnected` follows: the caller knows. */
  refuse(reason: string, kind?: 'stranger' | 'olderCopy'): void;
}

export interface PeerLinksOptions {
  /** What this node says of itself. Called for every connection. */
  readonly hello: () => PeerHello;
  /** Of that, what each frame names. Called for every one. */
  readonly clusterId: () => string | undefined;
  /** A link is up: a new FIFO session, so all that was under way before is lost. */
  readonly onConnected: (hello: PeerHello, link: PeerHandle) => void;
  /** The link is gone. May be called from within `send`. Comes once for each `onConnected` but refused ones. */
  readonly onDisconnected: (nodeId: number) => void;
  /** An attempt to reach a node that is to be dialled failed. `isRefusal`: one of the two will not have the other. */
  readonly onUnreached?: (nodeId: number, reason: string, isRefusal: boolean) => void;
  /** A node of this cluster says that this node's data directory is an older copy of what it voted with. */
  readonly onOlderCopy?: (nodeId: number, reason: string) => void;
  /** All messages of one frame, in order. Byte arrays in them are views into the frame. */
  readonly onMessages: (nodeId: number, messages: PeerMessage[]) => void;
  /** For links that are dialled; called for every one. Undefined: they are not encrypted. */
  readonly secureContext?: () => SecureContext | undefined;
  readonly log: Log;
  readonly limits?: Partial<PeerLimits>;
}

/**
 * The links to the other nodes, at most one each, and beside each a connection for heartbeats ({@link HeartbeatLinks}). The owner says whom to
 * dial; both ends of a pair may dial.
 *
 * Two links to one node: the one dialled by the lower id stays; of two dialled by the same node, the newer. Both ends follow this
 * rule and so come to keep the same one, without a word. An attempt under way is therefore never given up because another link came
 * up: the other end may just have chosen it.
 *
 * Links between clusters of different names or ids are refused here, and so is a node that is not the one dialled, and a second
 * process that says that it is a node which runs: somebody started a copy of its directory. One that comes from another address than the
 * known one is therefore taken for that node only when nobody has been there for a while.
 */
export class PeerLinks {
  readonly #options: PeerLinksOptions;
  readonly #limits: PeerLimits;
  readonly #log: Log;
  readonly #silence: SilenceWatch;
  readonly #heartbeats: HeartbeatLinks;
  readonly #targets = new Map<number, PeerTarget>();
  /** Links whose other end has not said hello yet. */
  readonly #strangers = new Set<PeerLink>();
  readonly #links = new Map<number, PeerLink>();
  /** Links that the owner refused: it says why in the log by itself. */
  readonly #refused = new WeakSet<PeerLink>();
  #closed = false;

  constructor(options: PeerLinksOptions) {
    this.#options = options;
    this.#limits = { ...defaultPeerLimits, ...options.limits };
    this.#log = options.log;
    this.#silence = new SilenceWatch(this.#limits.pingIntervalMs, this.#limits.silenceMsMax);
    this.#heartbeats = new HeartbeatLinks({
      hello: options.hello,
      dial: (nodeId, address) => this.#open(address, pathTo(nodeId, heartbeatPath), heartbeatFrameBytesMax),
      isSecure: () => options.secureContext?.() !== undefined,
      onUp: (link) => this.#watch(link),
      onFrame: (link, frame) => this.#onFrame(link, frame),
      log: options.log,
      limits: this.#limits,
    });
  }

  /** Ids of the nodes that a link is up to. */
  get connected(): number[] {
    return [...this.#links.keys()];
  }

  /**
   * Keeps a link to `nodeId` up, dialling `address` ("host:port") whenever there is none.
   * Throws a RangeError for this node's own id and for what is no address.
   */
  dial(nodeId: number, address: string): void {
    if (!isDialAddress(address))
      throw new RangeError(`node ${nodeId} cannot be dialled at ${address}: the address is not host:port`);
    if (nodeId === this.#options.hello().nodeId) throw new RangeError(`node ${nodeId} cannot dial itself`);
    if (this.#closed || this.#targets.get(nodeId)?.address === address) return;
    this.undial(nodeId);
    const backoff = new Backoff(this.#limits.redialMinMs, this.#limits.redialMaxMs);
    const target = new PeerTarget(nodeId, address, backoff);
    this.#targets.set(nodeId, target);
    if (!this.#links.has(nodeId)) this.#attempt(target);
  }

  /** Dials it no more. A link that is up stays. */
  undial(nodeId: number): void {
    const target = this.#targets.get(nodeId);
    if (target === undefined) return;
    this.#targets.delete(nodeId);
    target.giveUp();
  }

  /** Takes over a connection that another node opened. */
  accept(socket: WebSocket, request: IncomingMessage): void {
    if (this.#closed || this.#strangers.size + this.#heartbeats.strangerCount >= this.#limits.strangersMax) {
      // What came along with the request is read all the same, and may be no frame: without anybody to hear of that the process would end.
      socket.on('error', () => {});
      socket.terminate();
      this.#log('warn', 'peer connection dropped', { from: request.socket.remoteAddress, reason: 'too many at once' });
      return;
    }
    const { url = '' } = request;
    if (isHeartbeatPath(url)) {
      this.#heartbeats.accept(socket, request.socket, meantNodeId(url));
      return;
    }
    const options = this.#linkOptions(undefined, meantNodeId(url));
    this.#strangers.add(new PeerLink(socket, request.socket, options));
  }

  /**
   * Sends all in as few frames as possible, one mostly; heartbeats apart from all else where there is a connection for them. False if there is no link,
   * or if it had to be cut because the other node does not keep up or a message is over the limits of a frame: the algorithm re-syncs on the next link.
   */
  send(nodeId: number, messages: readonly PeerMessage[]): boolean {
    const link = this.#links.get(nodeId);
    if (link === undefined || !link.isOpen) return false;
    if (link.bufferedBytes > this.#limits.bufferedBytesMax) {
      link.cut(`${link.bufferedBytes} bytes wait to be sent, at most ${this.#limits.bufferedBytesMax} are allowed`);
      return false;
    }
    try {
      const clusterId = this.#options.clusterId();
      const nowMs = performance.now();
      const others = this.#heartbeats.sendOf(link, messages, clusterId, nowMs);
      if (others.length === 0) return true;
      const given = link.promise.worthSending(others, nowMs);
      const frames = encodePeerFrames(clusterId, given, this.#limits.frameBytesMax);
      const onLeft = link.promise.onGiven(given, nowMs);
      const last = frames.at(-1);
      for (const frame of frames) link.send(frame, frame === last ? onLeft : undefined);
      releaseState(messages);
      return true;
    } catch (error) {
      if (!(error instanceof OverLimitError)) throw error;
      this.#log('error', 'message over the limits', { node: nodeId, reason: error.message });
      link.cut(error.message);
      return false;
    }
  }

  /** Ends all links and attempts; nothing is reported any more. */
  close(): void {
    this.#closed = true;
    for (const nodeId of [...this.#targets.keys()]) this.undial(nodeId);
    for (const link of [...this.#strangers, ...this.#links.values()]) link.cut('shutting down');
    this.#heartbeats.close();
    this.#silence.close();
  }

  #attempt(target: PeerTarget): void {
    const socket = this.#open(target.address, pathTo(target.nodeId, peerPath), this.#limits.frameBytesMax);
    const attempt = new PeerLink(socket, undefined, {
      ...this.#linkOptions(target.nodeId, undefined),
      isSecure: this.#options.secureContext?.() !== undefined,
    });
    target.begin(attempt);
    this.#strangers.add(attempt);
  }

  #open(address: string, path: string, frameBytesMax: number): WebSocket {
    const secureContext = this.#options.secureContext?.();
    const scheme = secureContext === undefined ? 'ws' : 'wss';
    return new WebSocket(`${scheme}://${address}${path}`, {
      ...socketOptions(frameBytesMax),
      // Said here, since a variable of the environment would turn it off.
      ...(secureContext !== undefined && { secureContext, rejectUnauthorized: true }),
      handshakeTimeout: this.#limits.handshakeTimeoutMs,
      // A mask of zeros: masking guards web proxies against browsers, and there are neither between nodes.
      generateMask: () => {},
    });
  }

  #linkOptions(dialledNodeId: number | undefined, meantNodeId: number | undefined) {
    return {
      dialledNodeId,
      meantNodeId,
      isSecure: false,
      handshakeTimeoutMs: this.#limits.handshakeTimeoutMs,
      hello: this.#options.hello,
      events: {
        onHello: (link: PeerLink, hello: PeerHello) => this.#onHello(link, hello),
        onFrame: (link: PeerLink, frame: PeerFrame) => this.#onFrame(link, frame),
        onOlderCopy: (link: PeerLink, reason: string) => this.#onOlderCopy(link, reason),
        onEnded: (link: PeerLink, reason: string) => this.#onEnded(link, reason),
      },
    };
  }

  #onHello(link: PeerLink, hello: PeerHello): void {
    const own = this.#options.hello();
    const problem = helloProblem(own, hello, link);
    if (problem !== undefined) {
      link.end(closeCodes.refused, problem);
      return;
    }
    this.#targetOf(link)?.onMet(hello);
    const present = this.#links.get(hello.nodeId);
    const impostor = this.#impostorProblem(link, hello, present);
    if (impostor !== undefined) {
      link.end(closeCodes.refused, impostor);
      return;
    }
    if (present !== undefined && !replaces(link, present, own.nodeId < hello.nodeId)) {
      link.end(closeCodes.duplicate, 'another link is up');
      return;
    }
    if (present === undefined && this.#isOneTooMany(hello.nodeId)) {
      link.end(closeCodes.refused, `${this.#limits.undialledMax} nodes are linked that are no members`);
      return;
    }
    present?.end(closeCodes.duplicate, 'a newer link is up');
    this.#connect(link, hello);
  }

  /** Why this may be a copy of the node that it says it is, if it may. */
  #impostorProblem(link: PeerLink, hello: PeerHello, present: PeerLink | undefined): string | undefined {
    if (present !== undefined) return this.#secondProblem(hello, present);
    if (link.dialledNodeId !== undefined) return undefined;
    const target = this.#targets.get(hello.nodeId);
    return target?.movedProblem(hello, performance.now(), this.#limits.movedMsMin);
  }

  /** The same where there is a link to that node. */
  #secondProblem(hello: PeerHello, present: PeerLink): string | undefined {
    const { peer } = present;
    if (peer === undefined || openingOf(peer) === openingOf(hello)) return undefined;
    const heardAtMs = Math.max(present.heardAtMs, this.#heartbeats.heardAtMs(present));
    if (performance.now() - heardAtMs > this.#limits.aliveMsMax) return undefined;
    const isCopy = peer.storageId === hello.storageId;
    const why = isCopy ? 'are there two copies of its data directory?' : 'with another data directory than this one';
    return `node ${hello.nodeId} runs at ${peer.address} already${isCopy ? ':' : ','} ${why}`;
  }

  /** Anybody can say that it is a node, so these are limited; those that are to be dialled always find room. */
  #isOneTooMany(nodeId: number): boolean {
    if (this.#targets.has(nodeId)) return false;
    const undialled = this.connected.filter((id) => !this.#targets.has(id));
    return undialled.length >= this.#limits.undialledMax;
  }

  #connect(link: PeerLink, hello: PeerHello): void {
    // The owner may have closed all when it was told that the link before is gone.
    if (this.#closed) {
      link.cut('shutting down');
      return;
    }
    this.#strangers.delete(link);
    this.#links.set(hello.nodeId, link);
    this.#watch(link);
    const target = this.#targets.get(hello.nodeId);
    this.#heartbeats.begin(link, link.dialledNodeId === undefined ? undefined : target?.address);
    this.#log('info', 'peer connected', { node: hello.nodeId, address: hello.address });
    target?.onLinked(hello);
    this.#options.onConnected(hello, {
      refuse: (reason, kind) => this.#refuse(link, hello.nodeId, reason, kind),
    });
  }

  #watch(link: PeerLink): void {
    const { socket, tcp } = link;
    if (tcp === undefined) return;
    this.#silence.watch({ socket, tcp, heard: () => link.heardAtMs, onSilent: () => link.cut('silent for too long') });
  }

  #onOlderCopy({ peer }: PeerLink, reason: string): void {
    // What a node says that is of no cluster, or of another, is of no account.
    if (this.#closed || peer?.clusterId === undefined) return;
    if (helloProblem(this.#options.hello(), peer, nobodyMeant)) return;
    this.#options.onOlderCopy?.(peer.nodeId, reason);
  }

  #refuse(link: PeerLink, nodeId: number, reason: string, kind: 'stranger' | 'olderCopy' = 'stranger'): void {
    if (this.#links.get(nodeId) !== link) return;
    // Taken out first, so that its end is that of a stranger.
    this.#links.delete(nodeId);
    this.#heartbeats.end(link);
    this.#strangers.add(link);
    this.#refused.add(link);
    if (kind === 'olderCopy') link.end(closeCodes.olderCopy, `${olderCopyMark}${reason}`);
    else link.end(closeCodes.refused, reason);
  }

  #onFrame(link: PeerLink, frame: PeerFrame): void {
    const nodeId = link.peer?.nodeId;
    if (nodeId === undefined || this.#links.get(nodeId) !== link) return;
    const problem = clusterProblem(this.#options.clusterId(), frame.clusterId);
    if (problem !== undefined) link.end(closeCodes.refused, problem);
    else if (frame.messages.length > 0) this.#options.onMessages(nodeId, frame.messages);
  }

  #onEnded(link: PeerLink, reason: string): void {
    const wasStranger = this.#strangers.delete(link);
    const nodeId = link.peer?.nodeId ?? link.dialledNodeId;
    const wasUp = nodeId !== undefined && this.#links.get(nodeId) === link;
    if (wasUp) {
      this.#links.delete(nodeId);
      this.#heartbeats.end(link);
    }
    this.#targetOf(link)?.forget(link);
    if (this.#closed) return;
    if (wasStranger) this.#noticeFailure(link, reason);
    if (wasUp) {
      // Links come and go; that what was sent did not arrive as it was is another matter.
      this.#log(reason.startsWith(malformed) ? 'warn' : 'info', 'peer disconnected', { node: nodeId, reason });
      this.#options.onDisconnected(nodeId);
    }
    if (nodeId !== undefined) this.#redial(nodeId, link);
    if (link.dialledNodeId !== undefined && link.dialledNodeId !== nodeId) this.#redial(link.dialledNodeId, link);
  }

  /** What is dialled by `link`. */
  #targetOf({ dialledNodeId }: PeerLink): PeerTarget | undefined {
    return dialledNodeId === undefined ? undefined : this.#targets.get(dialledNodeId);
  }

  /** Sees to it that a node which is to be dialled will be, unless a link, an attempt or a timer is there. */
  #redial(nodeId: number, ended: PeerLink): void {
    const target = this.#targets.get(nodeId);
    if (target === undefined || target.isDialled || this.#links.has(nodeId)) return;
    // Only a link that lasted proves that the next attempt need not wait: one refused at once would be dialled without a pause.
    if (performance.now() - ended.madeAtMs > this.#limits.redialMaxMs && ended.peer !== undefined) target.resetPause();
    target.dialLater(() => this.#attempt(target));
  }

  #noticeFailure(link: PeerLink, reason: string): void {
    this.#logFailure(link, reason);
    const { dialledNodeId } = link;
    // Another link to it may be up: then this one is the second, and no failure.
    if (dialledNodeId === undefined || this.#links.has(dialledNodeId)) return;
    this.#targetOf(link)?.onUnreached(performance.now());
    this.#options.onUnreached?.(dialledNodeId, reason, link.isRefused);
  }

  #logFailure(link: PeerLink, reason: string): void {
    const nodeId = link.peer?.nodeId ?? link.dialledNodeId;
    const target = this.#targetOf(link);
    if (nodeId !== undefined && this.#links.has(nodeId)) {
      this.#log('debug', 'second peer connection closed', { node: nodeId, reason });
    } else if (this.#refused.has(link)) {
      this.#log('debug', 'refused peer connection closed', { node: nodeId, reason });
    } else if (target === undefined) {
      this.#log('warn', 'peer connection dropped', { node: nodeId, reason });
    } else if (target.noteReason(reason)) {
      this.#log('warn', 'peer not reached, trying again', { node: target.nodeId, address: target.address, reason });
    }
  }
}

/** Whether `link` takes the place of `present`, both to the same node. */
function replaces(link: PeerLink, present: PeerLink, ownIsLower: boolean): boolean {
  const dialledHere = link.dialledNodeId !== undefined;
  const presentDialledHere = present.dialledNodeId !== undefined;
  return dialledHere === presentDialledHere || dialledHere === ownIsLower;
}

/** For what a node says later of itself. */
const nobodyMeant = { dialledNodeId: undefined, meantNodeId: undefined };

/** State is read for one newcomer alone: once it is in a frame, nobody needs what it was read into. */
function releaseState(messages: readonly PeerMessage[]): void {
  for (const { payload } of messages) if (payload.type === 'StateChunk') payload.chunk?.rows.release?.();
}
