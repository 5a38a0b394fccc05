import { fromByteString, toByteString } from '../../src/base/bytes.ts';
import { type Command, encodeCommand } from '../../src/kv/command.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type {
  ReplicaEvent,
  Refusal as ReplicaRefusal,
  SpaceMeasured,
  StorageJob,
  TurnOutput,
} from '../../src/replica/events.ts';
import { Replica } from '../../src/replica/replica.ts';
import { defaultReplicaSettings, type ReplicaSettings } from '../../src/replica/settings.ts';
import type { ClientResponse, RequestBody, ResponseBody } from '../../src/wire/client-message.ts';
import type { PeerMessage, PeerPayload } from '../../src/wire/peer-message.ts';
import { type DiskImage, SimulatedDisk } from '../simulation/simulated-disk.ts';
import { SimulatedLogStore } from '../simulation/simulated-log-store.ts';
import { SimulatedStateStore } from '../simulation/simulated-state-store.ts';

/** A message that left a node. */
export interface Sent {
  readonly from: NodeId;
  readonly to: NodeId;
  readonly message: PeerMessage;
}

/** A link that a node closed at once, and why. */
export interface Refusal {
  readonly by: NodeId;
  readonly of: NodeId;
  readonly kind: ReplicaRefusal['kind'];
  readonly reason: string;
}

/** What a request came to: read `answer` after the cluster has moved on. */
export interface Ask {
  readonly answer: ResponseBody | undefined;
}

/** How the log's disk of a node behaves: `stalled` writes do not end, a `failing` one ends its node. */
type DiskHealth = 'sound' | 'stalled' | 'failing';

interface Process {
  readonly replica: Replica;
  readonly log: SimulatedLogStore;
  readonly state: SimulatedStateStore;
  readonly links: Set<NodeId>;
  isFlushing: boolean;
  /** Ticks since the flush that is under way, or was the last, began. */
  flushingTicks: number;
  isTurnDue: boolean;
  job: StorageJob | undefined;
}

interface Node {
  readonly id: NodeId;
  disk: SimulatedDisk;
  wipes: number;
  health: DiskHealth;
  process: Process | undefined;
  /** What it told operators, over all its processes. */
  readonly notices: string[];
}

const tickMs = 10;
const turnsMax = 100_000;
/** Keys of a state that is to come in many pieces. */
const keysMin = 30;
const clusterSettings: ReplicaSettings = {
  ...defaultReplicaSettings,
  electionTimeoutTicks: 5,
  resendTicks: 5,
  donorTimeoutTicks: 10,
  checkpointTicks: 10,
};

/**
 * Real replicas on simulated disks, driven by hand as `src/node/node.ts` drives one: nothing happens but in `tick` and `settle`.
 * Links are FIFO and come back by themselves on a tick unless they are cut. Writes of the log end at once, work of the state
 * store with the next tick.
 */
export class Cluster {
  /** Everything that left any node, in order. */
  readonly sent: Sent[] = [];
  /** Ticks that each message takes. */
  latencyTicks = 0;
  /** And so many more: what takes less overtakes the others. */
  delayOf: (sent: Sent) => number = () => 0;
  #nowTick = 0;
  /** Links that were refused, in order. */
  readonly refusals: Refusal[] = [];
  /** Told of each message just before it arrives. */
  onArrival: (sent: Sent) => void = () => {};
  /** Told of each message that has arrived, before its node makes anything of it. */
  onArrived: (sent: Sent) => void = () => {};
  /** Jobs of the state stores of these nodes do not end. */
  readonly holdsJob = new Set<NodeId>();
  /** Says of each message whether it gets lost. */
  loses: (sent: Sent) => boolean = () => false;
  readonly #members: ReadonlyMap<NodeId, string>;
  readonly #settings: ReplicaSettings;
  readonly #nodes = new Map<NodeId, Node>();
  readonly #cut = new Set<string>();
  readonly #timeless = new Set<NodeId>();
  readonly #answers = new Map<number, ResponseBody>();
  readonly #hasRule: boolean;
  readonly #prepare: (disk: SimulatedDisk) => void;
  #network: (Sent & { readonly dueTick: number })[] = [];
  #requests = 0;

