import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { fromByteString, toByteString } from '../../src/base/bytes.ts';
import { type Command, encodeCommand } from '../../src/kv/command.ts';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import type { ClientOutcome } from '../../src/kv/outcome.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import type { WatchQuery } from '../../src/replica/clients/pending-reads.ts';
import { Watches } from '../../src/replica/clients/watches.ts';
import { decodeRequests, encodeResponseFrames } from '../../src/wire/client-frame.ts';
import {
  type ClientRequest,
  type ClientResponse,
  type Failure,
  type MembersNews,
  type NodeStatus,
  newsId,
} from '../../src/wire/client-message.ts';
import { clientPath, encodeClientHello } from '../../src/wire/handshake.ts';
import { answerBytesMax, clientFrameBytesMax, fragmentsPerFrameMax, protocolVersion } from '../../src/wire/limits.ts';

const fakeClusterId = '00112233aabbccdd';

/** What a node does with a request. */
export type Reaction =
  | 'serve'
  /** The connection is cut, with or without the command applied. */
  | 'cutBefore'
  | 'cutAfter'
  /** No answer ever, with or without the command applied. */
  | 'ignore'
  | 'applyAndIgnore'
  /** Served now (or refused), answered when the promise is fulfilled. */
  | { readonly hold: Promise<unknown>; readonly refusal?: Refusal }
  | Refusal;

export type Refusal = Omit<Failure, 'type'>;

export type Script = (request: ClientRequest, node: FakeNode) => Reaction;

/** Nodes on real sockets with the real codecs, over one state machine that really applies: a cluster without consensus. */
export class FakeCluster {
  machine = new KvStateMachine(new MemoryStateStore());
  readonly nodes: FakeNode[] = [];
  configurationId = 1;
  #watches = this.#newWatches();
  readonly #watchers = new Map<number, WebSocket>();
  #lastWatcher = 0;
  #session: number | undefined;

  static async start(count: number): Promise<FakeCluster> {
    const cluster = new FakeCluster();
    for (let id = 1; id <= count; id++) cluster.nodes.push(await FakeNode.start(cluster, id));
    return cluster;
  }

  node(id: number): FakeNode {
    const node = this.nodes.find((candidate) => candidate.id === id);
    if (node === undefined) throw new Error(`no node ${id}`);
    return node;
  }

  get addresses(): string[] {
    return this.nodes.map((node) => node.address);
  }

  /** A write, by nobody's client. */
  change(key: string, value?: string): number {
    const index = this.machine.appliedIndex;
    const session = this.#session ?? 0;
    if (session === 0) {
      const outcome = this.machine.apply(
        index,
        encodeCommand({ kind: 'openSession', session, number: 1, acknowledgedBelow: 0 }),
      );
      this.#session = outcome.type === 'sessionOpened' ? outcome.session : undefined;
      return this.change(key, value);
    }
    const change = { session, number: index, acknowledgedBelow: index, key: fromByteString(key) };
    const command: Command =
      value === undefined ? { kind: 'delete', ...change } : { kind: 'put', ...change, value: fromByteString(value) };
    this.machine.apply(index, encodeCommand(command));
    this.tellWatchers();
    return index + 1;
  }

  /** As if another node were asked from now on, which remembers nothing. */
  forgetChanges(): void {
    this.#watches = this.#newWatches();
  }

  /** An answer now, or undefined and one later. */
  watch({ id, ...request }: ClientRequest & { readonly type: 'watch' }, socket: WebSocket): ClientResponse | undefined {
    const connection = ++this.#lastWatcher;
    this.#watchers.set(connection, socket);
    const untilMs = performance.now() + request.waitMs;
    const after = request.after && toByteString(request.after);
    const query = { ...request, key: toByteString(request.key), after, untilMs };
    const body = this.#watches.answer({ connection, requestId: id, query, deadlineMs: untilMs }, performance.now());
    if (body !== undefined) return { id, ...body };
    setTimeout(() => this.#tellOverdue(), request.waitMs + 1);
    return undefined;
  }

  tellWatchers(): void {
    for (const { connection, requestId, query, deadlineMs } of this.#watches.takeDue()) {
      const read = { connection, requestId, query: query as WatchQuery, deadlineMs };
      const body = this.#watches.answer(read, performance.now());
      if (body !== undefined) this.#tell(connection, { id: requestId, ...body });
    }
  }

  #tellOverdue(): void {
    const nothing = { type: 'changes', changes: [], more: false, revision: this.machine.appliedIndex } as const;
    for (const { connection, requestId } of this.#watches.takeOverdue(performance.now())) {
      this.#tell(connection, { id: requestId, ...nothing });
    }
  }

  #tell(connection: number, answer: ClientResponse): void {
    const socket = this.#watchers.get(connection);
    if (socket) send(socket, [answer]);
  }

  #newWatches(): Watches {
    return new Watches(this.machine, { watchesMax: 1000, rememberedChangesMax: 1000 });
  }

  /** All sessions are forgotten, the keys stay: as if so many others had been opened. */
  forgetSessions(): void {
    const pairs = this.machine.range({ prefix: '', limit: 1000, bytesMax: 1e9 }).pairs;
    const store = new MemoryStateStore();
    for (const { key, value, revision } of pairs) store.put(key, value, revision);
    const { appliedIndex } = this.machine;
    this.machine = new KvStateMachine(store);
    for (let index = 0; index < appliedIndex; index++) this.machine.apply(index, new Uint8Array(0));
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop()));
  }
}

