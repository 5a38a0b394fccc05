import type { NodeId } from '../../omnipaxos/ballot.ts';

const nobody: ReadonlySet<NodeId> = new Set();

/**
 * Whom a leader asks to lead in its place while its disk is slow, or it does not get into office, and when. A node that was asked may not take over, since
 * its own disk is slow or the word was lost: then the next one is asked, each once. After that, and after a handover that
 * went well, there is a pause, so that the lead cannot go round among slow nodes.
 */
export class LeadHandover {
  readonly #answerTicks: number;
  readonly #pauseTicks: number;
  #asked: ReadonlySet<NodeId> = nobody;
  #nextTick = 0;
  #pauseEndTick = 0;

  /** `answerTicks`: how long one that was asked has to take over. `pauseTicks`: from the last one asked until it begins anew. */
  constructor(answerTicks: number, pauseTicks: number) {
    this.#answerTicks = answerTicks;
    this.#pauseTicks = pauseTicks;
  }

  /** To be called on every tick while this node is not fit to lead. The node to ask now, of those that `pick` gives. */
  next(tick: number, pick: (asked: ReadonlySet<NodeId>) => NodeId | undefined): NodeId | undefined {
    if (tick < this.#nextTick) return undefined;
    const successor = pick(this.#asked);
    if (successor === undefined) {
      this.rest();
      return undefined;
    }
    this.#asked = new Set(this.#asked).add(successor);
    this.#pauseEndTick = tick + this.#pauseTicks;
    this.#nextTick = tick + this.#answerTicks;
    return successor;
  }

  /** To be called on every other tick: another node leads, or this one is fit. */
  rest(): void {
    if (this.#asked.size === 0) return;
    this.#asked = nobody;
    this.#nextTick = this.#pauseEndTick;
  }
}
