import type { NodeId } from '../../src/omnipaxos/index.ts';
import { SeededRandom } from './random.ts';
import { type Cut, randomCut, TimedCluster, timeoutSteps } from './timed-cluster.ts';

export interface HandoverOptions {
  readonly nodes: number;
  /** See {@link TimedCluster}. */
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

const successor = 1;

/** A configuration begins whose nodes take it up at times of chance, the leader of the one before not being in it; it goes on for ten election timeouts. */
export function handover(seed: number, options: HandoverOptions): HandoverResult {
  const { startStepsMax, cutProbability = 0, cutBySteps = 0, successorGoesBy } = options;
  const random = new SeededRandom(seed);
  const cluster = new TimedCluster(random, { ...options, ...(options.hasSuccessor !== false && { successor }) });
  const startsAt = new Map(cluster.pids.map((pid) => [pid, random.below(startStepsMax + 1)]));
  const first = Math.min(...startsAt.values());
  const goesAt = successorGoesBy === undefined ? Number.POSITIVE_INFINITY : first + random.below(successorGoesBy + 1);
  const cutAt = first + (cutBySteps === 0 ? 0 : cutBySteps - random.below(timeoutSteps));
  const cut = liveCut(cluster, random, cutProbability);
  cluster.step = first - 1;
  cluster.decidedAt = first;
  let gapSteps = 0;
  while (cluster.step < first + cutBySteps + 10 * timeoutSteps) {
    const next = cluster.step + 1;
    for (const [pid, at] of startsAt) if (at === next && !isGone(pid, next)) cluster.start(pid);
    if (next === goesAt && cluster.isUp(successor)) cluster.stop(successor);
    if (next === cutAt) cluster.cut(cut);
    cluster.advance();
    gapSteps = Math.max(gapSteps, cluster.step - cluster.decidedAt);
  }
  return { gapSteps, leaders: cluster.ballots.size };

  function isGone(pid: NodeId, step: number): boolean {
    return pid === successor && step >= goesAt;
  }
}

/** A cut that leaves one that can lead. */
function liveCut(cluster: TimedCluster, random: SeededRandom, probability: number): Cut {
  for (;;) {
    const cut = randomCut(cluster.pids, random, probability);
    if (cluster.canDecide(cut)) return cut;
  }
}

/** Of many handovers: the longest times without a decision, in election timeouts, and how many had more than one leader. */
export function summaryOf(results: readonly HandoverResult[]) {
  const gaps = results.map(({ gapSteps }) => gapSteps / timeoutSteps).sort((a, b) => a - b);
  return {
    mean: gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length,
    max: gaps.at(-1) as number,
    changes: results.filter(({ leaders }) => leaders > 1).length,
  };
}