  /** `members` are the nodes of the first configuration. All are started, each on a disk that `prepare` may put something on. */
  constructor(
    members: readonly NodeId[],
    settings: Partial<ReplicaSettings> = {},
    prepare: (disk: SimulatedDisk) => void = () => {},
    /** Nodes that no file names are found by a rule. */
    hasRule = true,
  ) {
    this.#hasRule = hasRule;
    this.#prepare = prepare;
    this.#members = new Map(members.map((id) => [id, addressOf(id)]));
    this.#settings = { ...clusterSettings, ...settings };
    for (const id of members) this.start(id);
  }

  /** Starts a node on what its disk holds, an empty one at first. */
  start(id: NodeId, standsBy = false): void {
    const node = this.#nodes.get(id) ?? this.#newNode(id);
    if (node.process) throw new Error(`node ${id} runs already`);
    node.health = 'sound';
    const log = new SimulatedLogStore(node.disk);
    const state = new SimulatedStateStore(node.disk);
    const replica = new Replica({
      initial: { name: 'story', nodes: this.#members },
      address: addressOf(id),
      logStore: log,
      stateStore: state,
      settings: this.#settings,
      tickMs,
      standsBy,
      ...(this.#hasRule && { defaultAddress: addressOf }),
    });
    node.process = {
      replica,
      log,
      state,
      links: new Set(),
      isFlushing: false,
      flushingTicks: 0,
      isTurnDue: true,
      job: undefined,
    };
  }

  /** The process is gone, and with it all that was not on the disk. */
  crash(id: NodeId): void {
    const node = this.#node(id);
    const process = this.#process(id);
    process.log.crash(false);
    process.replica.close();
    node.process = undefined;
    for (const other of process.links) this.#unlink(other, id);
    this.#network = this.#network.filter(({ from, to }) => from !== id && to !== id);
  }

  /** Empties the data directory of a node that is down. */
  wipe(id: NodeId): void {
    const node = this.#node(id);
    node.wipes++;
    node.disk = new SimulatedDisk(id, `d${id}.${node.wipes}`);
  }

  /** Puts the data directory of a node that is down back as it was when `image` was taken. */
  rollBack(id: NodeId, image: DiskImage): void {
    const node = this.#node(id);
    node.disk = node.disk.rolledBack(image);
  }

  /** Writes of the log that begin from now on do not end until `freeDisk`. */
  stallDisk(id: NodeId): void {
    this.#node(id).health = 'stalled';
  }

  /** The write of the log that is under way, or else the next, fails, and its node ends. */
  failDisk(id: NodeId): void {
    const node = this.#node(id);
    node.health = 'failing';
    if (node.process?.isFlushing) this.crash(id);
  }

  /** The node feels no time pass; messages still reach it. */
  stopTimer(id: NodeId): void {
    this.#timeless.add(id);
  }

  startTimer(id: NodeId): void {
    this.#timeless.delete(id);
  }

  freeDisk(id: NodeId): void {
    const node = this.#node(id);
    node.health = 'sound';
    if (node.process?.isFlushing) this.#endFlush(node.process);
  }

  /** Cuts the links between each of `some` and each of `others`, with what is on them. */
  cut(some: readonly NodeId[], others: readonly NodeId[]): void {
    for (const a of some) {
      for (const b of others) {
        if (a === b) continue;
        this.#cut.add(pair(a, b));
        this.#disconnect(a, b);
      }
    }
  }

  /** Cuts a node off from all others. */
  isolate(id: NodeId): void {
    this.cut([id], [...this.#nodes.keys()]);
  }

  /** One link that was cut comes back with the next tick. */
  healLink(a: NodeId, b: NodeId): void {
    this.#cut.delete(pair(a, b));
  }

  /** Links that were cut come back with the next tick. */
  heal(): void {
    this.#cut.clear();
  }

  /** Lets `count` ticks pass on all nodes. */
  tick(count = 1): void {
    for (let passed = 0; passed < count; passed++) {
      this.beginTick();
      this.settle();
    }
  }

  /** A tick, of which the nodes make nothing before `settle` runs, or goes on. */
  beginTick(): void {
    this.#nowTick++;
    this.#dial();
    for (const { id, process } of this.#nodes.values()) if (process && !this.holdsJob.has(id)) this.#endJob(process);
    for (const { id, process } of this.#nodes.values()) {
      if (process && !this.#timeless.has(id)) this.#tickOf(process);
    }
  }

  /** Lets election timeouts pass. */
  timeouts(count: number): void {
    this.tick(count * this.#settings.electionTimeoutTicks);
  }

  /** Ticks until `isSo`; fails if that takes too long. */
  until(what: string, isSo: () => boolean): void {
    for (let passed = 0; passed < 2000; passed++) {
      if (isSo()) return;
      this.tick();
    }
    throw new Error(`it did not come to this: ${what}`);
  }

  /** Runs turns and messages until nothing is left to do. */
  settle(): void {
    for (let turns = 0; turns < turnsMax; turns++) {
      const due = [...this.#nodes.values()].find(({ process }) => process?.isTurnDue);
      if (due) this.#turn(due);
      else if (!this.#deliver()) return;
    }
    throw new Error('the cluster does not come to rest');
  }

  /** Waits until one of the running nodes leads, and all that can reach it follow it. */
  elect(): NodeId {
    this.until('somebody leads', () => this.leaders.length === 1 && this.#isFollowed(this.leaders[0] as NodeId));
    return this.leaders[0] as NodeId;
  }

  /** Nodes that believe themselves in office. */
  get leaders(): NodeId[] {
    return this.running.filter((id) => this.replica(id).voter?.paxos.isLeaderInAcceptPhase);
  }

  /** All nodes that ever ran, in the order of their first start. */
  get nodes(): NodeId[] {
    return [...this.#nodes.keys()];
  }

  get running(): NodeId[] {
    return [...this.#nodes.values()].filter(({ process }) => process).map(({ id }) => id);
  }

  isRunning(id: NodeId): boolean {
    return this.#node(id).process !== undefined;
  }

  replica(id: NodeId): Replica {
    return this.#process(id).replica;
  }

  log(id: NodeId): SimulatedLogStore {
    return this.#process(id).log;
  }

  state(id: NodeId): SimulatedStateStore {
    return this.#process(id).state;
  }

  /** What of a node survives its crash. */
  disk(id: NodeId): SimulatedDisk {
    return this.#node(id).disk;
  }

  /** What a node told operators so far. */
  notices(id: NodeId): readonly string[] {
    return this.#node(id).notices;
  }

  /** Payloads of one type that were sent to `to`. */
  sentTo<T extends PeerPayload['type']>(to: NodeId, type: T): (PeerPayload & { readonly type: T })[] {
    const payloads = this.sent.filter((sent) => sent.to === to).map(({ message }) => message.payload);
    return payloads.filter((payload): payload is PeerPayload & { readonly type: T } => payload.type === type);
  }

  /** A node is asked to stop: it runs on until {@link Replica.canStop}, and then is for the test to end. */
  askToStop(id: NodeId): void {
    this.#receive(this.#process(id), { type: 'stopping' });
    this.settle();
  }

  /** What the owner of a node measured of its disk. */
  measureSpace(id: NodeId, measured: SpaceMeasured): void {
    this.#receive(this.#process(id), { type: 'space', ...measured });
    this.settle();
  }

  /** Puts a request into a node's inbox. */
  ask(id: NodeId, body: RequestBody, timeoutMs = 1000): Ask {
    const request = ++this.#requests;
    this.#receive(this.#process(id), {
      type: 'requests',
      connection: 1,
      requests: [{ id: request, timeoutMs, ...body }],
    });
    const answers = this.#answers;
    return {
      get answer() {
        return answers.get(request);
      },
    };
  }

  /** Asks, and lets the cluster come to rest. */
  askNow(id: NodeId, body: RequestBody, timeoutMs?: number): ResponseBody | undefined {
    const ask = this.ask(id, body, timeoutMs);
    this.settle();
    return ask.answer;
  }

  /** A linearizable read through a node. */
  get(id: NodeId, key: string, timeoutMs?: number): Ask {
    return this.ask(id, { type: 'get', consistency: 'linearizable', key: fromByteString(key) }, timeoutMs);
  }

  /** What a node's own state holds under a key. */
  localValue(id: NodeId, key: string): string | undefined {
    return textOf(this.askNow(id, { type: 'get', consistency: 'local', key: fromByteString(key) }));
  }

  reconfigure(id: NodeId, members: readonly NodeId[], timeoutMs?: number): Ask {
    const nodes = members.map((member) => ({ id: member, address: addressOf(member) }));
    return this.ask(id, { type: 'reconfigure', nodes }, timeoutMs);
  }

  /** Reconfigures, and waits until every member votes in the new configuration. */
  reconfigureTo(id: NodeId, members: readonly NodeId[]): void {
    const ask = this.reconfigure(id, members, 60_000);
    this.until(`the members are ${members.join(', ')}`, () => ask.answer !== undefined);
    if (ask.answer?.type !== 'reconfigured') throw new Error(`not reconfigured: ${JSON.stringify(ask.answer)}`);
    const { configurationId } = ask.answer;
    const votes = (member: NodeId) =>
      !this.isRunning(member) || this.replica(member).voter?.configurationId === configurationId;
    this.until('they all vote', () => members.every(votes));
  }

  /** Waits until these nodes have applied the same, and that is all that is decided. */
  converge(...ids: readonly NodeId[]): void {
    this.until('all have applied all', () => {
      const ends = ids.flatMap((id) => [this.replica(id).appliedIndex, this.replica(id).status().decidedIndex]);
      return Math.min(...ends) === Math.max(...ends);
    });
  }

  #newNode(id: NodeId): Node {
    const disk = new SimulatedDisk(id, `d${id}.0`);
    this.#prepare(disk);
    const node: Node = { id, disk, wipes: 0, health: 'sound', process: undefined, notices: [] };
    this.#nodes.set(id, node);
    return node;
  }

  #isFollowed(leader: NodeId): boolean {
    const others = this.running.filter((id) => this.replica(id).voter && !this.#cut.has(pair(id, leader)));
    return others.every((id) => this.replica(id).status().leader === leader);
  }

  #tickOf(process: Process): void {
    if (process.isFlushing) process.flushingTicks++;
    const flushingMs = process.isFlushing ? process.flushingTicks * tickMs : 0;
    this.#receive(process, { type: 'tick', elapsedMs: tickMs, flushingMs, flushingBytes: 0 });
  }

  #receive(process: Process, event: ReplicaEvent): void {
    process.replica.receive(event);
    process.isTurnDue = true;
  }

  #turn(node: Node): void {
    const process = this.#process(node.id);
    process.isTurnDue = false;
    const output = process.replica.turn();
    this.#release(node, process, output);
    if (output.hasMore) process.isTurnDue = true;
    if (process.isFlushing || !process.log.hasStagedWrites) return;
    process.isFlushing = true;
    process.flushingTicks = 0;
    process.log.beginFlush();
    if (node.health === 'sound') this.#endFlush(process);
    else if (node.health === 'failing') this.crash(node.id);
  }

  #release(node: Node, process: Process, output: TurnOutput): void {
    for (const { to, messages } of output.messages) {
      if (!process.links.has(to)) continue;
      for (const message of messages) {
        const sent = { from: node.id, to, message };
        this.sent.push(sent);
        this.#network.push({ ...sent, dueTick: this.#nowTick + this.latencyTicks + this.delayOf(sent) });
      }
    }
    for (const responses of output.responses.values()) for (const response of responses) this.#answer(response);
    for (const { message } of output.notices) node.notices.push(message);
    for (const { hello, kind, reason } of output.refusals) {
      const { nodeId } = hello;
      this.refusals.push({ by: node.id, of: nodeId, kind, reason });
      this.#disconnect(node.id, nodeId);
    }
    for (const job of output.jobs) {
      if (process.job) throw new Error(`node ${node.id}: ${job.type} during ${process.job.type}`);
      process.job = job;
      void job.run();
    }
  }

  #answer({ id, ...body }: ClientResponse): void {
    if (this.#answers.has(id)) throw new Error(`request ${id} was answered twice`);
    this.#answers.set(id, body);
  }

  #endFlush(process: Process): void {
    process.log.endFlush();
    process.isFlushing = false;
    this.#receive(process, { type: 'flushed', durationMs: process.flushingTicks * tickMs, bytes: 0 });
  }

  #endJob(process: Process): void {
    const { job } = process;
    if (!job) return;
    process.state.endWork();
    process.job = undefined;
    this.#receive(
      process,
      job.type === 'checkpoint' ? { type: 'checkpointed' } : { type: 'stateInstalled', index: job.index },
    );
  }

  #deliver(): boolean {
    const at = this.#network.findIndex(({ dueTick }) => dueTick <= this.#nowTick);
    const [next] = at < 0 ? [] : this.#network.splice(at, 1);
    if (next === undefined) return false;
    if (this.loses(next)) return true;
    this.onArrival(next);
    const { from, to, message } = next;
    const process = this.#nodes.get(to)?.process;
    if (process) this.#receive(process, { type: 'peerMessages', from, messages: [message] });
    this.onArrived(next);
    return true;
  }

  #dial(): void {
    for (const { id, process } of this.#nodes.values()) {
      for (const other of process?.replica.peersToDial().keys() ?? []) this.#connect(id, other);
    }
  }

