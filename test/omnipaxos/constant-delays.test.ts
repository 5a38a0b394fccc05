import { expect, it } from 'vitest';
import type { BallotMessage, NodeId, PaxosMessage } from '../../src/omnipaxos/index.ts';
import { BallotLeaderElection, OmniPaxos } from '../../src/omnipaxos/index.ts';
import { SeededRandom } from './random.ts';

/*
 * Networks that are always the same: clocks of one rate, and each link with a delay of its own that never changes. Nothing in an election is left to
 * chance, so one that does not end in a round or two never does.
 */

const timeoutMs = 200;
const timeoutTicks = 10;
/** Election timeouts until there has to be a leader. */
const timeoutsMax = 10;

interface Shape {
  readonly members: number;
  /** How many of them run. */
  readonly up: number;
  /** They begin within so long, milliseconds. */
  readonly spreadMs: number;
  readonly accept?: number;
}

interface Due {
  readonly atMs: number;
  readonly run: () => void;
}

class Network {
  readonly #nodes = new Map<NodeId, { readonly paxos: OmniPaxos<string>; readonly election: BallotLeaderElection }>();
  readonly #delays = new Map<string, number>();
  readonly #due: Due[] = [];
  #nowMs = 0;

  constructor({ members, up, spreadMs, accept }: Shape, random: SeededRandom) {
    const ids = Array.from({ length: members }, (_, at) => at + 1);
    const quorum = accept === undefined ? {} : { quorum: { prepare: members - accept + 1, accept } };
    for (const pid of random.shuffle(ids).slice(0, up)) {
      const shared = { configurationId: 1, pid, peers: ids.filter((id) => id !== pid), ...quorum };
      const paxos = new OmniPaxos<string>({ ...shared, resendTicks: timeoutTicks });
      const election = new BallotLeaderElection({ ...shared, electionTimeoutTicks: timeoutTicks, paxos });
      this.#nodes.set(pid, { paxos, election });
      this.#at(random.next() * spreadMs, () => this.#tick(pid));
    }
    for (const a of this.#nodes.keys())
      for (const b of this.#nodes.keys()) this.#delays.set(`${a}-${b}`, 0.5 + random.next() * 20);
  }

  /** Election timeouts until somebody leads in its accept phase; undefined: nobody did in time. */
  elect(): number | undefined {
    for (;;) {
      const next = this.#due.shift();
      if (next === undefined || next.atMs > timeoutsMax * timeoutMs) return undefined;
      this.#nowMs = next.atMs;
      next.run();
      if ([...this.#nodes.values()].some(({ paxos }) => paxos.isLeaderInAcceptPhase)) return this.#nowMs / timeoutMs;
    }
  }

  #tick(pid: NodeId): void {
    const node = this.#nodes.get(pid);
    const leader = node?.election.tick();
    if (leader) node?.paxos.handleLeader(leader);
    node?.paxos.tick();
    this.#sendAll(pid);
    this.#at(this.#nowMs + timeoutMs / timeoutTicks, () => this.#tick(pid));
  }

  #sendAll(pid: NodeId): void {
    const node = this.#nodes.get(pid);
    for (const message of node?.paxos.getOutgoingMsgs() ?? []) this.#send(message);
    for (const message of node?.election.getOutgoingMsgs() ?? []) this.#send(message);
  }

  #send(message: PaxosMessage<string> | BallotMessage): void {
    const { from, to } = message;
    const delayMs = this.#delays.get(`${from}-${to}`);
    if (delayMs !== undefined) this.#at(this.#nowMs + delayMs, () => this.#deliver(message));
  }

  #deliver(message: PaxosMessage<string> | BallotMessage): void {
    const node = this.#nodes.get(message.to);
    if (isBallotMessage(message)) {
      const leader = node?.election.handle(message);
      if (leader) node?.paxos.handleLeader(leader);
    } else node?.paxos.handle(message);
    this.#sendAll(message.to);
  }

  /** Of those at one moment the one that was asked for first comes first, as on a link that keeps the order. */
  #at(atMs: number, run: () => void): void {
    let at = this.#due.length;
    while (at > 0 && (this.#due[at - 1] as Due).atMs > atMs) at--;
    this.#due.splice(at, 0, { atMs, run });
  }
}

function isBallotMessage(message: PaxosMessage<string> | BallotMessage): message is BallotMessage {
  return message.payload.type === 'HeartbeatRequest' || message.payload.type === 'HeartbeatReply';
}

it.each<Shape>([
  { members: 3, up: 2, spreadMs: 20 },
  { members: 5, up: 3, spreadMs: 5 },
  { members: 6, up: 4, spreadMs: 5 },
  { members: 7, up: 4, spreadMs: 5 },
  { members: 8, up: 5, spreadMs: 5 },
  { members: 9, up: 5, spreadMs: 20 },
  { members: 5, up: 5, spreadMs: 10, accept: 5 },
])('a bare quorum that begins at once elects, whatever the delays are: %o', (shape) => {
  const failed: number[] = [];
  for (let seed = 1; seed <= 200; seed++)
    if (new Network(shape, new SeededRandom(seed)).elect() === undefined) failed.push(seed);
  expect(failed).toEqual([]);
});
