import type { Ballot, BallotMessage, NodeId, PaxosMessage } from '../../src/omnipaxos/index.ts';
import { BallotLeaderElection, compareBallots, MemoryStore, OmniPaxos } from '../../src/omnipaxos/index.ts';
import { SeededRandom } from '../omnipaxos/random.ts';

/** Time is counted in election timeouts. */
type Timeouts = number;

type Message = PaxosMessage<string> | BallotMessage;

/** One thing that happens at a time. */
interface Event {
  readonly at: Timeouts;
  readonly order: number;
  readonly happen: () => void;
}

interface VirtualNode {
  readonly pid: NodeId;
  readonly store: MemoryStore<string>;
  /** Time between its ticks: its clock is up to 1 % fast or slow. */
  readonly tickEvery: Timeouts;
  paxos: OmniPaxos<string>;
  election: BallotLeaderElection;
  isUp: boolean;
  /** Its decided entries below this were looked at. */
  seenIndex: number;
}

const ticksPerTimeout = 10;
/** A message takes from 0.5 to 5 % of an election timeout. */
const delayLeast: Timeouts = 0.005;
const delayMost: Timeouts = 0.05;
/** Every node proposes an entry this often. */
const proposeEvery: Timeouts = 0.1;

/**
 * The core in virtual time: nodes tick at phases of their own, each link is FIFO and delays every message by what the seed
 * says. It notes when what was decided, and every ballot that came to lead.
 */
export class VirtualCluster {
  readonly random: SeededRandom;
  readonly ids: readonly NodeId[];
  now: Timeouts = 0;
  /** When the decided sequence grew: time, and its new length. */
  readonly decisions: { readonly at: Timeouts; readonly proposedAt: Timeouts }[] = [];
  /** Each ballot whose owner came to lead in its accept phase, and when. */
  readonly leaderships: { readonly at: Timeouts; readonly ballot: Ballot }[] = [];
  readonly #nodes = new Map<NodeId, VirtualNode>();
  readonly #events = new Heap();
  /** Links, one direction each, that lose everything. */
  readonly #cut = new Set<string>();
  /** When the last message of a link arrives: none overtakes it. */
  readonly #lastArrival = new Map<string, Timeouts>();
  /** Counts the times that a link came back: what was on it before is lost. */
  readonly #connection = new Map<string, number>();
  /** The one decided sequence, as far as any node has known it. */
  readonly #decided: string[] = [];

  constructor(seed: number, count: number) {
    this.random = new SeededRandom(seed);
    this.ids = Array.from({ length: count }, (_, at) => at + 1);
    for (const pid of this.ids) {
      const store = new MemoryStore<string>();
      const tickEvery = (1 + (this.random.next() - 0.5) * 0.02) / ticksPerTimeout;
      const node = { pid, store, tickEvery, isUp: true, seenIndex: 0, ...this.#start(pid, store) };
      this.#nodes.set(pid, node);
      this.#in(this.random.next() / ticksPerTimeout, () => this.#tick(node));
      this.#in(this.random.next() * proposeEvery, () => this.#propose(node));
    }
  }

  /** The node that leads in its accept phase under the highest ballot. */
  get leader(): NodeId | undefined {
    let best: OmniPaxos<string> | undefined;
    for (const { paxos, isUp } of this.#nodes.values()) {
      if (!isUp || !paxos.isLeaderInAcceptPhase) continue;
      if (!best || compareBallots(paxos.promise, best.promise) > 0) best = paxos;
    }
    return best?.pid;
  }

  /** Lets `timeouts` of time pass. */
  run(timeouts: Timeouts): void {
    const end = this.now + timeouts;
    for (let event = this.#events.peek(); event && event.at <= end; event = this.#events.peek()) {
      this.#events.pop();
      this.now = event.at;
      event.happen();
    }
    this.now = end;
  }

  /** What `from` sends to `to` is lost from now on, also what is under way. */
  cutOneWay(from: NodeId, to: NodeId): void {
    this.#cut.add(`${from}-${to}`);
  }

  cut(a: NodeId, b: NodeId): void {
    this.cutOneWay(a, b);
    this.cutOneWay(b, a);
  }

  /** Cuts every link but those named. */
  cutAllBut(...kept: (readonly [NodeId, NodeId])[]): void {
    const isKept = (a: NodeId, b: NodeId) => kept.some(([c, d]) => (a === c && b === d) || (a === d && b === c));
    for (const a of this.ids) for (const b of this.ids) if (a < b && !isKept(a, b)) this.cut(a, b);
  }

  isolate(pid: NodeId): void {
    for (const other of this.ids) if (other !== pid) this.cut(pid, other);
  }

  /** All links come back, each at a time of its own within one timeout. */
  healAll(): void {
    for (const a of this.ids) {
      for (const b of this.ids) {
        const isCut = this.#cut.has(`${a}-${b}`) || this.#cut.has(`${b}-${a}`);
        if (a < b && isCut) this.#in(this.random.next(), () => this.#reconnect(a, b));
      }
    }
  }

  /** The process stops; its disk has everything that it staged. */
  crash(pid: NodeId): void {
    this.#node(pid).isUp = false;
    for (const other of this.ids) if (other !== pid) this.cut(pid, other);
  }

  /** It starts again on what its disk has; its links come back. */
  restart(pid: NodeId): void {
    const node = this.#node(pid);
    Object.assign(node, this.#start(pid, node.store), { isUp: true });
    this.healAll();
  }

  /** True if every node has decided all that was decided by a timeout ago. */
  get isConverged(): boolean {
    const due = this.decisions.filter(({ at }) => at < this.now - 1).length;
    return [...this.#nodes.values()].every(({ paxos }) => paxos.decidedIndex >= due);
  }

  #start(pid: NodeId, store: MemoryStore<string>) {
    const peers = this.ids.filter((id) => id !== pid);
    const paxos = new OmniPaxos<string>({ configurationId: 1, pid, peers, store, resendTicks: ticksPerTimeout });
    const options = { configurationId: 1, pid, peers, electionTimeoutTicks: ticksPerTimeout, paxos };
    return { paxos, election: new BallotLeaderElection(options) };
  }

  #node(pid: NodeId): VirtualNode {
    const node = this.#nodes.get(pid);
    if (!node) throw new Error(`no node ${pid}`);
    return node;
  }

  #in(delay: Timeouts, happen: () => void): void {
    this.#events.push({ at: this.now + delay, happen });
  }

