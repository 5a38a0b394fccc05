import { setTimeout as delay } from 'node:timers/promises';
import { defaultAddress, parseAddress } from '../cluster/address.ts';
import { InputError } from '../cluster/input-error.ts';
import { memoryLimit } from '../host/memory-limit.ts';
import { openFilesMax } from '../host/open-files.ts';
import type { OwnProcess } from '../host/own-process.ts';
import { AskingClients } from '../network/asking-clients.ts';
import { calmLog } from '../network/calm-log.ts';
import { Gateway, limitsFor } from '../network/gateway.ts';
import type { Log } from '../network/log.ts';
import { metricsText } from '../network/metrics.ts';
import { Peers } from '../network/peers.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { ReplicaEvent, TurnOutput } from '../replica/events.ts';
import { fittedSettings } from '../replica/fitted-settings.ts';
import { Replica } from '../replica/replica.ts';
import { Ticks, tickMs } from '../replica/ticks.ts';
import type { DataDirectory } from '../storage/directory/data-directory.ts';
import { DiskWork } from '../storage/directory/disk-work.ts';
import { FileWatch } from '../storage/directory/file-watch.ts';
import { SpaceReports } from '../storage/directory/space-reports.ts';
import { olderCopyError } from '../storage/disk/data-directory-error.ts';
import type { TlsIdentity } from '../tls/identity.ts';
import { checkNodeTls, type NodeIdentity, nodeIdentityOf, otherHostWarning } from '../tls/node-identity.ts';
import type { NodeStatus } from '../wire/client-message.ts';
import { protocolVersion } from '../wire/limits.ts';
import type { NodeOptions, RunningNode } from './node-options.ts';

/** How long a node that failed waits for its files to close before it says so. */
const failurePatienceMs = 1000;
/** How long a stop waits for the lead to be handed over and for own clients to be answered. */
const stopPatienceMs = 2000;

/**
 * Runs a node in `directory`, which is its own from now on: it is closed also where the node cannot begin, as where it cannot listen. `ownProcess`:
 * the settings of the process, if that does nothing else.
 */
export async function runNode(
  options: NodeOptions,
  directory: DataDirectory,
  ownProcess: OwnProcess | undefined,
): Promise<RunningNode> {
  let node: Node | undefined;
  try {
    node = new Node(options, directory, ownProcess);
    await node.begin();
    return node;
  } catch (error) {
    await node?.giveUp();
    await directory.close();
    throw error;
  }
}

/** The composition root: wires the replica to its sockets, its disk and its clock, and takes its turns. */
class Node implements RunningNode {
  readonly closed: Promise<void>;
  readonly #options: NodeOptions;
  readonly #ownProcess: OwnProcess | undefined;
  readonly #log: Log;
  readonly #directory: DataDirectory;
  readonly #disk: DiskWork;
  readonly #space: SpaceReports;
  readonly #files: FileWatch;
  readonly #replica: Replica;
  readonly #peers: Peers;
  readonly #gateway: Gateway;
  readonly #clients: AskingClients;
  #resolveClosed: () => void = () => {};
  #rejectClosed: (error: unknown) => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  readonly #ticks = new Ticks(performance.now());
  /** None is taken before this node listens: where it cannot, its directory is closed. */
  #isTurnDue = true;
  #state: 'running' | 'stopping' | 'closed' = 'running';
  /** What it shows now, if it has TLS. */
  #identity: NodeIdentity | undefined;

  constructor(options: NodeOptions, directory: DataDirectory, ownProcess: OwnProcess | undefined) {
    this.#options = options;
    this.#ownProcess = ownProcess;
    this.#log = calmLog(options.log ?? (() => {}), () => performance.now());
    this.#directory = directory;
    this.#disk = this.#makeDiskWork();
    this.#space = this.#makeSpaceReports();
    this.#files = new FileWatch(directory, (error) => this.#fail(error));
    this.closed = new Promise((resolve, reject) => {
      this.#resolveClosed = resolve;
      this.#rejectClosed = reject;
    });
    // Whoever waits for it sees the failure; nobody has to.
    this.closed.catch(() => {});
    this.#replica = this.#makeReplica();
    if (options.tls !== undefined) this.#identity = this.#identityOf(options.tls);
    this.#peers = this.#makePeers();
    this.#gateway = this.#makeGateway();
    this.#clients = new AskingClients(this.#gateway, (event) => this.#receive(event));
  }

  get address(): string {
    return this.#options.address;
  }

  status(): NodeStatus {
    return this.#replica.status();
  }

