import { describe, expect, it } from 'vitest';
import { quorumProblem } from '../../src/omnipaxos/index.ts';
import { Cluster, electionTimeoutTicks, type Fate, name, type TestNode } from './cluster.ts';
import { SeededRandom } from './random.ts';

const seeds = Number(process.env['OMNIPAXOS_SEEDS'] ?? 300);
const firstSeed = Number(process.env['OMNIPAXOS_FIRST_SEED'] ?? 1);
const steps = Number(process.env['OMNIPAXOS_STEPS'] ?? 1200);

/** A read that was asked for, and how much was decided anywhere at that moment. */
interface AskedRead {
  readonly node: TestNode;
  readonly restarts: number;
  readonly readId: number;
  readonly decidedBefore: number;
}

/** Everything that may go wrong, at random, from one seed. */
class Schedule {
  readonly cluster: Cluster;
  readonly random: SeededRandom;
  readonly #reads: AskedRead[] = [];
  readonly #loss: number;
  readonly #duplication: number;
  readonly #crashes: number;
  #proposed = 0;

  constructor(seed: number) {
    this.random = new SeededRandom(seed);
    const { random } = this;
    const count = random.pick([1, 2, 3, 3, 3, 5, 5]);
    const prepare = 1 + random.below(count);
    const quorum = { prepare, accept: count + 1 - prepare };
    const isFlexible = random.chance(0.3) && quorumProblem(quorum, count) === undefined;
    const isTight = random.chance(0.4);
    this.#loss = random.pick([0, 0.02, 0.1]);
    this.#duplication = random.pick([0, 0.05, 0.2]);
    this.#crashes = random.pick([0, 1, 3]);
    this.cluster = new Cluster({
      nodes: count,
      flushes: false,
      catchesUp: false,
      ...(isFlexible && { quorum }),
      replica: { resendTicks: 3, ...(isTight && { undecidedSizeMax: 6, syncSizeMax: 8, messageSizeMax: 3 }) },
    });
    this.cluster.fate = () => this.#fate();
  }

  run(count: number): void {
    for (let step = 0; step < count; step++) this.#step();
  }

  /** The network and all nodes are well again: everybody must come to decide the same, and something new. */
  heal(): void {
    const { cluster } = this;
    cluster.fate = () => 'deliver';
    for (const node of cluster.nodes.values()) if (!node.isUp) cluster.restart(node.pid, true);
    cluster.healAll(true);
    for (let round = 0; round < 12; round++) {
      if (!this.#isOver()) cluster.propose(this.random.pick(cluster.ids), `healed-${round}`);
      for (let tick = 0; tick < electionTimeoutTicks; tick++) {
        for (const node of cluster.nodes.values()) cluster.tickNode(node);
        this.#settle();
      }
    }
  }

  expectProgress(): void {
    const { cluster } = this;
    const names = cluster.decided.map(name);
    for (const { paxos, pid } of cluster.nodes.values()) {
      const entries = paxos.getDecidedEntries().map(name);
      expect(entries, `node ${pid}`).toEqual(names.slice(paxos.trimmedIndex));
    }
    const last = names[names.length - 1] ?? '';
    expect(last.startsWith('healed') || last.startsWith('StopSign'), `something new is decided, not ${last}`).toBe(
      true,
    );
    expect(names.slice(0, -1).some((entry) => entry.startsWith('StopSign'))).toBe(false);
  }

  #isOver(): boolean {
    return this.cluster.decided.at(-1)?.type === 'StopSign';
  }