export class FakeNode {
  readonly id: number;
  script: Script = () => 'serve';
  status: Partial<NodeStatus> = {};
  clusterName = 'fake';
  clusterId: string | undefined = fakeClusterId;
  /** False: connections are taken, but nothing is said on them. */
  saysHello = true;
  /** Requests in the order in which they came, and how many were in each frame. */
  readonly requests: ClientRequest[] = [];
  readonly frameSizes: number[] = [];
  connectionCount = 0;
  readonly cluster: FakeCluster;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({
    noServer: true,
    perMessageDeflate: false,
    maxPayload: clientFrameBytesMax,
    maxFragments: fragmentsPerFrameMax,
  });
  #port = 0;

  private constructor(cluster: FakeCluster, id: number) {
    this.cluster = cluster;
    this.id = id;
    this.#http = createServer((_request, response) => response.writeHead(404).end());
    this.#http.on('upgrade', (request, socket, head) => {
      if (request.url !== clientPath) socket.destroy();
      else this.#sockets.handleUpgrade(request, socket, head, (webSocket) => this.#onConnection(webSocket));
    });
  }

  static async start(cluster: FakeCluster, id: number): Promise<FakeNode> {
    const node = new FakeNode(cluster, id);
    await node.#listen();
    return node;
  }

  get address(): string {
    return `127.0.0.1:${this.#port}`;
  }

  /** Tells all its clients, as a node does that is told of another configuration. */
  tellMembers(news: Omit<MembersNews, 'type'>): void {
    for (const socket of this.#sockets.clients) send(socket, [{ id: newsId, type: 'members', ...news }]);
  }

  /** Cuts every connection; the node goes on. */
  cut(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }

  get openConnections(): number {
    return this.#sockets.clients.size;
  }

  async stop(): Promise<void> {
    this.cut();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  /** Listens again, where it listened before. */
  restart(): Promise<void> {
    return this.#listen();
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#http.once('error', reject);
      this.#http.listen(this.#port, '127.0.0.1', () => {
        this.#port = (this.#http.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  #onConnection(socket: WebSocket): void {
    this.connectionCount++;
    socket.on('message', (data) => this.#onFrame(socket, data as Buffer));
    const { clusterId } = this;
    if (this.saysHello)
      socket.send(
        encodeClientHello({ protocolVersion, kv: true, nodeId: this.id, clusterName: this.clusterName, clusterId }),
      );
  }

  #onFrame(socket: WebSocket, frame: Buffer): void {
    const requests = decodeRequests(frame);
    this.frameSizes.push(requests.length);
    const answers: ClientResponse[] = [];
    for (const request of requests) {
      this.requests.push(request);
      const answer = this.#react(socket, request, this.script(request, this));
      if (answer !== undefined) answers.push(answer);
    }
    send(socket, answers);
  }

  #react(socket: WebSocket, request: ClientRequest, reaction: Reaction): ClientResponse | undefined {
    if (reaction === 'serve') return this.#serve(request, socket);
    if (reaction === 'cutAfter' || reaction === 'applyAndIgnore') this.#serve(request, socket);
    if (reaction === 'cutAfter' || reaction === 'cutBefore') socket.terminate();
    if (typeof reaction === 'string') return undefined;
    if ('code' in reaction) return { id: request.id, type: 'failed', ...reaction };
    const { refusal } = reaction;
    const answer =
      refusal === undefined ? this.#serve(request, socket) : ({ id: request.id, type: 'failed', ...refusal } as const);
    void reaction.hold.then(() => send(socket, answer === undefined ? [] : [answer]));
    return undefined;
  }

  #serve(request: ClientRequest, socket: WebSocket): ClientResponse | undefined {
    const { id } = request;
    const { machine } = this.cluster;
    switch (request.type) {
      case 'write': {
        // Clients send commands of clients only.
        const outcome = machine.apply(machine.appliedIndex, request.command) as ClientOutcome;
        this.cluster.tellWatchers();
        return { id, type: 'outcome', outcome };
      }
      case 'get':
        return { id, type: 'record', record: machine.get(toByteString(request.key)) };
      case 'list': {
        const base = { prefix: toByteString(request.prefix), limit: request.limit, bytesMax: answerBytesMax };
        const after = request.after && toByteString(request.after);
        const { pairs, more } = machine.range({ ...base, after });
        return { id, type: 'pairs', more, pairs: pairs.map((pair) => ({ ...pair, key: fromByteString(pair.key) })) };
      }
      case 'status':
        return { id, type: 'status', status: this.#status() };
      case 'reconfigure':
        return { id, type: 'reconfigured', configurationId: ++this.cluster.configurationId };
      case 'fill':
        return { id, type: 'filling', newcomers: [] };
      case 'watch':
        return this.cluster.watch(request, socket);
      case 'backupOpen':
      case 'backupRead':
      case 'backupClose':
        throw new Error(`the fake cluster serves no ${request.type}`);
    }
  }

  #status(): NodeStatus {
    const members = this.cluster.nodes.map(({ id, address }) => ({ id, address }));
    const { appliedIndex } = this.cluster.machine;
    return {
      ...{ clusterId: this.clusterId, nodeId: this.id, address: this.address, state: 'member', leader: 1, members },
      ...{ configurationId: this.cluster.configurationId, decidedIndex: appliedIndex, appliedIndex },
      ...{ storageId: `d${this.id}`, trimmedIndex: 0, connected: [], fullNodes: [] },
      disk: { flushP50Ms: 0.5, flushP99Ms: 2, flushes: 3 },
      ...this.status,
    };
  }
}

function send(socket: WebSocket, answers: readonly ClientResponse[]): void {
  for (const frame of encodeResponseFrames(answers)) socket.send(frame);
}
