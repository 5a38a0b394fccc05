import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { require } from './violation.ts';

/** What the replica says of itself in slowness-watch.ts, with a fifth to spare: its ticks are no exact clock. */
const windowUs = 12_000_000;
const slowFromUs = 1_200_000;
/** Of a disk that was slow before, be it while another node led (seed 41115), and was not quick since. */
const slowStillUs = 400_000;
const spare = 0.8;
/** The same of decision-watch.ts, of a leader whose decisions take long: those waited for in that time, together. */
const longFromUs = 1_200_000;
const longStillUs = 400_000;

/** How long one that was asked to lead may take until its Prepare leaves: two writes, and the way. */
const takeOverUs = 3_000_000;

/** Why a leader may ask. */
type Reason = 'disk' | 'decisions' | 'not in office';

/** One request, and what it may have been for: the node knows, and here it is only measured. */
interface Asked {
  readonly atUs: number;
  readonly reasons: readonly Reason[];
}

/**
 * Sees every request to take the lead over. In the simulator no node stops in good order, so there are three causes: the disk of the
 * leader who asks was slow, or its entries took long to be decided, or it was elected and is not in office. And the lead must not go round: nobody asks
 * the same node again for the same reason before a pause is over.
 */
export class HandoverCheck {
  /** By who asked and who was asked. */
  readonly #asked = new Map<string, Asked[]>();
  readonly #waits = new Map<string, DecisionWaits>();
  /** One for each time that it was asked: the Prepare of a former one may leave after the next (seed 3007369). */
  readonly #mayLeadUntilUs = new Map<NodeId, number[]>();

  afterTurn(node: SimulatedNode): void {
    const life = lifeOf(node);
    const waits = this.#waits.get(life) ?? new DecisionWaits(node.electionTimeoutUs * spare);
    this.#waits.set(life, waits);
    waits.look(node);
  }

  onTakeOver(node: SimulatedNode, to: NodeId): void {
    const life = lifeOf(node);
    const reasons: readonly Reason[] = node.wasInOffice ? this.#reasonsOf(node) : ['not in office'];
    require(reasons.length > 0, 'the lead is handed over for a slow disk or slow decisions only', () => {
      const spanUs = windowUs + node.stoodStillUs;
      const slowUs = node.slowFlushUs(spanUs, node.electionTimeoutUs * 0.5 * spare);
      return `node ${node.id} asks node ${to} to lead after ${slowUs / 1000} ms of slow flushes`;
    });
    const fromUs = node.nowUs - node.handoverPauseUs * spare;
    const pair = `${life}, asks node ${to} to lead`;
    const recent = [
      ...(this.#asked.get(pair) ?? []).filter(({ atUs }) => atUs > fromUs),
      { atUs: node.nowUs, reasons },
    ];
    this.#asked.set(pair, recent);
    require(haveOwnReasons(recent, []), 'the lead does not go round among slow nodes', () => {
      const before = recent.map(
        ({ atUs, reasons: why }) => `${(node.nowUs - atUs) / 1000} ms ago (${why.join(' or ')})`,
      );
      return `${pair}, and did so ${before.slice(0, -1).join(', ')}; now (${reasons.join(' or ')})`;
    });
    const until = this.#mayLeadUntilUs.get(to) ?? [];
    this.#mayLeadUntilUs.set(to, [...until, node.nowUs + takeOverUs]);
  }

  #reasonsOf(node: SimulatedNode): Reason[] {
    const slowFlushUs = node.electionTimeoutUs * 0.5 * spare;
    // A node's own clock stands still in pauses (seed 1201491).
    const spanUs = windowUs + node.stoodStillUs;
    const isSlow =
      node.mostSlowFlushUs(spanUs, slowFlushUs) >= slowFromUs && node.slowFlushUs(spanUs, slowFlushUs) >= slowStillUs;
    const waits = this.#waits.get(lifeOf(node));
    const isLong =
      waits !== undefined &&
      waits.most(spanUs, node.nowUs) >= longFromUs &&
      waits.sum(spanUs, node.nowUs) >= longStillUs;
    return [...(isSlow ? (['disk'] as const) : []), ...(isLong ? (['decisions'] as const) : [])];
  }

  /** True, once for each time, if `node` was asked to lead. */
  takesOver(node: SimulatedNode): boolean {
    const until = this.#mayLeadUntilUs.get(node.id)?.filter((untilUs) => node.nowUs <= untilUs) ?? [];
    this.#mayLeadUntilUs.set(node.id, until.slice(1));
    return until.length > 0;
  }
}

/** True if each may have been for a reason that none of the others, nor any of `taken`, was for. */
function haveOwnReasons([first, ...others]: readonly Asked[], taken: readonly Reason[]): boolean {
  if (first === undefined) return true;
  return first.reasons.some((reason) => !taken.includes(reason) && haveOwnReasons(others, [...taken, reason]));
}

function lifeOf({ id, life }: SimulatedNode): string {
  return `node ${id}, life ${life}`;
}

/** When a leader waited long for a decision: times from that at which an entry was the last of its log to its decision, put together where they overlap. */
class DecisionWaits {
  readonly #longUs: number;
  #open: { readonly endIndex: number; readonly sinceUs: number }[] = [];
  readonly #long: { fromUs: number; untilUs: number }[] = [];

  constructor(longUs: number) {
    this.#longUs = longUs;
  }

  look({ replica, nowUs }: SimulatedNode): void {
    const paxos = replica?.voter?.paxos;
    if (!paxos?.isLeaderInAcceptPhase) {
      this.#open = [];
      return;
    }
    const { acceptedIndex, decidedIndex } = paxos;
    for (let [first] = this.#open; first && first.endIndex <= decidedIndex; [first] = this.#open) {
      this.#open.shift();
      if (nowUs - first.sinceUs >= this.#longUs) this.#add(first.sinceUs, nowUs);
    }
    if (acceptedIndex > decidedIndex && acceptedIndex > (this.#open.at(-1)?.endIndex ?? 0))
      this.#open.push({ endIndex: acceptedIndex, sinceUs: nowUs });
  }

  /** So much of the `spanUs` before `untilUs` went into them; with the one that has not ended, up to then. */
  sum(spanUs: number, untilUs: number): number {
    const [first] = this.#open;
    const isLong = first !== undefined && untilUs - first.sinceUs >= this.#longUs;
    return [...this.#long, ...(isLong ? [{ fromUs: first.sinceUs, untilUs }] : [])].reduce(
      (total, { fromUs, untilUs: endUs }) => {
        return total + Math.max(0, Math.min(endUs, untilUs) - Math.max(fromUs, untilUs - spanUs));
      },
      0,
    );
  }

  /** The most that this came to at any moment. */
  most(spanUs: number, nowUs: number): number {
    return Math.max(this.sum(spanUs, nowUs), ...this.#long.map(({ untilUs }) => this.sum(spanUs, untilUs)));
  }

  #add(fromUs: number, untilUs: number): void {
    const last = this.#long.at(-1);
    if (last && fromUs <= last.untilUs) last.untilUs = untilUs;
    else this.#long.push({ fromUs, untilUs });
  }
}
