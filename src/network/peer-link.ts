import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import { behindQueued, whenSent } from '../base/buffer-pool.ts';
import { DecodeError } from '../base/bytes.ts';
import { tlsProblemOf } from '../tls/problem.ts';
import { decodePeerHello, encodePeerHello } from '../wire/handshake.ts';
import { decodePeerFrame, type PeerFrame } from '../wire/peer-frame.ts';
import type { PeerHello } from '../wire/peer-message.ts';
import { PromiseUnderWay } from './promise-under-way.ts';
import { bytesOf, closeCodes, closeWithReason, olderCopyMark, reasonOf, sendOptions } from './sockets.ts';

/** How the reason begins with which a link ends that brought what nobody can make sense of, or something damaged. */
export const malformed = 'malformed: ';

/** The request for the link, and a hello. */
const bytesBeforeHelloMax = 128 * 1024;

/** What a link tells its owner. */
export interface PeerLinkEvents {
  onHello(link: PeerLink, hello: PeerHello): void;
  onFrame(link: PeerLink, frame: PeerFrame): void;
  /** The other node says that this one's data directory is an older copy. Comes before `onEnded`, or without it. */
  onOlderCopy(link: PeerLink, reason: string): void;
  /** Exactly once, whoever ended it and however. `reason` is for people. */
  onEnded(link: PeerLink, reason: string): void;
}

export interface PeerLinkOptions {
  /** The node that was dialled; undefined on a connection that was accepted. */
  readonly dialledNodeId: number | undefined;
  /** The node that the other end, which opened it, means; undefined if that was not said, or this end opened it. */
  readonly meantNodeId: number | undefined;
  /** It was dialled with TLS. */
  readonly isSecure: boolean;
  readonly handshakeTimeoutMs: number;
  readonly hello: () => PeerHello;
  readonly events: PeerLinkEvents;
}

/**
 * One connection to another node, from its first byte to its end.
 *
 * Both ends say hello at once; what comes before the other's hello is an error. Once ended it reports nothing any more, though the
 * socket may take a moment to close.
 */
export class PeerLink {
  readonly dialledNodeId: number | undefined;
  readonly meantNodeId: number | undefined;
  /** When the link was made, on the clock of `performance.now()`. */
  readonly madeAtMs = performance.now();
  readonly #socket: WebSocket;
  readonly #events: PeerLinkEvents;
  readonly promise = new PromiseUnderWay();
  #peer: PeerHello | undefined;
  #tcp: Socket | undefined;
  #ended = false;
  #heardAtMs = performance.now();
  #hasSaidWhy = false;
  #lastError: string | undefined;
  #endCode: number | undefined;

  constructor(socket: WebSocket, tcp: Socket | undefined, options: PeerLinkOptions) {
    this.dialledNodeId = options.dialledNodeId;
    this.meantNodeId = options.meantNodeId;
    this.#socket = socket;
    this.#tcp = tcp;
    this.#events = options.events;
    this.#listen(options);
    if (tcp !== undefined) this.#limitUntilHello(tcp);
    if (socket.readyState === socket.OPEN) this.#say(options.hello());
  }

  get socket(): WebSocket {
    return this.#socket;
  }

  /** The connection below, known once the link is open. */
  get tcp(): Socket | undefined {
    return this.#tcp;
  }

  /** What the other node said of itself; undefined until it did. */
  get peer(): PeerHello | undefined {
    return this.#peer;
  }

  /** Bytes handed to the socket that the kernel has not taken. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** True once one end said why it will not have the other, or does not understand it. */
  get isRefused(): boolean {
    return this.#endCode === closeCodes.refused || this.#endCode === closeCodes.malformed;
  }

  /** When something came from the other node, on the clock of `performance.now()`. */
  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  get isOpen(): boolean {
    return !this.#ended && this.#socket.readyState === this.#socket.OPEN;
  }

  /** `frame` must have its buffer for itself, and is the link's from now on. `onLeft`: called once the system has taken it. */
  send(frame: Uint8Array, onLeft?: () => void): void {
    const onSent = whenSent(frame);
    const onTaken = onLeft === undefined ? onSent : both(onLeft, onSent);
    this.#socket.send(behindQueued(this.bufferedBytes, frame), sendOptions, onTaken);
  }

  /** Ends the link and tells the other node why. */
  end(code: number, reason: string): void {
    if (this.#ended) return;
    this.#endCode = code;
    this.#hasSaidWhy = true;
    closeWithReason(this.#socket, code, reason);
    this.#finish(reason);
  }

  /** Ends the link at once, with all that is still queued: for a peer that does not listen. */
  cut(reason: string): void {
    if (this.#ended) return;
    this.#socket.terminate();
    this.#finish(reason);
  }

  #listen({ handshakeTimeoutMs, hello, isSecure }: PeerLinkOptions): void {
    const socket = this.#socket;
    const timer = setTimeout(() => {
      if (this.#peer === undefined) this.cut(`no hello within ${handshakeTimeoutMs} ms`);
    }, handshakeTimeoutMs);
    socket.on('upgrade', (response) => {
      this.#tcp = response.socket;
    });
    socket.on('open', () => this.#say(hello()));
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('error', (error) => {
      const isEarly = this.dialledNodeId !== undefined && this.#peer === undefined;
      this.#lastError = tlsProblemOf(error, isSecure, isEarly)?.reason ?? reasonOf(error);
    });
    socket.on('close', (code, reason) => {
      clearTimeout(timer);
      this.#endCode ??= code;
      // The other end repeats the code that it was told: only what it said by itself is about this node.
      const isTold = code === closeCodes.olderCopy && !this.#hasSaidWhy && this.#peer !== undefined;
      const text = reason.toString();
      if (isTold && text.startsWith(olderCopyMark)) this.#events.onOlderCopy(this, text.slice(olderCopyMark.length));
      this.#finish(text.length > 0 ? `the other node says: ${text}` : (this.#lastError ?? `closed (${code})`));
    });
  }

  /** A frame between nodes may be large. From somebody who has not said who it is that is not taken in. */
  #limitUntilHello(tcp: Socket): void {
    const onData = () => {
      if (this.#peer !== undefined || this.#ended) tcp.off('data', onData);
      else if (tcp.bytesRead > bytesBeforeHelloMax) this.cut(`over ${bytesBeforeHelloMax} bytes, and no hello`);
    };
    tcp.on('data', onData);
  }

  #say(hello: PeerHello): void {
    this.#socket.send(encodePeerHello(hello));
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#ended) return;
    this.#heardAtMs = performance.now();
    const received = this.#decode(data, isBinary);
    if (received === undefined) return;
    if ('messages' in received) {
      this.#events.onFrame(this, received);
      return;
    }
    this.#peer = received;
    this.#events.onHello(this, received);
  }

  /** Undefined, and the link ended, if it is malformed. */
  #decode(data: RawData, isBinary: boolean): PeerFrame | PeerHello | undefined {
    try {
      if (isBinary === (this.#peer === undefined)) {
        throw new DecodeError(isBinary ? 'a frame before the hello' : 'a second hello');
      }
      return isBinary ? decodePeerFrame(bytesOf(data)) : decodePeerHello(data.toString());
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.end(closeCodes.malformed, `${malformed}${error.message}`);
      return undefined;
    }
  }

  #finish(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#events.onEnded(this, reason);
  }
}

/** Names the process that holds a directory open. */
export function openingOf({ storageId, opened }: PeerHello): string {
  return `${storageId} ${opened.incarnation} ${opened.nonce}`;
}

function both(first: () => void, second: (() => void) | undefined): () => void {
  return () => {
    first();
    second?.();
  };
}
