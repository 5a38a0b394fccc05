import type { Configuration, Member } from '../../src/cluster/configuration.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { StopSign } from '../../src/omnipaxos/entry.ts';
import { majority } from '../../src/omnipaxos/quorum.ts';
import type { ClientResponse, TargetNode } from '../../src/wire/client-message.ts';
import type { FaultWeights } from './plan.ts';
import type { Random } from './random.ts';
import type { DiskImage } from './simulated-disk.ts';
import type { CrashPoint, SimulatedNode, World } from './simulated-node.ts';
import { require } from './violation.ts';

/** A reconfiguration that was asked for and may yet happen. */
interface Target {
  readonly ids: readonly NodeId[];
  /** The newest configuration decided when it was asked for. */
  readonly configurationId: number;
}

const crashPoints: readonly CrashPoint[] = [
  'beforeRelease',
  'afterRelease',
  'inFlush',
  'afterFlush',
  'inJob',
  'afterJob',
];

/** After so long nobody holds a link to a process that is gone. */
const settleUs = 5_000_000;

/** Connections of the nemesis, apart from those of clients. */
export const nemesisConnection = 1_000_000;

/** Does to the cluster what a plan says: crashes, cuts, pauses, bad disks, reconfigurations; and heals what it broke, or not. */
export class Nemesis {
  readonly #world: World;
  readonly #random: Random;
  readonly #nodes: readonly SimulatedNode[];
  readonly #targets = new Map<number, Target>();
  #nextRequest = 1;
  #isStopped = false;
  #reconfigured = 0;
  #lastWipe: SimulatedNode | undefined;
  readonly #wipedUs = new Map<NodeId, number>();
  /** Copies of disks, to be put back later. */
  readonly #images = new Map<NodeId, { readonly storageId: string; readonly image: DiskImage }>();

  constructor(world: World, random: Random, nodes: readonly SimulatedNode[]) {
    this.#world = world;
    this.#random = random;
    this.#nodes = nodes;
  }

  /** Reconfigurations that were answered as done. */
  get reconfigured(): number {
    return this.#reconfigured;
  }

  start(): void {
    this.#scheduleNext();
  }

  /** Does nothing any more, heals nothing any more. */
  stop(): void {
    this.#isStopped = true;
  }

