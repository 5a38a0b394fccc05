import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { require } from './violation.ts';

/** What the replica says of itself in disk-watch.ts, with a fifth to spare: its ticks are no exact clock. */
const windowUs = 12_000_000;
const slowFromUs = 1_200_000;
/** Of a disk that was slow before, be it while another node led (seed 41115), and was not quick since. */
const slowStillUs = 400_000;
const spare = 0.8;

/** How long one that was asked to lead may take until its Prepare leaves: two writes, and the way. */
const takeOverUs = 3_000_000;

/**
 * Sees every request to take the lead over. In the simulator no node stops in good order, so there are two causes: the disk of the
 * leader who asks was slow, or it was elected and is not in office. And the lead must not go round: nobody asks the same node again before
 * a pause is over.
 */
export class HandoverCheck {
  readonly #askedUs = new Map<string, number>();
  /** One for each time that it was asked: the Prepare of a former one may leave after the next (seed 3007369). */
  readonly #mayLeadUntilUs = new Map<NodeId, number[]>();

  onTakeOver(node: SimulatedNode, to: NodeId): void {
    const slowFlushUs = node.electionTimeoutUs * 0.5 * spare;
    // A node's own clock stands still in pauses (seed 1201491).
    const spanUs = windowUs + node.stoodStillUs;
    const slowUs = node.slowFlushUs(spanUs, slowFlushUs);
    const life = `node ${node.id}, life ${node.life}`;
    if (node.wasInOffice) {
      const wasSlow = node.mostSlowFlushUs(spanUs, slowFlushUs) >= slowFromUs;
      require(wasSlow && slowUs >= slowStillUs, 'the lead is handed over for a slow disk only', () =>
        `node ${node.id} asks node ${to} to lead after ${slowUs / 1000} ms of slow flushes`);
    }
    const asked = `${life}, asks node ${to} to lead`;
    const sinceUs = node.nowUs - (this.#askedUs.get(asked) ?? Number.NEGATIVE_INFINITY);
    require(sinceUs >= node.handoverPauseUs * spare, 'the lead does not go round among slow nodes', () =>
      `${asked}, and did so ${sinceUs / 1000} ms ago`);
    this.#askedUs.set(asked, node.nowUs);
    const until = this.#mayLeadUntilUs.get(to) ?? [];
    this.#mayLeadUntilUs.set(to, [...until, node.nowUs + takeOverUs]);
  }

  /** True, once for each time, if `node` was asked to lead. */
  takesOver(node: SimulatedNode): boolean {
    const until = this.#mayLeadUntilUs.get(node.id)?.filter((untilUs) => node.nowUs <= untilUs) ?? [];
    this.#mayLeadUntilUs.set(node.id, until.slice(1));
    return until.length > 0;
  }
}
