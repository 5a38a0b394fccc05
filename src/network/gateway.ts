import { createServer, type IncomingMessage, type Server, type ServerOptions, type ServerResponse } from 'node:http';
import { createServer as createSecureServer, type Server as SecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TLSSocket } from 'node:tls';
import { type WebSocket, WebSocketServer } from 'ws';
import { type TlsIdentity, tlsSettings } from '../tls/identity.ts';
import type { ClientRequest } from '../wire/client-message.ts';
import { type ClientHello, clientPath, heartbeatPath, peerPath } from '../wire/handshake.ts';
import { clientFrameBytesMax, heartbeatFrameBytesMax, peerFrameBytesMax } from '../wire/limits.ts';
import { ClientConnection } from './client-connection.ts';
import { HeldBytes } from './held-bytes.ts';
import { listenError } from './listening.ts';
import type { Log } from './log.ts';
import { metricsContentType } from './metrics.ts';
import { SilenceWatch } from './silence-watch.ts';
import { socketOptions } from './sockets.ts';

export interface GatewayLimits {
  /** Most clients connected. */
  readonly connectionsMax: number;
  /** Most connections of any kind: some beyond the clients, so that other nodes and the answer "too many" get through. */
  readonly socketsMax: number;
  /** A client with more than this unread is cut; at most one more `send` is on top of it. */
  readonly bufferedBytesMax: number;
  /** Most bytes that wait to be read, or came of a frame that is not complete, for all clients together: over it those with the most are cut. */
  readonly heldBytesMax: number;
  readonly frameBytesMax: number;
  readonly peerFrameBytesMax: number;
  readonly pingIntervalMs: number;
  /** A client from which nothing comes for so long is gone, see {@link SilenceWatch}. */
  readonly silenceMsMax: number;
  /** How long whoever connects may take to say what is wanted, or to take an answer over HTTP. */
  readonly requestMsMax: number;
  /** How long `close` lets connections end by themselves. */
  readonly closeGraceMs: number;
}

const defaultGatewayLimits: GatewayLimits = {
  connectionsMax: 10_000,
  socketsMax: 11_000,
  bufferedBytesMax: 32 * 1024 * 1024,
  heldBytesMax: 256 * 1024 * 1024,
  frameBytesMax: clientFrameBytesMax,
  peerFrameBytesMax,
  pingIntervalMs: 10_000,
  silenceMsMax: 30_000,
  requestMsMax: 10_000,
  closeGraceMs: 500,
};

/** Files and sockets that are not the gateway's: of the log and the state, and links that this node dials. */
const ownFiles = 128;
/** Part of the connections that clients may not have: other nodes must get through, and questions over HTTP. */
const reservedShare = 1 / 11;
/** The least number of those. */
const reservedMin = 48;
/** With less a node would refuse other nodes, or nearly all clients. */
export const openFilesMin = 256;

/** Part of the memory that may be held for clients. */
const heldShare = 1 / 4;

/** What a process may have, where that is known. */
export interface Allowance {
  /** Open files and sockets, {@link openFilesMin} at the least: some are for its own files. */
  readonly openFiles: number | undefined;
  readonly memoryBytes: number | undefined;
}

/** The limits where a process may have no more than that. */
export function limitsFor({
  openFiles = Number.POSITIVE_INFINITY,
  memoryBytes = Number.POSITIVE_INFINITY,
}: Allowance): Pick<GatewayLimits, 'connectionsMax' | 'socketsMax' | 'heldBytesMax'> {
  const { socketsMax, heldBytesMax } = defaultGatewayLimits;
  const sockets = Math.min(socketsMax, openFiles - ownFiles);
  const reserved = Math.max(reservedMin, Math.ceil(sockets * reservedShare));
  return {
    connectionsMax: sockets - reserved,
    socketsMax: sockets,
    heldBytesMax: Math.min(heldBytesMax, Math.floor(memoryBytes * heldShare)),
  };
}

export interface GatewayOptions {
  /** What the node says to a client that connects, and at `GET /health`. */
  readonly hello: () => ClientHello;
  /** What it says at `GET /metrics`, see {@link metricsText}. */
  readonly metrics: () => string;
  /** All requests of one frame, in order. Byte arrays in them are views into the frame. */
  readonly onRequests: (connection: ClientConnection, requests: ClientRequest[]) => void;
  /** Exactly once a connection, whoever ended it and however. May be called from within `send`. */
  readonly onClosed: (connection: ClientConnection) => void;
  /** A connection of another node: `PeerLinks.accept`. */
  readonly onPeer: (socket: WebSocket, request: IncomingMessage) => void;
  /** Takes connections with TLS alone, of those who show a certificate of an authority that is believed. Undefined: of everybody, without. */
  readonly tls?: TlsIdentity | undefined;
  readonly log: Log;
  readonly limits?: Partial<GatewayLimits>;
}

