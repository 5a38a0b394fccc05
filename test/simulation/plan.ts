import { type QuorumSizes, quorumProblem } from '../../src/omnipaxos/quorum.ts';
import { defaultReplicaSettings, type ReplicaSettings } from '../../src/replica/settings.ts';
import { Random } from './random.ts';

/** How the network of a seed behaves when nothing is cut. */
export interface NetworkPlan {
  readonly delayUsMin: number;
  readonly delayUsMax: number;
  /** Percent of frames. */
  readonly lossPercent: number;
  readonly duplicatePercent: number;
  readonly reorderPercent: number;
  /** Percent of messages that carry state or decided entries to those who catch up, a bit of which is changed. */
  readonly corruptPercent: number;
  /** Each message is a frame of its own, to be lost or reordered by itself. */
  readonly splitFrames: boolean;
  /** Frames of a former link may arrive on the present one. */
  readonly staleFrames: boolean;
  /** Frames are encoded and decoded on their way. */
  readonly codec: boolean;
  /** Over 0: each direction of a link has a delay of its own, at most this, that never changes, and clocks run alike: nothing is left to chance. */
  readonly steadyDelayUsMax: number;
  /** The healing ends no links but those that are cut: what was lost before is not mended by a new link. */
  readonly keepsLinks: boolean;
  /** They have a connection of their own beside each link, and keep their order there only. */
  readonly heartbeatsApart: boolean;
  /** Then all else takes so much longer, until the healing. */
  readonly slowLinkUs: number;
}

/** How often what goes wrong, as weights; 0: never. */
export interface FaultWeights {
  readonly crash: number;
  readonly crashMany: number;
  readonly crashAtWrite: number;
  readonly pause: number;
  readonly wipe: number;
  readonly rollBack: number;
  readonly cutLinks: number;
  readonly cutOneWay: number;
  readonly isolate: number;
  readonly shape: number;
  readonly swizzle: number;
  readonly resetLinks: number;
  readonly storm: number;
  readonly slowDisk: number;
  readonly failDisk: number;
  readonly fullDisk: number;
  readonly reconfigure: number;
}

/** Everything that a seed decides before the first event. */
export interface Plan {
  readonly seed: number;
  /** No faults but slow disks: no leader may change. */
  readonly calm: boolean;
  readonly members: readonly number[];
  readonly standbys: readonly number[];
  /** Defined: the first configuration is on the disks already, with these quorums. */
  readonly formed: { readonly quorum: QuorumSizes | undefined } | undefined;
  readonly settingsOf: ReadonlyMap<number, ReplicaSettings>;
  readonly tickUs: number;
  readonly electionTimeoutUs: number;
  readonly network: NetworkPlan;
  readonly flushUsMin: number;
  readonly flushUsMax: number;
  readonly checkpointUsMax: number;
  /** Over 0: rows of a state that is taken over are written so much later at most. */
  readonly rowsUsMax: number;
  /** Percent of those writes that find no room, though the disk is not full. */
  readonly rowsLackRoomPercent: number;
  /** A disk has room for a checkpoint or for rows of a state that is taken over, not for both: a checkpoint waits until the rows are gone. */
  readonly tightDisks: boolean;
  readonly faults: FaultWeights;
  /** Mean time between faults. */
  readonly faultEveryUs: number;
  /** How long faults go on before the healing. */
  readonly chaosUs: number;
  readonly clients: number;
  readonly slotsPerClient: number;
  readonly keys: number;
  readonly thinkUsMax: number;
  readonly operationsMax: number;
  /** After the healing only one node of the core reaches the others. */
  readonly hubCore: boolean;
  /** Percent of frames that are lost within the healed core: mostly none. */
  readonly coreLossPercent: number;
}

const tickUs = 20_000;

const none: FaultWeights = {
  crash: 0,
  crashMany: 0,
  crashAtWrite: 0,
  pause: 0,
  wipe: 0,
  rollBack: 0,
  cutLinks: 0,
  cutOneWay: 0,
  isolate: 0,
  shape: 0,
  swizzle: 0,
  resetLinks: 0,
  storm: 0,
  slowDisk: 0,
  failDisk: 0,
  fullDisk: 0,
  reconfigure: 0,
};

