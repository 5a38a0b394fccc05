import { once } from 'node:events';
import type { SecureContext } from 'node:tls';
import { onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { ClientConnection } from '../../src/network/client-connection.ts';
import { Gateway, type GatewayLimits } from '../../src/network/gateway.ts';
import { type PeerHandle, type PeerLimits, PeerLinks } from '../../src/network/peer-links.ts';
import { type Ballot, bottomBallot } from '../../src/omnipaxos/ballot.ts';
import { clientContext, type TlsIdentity } from '../../src/tls/identity.ts';
import type { ClientRequest } from '../../src/wire/client-message.ts';
import { decodePeerHello, encodePeerHello, peerPath } from '../../src/wire/handshake.ts';
import { protocolVersion } from '../../src/wire/limits.ts';
import { decodePeerFrame, encodePeerFrame } from '../../src/wire/peer-frame.ts';
import type { PeerHello, PeerMessage } from '../../src/wire/peer-message.ts';

export const clusterId = '00112233445566ff';

export function helloOf(nodeId: number, changes: Partial<PeerHello> = {}): PeerHello {
  const storageId = nodeId.toString(16).padStart(16, '0');
  const address = '127.0.0.1:1';
  const base = {
    protocolVersion,
    clusterName: 'test',
    clusterId,
    nodeId,
    address,
    storageId,
    initialMembers: [1, 2, 3],
    opened: {
      incarnation: 0,
      nonce: '0123456789abcdef',
      configurationId: 0,
      promise: bottomBallot,
      acceptedRound: bottomBallot,
      endIndex: 0,
      isSealed: false,
    },
    openings: [],
  };
  return { ...base, ...changes };
}

export function heartbeat(round: number): PeerMessage {
  return { configurationId: 1, payload: { type: 'HeartbeatRequest', round } };
}

/** A message whose frame is a little over `bytes`. */
export function bulk(bytes: number): PeerMessage {
  const entries = [{ type: 'Normal' as const, entry: new Uint8Array(bytes) }];
  return { configurationId: 1, payload: { type: 'ForwardProposals', entries } };
}

/** With `bytes` of log, from index `suffixFrom` on. */
export function promise(ballot: Ballot, bytes: number, suffixFrom = 0, configurationId = 1): PeerMessage {
  const suffix = [{ type: 'Normal' as const, entry: new Uint8Array(bytes) }];
  const log = { decidedIndex: 0, acceptedRound: bottomBallot, acceptedIndex: suffixFrom + 1, suffixFrom, suffix };
  return { configurationId, payload: { type: 'Promise', ballot, ...log } };
}

/** Waits until `check` passes. */
export function until(check: () => void): Promise<void> {
  return vi.waitFor(check, { timeout: 10_000, interval: 5 });
}

export interface TestNodeOptions {
  readonly hello?: Partial<PeerHello>;
  readonly limits?: Partial<PeerLimits>;
  readonly gatewayLimits?: Partial<GatewayLimits>;
  readonly port?: number;
  /** What it shows, and whom it believes. */
  readonly tls?: TlsIdentity;
  /** Asked on each connection; a reason refuses it. */
  readonly refusal?: () => string | undefined;
  /** Nodes that it takes for older copies. */
  readonly olderCopies?: readonly number[];
  readonly onRequests?: (connection: ClientConnection, requests: ClientRequest[]) => void;
}

/** A gateway and links on a real port, which write down all that they report. */
export class TestNode {
  readonly id: number;
  readonly gateway: Gateway;
  readonly links: PeerLinks;
  hello: PeerHello;
  port = 0;
  secureContext: SecureContext | undefined;
  /** `+2` for connected to node 2, `-2` for disconnected. */
  readonly events: string[] = [];
  /** Batches as they were handed over, by sender. */
  readonly batches: { readonly from: number; readonly messages: PeerMessage[] }[] = [];
  /** Nodes that were dialled in vain. */
  readonly unreached: { readonly nodeId: number; readonly reason: string; readonly isRefusal: boolean }[] = [];
  readonly handles = new Map<number, PeerHandle>();
  readonly logged: { readonly level: string; readonly message: string; readonly reason: unknown; from?: unknown }[] =
    [];
  /** Connections accepted from other nodes that are still open. */
  readonly accepted = new Set<WebSocket>();
  readonly closedClients: number[] = [];
  /** Who said that this node's directory is an older copy, and why. */
  readonly toldOlderCopy: string[] = [];

  private constructor(id: number, options: TestNodeOptions) {
    this.id = id;
    this.hello = helloOf(id, options.hello);
    this.secureContext = options.tls && clientContext(options.tls);
    const log = (level: string, message: string, fields?: Readonly<Record<string, unknown>>) => {
      const { reason, from } = fields ?? {};
      this.logged.push({ level, message, reason, ...(from !== undefined && { from }) });
    };
    this.links = new PeerLinks({
      hello: () => this.hello,
      clusterId: () => this.hello.clusterId,
      onConnected: (hello, link) => {
        this.events.push(`+${hello.nodeId}`);
        this.handles.set(hello.nodeId, link);
        const reason = options.refusal?.();
        if (reason !== undefined) link.refuse(reason);
        if (options.olderCopies?.includes(hello.nodeId)) link.refuse('an older copy', 'olderCopy');
      },
      onOlderCopy: (nodeId, reason) => this.toldOlderCopy.push(`${nodeId}: ${reason}`),
      onDisconnected: (nodeId) => this.events.push(`-${nodeId}`),
      onUnreached: (nodeId, reason, isRefusal) => this.unreached.push({ nodeId, reason, isRefusal }),
      onMessages: (from, messages) => this.batches.push({ from, messages }),
      secureContext: () => this.secureContext,
      log,
      limits: options.limits ?? {},
    });
    this.gateway = new Gateway({
      hello: () => ({
        protocolVersion,
        kv: true,
        nodeId: id,
        clusterName: this.hello.clusterName,
        clusterId: this.hello.clusterId,
      }),
      metrics: () => `kv_node ${id}\n`,
      onRequests: options.onRequests ?? (() => {}),
      onClosed: (connection) => this.closedClients.push(connection.id),
      onPeer: (socket, request) => {
        this.accepted.add(socket);
        socket.once('close', () => this.accepted.delete(socket));
        this.links.accept(socket, request);
      },
      tls: options.tls,
      log,
      limits: options.gatewayLimits ?? {},
    });
  }

  /** Listens on 127.0.0.1, and is closed when the test ends. */
  static async start(id: number, options: TestNodeOptions = {}): Promise<TestNode> {
    const node = new TestNode(id, options);
    ({ port: node.port } = await node.gateway.listen({ host: '127.0.0.1', port: options.port ?? 0 }));
    node.hello = { ...node.hello, address: node.address };
    onTestFinished(() => node.stop());
    return node;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  dial(other: TestNode): void {
    this.links.dial(other.id, other.address);
  }

  /** Rounds of the heartbeats received from `nodeId`. */
  rounds(nodeId: number): number[] {
    return this.batches
      .filter(({ from }) => from === nodeId)
      .flatMap(({ messages }) => messages)
      .flatMap(({ payload }) => (payload.type === 'HeartbeatRequest' ? [payload.round] : []));
  }

  async stop(): Promise<void> {
    this.links.close();
    await this.gateway.close();
  }
}

/** A WebSocket client that does only what the test tells it. Cut when the test ends. */
export async function rawSocket(address: string, path: string, autoPong = true): Promise<RawSocket> {
  const socket = new WebSocket(`ws://${address}${path}`, { perMessageDeflate: false, autoPong });
  const raw = new RawSocket(socket);
  await once(socket, 'open');
  return raw;
}

/** A connection to a node's peer path that has said `hello` and heard the node's. */
export async function rawPeer(node: TestNode, hello: PeerHello, autoPong = true): Promise<RawSocket> {
  const raw = await rawSocket(node.address, peerPath, autoPong);
  raw.socket.send(encodePeerHello(hello));
  await until(() => decodePeerHello(raw.texts[0] ?? ''));
  return raw;
}

export class RawSocket {
  readonly socket: WebSocket;
  readonly texts: string[] = [];
  readonly frames: Uint8Array[] = [];
  pings = 0;
  closed: { readonly code: number; readonly reason: string } | undefined;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on('message', (data: Buffer, isBinary) => {
      if (isBinary) this.frames.push(new Uint8Array(data));
      else this.texts.push(data.toString());
    });
    socket.on('ping', () => {
      this.pings++;
    });
    socket.on('error', () => {});
    socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    onTestFinished(() => socket.terminate());
  }

  /** What came behind the hello. */
  get messages(): PeerMessage[] {
    return this.frames.flatMap((frame) => decodePeerFrame(frame).messages);
  }

  sendMessages(messages: readonly PeerMessage[], id: string | undefined = clusterId): void {
    this.socket.send(encodePeerFrame(id, messages));
  }
}
