import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import { crc32 } from 'node:zlib';
import { WebSocket } from 'ws';
import { behindQueued, whenSent } from '../../base/buffer-pool.ts';
import { DecodeError } from '../../base/bytes.ts';
import { usePlatformCrc32 } from '../../base/crc32.ts';
import { RecentMap } from '../../base/recent-map.ts';
import { tlsProblemOf } from '../../tls/problem.ts';
import { decodeResponses } from '../../wire/client-frame.ts';
import type { ClientResponse } from '../../wire/client-message.ts';
import { type ClientHello, clientPath, decodeClientHello } from '../../wire/handshake.ts';
import { clientFrameBytesMax } from '../../wire/limits.ts';
import type { Call } from '../call/call.ts';
import { bytesPerMsMin, Liveness } from './liveness.ts';
import { PiecesUnderWay, piecesOf } from './pieces.ts';

// ws has loaded node:zlib already.
usePlatformCrc32(crc32);

/** Over so many bytes not yet taken by the kernel nothing more is sent on a connection. */
const bufferedBytesMax = 8 * 1024 * 1024;
/** A node that takes so many bytes of what waits to be sent is busy with that, and not silent. */
const progressBytes = 1024 * 1024;
/** Nor is one from which so many have come behind the last whole frame: a large answer is on its way. */
const arrivedBytes = 16 * 1024;
/** ... as long as so many come in this time. */
const arrivedMsMax = 4000;
/** Given with each frame, so that those that are told of when they are sent take the same way through ws as the others. */
const sendOptions = {};
/** The same for all pieces of a frame but the last. */
const pieceOptions = { fin: false };
/** In the pings behind pieces, and so in their answers: the answer to another ping says that the node lives, not that it takes what we send. */
const pieceMark = Uint8Array.of(1);
/** How long a connection may take to close in good order. */
const closeTimeoutMs = 200;

/** Why a connection does not stand, in one line that names the endpoint. */
export interface ConnectionProblem {
  /** `notKvNode`, `untrusted`: something answers there that we cannot, or are not to, talk to, and trying again will not change it. */
  readonly kind: 'unreachable' | 'notKvNode' | 'untrusted';
  readonly message: string;
}

export interface ConnectionEvents {
  /** The node has said hello: requests may be sent. */
  onReady(connection: Connection): void;
  onAnswers(connection: Connection, responses: readonly ClientResponse[]): void;
  /** Comes once, for connections that never became ready too, unless `end` or `close` was called. */
  onEnded(connection: Connection, problem: ConnectionProblem): void;
}

/** One WebSocket to one node, and the calls that were sent on it. */
export class Connection {
  readonly endpoint: string;
  readonly startedMs: number;
  /** Calls sent here whose attempt has no answer yet, by request id. */
  readonly sent = new RecentMap<Call>();
  /** When something that needs a majority last succeeded here. */
  agreedMs = 0;
  /** When anything last succeeded here. */
  answeredMs = 0;
  /** When it was left for another one: nothing more is sent on it. */
  leftMs = Number.NEGATIVE_INFINITY;
  /** When the node behind it was last asked about the cluster. */
  askedClusterMs = Number.NEGATIVE_INFINITY;
  /** What waited to be sent when the kernel last was seen to have taken much of it, and when that was. */
  #progress = { bufferedBytes: 0, atMs: 0 };
  /** How much had come when a frame was whole last, or when the last piece of one was seen to have come. */
  #bytesRead = 0;
  /** When such a piece was last seen. */
  #arrivedMs = Number.NEGATIVE_INFINITY;
  readonly #pieces = new PiecesUnderWay();
  readonly #socket: WebSocket;
  /** What is below it, once it stands. */
  #stream: Socket | undefined;
  readonly #liveness = new Liveness();
  readonly #events: ConnectionEvents;
  #hello: ClientHello | undefined;
  readonly #isSecure: boolean;
  #hasEnded = false;