  renewTls(tls: TlsIdentity): void {
    if (this.#identity === undefined) throw new InputError('this node was started without tls');
    checkNodeTls(tls);
    this.#identity = this.#identityOf(tls);
    this.#gateway.renewTls(tls);
  }

  #identityOf(tls: TlsIdentity): NodeIdentity {
    const warning = otherHostWarning(tls, this.#options.address);
    if (warning !== undefined) this.#log('warn', warning);
    return nodeIdentityOf(tls);
  }

  /**
   * Listens, and starts its clock. Peers come as soon as it listens, and what they bring may be a state to take: so the space is known
   * before.
   */
  async begin(): Promise<void> {
    const againMs = await this.#space.measure();
    const { host, port } = parseAddress(this.#options.address);
    await this.#gateway.listen({ host, port });
    this.#space.repeat(againMs);
    this.#timer = setInterval(() => this.#onTimer(), tickMs);
    this.#onTimer();
    setImmediate(this.#runTurn);
  }

  stop(): Promise<void> {
    if (this.#state === 'running') {
      this.#state = 'stopping';
      this.#disk.stopForFullDisk();
      this.#stopInOrder().then(this.#resolveClosed, this.#rejectClosed);
    }
    return this.closed;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  /** Never resolves if the node fails on the way: `closed` has rejected then. */
  async #stopInOrder(): Promise<void> {
    this.#receive({ type: 'stopping' });
    await this.#workDone();
    this.#receive({ type: 'stopped' });
    this.#turn();
    clearInterval(this.#timer);
    this.#directory.stopWaiting();
    await this.#hangUp();
    await this.#disk.idle();
    await this.#close();
  }

  /** What it began is ended; no turn was taken. */
  async giveUp(): Promise<void> {
    this.#state = 'closed';
    this.#stopClock();
    await this.#hangUp();
  }

  #stopClock(): void {
    clearInterval(this.#timer);
    this.#space.stop();
  }

  /** Ends all connections, and listens no more. */
  async #hangUp(): Promise<void> {
    await this.#gateway.close();
    this.#peers.close();
  }

  #makeReplica(): Replica {
    const { clusterName, nodes, address, settings, standsBy } = this.#options;
    const { logStore, stateStore, capacityBytes } = this.#directory;
    return new Replica({
      initial: { name: clusterName, nodes },
      address,
      logStore,
      stateStore,
      settings: fittedSettings({ settings, capacityBytes, memoryBytes: memoryLimit(), tickMs }),
      tickMs,
      standsBy: standsBy === true,
      isCongested: (connection) => this.#clients.isCongested(connection),
      ...(isDefaultCluster(nodes) && { defaultAddress }),
    });
  }

  #makeDiskWork(): DiskWork {
    return new DiskWork({
      log: this.#directory.logStore,
      tickMs,
      nowMs: performance.now(),
      onEvent: (event) => this.#receive(event),
      onFailed: (error) => this.#fail(error),
    });
  }

  #makeSpaceReports(): SpaceReports {
    return new SpaceReports({
      directory: this.#directory,
      onMeasured: (space) => this.#receive({ type: 'space', ...space }),
      onProblem: (reason) =>
        this.#log('warn', 'a file of the log was not made or removed: is the disk sound?', { reason }),
      onSkipped: (reason) => this.#log('warn', 'the space was not measured: too many files are open', { reason }),
      onFailed: (error) => this.#fail(error),
    });
  }

