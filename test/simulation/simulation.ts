import type { Configuration } from '../../src/cluster/configuration.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { majority } from '../../src/omnipaxos/quorum.ts';
import type { ClientResponse } from '../../src/wire/client-message.ts';
import { checkHistory } from '../linearizability/checker.ts';
import { EventQueue } from './event-queue.ts';
import { FaultCounts } from './fault-counts.ts';
import { Nemesis, nemesisConnection } from './nemesis.ts';
import { SimulatedNetwork } from './network.ts';
import { Oracle } from './oracle.ts';
import { type Plan, planOf } from './plan.ts';
import { Random } from './random.ts';
import { ClientsRecord, SimulatedClient } from './simulated-client.ts';
import { SimulatedNode, type World } from './simulated-node.ts';
import { Trace } from './trace.ts';
import { require, Violation } from './violation.ts';

/** What came of one seed. */
export interface SeedResult {
  readonly seed: number;
  readonly failure: { readonly check: string; readonly message: string } | undefined;
  readonly traceHash: string;
  readonly events: number;
  readonly simulatedUs: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly reconfigurations: number;
  readonly leaderChanges: number;
  readonly decided: number;
  readonly operations: number;
  readonly unknown: number;
  /** Election timeouts from the healing to the first write; undefined if it did not come to that. */
  readonly recoveryTimeouts: number | undefined;
}

const eventsMax = 5_000_000;
const clusterName = 'simulated';
/** Election timeouts in which a core decides that has nothing to catch up on and no configuration to hand over. */
const easyTimeoutsMax = 4;
/** Until new links are up, the answer is back at the client, and writes that were slow before the healing are done. */
const settleUs = 1_300_000;

/** Runs one seed to its end or to the first check that does not hold. `print` gets a line for everything that happens. */
export function simulate(seed: number, print?: (line: string) => void): SeedResult {
  return new Simulation(planOf(seed), print).run();
}