const healthPath = '/health';
const metricsPath = '/metrics';
/** How long for TLS before that: nobody is known yet. */
const handshakeMsMax = 3_000;

/**
 * The one port of a node: clients at `/v1/client`, nodes at `/v1/peer` and `/v1/heartbeat`, and `GET /health` and `/metrics`.
 * A frame that is malformed or too large ends its own connection and nothing else.
 */
export class Gateway {
  readonly #options: GatewayOptions;
  readonly #limits: GatewayLimits;
  readonly #server: Server | SecureServer;
  readonly #clientUpgrades: WebSocketServer;
  readonly #peerUpgrades: ReadonlyMap<string, WebSocketServer>;
  readonly #silence: SilenceWatch;
  readonly #tcp = new Set<Socket>();
  readonly #peerTcp = new Set<Duplex>();
  readonly #connections = new Set<ClientConnection>();
  readonly #held: HeldBytes;
  #lastConnectionId = 0;

  constructor(options: GatewayOptions) {
    this.#options = options;
    this.#limits = { ...defaultGatewayLimits, ...options.limits };
    this.#held = new HeldBytes(this.#connections, this.#limits.heldBytesMax);
    this.#clientUpgrades = upgradesOf(this.#limits.frameBytesMax);
    this.#peerUpgrades = new Map([
      [peerPath, upgradesOf(this.#limits.peerFrameBytesMax)],
      [heartbeatPath, upgradesOf(heartbeatFrameBytesMax)],
    ]);
    this.#silence = new SilenceWatch(this.#limits.pingIntervalMs, this.#limits.silenceMsMax);
    this.#server = this.#makeServer();
  }

  /** True while so much is held for all clients together that one for which `bytes` are had better get no more. */
  isTight(bytes: number): boolean {
    return this.#held.isTight(bytes, performance.now());
  }

  /** Count of clients connected. */
  get connectionCount(): number {
    return this.#connections.size;
  }

