import { expect } from 'vitest';
import type {
  Ballot,
  BallotMessage,
  Entry,
  NodeId,
  OmniPaxosOptions,
  PaxosMessage,
  ProposeResult,
  QuorumSizes,
} from '../../src/omnipaxos/index.ts';
import { BallotLeaderElection, compareBallots, OmniPaxos } from '../../src/omnipaxos/index.ts';
import { CrashStore } from '../simulation/crash-store.ts';

export type Message = PaxosMessage<string> | BallotMessage;

/** What the network does to one message. `swap`: it comes back to its own sender, as if from the one it was for. */
export type Fate = 'deliver' | 'drop' | 'duplicate' | 'hold' | 'swap';

export interface ClusterOptions {
  /** A count (ids from 1) or the ids. Default 3. */
  readonly nodes?: number | readonly NodeId[];
  readonly quorum?: QuorumSizes;
  readonly priorities?: Readonly<Record<NodeId, number>>;
  readonly electionTimeoutTicks?: number;
  /** False: disks write only when the test says so. Default true: whatever is staged is flushed before messages are taken. */
  readonly flushes?: boolean;
  /** Default 1. */
  readonly configurationId?: number;
  /** Stores of nodes that go on from a configuration before. */
  readonly stores?: ReadonlyMap<NodeId, CrashStore<string>>;
  /** False: catch-up is done by the test. Default true. */
  readonly catchesUp?: boolean;
  readonly replica?: Partial<Omit<OmniPaxosOptions<string>, 'pid' | 'peers' | 'store' | 'quorum'>>;
}

export interface TestNode {
  readonly pid: NodeId;
  store: CrashStore<string>;
  paxos: OmniPaxos<string>;
  election: BallotLeaderElection;
  isUp: boolean;
  /** Proposals that came back: to be proposed again by whoever made them. */
  readonly returned: Entry<string>[];
  /** Reads that may be served, by id. */
  readonly ready: Map<number, number>;
  /** How often it was started before. */
  restarts: number;
  /** Its decided entries below this are compared already. */
  checkedIndex: number;
}

export const electionTimeoutTicks = 4;

/**
 * A cluster in one process, without clock or chance: time passes by `tick()`, messages by `settle()` (all, in order) or one at
 * a time. After each event it checks that there is one decided sequence and that nothing decided is ever lost.
 */
export class Cluster {
  readonly ids: readonly NodeId[];
  readonly nodes = new Map<NodeId, TestNode>();
  /** The one decided sequence, as far as any node has ever known it. */
  readonly decided: Entry<string>[] = [];
  /** Each ballot whose owner came to lead in its accept phase, in order. */
  readonly leaderships: Ballot[] = [];
  /** Messages under way, oldest first. */
  inFlight: Message[] = [];
  /** Messages set aside by the fate `hold`. */
  held: Message[] = [];
  /** Every message delivered or lost, in words; for reading when a test fails. */
  readonly trace: string[] = [];
  /** Decides over each message as it is sent. */
  fate: (message: Message) => Fate = () => 'deliver';
  /** False: disks write only when the test says so. */
  flushes: boolean;
  readonly #cut = new Set<string>();
  readonly #options: ClusterOptions;

