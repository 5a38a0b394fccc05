import type { BallotMessage, NodeId, PaxosMessage } from '../../src/omnipaxos/index.ts';
import { BallotLeaderElection, MemoryStore, OmniPaxos } from '../../src/omnipaxos/index.ts';
import { SeededRandom } from './random.ts';

/** Steps of time of an election timeout: those of a tick, and its ticks. */
const tickSteps = 10;
const electionTimeoutTicks = 10;
export const timeoutSteps = tickSteps * electionTimeoutTicks;

export interface HandoverOptions {
  readonly nodes: number;
  /** Each message takes from one step to so many; on a link they keep their order. */
  readonly delayStepsMax: number;
  /** All have taken up the configuration by this step. */
  readonly startStepsMax: number;
  /** Each link is cut with this probability; one node at least is left in reach of a majority. Default 0. */
  readonly cutProbability?: number;
  /** They are cut by so many steps later, at one of chance in the timeout before. Default: from the start. */
  readonly cutBySteps?: number;
  /** The one that all take for the successor goes for good at a step up to this one after the first has come, and maybe never comes. */
  readonly successorGoesBy?: number;
  /** False: nobody is told that it is the successor. Default true. */
  readonly hasSuccessor?: boolean;
}

export interface HandoverResult {
  /** The most steps without a decision, from when the first node takes up the configuration. */
  readonly gapSteps: number;
  /** How many have led, each with a quorum. */
  readonly leaders: number;
}

interface Node {
  readonly pid: NodeId;
  readonly startsAt: number;
  /** Which of the steps it ticks at. */
  readonly phase: number;
  paxos?: OmniPaxos<string>;
  election?: BallotLeaderElection;
}

type Message = PaxosMessage<string> | BallotMessage;

/** A configuration begins whose nodes take it up at times of chance, the leader of the one before not being in it; it goes on for ten election timeouts. */
export function handover(seed: number, options: HandoverOptions): HandoverResult {
  const random = new SeededRandom(seed);
  const nodes: Node[] = Array.from({ length: options.nodes }, (_, at) => ({
    pid: at + 1,
    startsAt: random.below(options.startStepsMax + 1),
    phase: random.below(tickSteps),
  }));
  const first = Math.min(...nodes.map(({ startsAt }) => startsAt));
  const goesAt =
    options.successorGoesBy === undefined
      ? Number.POSITIVE_INFINITY
      : first + random.below(options.successorGoesBy + 1);
  const isUp = ({ pid }: Node, step: number) => pid !== 1 || step < goesAt;
  const { cutProbability = 0, cutBySteps = 0 } = options;
  const cutAt = cutBySteps === 0 ? first : first + cutBySteps - random.below(timeoutSteps);
  const links = new Links(random, options.delayStepsMax, cutsOf(nodes, random, cutProbability), cutAt);
  const ballots = new Set<string>();
  let decidedIndex = 0;
  let decidedAt = first;
  let gapSteps = 0;
  for (let step = first; step < first + cutBySteps + 10 * timeoutSteps; step++) {
    const up = nodes.filter((node) => isUp(node, step));
    for (const node of up) if (node.startsAt === step) start(node, options);
    for (const message of links.arriving(step)) take(nodes[message.to - 1] as Node, message);
    for (const node of up) {
      if (step % tickSteps === node.phase) tick(node);
      links.send(step, node);
      const { paxos } = node;
      if (paxos?.isLeaderInAcceptPhase) ballots.add(`${paxos.promise.n}.${paxos.promise.pid}`);
      if (paxos === undefined || paxos.decidedIndex <= decidedIndex) continue;
      decidedIndex = paxos.decidedIndex;
      decidedAt = step;
    }
    gapSteps = Math.max(gapSteps, step - decidedAt);
  }
  return { gapSteps, leaders: ballots.size };
}

class Links {
  readonly #random: SeededRandom;
  readonly #delayStepsMax: number;
  readonly #cut: ReadonlySet<string>;
  readonly #cutAt: number;
  readonly #arrivals = new Map<number, Message[]>();
  readonly #latest = new Map<string, number>();

  constructor(random: SeededRandom, delayStepsMax: number, cut: ReadonlySet<string>, cutAt: number) {
    this.#random = random;
    this.#cutAt = cutAt;
    this.#delayStepsMax = delayStepsMax;
    this.#cut = cut;
  }

  send(step: number, { paxos, election }: Node): void {
    if (paxos === undefined || election === undefined) return;
    for (const message of [...election.getOutgoingMsgs(), ...paxos.getOutgoingMsgs()]) {
      const link = `${message.from}-${message.to}`;
      if (step >= this.#cutAt && this.#cut.has(link)) continue;
      const at = Math.max(step + 1 + this.#random.below(this.#delayStepsMax), this.#latest.get(link) ?? 0);
      this.#latest.set(link, at);
      this.#arrivals.set(at, [...(this.#arrivals.get(at) ?? []), message]);
    }
  }

  arriving(step: number): readonly Message[] {
    const messages = this.#arrivals.get(step) ?? [];
    this.#arrivals.delete(step);
    return messages;
  }
}

function cutsOf(nodes: readonly Node[], random: SeededRandom, probability: number): ReadonlySet<string> {
  for (;;) {
    const cut = new Set<string>();
    for (const { pid: a } of nodes) {
      for (const { pid: b } of nodes) if (a < b && random.chance(probability)) cut.add(`${a}-${b}`).add(`${b}-${a}`);
    }
    const reached = ({ pid }: Node) => nodes.filter((other) => !cut.has(`${pid}-${other.pid}`)).length;
    if (nodes.some((node) => reached(node) > nodes.length / 2)) return cut;
  }
}

function start(node: Node, { nodes, hasSuccessor = true }: HandoverOptions): void {
  const { pid } = node;
  const peers = Array.from({ length: nodes }, (_, at) => at + 1).filter((id) => id !== pid);
  const shared = { configurationId: 2, pid, peers };
  const paxos = new OmniPaxos<string>({ ...shared, store: new MemoryStore<string>(), resendTicks: 5 });
  const isSuccessor = hasSuccessor && pid === 1;
  const election = new BallotLeaderElection({ ...shared, electionTimeoutTicks, paxos, isSuccessor });
  if (isSuccessor) {
    paxos.handleLeader(election.leader);
    paxos.requestPrepare();
  }
  Object.assign(node, { paxos, election });
}

function take({ paxos, election }: Node, message: Message): void {
  if (paxos === undefined || election === undefined) return;
  if (message.payload.type === 'HeartbeatRequest' || message.payload.type === 'HeartbeatReply') {
    const leader = election.handle(message as BallotMessage);
    if (leader) paxos.handleLeader(leader);
  } else paxos.handle(message as PaxosMessage<string>);
}

function tick({ paxos, election }: Node): void {
  if (paxos === undefined || election === undefined) return;
  const leader = election.tick();
  if (leader) paxos.handleLeader(leader);
  paxos.tick();
  paxos.proposeNormal('an entry');
}

/** Of many handovers: the longest times without a decision, in election timeouts, and how many had more than one leader. */
export function summaryOf(results: readonly HandoverResult[]) {
  const gaps = results.map(({ gapSteps }) => gapSteps / timeoutSteps).sort((a, b) => a - b);
  return {
    mean: gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length,
    p99: gaps[Math.floor(0.99 * gaps.length)] as number,
    max: gaps.at(-1) as number,
    beyondFour: gaps.filter((gap) => gap > 4).length,
    changes: results.filter(({ leaders }) => leaders > 1).length,
  };
}
