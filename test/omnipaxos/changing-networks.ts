import type { NodeId, QuorumSizes } from '../../src/omnipaxos/index.ts';
import { SeededRandom } from './random.ts';
import { type Cut, randomCut, TimedCluster, timeoutSteps } from './timed-cluster.ts';

export interface ChangesOptions {
  readonly nodes: number;
  /** See {@link TimedCluster}. */
  readonly delayStepsMax: number;
  readonly quorum?: QuorumSizes;
  /** Each link is cut with this probability after a change; one node at least is left that can lead. */
  readonly cutProbability: number;
  /** And so is each node down. */
  readonly downProbability: number;
  readonly changes: number;
}

export interface ChangesResult {
  /** The most steps without a decision after a change. */
  readonly gapSteps: number;
  /** Leaders that came when all had been stable for half of the time between two changes. */
  readonly lateLeaders: number;
}

/** Election timeouts between two changes. */
const timeoutsBetween = 12;

/** A network that changes again and again: other links are cut, other nodes are down, and those that were come back with what they had promised. */
export function changes(seed: number, options: ChangesOptions): ChangesResult {
  const random = new SeededRandom(seed);
  const cluster = new TimedCluster(random, options);
  let gapSteps = 0;
  let lateLeaders = 0;
  for (let change = 0; change < options.changes; change++) {
    const { cut, down } = nextNetwork(cluster, random, options);
    for (const pid of cluster.pids) {
      if (down.has(pid)) cluster.stop(pid);
      else if (!cluster.isUp(pid)) cluster.start(pid);
    }
    cluster.cut(cut);
    cluster.decidedAt = cluster.step;
    const advance = () => {
      for (let step = 0; step < (timeoutsBetween / 2) * timeoutSteps; step++) {
        cluster.advance();
        gapSteps = Math.max(gapSteps, cluster.step - cluster.decidedAt);
      }
    };
    advance();
    const { size } = cluster.ballots;
    advance();
    lateLeaders += cluster.ballots.size - size;
  }
  return { gapSteps, lateLeaders };
}

function nextNetwork(cluster: TimedCluster, random: SeededRandom, options: ChangesOptions) {
  for (;;) {
    const cut: Cut = randomCut(cluster.pids, random, options.cutProbability);
    const down: ReadonlySet<NodeId> = new Set(cluster.pids.filter(() => random.chance(options.downProbability)));
    if (cluster.canDecide(cut, down)) return { cut, down };
  }
}