  /**
   * Starts to listen; port 0 takes any free one. Gives the address it listens at.
   * Rejects with an AddressInUseError or a CannotListenError.
   */
  listen({ host, port }: { readonly host: string; readonly port: number }): Promise<{ host: string; port: number }> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      const onError = (error: NodeJS.ErrnoException) => reject(listenError(error, host, port));
      server.once('error', onError);
      server.listen(port, host, () => {
        server.off('error', onError);
        server.on('error', (error) => this.#options.log('error', 'listening failed', { reason: error.message }));
        const { address, port: actualPort } = server.address() as AddressInfo;
        resolve({ host: address, port: actualPort });
      });
    });
  }

  /**
   * Stops listening and ends all connections; resolves when all are closed. Clients get what was sent to them before, within
   * `closeGraceMs`; links of other nodes are cut at once.
   */
  async close(): Promise<void> {
    this.#silence.close();
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    for (const connection of [...this.#connections]) connection.endForShutdown();
    for (const tcp of this.#peerTcp) tcp.destroy();
    this.#server.closeIdleConnections();
    const timer = setTimeout(() => {
      for (const tcp of this.#tcp) tcp.destroy();
    }, this.#limits.closeGraceMs);
    await closed;
    clearTimeout(timer);
  }

  /** What is shown from now on to those who connect, and who is believed. For a gateway with TLS. */
  renewTls(tls: TlsIdentity): void {
    (this.#server as SecureServer).setSecureContext(tlsSettings(tls));
  }

  #makeServer(): Server | SecureServer {
    const { tls } = this.#options;
    const { requestMsMax } = this.#limits;
    const settings = {
      ...{ maxHeaderSize: 8192, headersTimeout: requestMsMax, requestTimeout: requestMsMax },
      // How often Node looks for those whose time is over.
      connectionsCheckingInterval: Math.min(1000, requestMsMax),
    };
    const server = tls === undefined ? createServer(settings) : this.#makeSecureServer(settings, tls);
    server.maxConnections = this.#limits.socketsMax;
    // Each question over HTTP on a connection of its own, which ends, and which does so, too, if its answer is not taken. ws takes that time off those that it has.
    server.maxRequestsPerSocket = 1;
    server.timeout = this.#limits.requestMsMax;
    server.on('connection', (tcp) => {
      this.#tcp.add(tcp);
      tcp.once('close', () => this.#tcp.delete(tcp));
    });
    server.on('drop', () => {
      const reason = `${this.#limits.socketsMax} connections are open`;
      this.#options.log('warn', 'connection dropped', { reason });
    });
    server.on('request', (request, response) => this.#answer(request, response));
    server.on('upgrade', (request, tcp, head) => this.#upgrade(request, tcp, head));
    return server;
  }

  #makeSecureServer(settings: ServerOptions, tls: TlsIdentity): SecureServer {
    const server = createSecureServer({
      ...settings,
      ...tlsSettings(tls),
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: handshakeMsMax,
    });
    server.on('connection', keepAddress);
    server.on('tlsClientError', (error, socket: TLSSocket) => {
      const { authorizationError } = socket;
      const { code, reason } = error as Error & { readonly code?: string; readonly reason?: string };
      // Of whom it does not believe Node says no more than that the socket closed. Others hang up by themselves, and know why.
      const isHangUp = code === 'ECONNRESET' && !authorizationError;
      const fields = { from: keptAddress(socket), reason: authorizationError ?? reason ?? error.message };
      this.#options.log(isHangUp ? 'debug' : 'warn', 'connection refused: its TLS is not accepted', fields);
    });
    return server;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    request.resume();
    const path = pathOf(request);
    const { hello, metrics } = this.#options;
    switch (path) {
      case healthPath:
      case metricsPath:
        if (request.method !== 'GET' && request.method !== 'HEAD') {
          answerJson(response.setHeader('Allow', 'GET, HEAD'), 405, { error: `use GET ${path}` });
        } else if (path === healthPath) answerJson(response, 200, hello());
        else response.writeHead(200, { 'Content-Type': metricsContentType }).end(metrics());
        return;
      case clientPath:
      case peerPath:
      case heartbeatPath:
        answerJson(response.setHeader('Upgrade', 'websocket'), 426, { error: 'this path speaks WebSocket' });
        return;
      default:
        answerJson(response, 404, { error: `nothing here: try ${healthPath} or ${metricsPath}` });
    }
  }

  #upgrade(request: IncomingMessage, tcp: Duplex, head: Buffer): void {
    // Until ws takes over, nobody else would see an error of this socket, and it would end the process.
    const onError = (error: Error) => this.#options.log('debug', 'upgrade failed', { reason: error.message });
    tcp.on('error', onError);
    const path = pathOf(request);
    const peerUpgrades = this.#peerUpgrades.get(path);
    if (peerUpgrades === undefined && path !== clientPath) {
      refuseUpgrade(tcp, '404 Not Found', 'nothing here');
    } else if (request.headers.origin !== undefined) {
      // Browsers send an origin, clients and nodes do not: a page that somebody visits must not reach a store on their machine.
      refuseUpgrade(tcp, '403 Forbidden', 'not for browsers');
    } else if (peerUpgrades !== undefined) {
      this.#peerTcp.add(tcp);
      tcp.once('close', () => this.#peerTcp.delete(tcp));
      peerUpgrades.handleUpgrade(request, tcp, head, (socket) => this.#options.onPeer(socket, request));
    } else if (this.#connections.size >= this.#limits.connectionsMax) {
      this.#options.log('warn', 'client refused', { reason: `${this.#connections.size} clients are connected` });
      refuseUpgrade(tcp, '503 Service Unavailable', 'too many clients are connected');
    } else {
      this.#clientUpgrades.handleUpgrade(request, tcp, head, (socket) => this.#open(socket, request));
    }
  }

  #open(socket: WebSocket, request: IncomingMessage): void {
    const { hello, onRequests, onClosed, log } = this.#options;
    const from = `${request.socket.remoteAddress}:${request.socket.remotePort}`;
    const id = ++this.#lastConnectionId;
    const forget = (closed: ClientConnection, problem: string | undefined) => {
      this.#connections.delete(closed);
      if (problem === undefined) log('debug', 'client disconnected', { connection: id, from });
      else log('warn', 'client connection dropped', { connection: id, from, reason: problem });
      onClosed(closed);
    };
    const connection = new ClientConnection(socket, request.socket, {
      id,
      hello: hello(),
      bufferedBytesMax: this.#limits.bufferedBytesMax,
      held: this.#held,
      events: { onRequests, onClosed: forget },
    });
    this.#connections.add(connection);
    this.#silence.watch({
      socket,
      tcp: request.socket,
      heard: () => connection.messages,
      onSilent: () => connection.cut('silent for too long'),
    });
  }
}

function upgradesOf(frameBytesMax: number): WebSocketServer {
  return new WebSocketServer({ noServer: true, clientTracking: false, ...socketOptions(frameBytesMax) });
}

function pathOf(request: IncomingMessage): string {
  const [path = ''] = (request.url ?? '').split('?');
  return path;
}

function answerJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

function refuseUpgrade(tcp: Duplex, status: string, reason: string): void {
  tcp.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n${reason}\n`);
  tcp.once('finish', () => tcp.destroy());
}

/** A socket tells its address after its end, too, if it was asked before. */
function keepAddress({ remoteAddress }: Socket): string | undefined {
  return remoteAddress;
}

/** Whose handshake failed. The socket is destroyed by then, and only the one below it, which Node does not document, still knows. */
function keptAddress(socket: TLSSocket): string | undefined {
  const { _parent: below } = socket as { readonly _parent?: Socket | null };
  return socket.remoteAddress ?? below?.remoteAddress;
}