  /** As `Cluster.settle`, with disks that write and with catch-up. */
  #settle(): void {
    const { cluster } = this;
    for (let round = 0; round < 1000; round++) {
      for (const node of cluster.nodes.values()) {
        node.store.flush();
        cluster.catchUp(node);
        cluster.turn(node);
        node.store.flush();
        cluster.turn(node);
      }
      if (cluster.inFlight.length === 0) return;
      for (const message of cluster.inFlight.splice(0)) cluster.deliver(message);
    }
    throw new Error(`never quiet; last:\n${cluster.trace.slice(-30).join('\n')}`);
  }

  #fate(): Fate {
    if (this.random.chance(this.#loss)) return 'drop';
    return this.random.chance(this.#duplication) ? 'duplicate' : 'deliver';
  }

  #step(): void {
    const { cluster, random } = this;
    const node = cluster.node(random.pick(cluster.ids));
    const roll = random.below(1000);
    if (roll < 450) return this.#deliver();
    if (roll < 650) return this.#turn(node);
    if (roll < 760) return node.isUp ? this.#flush(node) : undefined;
    if (roll < 860) return cluster.tickNode(node);
    if (roll < 920) return node.isUp ? this.#propose(node) : undefined;
    if (roll < 945) return node.isUp ? this.#read(node) : undefined;
    if (roll < 960) return this.#toggleLink();
    if (roll < 960 + this.#crashes * 3) return this.#crashOrRestart(node);
    if (roll < 975) return node.isUp ? cluster.catchUp(node) : undefined;
    if (roll < 982) return this.#installFromAnyone(node);
    if (roll < 988) return this.#trim(node);
    if (roll < 994 && this.random.chance(0.2)) this.#reconfigure(node);
  }

  /** Any message under way may be the next to arrive; mostly an old one. */
  #deliver(): void {
    const { cluster, random } = this;
    const window = random.chance(0.8) ? 4 : cluster.inFlight.length;
    const at = random.below(Math.min(window, cluster.inFlight.length));
    const [message] = cluster.inFlight.splice(at, 1);
    if (message) cluster.deliver(message);
    // A flood would only slow the run down.
    if (cluster.inFlight.length > 200) cluster.inFlight.splice(0, 100);
  }

  #turn(node: TestNode): void {
    this.cluster.turn(node);
    for (const read of this.#reads.splice(0)) {
      const readIndex = read.node.restarts === read.restarts ? read.node.ready.get(read.readId) : undefined;
      if (readIndex === undefined) this.#reads.push(read);
      else if (readIndex < read.decidedBefore) {
        throw new Error(`read at index ${readIndex}, but ${read.decidedBefore} were decided when it began`);
      }
    }
  }

  /** The disk writes all or some of what is staged. */
  #flush(node: TestNode): void {
    const { random } = this;
    node.store.flush(random.chance(0.7) ? node.store.lastWrite : node.store.durableWrite() + 1 + random.below(3));
  }

  #propose(node: TestNode): void {
    node.paxos.proposeNormal(`e${++this.#proposed}@${node.pid}`);
  }

  #read(node: TestNode): void {
    const decidedBefore = this.cluster.decided.length;
    const readId = node.paxos.requestRead();
    if (readId !== undefined) this.#reads.push({ node, restarts: node.restarts, readId, decidedBefore });
  }

  #toggleLink(): void {
    const { cluster, random } = this;
    const a = random.pick(cluster.ids);
    const b = random.pick(cluster.ids);
    if (a === b) return;
    if (cluster.isCut(a, b)) cluster.heal(a, b, random.chance(0.5));
    else cluster.cut(a, b);
  }

  #crashOrRestart(node: TestNode): void {
    if (node.isUp) this.cluster.crash(node.pid);
    else this.cluster.restart(node.pid, this.random.chance(0.5));
  }

  /** Catch-up has a way of its own: it may bring decided entries where the core did not ask. */
  #installFromAnyone(node: TestNode): void {
    const donor = this.cluster.node(this.random.pick(this.cluster.ids));
    if (donor !== node && node.isUp && donor.isUp) this.cluster.install(node, donor);
  }

  #trim(node: TestNode): void {
    const { paxos, isUp } = node;
    // As the replica does: only what is durable here.
    const index = Math.min(paxos.decidedIndex, node.store.durableDecidedIndex);
    if (isUp && index > paxos.trimmedIndex) paxos.trim(index);
  }

  #reconfigure(node: TestNode): void {
    if (node.isUp) node.paxos.proposeReconfiguration([...this.cluster.ids, 100 + this.#proposed]);
  }
}

describe('random schedules: loss, duplication, reordering, cuts, crashes that lose what was not flushed, reconfiguration', () => {
  const batch = 50;
  for (let first = firstSeed; first < firstSeed + seeds; first += batch) {
    it(`one decided sequence, linearizable reads, progress once healed: seeds ${first} to ${first + batch - 1}`, () => {
      for (let seed = first; seed < Math.min(first + batch, firstSeed + seeds); seed++) runSeed(seed);
    });
  }
});

function runSeed(seed: number): void {
  const schedule = new Schedule(seed);
  try {
    schedule.run(steps);
    schedule.heal();
    schedule.expectProgress();
  } catch (error) {
    const { cluster } = schedule;
    const states = [...cluster.nodes.values()].map(
      ({ paxos: p, election: b, pid }) =>
        `node ${pid}: ${p.phase} promise ${p.promise.n}.${p.promise.pid} round ${p.acceptedRound.n}.${p.acceptedRound.pid} trimmed ${p.trimmedIndex} decided ${p.decidedIndex} accepted ${p.acceptedIndex} follows ${b.leader.n}.${b.leader.pid} happy ${b.isHappy}`,
    );
    const hint = `replay: OMNIPAXOS_FIRST_SEED=${seed} OMNIPAXOS_SEEDS=1\n${states.join('\n')}`;
    throw new Error(`seed ${seed}: ${String(error)}\n${hint}\n${cluster.trace.slice(-25).join('\n')}`, {
      cause: error,
    });
  }
}