/** The plan of a seed. */
export function planOf(seed: number): Plan {
  const random = new Random(seed, 1);
  const calm = seed % 10 === 9;
  const count = random.pick([1, 2, 3, 3, 3, 3, 5, 5, 5, 7]);
  const ids = nodeIds(random, count + random.pick([0, 1, 2, 3, 4]));
  const members = random.sample(ids, count).sort((a, b) => a - b);
  const standbys = ids.filter((id) => !members.includes(id));
  const electionTimeoutTicks = random.between(4, 10);
  const isLong = !calm && hasLongLogs(seed);
  const isTight = !isLong && hasTightDisks(seed);
  const common = {
    ...settingsOf(random, electionTimeoutTicks),
    ...(isLong && longLogSettings),
    ...(isTight && tightDiskSettings),
    // Some are short enough for a second handover.
    handoverPauseTicks: [100, 250, 1500][seed % 3] as number,
    quietTimeouts: seed % 4 === 2 ? defaultReplicaSettings.quietTimeouts : 1,
    prepareTimeouts: seed % 4 === 1 ? defaultReplicaSettings.prepareTimeouts : 4,
  };
  const hasPriorities = random.chance(25);
  return {
    seed,
    calm,
    members,
    standbys,
    formed: random.chance(40) ? { quorum: random.chance(50) ? flexibleQuorum(random, count) : undefined } : undefined,
    settingsOf: new Map(ids.map((id) => [id, { ...common, priority: hasPriorities ? random.below(3) : 0 }])),
    tickUs,
    electionTimeoutUs: electionTimeoutTicks * tickUs,
    network: {
      ...(calm ? calmNetwork(random, seed) : faultyNetwork(random, seed, electionTimeoutTicks * tickUs)),
      ...steadiness(seed, electionTimeoutTicks * tickUs),
      ...lanes(seed, electionTimeoutTicks * tickUs),
      ...(isLong && { splitFrames: true }),
    },
    flushUsMin: random.pick([50, 500, 2000]),
    flushUsMax: random.pick([2000, 5000, 20_000, 60_000]),
    checkpointUsMax: random.pick([2000, 20_000, 300_000]),
    ...lateRows(seed),
    tightDisks: isTight,
    faults: calm
      ? { ...none, slowDisk: 1 }
      : { ...faultsOf(random), rollBack: rollBackWeight(seed), ...(isLong && longLogFaults) },
    faultEveryUs: random.pick(isLong ? [100_000] : [100_000, 300_000, 300_000, 700_000]),
    chaosUs: random.between(6, 14) * 1_000_000,
    clients: random.between(2, 4),
    slotsPerClient: random.pick(isLong ? [8] : [1, 1, 2, 4]),
    keys: random.between(1, 6),
    thinkUsMax: random.pick(isLong ? [1000] : [10_000, 60_000, 150_000]),
    operationsMax: 700,
    hubCore: random.chance(25),
    coreLossPercent: calm ? 0 : random.pick([0, 0, 0, 8]),
  };
}

function nodeIds(random: Random, count: number): number[] {
  if (random.chance(50)) return Array.from({ length: count }, (_, at) => at + 1);
  const ids = new Set<number>();
  while (ids.size < count) ids.add(random.between(1, 60));
  return [...ids].sort((a, b) => a - b);
}

function flexibleQuorum(random: Random, count: number): QuorumSizes {
  const accept = random.between(1, count);
  const prepare = Math.min(count, random.between(count - accept + 1, count));
  const quorum = { prepare, accept };
  const problem = quorumProblem(quorum, count);
  if (problem) throw new Error(problem);
  return quorum;
}

function settingsOf(random: Random, electionTimeoutTicks: number): ReplicaSettings {
  const donorTimeoutTicks = random.between(3, 20);
  const undecidedBytesMax = random.pick([150, 600, 4000]);
  return {
    ...defaultReplicaSettings,
    electionTimeoutTicks,
    resendTicks: random.between(2, electionTimeoutTicks),
    checkpointTicks: random.pick([1, 3, 10, 40]),
    checkpointBytesMax: random.pick([300, 2000, 100_000]),
    checkpointPagesMax: random.pick([1, 5, 8192]),
    smallCheckpointBytes: random.pick([8192, 20_000, 262_144]),
    logTailEntries: random.pick([0, 1, 5, 30, 200]),
    rememberedChangesMax: random.pick([5, 100, 16_384]),
    inboxMax: random.pick([100_000, 100_000, 100_000, 64]),
    undecidedBytesMax,
    messageBytesMax: random.pick([60, 300, 4000]),
    syncBytesMax: undecidedBytesMax + random.pick([1, 100, 1000, 100_000]),
    catchUpBytesMax: random.pick([50, 200, 2000]),
    appliedPerTurnMax: random.pick([1, 7, 20_000]),
    appliedBytesPerTurnMax: random.pick([1, 200, 1_000_000]),
    donorBytesPerTick: random.pick([100, 1000, 1_000_000]),
    voteLagEntries: random.pick([0, 10, 1000]),
    donorTimeoutTicks,
    // A donor must not give up its snapshot while the other end waits for an answer that was lost.
    snapshotIdleTicks: donorTimeoutTicks * random.pick([3, 10]),
  };
}