  /** Members of configurations that may still come: by what was asked for, and by what somebody has accepted, whatever those who asked were told. */
  openTargets(): NodeId[] {
    const newest = this.#newest()?.configurationId ?? 0;
    const asked = [...this.#targets.values()].filter((target) => target.configurationId >= newest);
    const accepted = this.#nodes.flatMap(acceptedStopSigns).filter(({ configId }) => configId > newest);
    return [...asked.flatMap(({ ids }) => ids), ...accepted.flatMap(({ nodes }) => nodes)];
  }

  respond(response: ClientResponse): void {
    const target = this.#targets.get(response.id);
    if (!target) return;
    const { trace, queue, oracle } = this.#world;
    trace.note(
      queue.nowUs,
      'reconfigured',
      response.id,
      0,
      () => `reconfiguration to ${target.ids.join(' ')}: ${JSON.stringify(response)}`,
    );
    if (response.type === 'reconfigured') {
      this.#reconfigured++;
      this.#targets.delete(response.id);
      const configuration = oracle.configurations[response.configurationId - 1];
      const members = configuration?.members.map(({ id }) => id).join(' ');
      require(members ===
        [...target.ids].sort((a, b) => a - b).join(' '), 'a reconfiguration that is done is decided', () => {
        return `asked for ${target.ids.join(' ')}, configuration ${response.configurationId} has ${members}`;
      });
    } else if (response.type === 'failed' && response.outcome === 'notApplied') this.#targets.delete(response.id);
  }

  /** A node ended by itself. */
  nodeFailed(node: SimulatedNode): void {
    this.#restartLater(node);
  }

  #scheduleNext(): void {
    this.#later(this.#random.below(2 * this.#world.plan.faultEveryUs), () => {
      this.#strike();
      this.#scheduleNext();
    });
  }

  #strike(): void {
    const kinds = Object.entries(this.#world.plan.faults) as [keyof FaultWeights, number][];
    let dice = this.#random.below(kinds.reduce((sum, [, weight]) => sum + weight, 0));
    for (const [kind, weight] of kinds) {
      dice -= weight;
      if (dice < 0) return this.#do(kind);
    }
  }

  #do(kind: keyof FaultWeights): void {
    const node = this.#random.pick(this.#nodes);
    switch (kind) {
      case 'crash':
        return this.#crash(this.#random.chance(30) ? (this.#leader() ?? node) : node);
      case 'crashMany':
        for (const one of this.#random.sample(this.#nodes, this.#random.between(1, this.#nodes.length)))
          this.#crash(one);
        return;
      case 'crashAtWrite':
        this.#count('crash at a write');
        return node.crashAt(this.#random.pick(crashPoints));
      case 'pause':
        return this.#pause(this.#random.chance(40) ? (this.#leader() ?? node) : node);
      case 'wipe':
        return this.#wipe(node);
      case 'rollBack':
        return this.#rollBack(this.#withImage() ?? node);
      case 'cutLinks':
        return this.#cutSome(true);
      case 'cutOneWay':
        return this.#cutSome(false);
      case 'isolate':
        return this.#isolate(this.#random.chance(60) ? (this.#leader() ?? node) : node);
      case 'shape':
        return this.#shape();
      case 'swizzle':
        return this.#swizzle();
      case 'resetLinks':
        return this.#resetSome();
      case 'storm':
        this.#count('storm');
        return this.#world.network.storm(this.#random.between(100_000, 2_000_000));
      case 'slowDisk':
        this.#count('slow disk');
        return node.slowDisk(this.#random.between(200_000, 3_000_000));
      case 'failDisk':
        this.#count('failing disk');
        return node.failNextWrite();
      case 'fullDisk':
        return this.#fillDisk(node);
      case 'reconfigure':
        return this.#reconfigure();
    }
  }

  #fillDisk(node: SimulatedNode): void {
    this.#count('full disk');
    node.fillDisk();
    this.#later(this.#random.between(100_000, 3_000_000), () => node.freeDisk());
  }

  #crash(node: SimulatedNode): void {
    if (!node.isUp) return;
    this.#count('crash');
    node.crash();
    this.#restartLater(node);
  }

  #restartLater(node: SimulatedNode): void {
    const soon = this.#random.chance(60) ? this.#random.below(300_000) : this.#random.below(4_000_000);
    this.#later(soon, () => node.start());
  }

  #pause(node: SimulatedNode): void {
    if (!node.isRunning) return;
    this.#count('pause');
    node.pause();
    const { electionTimeoutUs } = this.#world.plan;
    this.#later(this.#random.between(electionTimeoutUs / 2, 12 * electionTimeoutUs), () => node.resume());
  }

  /** Only as many as every configuration that counts can lose for good. */
  #wipe(node: SimulatedNode): void {
    const target = this.#random.chance(30) ? (this.#lastWipe ?? node) : node;
    if (!this.#mayWipe(target)) return;
    this.#count('wiped disk');
    this.#lastWipe = target;
    this.#wipedUs.set(target.id, this.#world.queue.nowUs);
    target.crash();
    target.wipe();
    this.#restartLater(target);
  }

  /**
   * A copy of its disk is taken, and put back another time: after a restart that all who vote with it have durably noticed, and
   * while every configuration that counts can lose it for good. What comes back is refused, and the node is rebuilt on an
   * empty disk in the end.
   */
  #rollBack(node: SimulatedNode): void {
    const { disk } = node;
    const kept = this.#images.get(node.id);
    if (kept?.storageId !== disk.storageId) {
      this.#images.set(node.id, { storageId: disk.storageId, image: disk.image() });
      return;
    }
    if (disk.isRolledBack || !this.#mayWipe(node) || !this.#isKnownToAll(node, kept.image)) return;
    this.#images.delete(node.id);
    this.#count('rolled-back disk');
    this.#wipedUs.set(node.id, this.#world.queue.nowUs);
    node.crash();
    node.rollBack(kept.image);
    this.#restartLater(node);
    const rolledBack = node.disk;
    this.#later(this.#random.between(1_000_000, 6_000_000), () => {
      if (node.disk !== rolledBack) return;
      this.#wipedUs.set(node.id, this.#world.queue.nowUs);
      node.crash();
      node.wipe();
      this.#restartLater(node);
    });
  }

  /** Mostly one of which there is a copy. */
  #withImage(): SimulatedNode | undefined {
    const ids = [...this.#images.keys()];
    return ids.length > 0 && this.#random.chance(70) ? this.#world.node(this.#random.pick(ids)) : undefined;
  }

  /** All others that may count its votes have seen a later opening than the copy's next. */
  #isKnownToAll({ id, disk }: SimulatedNode, image: DiskImage): boolean {
    const others = this.#world.oracle.configurations
      .slice(-3)
      .flatMap(({ members }) => members)
      .filter((member) => member.id !== id && this.#disk(member.id) === member.storageId);
    return others.every((other) => {
      const openings = this.#world.node(other.id)?.disk.log.openings ?? [];
      const known = openings.find(({ storageId }) => storageId === disk.storageId);
      return known !== undefined && known.incarnation >= image.incarnation;
    });
  }

  #mayWipe(node: SimulatedNode): boolean {
    const { configurations } = this.#world.oracle;
    if (configurations.length === 0) return false;
    if (this.openTargets().includes(node.id)) return false;
    return configurations.slice(-3).every((configuration) => this.#canLose(configuration, node));
  }

  #canLose(configuration: Configuration, node: SimulatedNode): boolean {
    const { members } = configuration;
    const quorum = configuration.quorum ?? majority(members.length);
    const left = members.filter((member) => member.id !== node.id && this.#disk(member.id) === member.storageId).length;
    return !members.some((member) => member.id === node.id) || left >= Math.max(quorum.prepare, quorum.accept);
  }

  /** The disk that a node has for good; undefined for one that lost what it held. */
  #disk(id: NodeId): string | undefined {
    const disk = this.#world.node(id)?.disk;
    return disk?.isRolledBack ? undefined : disk?.storageId;
  }

  #cutSome(bothWays: boolean): void {
    const pairs = this.#random.sample(this.#pairs(), this.#random.between(1, 3));
    this.#count(bothWays ? 'link cut' : 'link cut one way', pairs.length);
    const cuts = pairs.flatMap(([a, b]): [SimulatedNode, SimulatedNode][] => {
      const oneWay: [SimulatedNode, SimulatedNode] = this.#random.chance(50) ? [a, b] : [b, a];
      return bothWays
        ? [
            [a, b],
            [b, a],
          ]
        : [oneWay];
    });
    this.#cutFor(cuts, this.#duration());
  }

  #isolate(node: SimulatedNode): void {
    this.#count('node isolated');
    const others = this.#nodes.filter((other) => other !== node);
    this.#cutFor(
      others.flatMap(
        (other) =>
          [
            [node, other],
            [other, node],
          ] as [SimulatedNode, SimulatedNode][],
      ),
      this.#duration(),
    );
  }

  /** All links are cut but those of a shape: a hub, a chain, a ring, two halves with a bridge or without. */
  #shape(): void {
    const order = this.#random.shuffled(this.#nodes);
    const last = order.length - 1;
    const half = this.#random.below(order.length);
    const shapes: Record<string, (a: number, b: number) => boolean> = {
      hub: (a) => a === 0,
      chain: (a, b) => b - a === 1,
      ring: (a, b) => b - a === 1 || (a === 0 && b === last),
      halves: (a, b) => a < half === b < half,
      bridge: (a, b) => a < half === b < half || a === half || b === half,
    };
    const name = this.#random.pick(Object.keys(shapes));
    const stays = shapes[name] as (a: number, b: number) => boolean;
    this.#count(`shape: ${name}`);
    const cuts: [SimulatedNode, SimulatedNode][] = [];
    for (let a = 0; a < order.length; a++) {
      for (let b = a + 1; b < order.length; b++) {
        if (stays(a, b)) continue;
        const [one, other] = [order[a] as SimulatedNode, order[b] as SimulatedNode];
        cuts.push([one, other], [other, one]);
      }
    }
    this.#cutFor(cuts, this.#duration());
  }

  /** Cuts a random set of nodes off one by one, heals them in another order. */
  #swizzle(): void {
    this.#count('swizzle');
    const chosen = this.#random.sample(this.#nodes, this.#random.between(1, this.#nodes.length));
    const steps = this.#random.between(50_000, 500_000);
    chosen.forEach((node, at) => {
      this.#later(at * steps, () => this.#linksOf(node, (from, to) => this.#world.network.cut(from, to)));
    });
    this.#random.shuffled(chosen).forEach((node, at) => {
      this.#later((chosen.length + at + 1) * steps, () =>
        this.#linksOf(node, (from, to) => this.#world.network.heal(from, to)),
      );
    });
  }

  #resetSome(): void {
    const pairs = this.#random.sample(this.#pairs(), this.#random.between(1, 4));
    this.#count('link reset', pairs.length);
    for (const [a, b] of pairs) this.#world.network.reset(a, b);
  }

  /** Asks for other members: some replaced, a majority, all; more or fewer; often with crashes on the way. */
  #reconfigure(): void {
    const configuration = this.#newest();
    const asked = this.#random.pick(this.#nodes);
    if (!configuration || !asked.isUp || this.#world.plan.standbys.length + configuration.members.length < 2) return;
    const rebuilt = this.#random.chance(20) ? this.#rebuildable(configuration) : [];
    const ids = [...new Set([...this.#nextMembers(configuration), ...rebuilt])];
    if (ids.length === 0) return;
    if (rebuilt.length > 0) this.#count('rebuild asked for');
    this.#count('reconfiguration asked for');
    const id = this.#nextRequest++;
    this.#targets.set(id, { ids, configurationId: configuration.configurationId });
    const nodes = ids.map((one) => {
      const isRebuilt = rebuilt.includes(one);
      return { id: one, address: this.#world.node(one)?.address ?? '', ...(isRebuilt && { isRebuilt }) };
    });
    const timeoutMs = this.#random.between(200, 4000);
    const fillMs = this.#random.chance(50) ? this.#random.below(2000) : 0;
    for (let atMs = 0; atMs < fillMs; atMs += 200) {
      this.#later(atMs * 1000, () => this.#fill(asked, nodes));
    }
    this.#later(fillMs * 1000, () => {
      const isStale = this.#newest()?.configurationId !== configuration.configurationId;
      if (isStale || !asked.isUp) this.#targets.delete(id);
      else asked.requested(nemesisConnection, [{ id, timeoutMs, type: 'reconfigure', nodes }]);
    });
    if (!this.#random.chance(40)) return;
    // Something happens at a step of the handover.
    const victims = this.#random.sample(this.#nodes, this.#random.between(1, 3));
    const { faults } = this.#world.plan;
    for (const victim of victims) {
      this.#later(this.#random.below(600_000), () => {
        if (faults.crash + faults.crashMany > 0) this.#crash(victim);
        else if (faults.crashAtWrite > 0) victim.crashAt(this.#random.pick(crashPoints));
        else this.#isolate(victim);
      });
    }
  }

  /** Has newcomers get all data before they become members; another node may go on with what one began. */
  #fill(asked: SimulatedNode, nodes: readonly TargetNode[]): void {
    const node = this.#random.chance(80) ? asked : this.#random.pick(this.#nodes);
    if (!node.isUp) return;
    this.#count('fill asked for');
    node.requested(nemesisConnection, [{ id: this.#nextRequest++, timeoutMs: 1000, type: 'fill', nodes }]);
  }

  /** Members that were wiped once since they became such: what runs there now has never voted. */
  #rebuildable(configuration: Configuration): NodeId[] {
    const isRebuildable = ({ id, storageId }: Member): boolean => {
      const disk = this.#world.node(id)?.disk;
      const next = storageId.replace(/\.(\d+)$/, (_, count: string) => `.${Number(count) + 1}`);
      return disk !== undefined && !disk.isRolledBack && !storageId.includes('copy') && disk.storageId === next;
    };
    return configuration.members.filter(isRebuildable).map(({ id }) => id);
  }

  #nextMembers(configuration: Configuration): NodeId[] {
    // One whose disk was emptied is still a member under its old disk: it is taken out first.
    const lost = new Set(
      configuration.members.filter((member) => this.#disk(member.id) !== member.storageId).map(({ id }) => id),
    );
    const present = configuration.members.map(({ id }) => id).filter((id) => !lost.has(id));
    // Others may still hold a link to its former disk, and take that one in.
    const isFresh = (id: NodeId): boolean => this.#world.queue.nowUs - (this.#wipedUs.get(id) ?? -settleUs) < settleUs;
    const others = this.#nodes
      .map(({ id }) => id)
      .filter((id) => !present.includes(id) && !lost.has(id) && !isFresh(id));
    const kept = this.#random.sample(
      present,
      this.#random.pick([present.length, present.length, present.length - 1, this.#random.below(present.length + 1)]),
    );
    const taken = this.#random.sample(others, this.#random.pick([0, 1, 1, 2, others.length]));
    return [...kept, ...taken].slice(0, 7);
  }

  #cutFor(cuts: readonly (readonly [SimulatedNode, SimulatedNode])[], durationUs: number): void {
    const { network } = this.#world;
    for (const [from, to] of cuts) network.cut(from, to);
    const atOnce = this.#random.chance(60);
    for (const [from, to] of cuts) {
      this.#later(atOnce ? durationUs : durationUs + this.#random.below(1_000_000), () => network.heal(from, to));
    }
  }

  #linksOf(node: SimulatedNode, run: (from: SimulatedNode, to: SimulatedNode) => void): void {
    for (const other of this.#nodes) {
      if (other === node) continue;
      run(node, other);
      run(other, node);
    }
  }

  #duration(): number {
    const { electionTimeoutUs } = this.#world.plan;
    return this.#random.between(electionTimeoutUs / 2, this.#random.pick([2, 6, 20]) * electionTimeoutUs);
  }

  #pairs(): [SimulatedNode, SimulatedNode][] {
    return this.#nodes.flatMap((a, at) => this.#nodes.slice(at + 1).map((b): [SimulatedNode, SimulatedNode] => [a, b]));
  }

  #leader(): SimulatedNode | undefined {
    return this.#nodes.find((node) => node.replica?.voter?.paxos.isLeaderInAcceptPhase);
  }

  #newest(): Configuration | undefined {
    return this.#world.oracle.configurations.at(-1);
  }

  #count(kind: string, count = 1): void {
    const { counts, trace, queue } = this.#world;
    counts.add(kind, count);
    trace.note(queue.nowUs, 'fault', count, 0, () => `fault: ${kind}${count === 1 ? '' : ` (${count})`}`);
  }

  #later(delayUs: number, run: () => void): void {
    this.#world.queue.after(Math.floor(delayUs), () => {
      if (!this.#isStopped) run();
    });
  }
}

/** Those at the end of its log, on its disk and in its memory. */
function acceptedStopSigns({ disk, replica }: SimulatedNode): StopSign[] {
  const { sequence } = disk.log;
  const [last] = sequence.read(Math.max(sequence.trimmedIndex, sequence.endIndex - 1), sequence.endIndex);
  const inMemory = replica?.voter?.paxos.acceptedStopSign;
  return [...(last?.type === 'StopSign' ? [last.stopSign] : []), ...(inMemory ? [inMemory] : [])];
}