  /** Without `secureContext` what goes over it is not encrypted. */
  constructor(endpoint: string, secureContext: SecureContext | undefined, nowMs: number, events: ConnectionEvents) {
    this.endpoint = endpoint;
    this.#isSecure = secureContext !== undefined;
    this.startedMs = nowMs;
    this.#events = events;
    this.#socket = new WebSocket(`${this.#isSecure ? 'wss' : 'ws'}://${endpoint}${clientPath}`, {
      // Said here, since a variable of the environment would turn it off.
      ...(secureContext !== undefined && { secureContext, rejectUnauthorized: true }),
      perMessageDeflate: false,
      maxPayload: clientFrameBytesMax,
      // A mask of zeros: masking guards web proxies against scripts in browsers. This is no browser, and a mask costs both ends.
      generateMask: () => {},
    });
    this.#listen();
  }

  /** What the node said of itself; `undefined` until the connection is ready. */
  get hello(): ClientHello | undefined {
    return this.#hello;
  }

  /** True while the node takes less than we send: hold back. */
  get isCongested(): boolean {
    return this.#socket.bufferedAmount > bufferedBytesMax;
  }

  /** True if it leaves a call without an answer for too long, and others of its kind too. */
  isSilent(nowMs: number): boolean {
    const arrivingMs = this.isReceiving(nowMs) ? arrivedBytes / bytesPerMsMin : 0;
    for (const call of this.sent.values()) {
      const heardMs = Math.max(call.traits.needsMajority ? this.agreedMs : this.answeredMs, this.#progress.atMs);
      const isUnderWay = this.#pieces.has(call.lastSentMs);
      const takenMs = isUnderWay ? this.#pieces.cameMs : call.takenMs;
      const pieceMs = isUnderWay ? this.#pieces.oldestMs : arrivingMs;
      const patienceMs = pieceMs > 0 ? call.hedgeMsUnderWay(pieceMs) : call.hedgeMs;
      if (nowMs - Math.max(call.lastSentMs, heardMs, takenMs) >= patienceMs) return true;
    }
    return false;
  }

  /** True while a large answer is on its way. */
  isReceiving(nowMs: number): boolean {
    this.#noteProgress(nowMs);
    return nowMs - this.#arrivedMs < arrivedMsMax;
  }

  /** While calls wait: ends it, with an `onEnded`, where nothing comes over it any more, not even a sign of life. */
  sweep(nowMs: number): void {
    if (this.sent.size === 0 || this.#hello === undefined || this.#stream === undefined) return;
    const step = this.#liveness.step(this.#stream.bytesRead, () => this.#bytesAsked(), nowMs);
    if (step === 'ask') this.#socket.ping();
    if (step === 'giveUp') this.#fail({ kind: 'unreachable', message: `${this.endpoint}: no answer` });
  }

  #bytesAsked(): number {
    // Of calls that nobody waits for any more, too, as far as the kernel has not taken it.
    let bytes = this.#socket.bufferedAmount;
    for (const { request } of this.sent.values()) if (request?.type === 'write') bytes += request.command.length;
    return bytes;
  }

  /** Large values take their time on the way, there or back: to send them to another node as well would only add to that. */
  #noteProgress(nowMs: number): void {
    const { bufferedAmount } = this.#socket;
    const isMuch = bufferedAmount <= this.#progress.bufferedBytes - progressBytes;
    if (isMuch || bufferedAmount > this.#progress.bufferedBytes) {
      this.#progress = { bufferedBytes: bufferedAmount, atMs: isMuch ? nowMs : this.#progress.atMs };
    }
    const bytesRead = this.#stream?.bytesRead ?? 0;
    if (bytesRead - this.#bytesRead < arrivedBytes) return;
    this.#bytesRead = bytesRead;
    this.#arrivedMs = nowMs;
    this.#progress.atMs = nowMs;
  }

  /** `frame` must have its buffer for itself, and is the connection's from now on. */
  send(frame: Uint8Array, nowMs: number): void {
    const pieces = piecesOf(frame);
    if (pieces.length > 1) this.#sendPieces(pieces, whenSent(frame), nowMs);
    else this.#socket.send(behindQueued(this.#socket.bufferedAmount, frame), sendOptions, whenSent(frame));
  }

  /**
   * A kernel takes mebibytes at once, and does not say how far it is with them, which over a slow way takes long. So there is a ping behind each piece: its
   * answer shows that the node has that.
   */
  #sendPieces(pieces: readonly Uint8Array[], onSent: (() => void) | undefined, nowMs: number): void {
    const last = pieces.length - 1;
    for (const [at, piece] of pieces.entries()) {
      if (at < last) this.#socket.send(piece, pieceOptions);
      else this.#socket.send(piece, sendOptions, onSent);
      this.#socket.ping(pieceMark);
    }
    this.#pieces.add(pieces, nowMs);
  }

  /** Where a frame has come whole, the time in which the node is to answer begins: for what was sent behind that, too. */
  #onPong(data: Buffer): void {
    if (data.length !== pieceMark.length) return;
    const nowMs = performance.now();
    const sentMs = this.#pieces.takeOldest(nowMs);
    if (sentMs === undefined) return;
    for (const call of this.sent.values()) if (call.lastSentMs >= sentMs) call.takenMs = nowMs;
  }

  /** Cuts the connection, without an `onEnded`. */
  end(): void {
    this.#hasEnded = true;
    this.#socket.terminate();
  }

  /** Closes in good order, without an `onEnded`; cuts if that takes over 200 ms. */
  close(): Promise<void> {
    this.#hasEnded = true;
    const socket = this.#socket;
    if (socket.readyState === WebSocket.CLOSED) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(() => socket.terminate(), closeTimeoutMs);
      socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.close(1000);
    });
  }

  #listen(): void {
    this.#socket.on('upgrade', ({ socket }) => {
      this.#stream = socket;
    });
    this.#socket.on('message', (data, isBinary) => this.#onMessage(data as Buffer, isBinary));
    this.#socket.on('pong', (data) => this.#onPong(data));
    this.#socket.on('error', (error) => this.#fail(this.#problemOf(error)));
    this.#socket.on('close', (code, reason) => this.#fail(this.#closed(code, reason.toString())));
    this.#socket.on('unexpected-response', (_request, response: IncomingMessage) => {
      response.destroy();
      this.#fail(this.#refusedUpgrade(response.statusCode ?? 0));
    });
  }

  #onMessage(data: Buffer, isBinary: boolean): void {
    if (this.#hasEnded) return;
    this.#bytesRead = this.#stream?.bytesRead ?? 0;
    this.#arrivedMs = Number.NEGATIVE_INFINITY;
    if (this.#hello === undefined) this.#onHello(data, isBinary);
    else this.#onFrame(data, isBinary);
  }

  #onHello(data: Buffer, isBinary: boolean): void {
    try {
      if (isBinary) throw new DecodeError('the first frame is no hello');
      this.#hello = decodeClientHello(data.toString());
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#fail(this.#notKvNode(error.message));
      return;
    }
    this.#events.onReady(this);
  }

  #onFrame(data: Buffer, isBinary: boolean): void {
    let responses: ClientResponse[];
    try {
      if (!isBinary) throw new DecodeError('a text frame where a binary one is due');
      responses = decodeResponses(data);
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#fail({
        kind: 'unreachable',
        message: `${this.endpoint} sent a message that cannot be decoded: ${error.message}`,
      });
      return;
    }
    this.#events.onAnswers(this, responses);
  }

  #fail(problem: ConnectionProblem): void {
    if (this.#hasEnded) return;
    this.end();
    this.#events.onEnded(this, problem);
  }

  #problemOf(error: Error & { code?: string }): ConnectionProblem {
    const tlsProblem = tlsProblemOf(error, this.#isSecure, this.#hello === undefined);
    if (tlsProblem !== undefined) {
      const { kind, reason } = tlsProblem;
      return { kind, message: `${this.endpoint}${kind === 'unreachable' ? ':' : ''} ${reason}` };
    }
    // Before the hello, an error that is not the system's is about what the other side said.
    const isSystem = /^E[A-Z]/.test(error.code ?? '');
    if (this.#hello === undefined && !isSystem) return this.#notKvNode(error.message);
    return { kind: 'unreachable', message: `${this.endpoint}: ${describe(error)}` };
  }

  #closed(code: number, reason: string): ConnectionProblem {
    const why = reason === '' ? `code ${code}` : `code ${code}: ${reason}`;
    return { kind: 'unreachable', message: `${this.endpoint}: connection closed (${why})` };
  }

  #refusedUpgrade(status: number): ConnectionProblem {
    // A node that cannot take one more connection, or is about to stop, says so.
    if (status === 503)
      return { kind: 'unreachable', message: `${this.endpoint}: takes no connections now (HTTP 503)` };
    return this.#notKvNode(`HTTP ${status}`);
  }

  #notKvNode(why: string): ConnectionProblem {
    return { kind: 'notKvNode', message: `${this.endpoint} answers, but is not a kv node for this client (${why})` };
  }
}

const wordsOfCodes: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ETIMEDOUT: 'no answer',
  EHOSTUNREACH: 'no route to the host',
  ENETUNREACH: 'no route to the network',
  ENOTFOUND: 'unknown host',
  EAI_AGAIN: 'unknown host',
  EINVAL: 'not an address that can be reached from here',
};

function describe(error: Error & { code?: string }): string {
  return wordsOfCodes[error.code ?? ''] ?? (error.message || error.code || 'connection failed');
}