class Simulation {
  readonly #plan: Plan;
  readonly #queue = new EventQueue();
  readonly #counts = new FaultCounts();
  readonly #trace: Trace;
  readonly #record = new ClientsRecord();
  readonly #oracle = new Oracle(
    () => this.#queue.nowUs,
    (expired, nowUs) => {
      this.#counts.add('key expired');
      this.#record.expired(expired, nowUs);
    },
  );
  readonly #nodes: SimulatedNode[];
  readonly #byId: ReadonlyMap<NodeId, SimulatedNode>;
  readonly #network: SimulatedNetwork;
  readonly #clients: SimulatedClient[] = [];
  readonly #nemesis: Nemesis;
  readonly #world: World;
  readonly #random: Random;
  #recoveryUs: number | undefined;

  constructor(plan: Plan, print?: (line: string) => void) {
    this.#plan = plan;
    this.#trace = new Trace(print);
    this.#random = new Random(plan.seed, 2);
    const simulation = this;
    this.#world = {
      queue: this.#queue,
      random: new Random(plan.seed, 3),
      plan,
      trace: this.#trace,
      counts: this.#counts,
      oracle: this.#oracle,
      get network() {
        return simulation.#network;
      },
      node: (id) => this.#byId.get(id),
      respond: (from, connection, responses) => this.#respond(from, connection, responses),
      nodeFailed: (node) => this.#nemesis.nodeFailed(node),
    };
    this.#nodes = this.#makeNodes();
    this.#byId = new Map(this.#nodes.map((node) => [node.id, node]));
    const random = new Random(plan.seed, 4);
    const { nodes, queue, trace, counts } = {
      nodes: this.#nodes,
      queue: this.#queue,
      trace: this.#trace,
      counts: this.#counts,
    };
    this.#network = new SimulatedNetwork({ queue, random, plan: plan.network, trace, counts, nodes });
    this.#nemesis = new Nemesis(this.#world, new Random(plan.seed, 5), this.#nodes);
  }

  run(): SeedResult {
    let failure: SeedResult['failure'];
    try {
      this.#begin();
      this.#chaos();
      this.#heal();
      this.#checkHistory();
    } catch (error) {
      if (!(error instanceof Violation)) throw error;
      failure = { check: error.check, message: error.message };
    }
    return {
      seed: this.#plan.seed,
      failure,
      traceHash: this.#trace.hash,
      events: this.#queue.ran,
      simulatedUs: this.#queue.nowUs,
      faults: this.#counts.toJSON(),
      reconfigurations: this.#nemesis.reconfigured,
      leaderChanges: this.#oracle.leaderChanges,
      decided: this.#oracle.decidedIndex,
      operations: this.#record.answered,
      unknown: this.#record.unknown,
      recoveryTimeouts: this.#recoveryUs === undefined ? undefined : this.#recoveryUs / this.#plan.electionTimeoutUs,
    };
  }

  #makeNodes(): SimulatedNode[] {
    const { members, standbys, settingsOf } = this.#plan;
    const addressOf = (id: NodeId): string => `10.0.0.${id}:7000`;
    const initial = { name: clusterName, nodes: new Map(members.map((id) => [id, addressOf(id)])) };
    return [...members, ...standbys].map((id) => {
      const settings = settingsOf.get(id);
      if (!settings) throw new Error(`no settings for node ${id}`);
      return new SimulatedNode(this.#world, id, addressOf(id), initial, settings);
    });
  }

  #begin(): void {
    const { plan } = this;
    if (plan.formed) this.#presetConfiguration(plan.formed.quorum);
    for (const node of this.#nodes) this.#queue.after(this.#random.below(100_000), () => node.start());
    for (let index = 0; index < plan.clients; index++) {
      const client = new SimulatedClient(
        this.#world,
        index,
        new Random(plan.seed, 100 + index),
        this.#record,
        () => this.#nodes,
      );
      this.#clients.push(client);
      this.#queue.after(this.#random.below(500_000), () => client.start(plan.slotsPerClient));
    }
  }

  get plan(): Plan {
    return this.#plan;
  }

  #presetConfiguration(quorum: Configuration['quorum']): void {
    const members = this.#nodes
      .filter((node) => this.#plan.members.includes(node.id))
      .map((node) => ({ id: node.id, address: node.address, storageId: node.disk.storageId }))
      .sort((a, b) => a.id - b.id);
    const configuration: Configuration = { configurationId: 1, startIndex: 0, members, ...(quorum && { quorum }) };
    for (const { id } of members) {
      const { log } = (this.#byId.get(id) as SimulatedNode).disk;
      log.clusterId = '00112233aabbccdd';
      log.configuration = configuration;
    }
  }

  #chaos(): void {
    const { chaosUs, electionTimeoutUs, calm } = this.#plan;
    // Some clusters are left in peace until they have formed, some are not.
    this.#queue.after(this.#random.pick([0, 300_000, 1_500_000]), () => this.#nemesis.start());
    if (calm) {
      this.#queue.after(2_000_000 + 15 * electionTimeoutUs, () => {
        this.#oracle.expectNoLeaderChange('in a cluster without any fault but slow disks');
      });
    }
    this.#runUntil(chaosUs);
    this.#nemesis.stop();
    for (const client of this.#clients) client.stop();
    this.#oracle.expectNoLeaderChange(undefined);
  }

  /** Heals a core that must recover; all else stays broken for good. */
  #heal(): void {
    const { electionTimeoutUs } = this.#plan;
    if (this.#isFormedTwice) this.#beginAnew();
    const core = this.#chooseCore();
    const isEasy = this.#isEasy(core);
    const hub = this.#plan.hubCore && this.#areAllIn(core) ? this.#random.pick(core) : undefined;
    const names = core.map(({ id }) => id).join(' ');
    this.#note('heal', () => `healed: ${names}${hub ? `, all through node ${hub.id}` : ''}; all else stays broken`);
    this.#cutOff(core);
    for (const a of core) {
      a.quickDisk();
      a.freeDisk();
      a.resume();
      a.start();
      a.startAgainIfItLackedRoom();
      for (const b of core) {
        if (a.id >= b.id) continue;
        if (hub && a !== hub && b !== hub) {
          this.#network.cut(a, b);
          this.#network.cut(b, a);
        } else this.#network.makeHealthy(a, b, this.#plan.coreLossPercent);
      }
    }
    const healedUs = this.#queue.nowUs;
    const answeredUs = this.#writeOnce(core, healedUs, isEasy);
    this.#recoveryUs = answeredUs - healedUs;
    // A change of members that was under way may be decided behind that: then all begins anew (seed 60361186, with more losses).
    for (let settledIn: number | undefined = -1; settledIn !== this.#newest()?.configurationId; ) {
      // In a hub nobody but the hub reaches all others: whom the leader does not reach need not converge.
      if (!hub) this.#converge(core);
      settledIn = this.#newest()?.configurationId;
      this.#runUntil(this.#queue.nowUs + 15 * electionTimeoutUs);
    }
    this.#oracle.expectNoLeaderChange('on links that have been stable for 15 election timeouts');
    this.#runUntil(this.#queue.nowUs + 10 * electionTimeoutUs);
  }

  /** A new client at each node of the core writes. Returns when the first one was answered. */
  #writeOnce(core: readonly SimulatedNode[], healedUs: number, isEasy: boolean): number {
    const { coreLossPercent, electionTimeoutUs, seed } = this.#plan;
    let answeredUs: number | undefined;
    for (const node of core) {
      const random = new Random(seed, 1000 + node.id);
      const client = new SimulatedClient(this.#world, 1000 + node.id, random, this.#record, () => [node]);
      this.#clients.push(client);
      client.open(() => (answeredUs ??= this.#queue.nowUs));
    }
    const timeouts = coreLossPercent > 0 ? 300 : isEasy ? easyTimeoutsMax : 120;
    const untilUs = healedUs + timeouts * electionTimeoutUs + settleUs;
    while (answeredUs === undefined && this.#queue.nowUs < untilUs) this.#step(untilUs);
    require(answeredUs !== undefined, 'a healed core decides', () => {
      const names = core.map(({ id }) => id).join(' ');
      return `no write was decided in ${timeouts} election timeouts by the core ${names}: ${this.#describeNodes()}`;
    });
    return answeredUs;
  }

  #converge(core: readonly SimulatedNode[]): void {
    const untilUs =
      this.#queue.nowUs + (this.#plan.coreLossPercent > 0 ? 600 : 200) * this.#plan.electionTimeoutUs + 5_000_000;
    while (!this.#hasConverged(core)) {
      require(this.#queue.nowUs < untilUs, 'a healed core converges', () => this.#describeNodes());
      this.#runUntil(this.#queue.nowUs + this.#plan.tickUs);
    }
  }

  #hasConverged(core: readonly SimulatedNode[]): boolean {
    const configuration = this.#newest();
    if (!configuration) return false;
    const members = core.filter((node) => isMember(configuration, node));
    const hashes = new Set<string>();
    for (const { replica, log, waitsForRoom } of members) {
      const isIn = replica?.voter?.configurationId === configuration.configurationId;
      if (!replica || !isIn || waitsForRoom || replica.appliedIndex < this.#oracle.decidedIndex) return false;
      if (log?.state.decidedIndex !== this.#oracle.decidedIndex) return false;
      hashes.add(replica.stateHash());
    }
    require(hashes.size === 1, 'a healed core converges', () => `different states at ${this.#oracle.decidedIndex}`);
    return true;
  }

  /**
   * A quorum of the newest configuration; all that a reconfiguration under way may make members; and, if no quorum of them has
   * come over yet, a quorum of the configuration before, from which they come.
   */
  #chooseCore(): SimulatedNode[] {
    const { configurations } = this.#oracle;
    const core = new Set<SimulatedNode>();
    const newest = configurations.at(-1);
    if (!newest || !this.#isFormed) return [...this.#nodes].filter((node) => this.#plan.members.includes(node.id));
    this.#addQuorum(core, newest);
    for (const id of this.#nemesis.openTargets()) core.add(this.#byId.get(id) as SimulatedNode);
    // The one before is needed only while no quorum votes in the newest.
    const { prepare, accept } = newest.quorum ?? majority(newest.members.length);
    const voting = [...core].filter((node) => isMember(newest, node) && this.#votesIn(node, newest));
    if (voting.length < Math.max(prepare, accept)) {
      for (const configuration of configurations.slice(-2, -1)) this.#addQuorum(core, configuration);
    }
    // Whoever formed the cluster may have crashed before it told of it: the others alone cannot, without all its members (seed 49001346).
    const knowing = this.#nodes.filter((node) => isMember(newest, node) && knowsConfiguration(node));
    if (knowing.length > 0 && !knowing.some((node) => core.has(node))) core.add(this.#random.pick(knowing));
    return [...core];
  }

  #votesIn({ replica, disk }: SimulatedNode, { configurationId, startIndex }: Configuration): boolean {
    if (replica) return replica.voter?.configurationId === configurationId;
    return disk.log.configuration?.configurationId === configurationId && disk.log.paxos.decidedIndex >= startIndex;
  }

  /** False for a cluster of which nobody knows: whoever formed it crashed before it was on a disk, or told (seed 35602). */
  get #isFormed(): boolean {
    return this.#nodes.some(knowsConfiguration);
  }

  /** A founder's disk was emptied again and again while they met: others have formed a cluster with one of its disks each, and none of these is whole (seed 58203292). */
  get #isFormedTwice(): boolean {
    if (this.#oracle.decidedIndex > 0) return false;
    const members = this.#nodes.filter(({ id }) => this.#plan.members.includes(id));
    return new Set(members.flatMap(({ disk }) => disk.log.clusterId ?? [])).size > 1;
  }

  /** Nothing was decided, so nothing is lost. */
  #beginAnew(): void {
    this.#counts.add('formed anew');
    for (const node of this.#nodes) {
      node.crash();
      node.wipe();
    }
  }

  /** All of them vote in the newest configuration, and no other is under way. */
  #areAllIn(nodes: readonly SimulatedNode[]): boolean {
    const newest = this.#newest();
    if (!newest || this.#nemesis.openTargets().length > 0) return false;
    return nodes.every(({ replica }) => replica?.voter?.configurationId === newest.configurationId);
  }

  #addQuorum(core: Set<SimulatedNode>, configuration: Configuration): void {
    const candidates = this.#nodes.filter((node) => isMember(configuration, node));
    const quorum = configuration.quorum ?? majority(configuration.members.length);
    const needed = Math.max(quorum.prepare, quorum.accept);
    const count = this.#random.between(needed, Math.max(needed, candidates.length));
    for (const node of this.#random.sample(candidates, count)) core.add(node);
  }

  /** Nobody has to catch up on more than a few entries, come back or change the configuration. */
  #isEasy(core: readonly SimulatedNode[]): boolean {
    const newest = this.#newest();
    if (!newest || this.#nemesis.openTargets().length > 0) return false;
    return core.every((node) => {
      const { replica, log } = node;
      if (!node.isRunning || !log || replica?.voter?.configurationId !== newest.configurationId) return false;
      // One that does may wait for an answer which was lost, for as long as its donor may take.
      const isCatchingUp = replica.voter.paxos.catchUpTarget !== undefined || replica.status().catchUp !== undefined;
      return !isCatchingUp && this.#oracle.decidedIndex - replica.appliedIndex < 20;
    });
  }

  /** Links between the core and the rest: cut, in one direction or in both. */
  #cutOff(core: readonly SimulatedNode[]): void {
    for (const outside of this.#nodes) {
      if (core.includes(outside)) continue;
      for (const inside of core) {
        const cut = this.#random.below(4);
        if (cut !== 0) this.#network.cut(inside, outside);
        if (cut !== 1) this.#network.cut(outside, inside);
      }
    }
  }

  #checkHistory(): void {
    for (const client of this.#clients) client.stop();
    const verdict = checkHistory(this.#record.operations);
    require(verdict.ok, 'linearizable histories', () =>
      verdict.ok ? '' : `key ${verdict.key}: ${verdict.explanation}`);
  }

  #respond(from: SimulatedNode, connection: number, responses: readonly ClientResponse[]): void {
    const delayUs = this.#random.below(3000);
    if (!this.#plan.calm && this.#random.chance(2)) return;
    this.#queue.after(delayUs, () => {
      for (const response of responses) {
        if (connection === nemesisConnection) this.#nemesis.respond(response);
        else this.#clients.find(({ index }) => index === connection)?.respond(from, response);
      }
    });
  }

  #runUntil(untilUs: number): void {
    while (this.#step(untilUs));
  }

  #step(untilUs: number): boolean {
    require(this.#queue.ran < eventsMax, 'no endless work', () => `${eventsMax} events: ${this.#describeNodes()}`);
    return this.#queue.step(untilUs);
  }

  #newest(): Configuration | undefined {
    return this.#oracle.configurations.at(-1);
  }

  #describeNodes(): string {
    const lines = this.#nodes.map((node) => {
      const { replica } = node;
      if (!replica) return `node ${node.id} is down`;
      const { state, configurationId, leader, decidedIndex, appliedIndex } = replica.status();
      const paxos = replica.voter?.paxos;
      const voter = paxos
        ? `, ${paxos.isLeader ? 'leader' : 'follower'} in ${paxos.phase}, log to ${paxos.acceptedIndex}`
        : '';
      const paused = node.isPaused ? ', paused' : '';
      return `node ${node.id} is ${state} of ${configurationId}${paused}, follows ${leader ?? 'nobody'}, decided ${decidedIndex}, applied ${appliedIndex}${voter}`;
    });
    const members = this.#newest()
      ?.members.map(({ id }) => id)
      .join(' ');
    return `newest configuration ${this.#newest()?.configurationId} (${members}), ${this.#oracle.decidedIndex} decided\n  ${lines.join('\n  ')}`;
  }

  #note(code: string, text: () => string): void {
    this.#trace.note(this.#queue.nowUs, code, 0, 0, text);
  }
}

function knowsConfiguration({ disk, log }: SimulatedNode): boolean {
  return (log ?? disk.log).configuration !== undefined;
}

function isMember(configuration: Configuration, node: SimulatedNode): boolean {
  const { storageId, isRolledBack } = node.disk;
  return (
    !isRolledBack && configuration.members.some((member) => member.id === node.id && member.storageId === storageId)
  );
}
