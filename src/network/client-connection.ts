import type { Socket } from 'node:net';
import type { RawData, WebSocket } from 'ws';
import { behindQueued, whenSent } from '../base/buffer-pool.ts';
import { DecodeError } from '../base/bytes.ts';
import { decodeRequests, encodeResponseFrames } from '../wire/client-frame.ts';
import type { ClientRequest, ClientResponse } from '../wire/client-message.ts';
import { type ClientHello, encodeClientHello } from '../wire/handshake.ts';
import type { HeldBytes, Holder } from './held-bytes.ts';
import { bytesOf, closeCodes, closeWithReason, reasonOf, sendOptions } from './sockets.ts';

/** What a ping or a pong of a client takes beside what is in it: its head and its mask. */
const controlFrameBytes = 6;

/** What a connection tells its owner. */
export interface ClientConnectionEvents {
  onRequests(connection: ClientConnection, requests: ClientRequest[]): void;
  /** Exactly once, whoever ended it and however. `problem` says to people what went wrong, if anything did. */
  onClosed(connection: ClientConnection, problem: string | undefined): void;
}

export interface ClientConnectionOptions {
  /** Unique within the gateway; never used again. */
  readonly id: number;
  /** Says hello with it. */
  readonly hello: ClientHello;
  /** One with more than this unread is cut. */
  readonly bufferedBytesMax: number;
  /** Is told of all that is held for this connection. */
  readonly held: HeldBytes;
  readonly events: ClientConnectionEvents;
}

/** One client's connection. Says hello at once, then takes frames of requests and sends frames of responses. */
export class ClientConnection implements Holder {
  readonly id: number;
  readonly #socket: WebSocket;
  readonly #bufferedBytesMax: number;
  readonly #held: HeldBytes;
  readonly #events: ClientConnectionEvents;
  /** Came since the last whole message, without pings and pongs; the beginning of the next one in what that ended with is not counted. */
  #unfinishedBytes = 0;
  #messages = 0;
  #closed = false;
  #lastError: string | undefined;

  constructor(socket: WebSocket, tcp: Socket, { id, hello, bufferedBytesMax, held, events }: ClientConnectionOptions) {
    this.id = id;
    this.#socket = socket;
    this.#bufferedBytesMax = bufferedBytesMax;
    this.#held = held;
    this.#events = events;
    // In front of ws, so that what completes a frame is counted before the frame is.
    tcp.prependListener('data', (chunk: Buffer) => this.#countUnfinished(chunk.length));
    socket.on('ping', (data) => this.#discountControl(data.length));
    socket.on('pong', (data) => this.#discountControl(data.length));
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('error', (error) => {
      this.#lastError = reasonOf(error);
    });
    socket.on('close', () => this.#finish(this.#lastError));
    socket.send(encodeClientHello(hello));
  }

  /** Bytes handed to the socket that the kernel has not taken. */
  get bufferedBytes(): number {
    return this.#socket.bufferedAmount;
  }

  /** Count of messages that came. */
  get messages(): number {
    return this.#messages;
  }

  /** Beside what waits to be read, what came of a frame that is not complete. */
  get heldBytes(): number {
    return this.bufferedBytes + this.#unfinishedBytes;
  }

  /**
   * Sends all in as few frames as possible. Nothing happens on a closed connection. A client that does not read is cut: then
   * `onClosed` is called from within.
   */
  send(responses: readonly ClientResponse[]): void {
    if (this.#closed) return;
    const { bufferedAmount } = this.#socket;
    if (bufferedAmount > this.#bufferedBytesMax) {
      this.cut(`${bufferedAmount} bytes wait to be read, at most ${this.#bufferedBytesMax} are allowed`);
      return;
    }
    for (const frame of encodeResponseFrames(responses)) {
      const { length } = frame;
      this.#socket.send(behindQueued(this.#socket.bufferedAmount, frame), sendOptions, whenSent(frame));
      this.#held.add(length);
      // That may have cut this very connection.
      if (this.#closed) return;
    }
  }

  /** Ends the connection because the node stops; what was sent before still goes out. */
  endForShutdown(): void {
    if (this.#closed) return;
    closeWithReason(this.#socket, closeCodes.shuttingDown, 'shutting down');
    this.#finish(undefined);
  }

  /** Ends the connection at once, with all that is still queued. */
  cut(problem: string): void {
    if (this.#closed) return;
    this.#socket.terminate();
    this.#finish(problem);
  }

  #countUnfinished(bytes: number): void {
    if (this.#closed) return;
    this.#unfinishedBytes += bytes;
    this.#held.add(bytes);
  }

  /** A ping or a pong with `bytes` in it has come whole, maybe in the middle of a message. */
  #discountControl(bytes: number): void {
    this.#unfinishedBytes = Math.max(0, this.#unfinishedBytes - controlFrameBytes - bytes);
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.#unfinishedBytes = 0;
    this.#messages++;
    if (this.#closed) return;
    const requests = this.#decode(data, isBinary);
    if (requests !== undefined && requests.length > 0) this.#events.onRequests(this, requests);
  }

  /** Undefined, and the connection ended, if it is malformed. */
  #decode(data: RawData, isBinary: boolean): ClientRequest[] | undefined {
    try {
      if (!isBinary) throw new DecodeError('a text frame where requests are due');
      return decodeRequests(bytesOf(data));
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      this.#refuseFrame(`malformed: ${error.message}`);
      return undefined;
    }
  }

  #refuseFrame(problem: string): void {
    closeWithReason(this.#socket, closeCodes.malformed, problem);
    this.#finish(problem);
  }

  #finish(problem: string | undefined): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#events.onClosed(this, problem);
  }
}