  constructor(options: ClusterOptions = {}) {
    const { nodes = 3 } = options;
    this.#options = options;
    this.flushes = options.flushes ?? true;
    this.ids = typeof nodes === 'number' ? Array.from({ length: nodes }, (_, at) => at + 1) : nodes;
    for (const pid of this.ids) {
      const store = options.stores?.get(pid) ?? new CrashStore<string>();
      const started = { store, ...this.#start(pid, store, 0) };
      this.nodes.set(pid, {
        pid,
        ...started,
        isUp: true,
        returned: [],
        ready: new Map(),
        restarts: 0,
        checkedIndex: 0,
      });
    }
  }

  node(pid: NodeId): TestNode {
    const node = this.nodes.get(pid);
    if (!node) throw new Error(`no node ${pid}`);
    return node;
  }

  paxos(pid: NodeId): OmniPaxos<string> {
    return this.node(pid).paxos;
  }

  /** The node that leads in its accept phase under the highest ballot; undefined if there is none. */
  get leader(): NodeId | undefined {
    let best: OmniPaxos<string> | undefined;
    for (const { paxos, isUp } of this.nodes.values()) {
      if (!isUp || !paxos.isLeaderInAcceptPhase) continue;
      if (!best || compareBallots(paxos.promise, best.promise) > 0) best = paxos;
    }
    return best?.pid;
  }

  /** Ticks of time, every message delivered after each. */
  tick(count = 1): void {
    for (let passed = 0; passed < count; passed++) {
      for (const node of this.nodes.values()) this.tickNode(node);
      this.settle();
    }
  }

  /** So many election timeouts. */
  timeouts(count: number): void {
    this.tick(Math.ceil(count * (this.#options.electionTimeoutTicks ?? electionTimeoutTicks)));
  }

  /** Lets a leader be elected; returns it. */
  elect(): NodeId {
    this.timeouts(4);
    const { leader } = this;
    if (leader === undefined) throw new Error('no leader within 4 election timeouts');
    return leader;
  }

  /** Makes `pid` the leader by hand, as an election would. */
  lead(pid: NodeId): void {
    let n = 0;
    for (const { paxos } of this.nodes.values()) n = Math.max(n, paxos.promise.n);
    this.paxos(pid).handleLeader({ n: n + 1, priority: 0, pid });
    this.settle();
  }

  propose(pid: NodeId, ...entries: string[]): ProposeResult {
    let result: ProposeResult = { ok: true };
    for (const entry of entries) result = this.paxos(pid).proposeNormal(entry);
    return result;
  }

  /** Ticks of the log alone: resends, and no election. */
  resend(ticks: number): void {
    for (let passed = 0; passed < ticks; passed++) {
      for (const { paxos, isUp } of this.nodes.values()) if (isUp) paxos.tick();
      this.settle();
    }
  }

  tickNode(node: TestNode): void {
    if (!node.isUp) return;
    const leader = node.election.tick();
    if (leader) node.paxos.handleLeader(leader);
    node.paxos.tick();
  }

  /** Delivers messages in order until all is quiet. */
  settle(): void {
    for (let round = 0; round < 10_000; round++) {
      for (const node of this.nodes.values()) this.turn(node);
      const batch = this.inFlight;
      if (batch.length === 0) return;
      this.inFlight = [];
      for (const message of batch) this.deliver(message);
    }
    throw new Error(`never quiet; last:\n${this.trace.slice(-30).join('\n')}`);
  }

  /** One node's turn: its disk writes (if it does so by itself), then it sends what may leave. */
  turn(node: TestNode): void {
    if (!node.isUp) return;
    if (this.#options.catchesUp ?? true) this.catchUp(node);
    // Twice: what must wait for the disk is staged by then.
    const outgoing: Message[] = node.paxos.getOutgoingMsgs();
    if (this.flushes) {
      node.store.flush();
      for (const message of node.paxos.getOutgoingMsgs()) outgoing.push(message);
    }
    for (const message of node.election.getOutgoingMsgs()) outgoing.push(message);
    for (const message of outgoing) this.send(message);
    for (const entry of node.paxos.takeReturnedProposals()) node.returned.push(entry);
    for (const { readId, readIndex } of node.paxos.takeReadyReads()) node.ready.set(readId, readIndex);
    this.#check(node);
  }

  send(message: Message): void {
    const fate = this.isCut(message.from, message.to) ? 'drop' : this.fate(message);
    if (fate !== 'deliver') this.trace.push(`${fate}: ${describe(message)}`);
    if (fate === 'deliver' || fate === 'duplicate') this.inFlight.push(message);
    if (fate === 'duplicate') this.inFlight.push(message);
    if (fate === 'hold') this.held.push(message);
    if (fate === 'swap') this.inFlight.push({ ...message, from: message.to, to: message.from });
  }

  deliver(message: Message): void {
    const node = this.nodes.get(message.to);
    if (!node?.isUp || this.isCut(message.from, message.to)) return;
    this.trace.push(describe(message));
    if (isBallotMessage(message)) {
      const leader = node.election.handle(message);
      if (leader) node.paxos.handleLeader(leader);
    } else node.paxos.handle(message);
    this.#check(node);
  }

  /** Lets go what was held: it arrives next, in its order. */
  release(): void {
    this.inFlight.push(...this.held);
    this.held = [];
  }

  /** Cuts links, in both directions. */
  cut(a: NodeId, ...others: NodeId[]): void {
    for (const b of others) {
      this.#cut.add(`${a}-${b}`).add(`${b}-${a}`);
    }
  }

  /** All links are cut but those named, each as a pair. */
  cutAllBut(...kept: (readonly [NodeId, NodeId])[]): void {
    for (const a of this.ids) this.cut(a, ...this.ids.filter((b) => b !== a));
    for (const [a, b] of kept) {
      this.#cut.delete(`${a}-${b}`);
      this.#cut.delete(`${b}-${a}`);
    }
  }

  /** Links come back. Both ends are told unless `silently`. */
  heal(a: NodeId, b: NodeId, silently = false): void {
    if (!this.#cut.delete(`${a}-${b}`)) return;
    this.#cut.delete(`${b}-${a}`);
    if (silently) return;
    if (this.node(a).isUp) this.paxos(a).reconnected(b);
    if (this.node(b).isUp) this.paxos(b).reconnected(a);
  }

  healAll(silently = false): void {
    for (const a of this.ids) for (const b of this.ids) this.heal(a, b, silently);
  }

  isCut(a: NodeId, b: NodeId): boolean {
    return this.#cut.has(`${a}-${b}`);
  }

  /** The node stops; what its disk did not have is gone, and so are messages to it. */
  crash(pid: NodeId): void {
    const node = this.node(pid);
    node.isUp = false;
    this.inFlight = this.inFlight.filter((message) => message.to !== pid);
  }

  /** Starts it again on what its disk has. The others see its links come back unless `silently`. */
  restart(pid: NodeId, silently = false): void {
    const node = this.node(pid);
    node.restarts++;
    node.store = node.store.crash();
    Object.assign(node, this.#start(pid, node.store, node.restarts), { isUp: true, checkedIndex: 0 });
    if (silently) return;
    for (const other of this.nodes.values()) if (other.isUp && other.pid !== pid) other.paxos.reconnected(pid);
  }

  /** What the replica around the core does: fetches decided entries, or state where they are trimmed. */
  catchUp(node: TestNode): void {
    const target = node.paxos.catchUpTarget;
    if (!target) return;
    for (const donor of this.nodes.values()) {
      if (donor === node || !donor.isUp || this.isCut(donor.pid, node.pid)) continue;
      if (donor.paxos.decidedIndex >= target.index) return this.install(node, donor);
    }
  }

  /** Hands all that `donor` has decided to `node`. */
  install(node: TestNode, donor: TestNode): void {
    const from = node.paxos.decidedIndex;
    if (donor.paxos.decidedIndex <= from) return;
    // State as far as the donor's log is gone, the log from there: a StopSign always comes as an entry.
    if (donor.paxos.trimmedIndex > from) node.paxos.installState(donor.paxos.trimmedIndex);
    const next = node.paxos.decidedIndex;
    if (next >= donor.paxos.trimmedIndex) node.paxos.installDecided(next, donor.paxos.getDecidedEntries(next));
    this.#check(node);
  }

  /** Names of the decided entries of a node. */
  decidedOf(pid: NodeId): string[] {
    return this.paxos(pid).getDecidedEntries().map(name);
  }

  /** All nodes that are up have decided exactly `names`. */
  expectDecided(names: readonly string[]): void {
    for (const { pid, isUp } of this.nodes.values()) {
      if (isUp) expect(this.decidedOf(pid), `decided at node ${pid}`).toEqual(names);
    }
  }

  #start(pid: NodeId, store: CrashStore<string>, restarts: number) {
    const { quorum, priorities, replica, configurationId = 1 } = this.#options;
    const peers = this.ids.filter((id) => id !== pid);
    const shared = { configurationId, pid, peers, ...(quorum && { quorum }) };
    const paxos = new OmniPaxos<string>({
      resendTicks: 2,
      firstReadId: 1 + restarts * 1_000_000,
      ...replica,
      ...shared,
      store,
    });
    const election = new BallotLeaderElection({
      ...shared,
      electionTimeoutTicks: this.#options.electionTimeoutTicks ?? electionTimeoutTicks,
      priority: priorities?.[pid] ?? 0,
      paxos,
    });
    return { paxos, election };
  }

  /** One decided sequence: whatever a node has decided agrees with what any node ever had. */
  #check(node: TestNode): void {
    const { pid, paxos } = node;
    const from = Math.max(paxos.trimmedIndex, node.checkedIndex);
    const entries = paxos.decidedIndex > from ? paxos.getDecidedEntries(from) : [];
    node.checkedIndex = paxos.decidedIndex;
    for (const [at, entry] of entries.entries()) {
      const known = this.decided[from + at];
      if (known === undefined) this.decided.push(entry);
      else if (name(known) !== name(entry)) {
        throw new Error(`node ${pid} decided ${name(entry)} at ${from + at}, where ${name(known)} was decided before`);
      }
    }
    if (
      paxos.isLeaderInAcceptPhase &&
      !this.leaderships.some((ballot) => compareBallots(ballot, paxos.promise) === 0)
    ) {
      this.leaderships.push(paxos.promise);
    }
  }
}

export function name(entry: Entry<string>): string {
  return entry.type === 'Normal' ? entry.entry : `StopSign(${entry.stopSign.nodes.join(',')})`;
}

function isBallotMessage(message: Message): message is BallotMessage {
  return message.payload.type === 'HeartbeatRequest' || message.payload.type === 'HeartbeatReply';
}

function describe(message: Message): string {
  const show = (key: string, value: unknown): unknown => {
    if (key === 'type') return undefined;
    if (value && typeof value === 'object' && 'n' in value && 'pid' in value) return `b${value.n}.${value.pid}`;
    return value;
  };
  return `${message.from}→${message.to} ${message.payload.type} ${JSON.stringify(message.payload, show)}`;
}
