import type { BallotMessage, NodeId, PaxosMessage, QuorumSizes } from '../../src/omnipaxos/index.ts';
import { BallotLeaderElection, MemoryStore, OmniPaxos } from '../../src/omnipaxos/index.ts';
import type { SeededRandom } from './random.ts';

/** Steps of time of an election timeout: those of a tick, and its ticks. */
const tickSteps = 10;
const electionTimeoutTicks = 10;
export const timeoutSteps = tickSteps * electionTimeoutTicks;

/** Delays up to a twentieth, a tenth and a fifth of an election timeout; nodes that begin do so within as long. */
export const usual = { delayStepsMax: 5, startStepsMax: 5 };
export const slow = { delayStepsMax: 10, startStepsMax: 10 };
export const slower = { delayStepsMax: 20, startStepsMax: 20 };

export interface TimedClusterOptions {
  readonly nodes: number;
  /** Each message takes from one step to so many; on a link they keep their order. */
  readonly delayStepsMax: number;
  readonly quorum?: QuorumSizes;
  /** The node that starts in office. */
  readonly successor?: NodeId;
}

interface Life {
  readonly paxos: OmniPaxos<string>;
  readonly election: BallotLeaderElection;
}

interface TimedNode {
  readonly pid: NodeId;
  /** Which of the steps it ticks at. */
  readonly phase: number;
  readonly store: MemoryStore<string>;
  lives: number;
  life: Life | undefined;
}

type Message = PaxosMessage<string> | BallotMessage;

/** Links that carry nothing, `from-to`. */
export type Cut = ReadonlySet<string>;

/**
 * Nodes whose messages take time, and whose ticks are at different times: for what the length of an election depends on. Each proposes something at each of its
 * ticks.
 */
export class TimedCluster {
  readonly #random: SeededRandom;
  readonly #options: TimedClusterOptions;
  readonly #nodes: TimedNode[];
  readonly #arrivals = new Map<number, Message[]>();
  /** When the last message of a link arrives. */
  readonly #latest = new Map<string, number>();
  #cut: Cut = new Set();
  step = 0;
  /** The most that was decided anywhere, and when. */
  decidedIndex = 0;
  decidedAt = 0;
  /** Each ballot that someone has led with, with a quorum. */
  readonly ballots = new Set<string>();