  #tick(node: VirtualNode): void {
    this.#in(node.tickEvery, () => this.#tick(node));
    if (!node.isUp) return;
    const leader = node.election.tick();
    if (leader) node.paxos.handleLeader(leader);
    node.paxos.tick();
    this.#turn(node);
  }

  /** The entry says when it was proposed. */
  #propose(node: VirtualNode): void {
    this.#in(proposeEvery, () => this.#propose(node));
    if (!node.isUp) return;
    node.paxos.proposeNormal(`${node.pid} ${this.now}`);
    this.#turn(node);
  }

  #turn(node: VirtualNode): void {
    for (const message of node.paxos.getOutgoingMsgs()) this.#send(message);
    for (const message of node.election.getOutgoingMsgs()) this.#send(message);
    node.paxos.takeReturnedProposals();
    this.#observe(node);
  }

  #send(message: Message): void {
    const link = `${message.from}-${message.to}`;
    if (this.#cut.has(link)) return;
    const delay = delayLeast + this.random.next() * (delayMost - delayLeast);
    const at = Math.max(this.now + delay, this.#lastArrival.get(link) ?? 0);
    this.#lastArrival.set(link, at);
    const connection = this.#connection.get(link) ?? 0;
    this.#events.push({ at, happen: () => this.#receive(message, link, connection) });
  }

  #receive(message: Message, link: string, connection: number): void {
    const node = this.#node(message.to);
    if (!node.isUp || this.#cut.has(link) || (this.#connection.get(link) ?? 0) !== connection) return;
    if (isBallotMessage(message)) {
      const leader = node.election.handle(message);
      if (leader) node.paxos.handleLeader(leader);
    } else node.paxos.handle(message);
    this.#turn(node);
  }

  #reconnect(a: NodeId, b: NodeId): void {
    for (const link of [`${a}-${b}`, `${b}-${a}`]) {
      this.#cut.delete(link);
      this.#connection.set(link, (this.#connection.get(link) ?? 0) + 1);
    }
    this.#node(a).paxos.reconnected(b);
    this.#node(b).paxos.reconnected(a);
    for (const pid of [a, b]) this.#turn(this.#node(pid));
  }

  /** One decided sequence: what a node has decided agrees with what any node ever had. */
  #observe(node: VirtualNode): void {
    const { paxos, seenIndex } = node;
    const entries = paxos.decidedIndex > seenIndex ? paxos.getDecidedEntries(seenIndex) : [];
    for (const [at, entry] of entries.entries()) {
      const text = entry.type === 'Normal' ? entry.entry : 'StopSign';
      const known = this.#decided[seenIndex + at];
      if (known !== undefined && known !== text) throw new Error(`node ${node.pid} decided ${text}, not ${known}`);
      if (known !== undefined) continue;
      this.#decided.push(text);
      this.decisions.push({ at: this.now, proposedAt: Number(text.split(' ')[1]) });
    }
    node.seenIndex = paxos.decidedIndex;
    const { promise: ballot } = paxos;
    const isNew =
      paxos.isLeaderInAcceptPhase && !this.leaderships.some((one) => compareBallots(one.ballot, ballot) === 0);
    if (isNew) this.leaderships.push({ at: this.now, ballot });
  }
}

function isBallotMessage(message: Message): message is BallotMessage {
  return message.payload.type === 'HeartbeatRequest' || message.payload.type === 'HeartbeatReply';
}

/** Events by time, and by order of their making among equals. */
class Heap {
  readonly #events: Event[] = [];
  #made = 0;

  peek(): Event | undefined {
    return this.#events[0];
  }

  push({ at, happen }: { readonly at: Timeouts; readonly happen: () => void }): void {
    const event = { at, happen, order: this.#made++ };
    const events = this.#events;
    let hole = events.length;
    for (let parent = (hole - 1) >> 1; hole > 0 && isBefore(event, events[parent] as Event); parent = (hole - 1) >> 1) {
      events[hole] = events[parent] as Event;
      hole = parent;
    }
    events[hole] = event;
  }

  pop(): void {
    const events = this.#events;
    const last = events.pop();
    if (!last || events.length === 0) return;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && isBefore(events[child + 1] as Event, events[child] as Event)) child++;
      if (!isBefore(events[child] as Event, last)) break;
      events[hole] = events[child] as Event;
      hole = child;
    }
    events[hole] = last;
  }
}

const isBefore = (a: Event, b: Event) => a.at < b.at || (a.at === b.at && a.order < b.order);