  #makePeers(): Peers {
    return new Peers({
      hello: () => this.#replica.hello(),
      clusterId: () => this.#replica.clusterId,
      onEvent: (event) => this.#receive(event),
      onOlderCopy: (reason) => this.#onOlderCopy(reason),
      secureContext: () => this.#identity?.secureContext,
      log: this.#log,
    });
  }

  #metrics(): string {
    const { user, system } = process.cpuUsage();
    return metricsText({
      clusterName: this.#replica.hello().clusterName,
      status: this.#replica.status(),
      clientCount: this.#gateway.connectionCount,
      residentBytes: process.memoryUsage.rss(),
      cpuSeconds: (user + system) / 1e6,
      uptimeSeconds: process.uptime(),
      tlsEndSeconds: this.#identity && this.#identity.endMs / 1000,
    });
  }

  #makeGateway(): Gateway {
    return new Gateway({
      limits: limitsFor({ openFiles: openFilesMax(), memoryBytes: memoryLimit() }),
      hello: () => {
        const { nodeId, clusterName, clusterId } = this.#replica.hello();
        return { protocolVersion, kv: true, nodeId, clusterName, clusterId };
      },
      metrics: () => this.#metrics(),
      onRequests: (connection, requests) => this.#clients.onRequests(connection, requests),
      onClosed: (connection) => this.#clients.onClosed(connection),
      onPeer: (socket, request) => this.#peers.accept(socket, request),
      tls: this.#options.tls,
      log: this.#log,
    });
  }

  /** This node forgot how it voted: it says nothing more, and never votes with this directory again. */
  #onOlderCopy(reason: string): void {
    if (this.#state === 'closed') return;
    try {
      this.#directory.markOlderCopy(reason);
    } catch (error) {
      return this.#fail(error);
    }
    this.#fail(olderCopyError(this.#options.dataDirectory, reason));
  }

  /** Puts an event into the inbox; a turn follows once all sockets have been read. */
  #receive(event: ReplicaEvent): boolean {
    if (this.#state === 'closed') return false;
    const isTaken = this.#replica.receive(event);
    this.#scheduleTurn(true);
    return isTaken;
  }

  /** Called in every turn, wanted or not: code that never ran makes V8 compile the turn anew when it does. */
  #scheduleTurn(isWanted: boolean): void {
    if (!isWanted || this.#isTurnDue) return;
    this.#isTurnDue = true;
    setImmediate(this.#runTurn);
  }

  #onTimer(): void {
    const nowMs = performance.now();
    if (!this.#files.onTimer(this.#ticks.stoodStill(nowMs))) return;
    if (this.#state === 'running') this.#peers.dial(this.#replica.peersToDial());
    this.#clients.tellMembers(this.#replica);
    this.#ownProcess?.tick(this.#replica.isUnhurried, nowMs);
    this.#scheduleTurn(this.#ticks.onTimer());
  }

  readonly #runTurn = (): void => {
    this.#isTurnDue = false;
    this.#turn();
  };

  /** What leaves goes out first, then our own disk writes: the others' disks work at the same time. */
  #turn(): void {
    if (this.#state === 'closed') return;
    // The stores take nothing any more.
    if (this.#disk.isFull) return this.#disk.proceed();
    const nowMs = performance.now();
    if (this.#ticks.stoodStill(nowMs) && !this.#files.look()) return;
    try {
      this.#tick(nowMs);
      const output = this.#replica.turn();
      this.#release(output);
      this.#disk.proceed();
      this.#scheduleTurn(output.hasMore);
    } catch (error) {
      this.#fail(error);
    }
  }

  #tick(nowMs: number): void {
    const elapsedMs = this.#ticks.take(nowMs);
    if (elapsedMs === 0) return;
    const flushingMs = this.#disk.tick(nowMs);
    this.#replica.receive({ type: 'tick', elapsedMs, flushingMs, flushingBytes: this.#disk.flushBytes });
  }

  /** Each send is a system call, so their order counts: what others work on first, then clients, then what is only news. */
  #release(output: TurnOutput): void {
    const { messages, responses } = output;
    this.#peers.sendWork(messages);
    this.#clients.answer(responses);
    this.#peers.sendNews(messages);
    for (const refusal of output.refusals) this.#peers.refuse(refusal);
    for (const { level, message } of output.notices) this.#log(level, message);
    for (const job of output.jobs) this.#disk.run(job);
  }

  /** The lead is handed over and own clients are answered, or that takes too long. */
  #workDone(): Promise<void> {
    const deadline = performance.now() + stopPatienceMs;
    return new Promise((resolve) => {
      const check = () => {
        const isDone = this.#state === 'closed' || this.#replica.canStop || performance.now() >= deadline;
        if (!isDone) return;
        clearInterval(checker);
        resolve();
      };
      const checker = setInterval(check, tickMs);
      check();
    });
  }

  /** What is in memory can no longer be trusted, or the disk cannot: nothing leaves any more. */
  #fail(error: unknown): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    this.#log('error', 'the node ends', { reason: error instanceof Error ? error.message : String(error) });
    this.#stopClock();
    this.#disk.abandon();
    this.#peers.close();
    const ended = Promise.allSettled([this.#gateway.close(), this.#directory.abandon()]);
    // A disk that failed may not answer any more: whoever waits for the end learns of it all the same.
    void Promise.race([ended, delay(failurePatienceMs)]).then(() => this.#rejectClosed(error));
  }

  async #close(): Promise<void> {
    this.#state = 'closed';
    this.#space.stop();
    this.#replica.close();
    await this.#directory.close();
  }
}

/** Without a cluster file every node has a default address; with one, only those in it have an address. */
function isDefaultCluster(nodes: ReadonlyMap<NodeId, string>): boolean {
  return [...nodes].every(([id, address]) => defaultAddress(id) === address);
}