  constructor(random: SeededRandom, options: TimedClusterOptions) {
    this.#random = random;
    this.#options = options;
    this.#nodes = Array.from({ length: options.nodes }, (_, at) => ({
      pid: at + 1,
      phase: random.below(tickSteps),
      store: new MemoryStore<string>(),
      lives: 0,
      life: undefined,
    }));
  }

  get pids(): readonly NodeId[] {
    return this.#nodes.map(({ pid }) => pid);
  }

  isUp(pid: NodeId): boolean {
    return this.#node(pid).life !== undefined;
  }

  /** Starts it, on what its store has. */
  start(pid: NodeId): void {
    const { quorum, successor } = this.#options;
    const node = this.#node(pid);
    const shared = { configurationId: 2, pid, peers: this.pids.filter((id) => id !== pid), ...(quorum && { quorum }) };
    const { store } = node;
    const firstReadId = 1 + node.lives * 1_000_000;
    const paxos = new OmniPaxos<string>({ ...shared, store, resendTicks: 5, firstReadId });
    const isSuccessor = pid === successor;
    const election = new BallotLeaderElection({ ...shared, electionTimeoutTicks, paxos, isSuccessor });
    if (isSuccessor) {
      paxos.handleLeader(election.leader);
      paxos.requestPrepare();
    }
    node.lives++;
    node.life = { paxos, election };
  }

  stop(pid: NodeId): void {
    this.#node(pid).life = undefined;
  }

  /** The links that are cut from now on. Both ends of those that come back are told, as where a connection is made anew. */
  cut(cut: Cut): void {
    for (const link of this.#cut) {
      if (cut.has(link)) continue;
      const [from, to] = link.split('-').map(Number) as [NodeId, NodeId];
      if (this.isUp(to)) this.#node(from).life?.paxos.reconnected(to);
    }
    this.#cut = cut;
  }

  /** True if a node that is up is in reach of so many, itself included, that it can lead with them. */
  canDecide(cut: Cut, down: ReadonlySet<NodeId> = new Set()): boolean {
    const { quorum } = this.#options;
    const needed = quorum ? Math.max(quorum.prepare, quorum.accept) : Math.floor(this.#nodes.length / 2) + 1;
    const up = this.pids.filter((pid) => !down.has(pid));
    const reached = (pid: NodeId) => up.filter((id) => !cut.has(`${pid}-${id}`) && !cut.has(`${id}-${pid}`));
    return up.some((pid) => reached(pid).length >= needed);
  }

  /** A step of time. */
  advance(): void {
    this.step++;
    for (const message of this.#arrivals.get(this.step) ?? []) this.#take(message);
    this.#arrivals.delete(this.step);
    for (const node of this.#nodes) {
      if (node.life === undefined) continue;
      if (this.step % tickSteps === node.phase) this.#tick(node.life);
      this.#send(node.life);
      this.#note(node.life);
    }
  }

  #node(pid: NodeId): TimedNode {
    return this.#nodes[pid - 1] as TimedNode;
  }

  #take(message: Message): void {
    const { life } = this.#node(message.to);
    if (life === undefined || this.#cut.has(`${message.from}-${message.to}`)) return;
    const { paxos, election } = life;
    if (message.payload.type === 'HeartbeatRequest' || message.payload.type === 'HeartbeatReply') {
      const leader = election.handle(message as BallotMessage);
      if (leader) paxos.handleLeader(leader);
    } else paxos.handle(message as PaxosMessage<string>);
  }

  #tick({ paxos, election }: Life): void {
    const leader = election.tick();
    if (leader) paxos.handleLeader(leader);
    paxos.tick();
    paxos.proposeNormal('an entry');
    paxos.takeReturnedProposals();
    this.#catchUp(paxos);
  }

  /** What the replica around the core does for one that lacks too much for a message. */
  #catchUp(paxos: OmniPaxos<string>): void {
    const target = paxos.catchUpTarget;
    if (target === undefined) return;
    const { decidedIndex } = paxos;
    const donor = this.#nodes.find(({ pid, life }) => {
      const isAhead = life !== undefined && life.paxos.decidedIndex >= target.index && target.index > decidedIndex;
      return isAhead && !this.#cut.has(`${pid}-${paxos.pid}`);
    });
    if (donor?.life) paxos.installDecided(decidedIndex, donor.life.paxos.getDecidedEntries(decidedIndex));
  }

  #send({ paxos, election }: Life): void {
    for (const message of [...election.getOutgoingMsgs(), ...paxos.getOutgoingMsgs()]) {
      const link = `${message.from}-${message.to}`;
      if (this.#cut.has(link)) continue;
      const soonest = this.step + 1 + this.#random.below(this.#options.delayStepsMax);
      const at = Math.max(soonest, this.#latest.get(link) ?? 0);
      this.#latest.set(link, at);
      this.#arrivals.set(at, [...(this.#arrivals.get(at) ?? []), message]);
    }
  }

  #note({ paxos }: Life): void {
    if (paxos.isLeaderInAcceptPhase) this.ballots.add(`${paxos.promise.n}.${paxos.promise.pid}`);
    if (paxos.decidedIndex <= this.decidedIndex) return;
    this.decidedIndex = paxos.decidedIndex;
    this.decidedAt = this.step;
  }
}

/** Each link is cut with this probability, in both directions. */
export function randomCut(pids: readonly NodeId[], random: SeededRandom, probability: number): Cut {
  const cut = new Set<string>();
  for (const a of pids) {
    for (const b of pids) if (a < b && random.chance(probability)) cut.add(`${a}-${b}`).add(`${b}-${a}`);
  }
  return cut;
}