  #connect(a: NodeId, b: NodeId): void {
    const one = this.#nodes.get(a)?.process;
    const other = this.#nodes.get(b)?.process;
    if (!one || !other || one.links.has(b) || this.#cut.has(pair(a, b))) return;
    one.links.add(b);
    other.links.add(a);
    const hello = one.replica.hello();
    this.#receive(one, { type: 'peerConnected', hello: other.replica.hello() });
    this.#receive(other, { type: 'peerConnected', hello });
  }

  #disconnect(a: NodeId, b: NodeId): void {
    this.#unlink(a, b);
    this.#unlink(b, a);
    this.#network = this.#network.filter(({ from, to }) => pair(from, to) !== pair(a, b));
  }

  #unlink(id: NodeId, other: NodeId): void {
    const process = this.#nodes.get(id)?.process;
    if (process?.links.delete(other)) this.#receive(process, { type: 'peerDisconnected', nodeId: other });
  }

  #node(id: NodeId): Node {
    const node = this.#nodes.get(id);
    if (!node) throw new Error(`no node ${id}`);
    return node;
  }

  #process(id: NodeId): Process {
    const { process } = this.#node(id);
    if (!process) throw new Error(`node ${id} is down`);
    return process;
  }
}

/** A client with a session, which numbers its commands by itself. */
export class Client {
  readonly #cluster: Cluster;
  readonly #session: number;
  #next = 1;

