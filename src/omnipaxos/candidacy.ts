import type { Ballot, NodeId } from './ballot.ts';
import { compareBallots } from './ballot.ts';

/** A node that this one lets go before it, or had to refuse, and until when that counts. */
interface Asker {
  readonly pid: NodeId;
  readonly ballot: Ballot;
  readonly untilTick: number;
}

/**
 * One takes over at a time. Whoever wants to stands first, and takes over once a quorum has yielded to it; a node yields to one
 * in an election timeout. Without that, two that cannot see each other could take over within two message delays, and those
 * that see both would change their leader twice.
 *
 * No safety rests on it: a yield is no promise, is not durable, and runs out.
 */
export class Candidacy {
  readonly #timeoutTicks: number;
  #tick = 0;
  /** The ballot that this node stands with, and who yielded to it. */
  #standing: { readonly ballot: Ballot; readonly yielded: Set<NodeId> } | undefined;
  #yieldedTo: Asker | undefined;
  /**
   * The highest of those that came too late: it is first when the yield has run out, or two with half of the yields each would never end. Not the
   * last of them: where delays are always the same that one has withdrawn again when its turn comes, in each round anew.
   */
  #contender: Asker | undefined;

  /** `timeoutTicks`: ticks of an election timeout, for which a yield holds. */
  constructor(timeoutTicks: number) {
    this.#timeoutTicks = timeoutTicks;
  }

  /** The ballot that this node stands with, if it does. */
  get ballot(): Ballot | undefined {
    return this.#standing?.ballot;
  }

  /** True while this node has yielded to another: it does not stand itself. */
  get hasYielded(): boolean {
    return this.#present(this.#yieldedTo) !== undefined;
  }

  /** One step of time. */
  tick(): void {
    this.#tick++;
  }

  stand(ballot: Ballot): void {
    this.#standing = { ballot, yielded: new Set() };
  }

  withdraw(): void {
    this.#standing = undefined;
  }

  /** Someone leads: nobody stands any more. */
  settle(): void {
    this.#standing = undefined;
    this.#yieldedTo = undefined;
    this.#contender = undefined;
  }

  /** `pid` stands with `ballot`: true if this node lets it go first. It withdraws then itself; of two that stand, the higher goes. */
  yields(pid: NodeId, ballot: Ballot): boolean {
    const first = this.#present(this.#yieldedTo);
    if (first !== undefined && first.pid !== pid) {
      const isHighest = !isAbove(this.#present(this.#contender)?.ballot, ballot);
      if (isHighest && isAbove(ballot, first.ballot)) this.#contender = this.#asker(pid, ballot, 2);
      return false;
    }
    if (isAbove(this.#standing?.ballot, ballot) || isAbove(this.#present(this.#contender)?.ballot, ballot))
      return false;
    this.#standing = undefined;
    this.#yieldedTo = this.#asker(pid, ballot, 1);
    if (this.#contender?.pid === pid) this.#contender = undefined;
    return true;
  }

  /** `pid` does not stand any more. Whoever comes next and was refused because of it: this node lets that one go now. */
  release(pid: NodeId): { readonly pid: NodeId; readonly ballot: Ballot } | undefined {
    if (this.#yieldedTo?.pid !== pid) return undefined;
    this.#yieldedTo = undefined;
    const next = this.#present(this.#contender);
    if (next === undefined || this.#standing !== undefined) return undefined;
    this.#contender = undefined;
    this.#yieldedTo = this.#asker(next.pid, next.ballot, 1);
    return next;
  }

  /** `pid` yielded to this node's `ballot`. Returns how many have, this node included; 0 if it does not stand with that one. */
  onYield(pid: NodeId, ballot: Ballot): number {
    const standing = this.#standing;
    if (!standing || compareBallots(standing.ballot, ballot) !== 0) return 0;
    standing.yielded.add(pid);
    return standing.yielded.size + 1;
  }

  #asker(pid: NodeId, ballot: Ballot, timeouts: number): Asker {
    return { pid, ballot, untilTick: this.#tick + timeouts * this.#timeoutTicks };
  }

  #present(asker: Asker | undefined): Asker | undefined {
    return asker && this.#tick < asker.untilTick ? asker : undefined;
  }
}

function isAbove(ballot: Ballot | undefined, other: Ballot): boolean {
  return ballot !== undefined && compareBallots(ballot, other) > 0;
}