type Steadiness = Pick<NetworkPlan, 'steadyDelayUsMax' | 'keepsLinks'>;
type Lanes = Pick<NetworkPlan, 'heartbeatsApart' | 'slowLinkUs'>;

function calmNetwork(random: Random, seed: number): Omit<NetworkPlan, keyof (Steadiness & Lanes)> {
  return {
    delayUsMin: 200,
    delayUsMax: random.pick([1000, 10_000]),
    lossPercent: 0,
    duplicatePercent: 0,
    reorderPercent: 0,
    corruptPercent: 0,
    splitFrames: false,
    staleFrames: false,
    codec: seed % 4 === 0,
  };
}

function faultyNetwork(
  random: Random,
  seed: number,
  electionTimeoutUs: number,
): Omit<NetworkPlan, keyof (Steadiness & Lanes)> {
  const isLossy = random.chance(50);
  return {
    delayUsMin: random.pick([100, 1000]),
    delayUsMax: random.pick([2000, 10_000, 30_000, Math.floor(electionTimeoutUs / 3)]),
    lossPercent: isLossy ? random.pick([1, 5, 15, 30]) : 0,
    duplicatePercent: isLossy ? random.pick([0, 1, 10, 30]) : 0,
    reorderPercent: isLossy ? random.pick([0, 1, 10, 30]) : 0,
    corruptPercent: random.pick([0, 0, 5, 30]),
    splitFrames: random.chance(50),
    staleFrames: random.chance(50),
    codec: seed % 4 === 0,
  };
}

/** A few kinds at a time: what always happens together hides what needs quiet to show. */
function faultsOf(random: Random): Omit<FaultWeights, 'rollBack'> {
  const weigh = (percent: number): number => (random.chance(percent) ? random.between(1, 4) : 0);
  return {
    crash: weigh(50),
    crashMany: weigh(25),
    crashAtWrite: weigh(40),
    pause: weigh(30),
    wipe: weigh(20),
    cutLinks: weigh(40),
    cutOneWay: weigh(35),
    isolate: weigh(45),
    shape: weigh(35),
    swizzle: weigh(25),
    resetLinks: weigh(40),
    storm: weigh(25),
    slowDisk: weigh(30),
    failDisk: weigh(20),
    reconfigure: weigh(60),
    fullDisk: weigh(30),
  };
}

/** Drawn apart, so that all else of a seed stays as it was before there was this fault. */
function rollBackWeight(seed: number): number {
  const random = new Random(seed, 6);
  return random.chance(25) ? random.between(2, 6) : 0;
}

/** Drawn apart, as {@link rollBackWeight}. */
function steadiness(seed: number, electionTimeoutUs: number): Steadiness {
  const random = new Random(seed, 7);
  return {
    steadyDelayUsMax: random.chance(20) ? Math.floor(electionTimeoutUs / 10) : 0,
    keepsLinks: random.chance(25),
  };
}

/** Drawn apart, as {@link rollBackWeight}. */
function lateRows(seed: number): Pick<Plan, 'rowsUsMax' | 'rowsLackRoomPercent'> {
  const random = new Random(seed, 10);
  const rowsUsMax = random.pick([0, 2000, 20_000, 300_000]);
  return { rowsUsMax, rowsLackRoomPercent: rowsUsMax > 0 ? random.pick([0, 0, 2, 20]) : 0 };
}

/** Drawn apart, as {@link rollBackWeight}: much is written, so that a new leader adopts more than a message carries. */
function hasLongLogs(seed: number): boolean {
  return new Random(seed, 9).chance(10);
}

/** Many messages for what is undecided, and a sync for all of it. */
const longLogSettings = { undecidedBytesMax: 4000, messageBytesMax: 60, syncBytesMax: 100_000 };

/** Followers fall behind, and leaders go. */
const longLogFaults = { crash: 4, cutLinks: 4, isolate: 4, resetLinks: 4 };

/** Drawn apart, as {@link rollBackWeight}. */
function hasTightDisks(seed: number): boolean {
  return new Random(seed, 11).chance(15);
}

/** Checkpoints as often as can be. */
const tightDiskSettings = { checkpointTicks: 1, checkpointBytesMax: 300 };

/** Drawn apart, as {@link rollBackWeight}. */
function lanes(seed: number, electionTimeoutUs: number): Lanes {
  const random = new Random(seed, 8);
  const heartbeatsApart = random.chance(75);
  const isSlow = heartbeatsApart && random.chance(40);
  return { heartbeatsApart, slowLinkUs: isSlow ? Math.floor(electionTimeoutUs * random.pick([0.3, 0.7, 2])) : 0 };
}