  /** Opens the session through node `id`. */
  constructor(cluster: Cluster, id: NodeId, random = 1) {
    this.#cluster = cluster;
    const command = encodeCommand({ kind: 'openSession', session: 0, number: random, acknowledgedBelow: 0 });
    const ask = cluster.ask(id, { type: 'write', command });
    cluster.until('the session is open', () => ask.answer !== undefined);
    const answer = ask.answer;
    if (answer?.type !== 'outcome' || answer.outcome.type !== 'sessionOpened') throw new Error(JSON.stringify(answer));
    this.#session = answer.outcome.session;
  }

  /** The bytes of a new command: whoever gives them to several nodes gives the same command. */
  command(kind: 'put' | 'delete', key: string, value = ''): Uint8Array {
    const origin = { session: this.#session, number: this.#next++, acknowledgedBelow: 0 };
    const bytes = fromByteString(key);
    const command: Command =
      kind === 'put' ? { kind, ...origin, key: bytes, value: fromByteString(value) } : { kind, ...origin, key: bytes };
    return encodeCommand(command);
  }

  /** Puts the request into a node's inbox. */
  put(id: NodeId, key: string, value: string, timeoutMs?: number): Ask {
    return this.#cluster.ask(id, { type: 'write', command: this.command('put', key, value) }, timeoutMs);
  }

  /** Waits until it is acknowledged; returns its revision: its log index + 1. */
  putAcknowledged(id: NodeId, key: string, value: string): number {
    const ask = this.put(id, key, value, 60_000);
    this.#cluster.until('the write is answered', () => ask.answer !== undefined);
    const { answer } = ask;
    if (answer?.type !== 'outcome' || !('revision' in answer.outcome)) throw new Error(JSON.stringify(answer));
    return answer.outcome.revision;
  }
}

/** So that little has to be written until logs are trimmed, and state comes in many pieces. */
export const littleLog = { checkpointTicks: 5, logTailEntries: 1, catchUpBytesMax: 100, voteLagEntries: 0 };

/** Writes, through `leader`, until it and `companion` have trimmed what node `behind`, which is cut off, lacks; and so much that it is a state of many pieces. */
export function leaveBehind(cluster: Cluster, client: Client, behind: NodeId, leader: NodeId, companion: NodeId): void {
  const { endIndex } = cluster.log(behind).sequence;
  const isTrimmed = (id: NodeId) => cluster.log(id).sequence.trimmedIndex > endIndex;
  for (let at = 0; at < keysMin || !isTrimmed(leader) || !isTrimmed(companion); at++) {
    if (at === 500) throw new Error(`nodes ${leader} and ${companion} do not trim their logs`);
    client.putAcknowledged(leader, `k${at % keysMin}`, `later ${at}`);
  }
}

/** The text of a found record; undefined if there is none. Throws if `answer` is something else. */
function textOf(answer: ResponseBody | undefined): string | undefined {
  if (answer?.type !== 'record') throw new Error(`no record: ${JSON.stringify(answer)}`);
  return answer.record && toByteString(answer.record.value);
}

function addressOf(id: NodeId): string {
  return `node-${id}:7000`;
}

function pair(a: NodeId, b: NodeId): string {
  return a < b ? `${a}-${b}` : `${b}-${a}`;
}

/** Nodes 1, 2 and 3 have no links, and 1 has more decided than 2 knows of: 3 takes its state, and leads with 2 before that is installed. */
export function threeLeadsWhileItInstalls(cluster: Cluster): void {
  // The install takes its time.
  cluster.holdsJob.add(3);
  cluster.healLink(1, 3);
  cluster.until('3 installs', () => cluster.replica(3).status().catchUp?.stage === 'install');
  cluster.tick(1);
  // Node 2 has that part of the log still; no vote of it reaches 3.
  cluster.cut([3], [1]);
  cluster.loses = ({ from, to, message }) => from === 2 && to === 3 && message.payload.type === 'Accepted';
  cluster.healLink(2, 3);
  cluster.until('3 leads', () => cluster.replica(3).voter?.paxos.isLeaderInAcceptPhase === true);
}

/** A node is asked to lead. */
export function isTakeOver({ message }: Sent): boolean {
  return message.payload.type === 'TakeOver';
}
