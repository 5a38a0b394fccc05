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
 * Of several the highest is to win, or each could have a part of the yields, in each round another part, for as long as delays are alike: so a node that
 * has yielded to a higher one yields to no lower one for a quarter as long again, until that one has had the time to ask anew, and one that stands gives way to a higher one that it hears of
 * from those who yielded.
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
   * The highest of those that came too late: it is first when the yield has run out, or is given back. Not the last of them: where delays are
   * always the same that one has withdrawn again when its turn comes, in each round anew.
   */
  #contender: Asker | undefined;
  /** A higher one for which this node, which maybe cannot see it, stands no more: it may yield to one that is higher still. */
  #gaveWayTo: Asker | undefined;

  /** `timeoutTicks`: ticks of an election timeout, for which a yield holds. */
  constructor(timeoutTicks: number) {
    this.#timeoutTicks = timeoutTicks;
  }

  /** The ballot that this node stands with, if it does. */
  get ballot(): Ballot | undefined {
    return this.#standing?.ballot;
  }

  /** True while this node has let another go first: it does not stand itself. */
  get hasYielded(): boolean {
    return this.#isPresent(this.#yieldedTo) || this.#isPresent(this.#gaveWayTo);
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
    this.#gaveWayTo = undefined;
  }

  /** `pid` stands with `ballot`: true if this node lets it go first. It withdraws then itself; of two that stand, the higher goes. */
  yields(pid: NodeId, ballot: Ballot): boolean {
    const first = this.#yieldedTo;
    if (first !== undefined && first.pid !== pid && this.#isPresent(first)) {
      if (isAbove(ballot, first.ballot) && !isAbove(this.#presentContender?.ballot, ballot)) {
        this.#contender = this.#asker(pid, ballot, 2);
      }
      return false;
    }
    if (this.#isHigherAwaited(pid, ballot)) return false;
    this.#standing = undefined;
    this.#yieldedTo = this.#asker(pid, ballot, 1);
    if (this.#contender?.pid === pid) this.#contender = undefined;
    return true;
  }

  /** Whom this node let go first though `ballot`, which another stands with, is higher. */
  yieldedBelow(ballot: Ballot): NodeId | undefined {
    const first = this.#yieldedTo;
    const isBelow = first !== undefined && first.pid !== ballot.pid && this.#isPresent(first);
    return isBelow && isAbove(ballot, first.ballot) ? first.pid : undefined;
  }

  /** Another stands with `ballot`, as someone says who yielded to this node: true if it stood, and stands no more as that is higher. */
  giveWay(ballot: Ballot): boolean {
    if (this.#standing === undefined || !isAbove(ballot, this.#standing.ballot)) return false;
    this.#standing = undefined;
    this.#gaveWayTo = this.#asker(ballot.pid, ballot, 1);
    return true;
  }

  /** `pid` does not need the yield any more. Whoever comes next and was refused because of it: this node lets that one go now. */
  release(pid: NodeId): { readonly pid: NodeId; readonly ballot: Ballot } | undefined {
    if (this.#yieldedTo?.pid !== pid) return undefined;
    this.#yieldedTo = undefined;
    const next = this.#presentContender;
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

  /** This node stands with a higher ballot than `pid`, or has let someone go first, or will, who does. */
  #isHigherAwaited(pid: NodeId, ballot: Ballot): boolean {
    const first = this.#yieldedTo;
    const isFirstAwaited = first?.pid !== pid && this.#isPresent(first, Math.ceil(this.#timeoutTicks / 4));
    return (
      isAbove(this.#standing?.ballot, ballot) ||
      isAbove(this.#presentContender?.ballot, ballot) ||
      (isFirstAwaited && isAbove(first?.ballot, ballot)) ||
      (this.#isPresent(this.#gaveWayTo) && isAbove(this.#gaveWayTo?.ballot, ballot))
    );
  }

  #asker(pid: NodeId, ballot: Ballot, timeouts: number): Asker {
    return { pid, ballot, untilTick: this.#tick + timeouts * this.#timeoutTicks };
  }

  get #presentContender(): Asker | undefined {
    return this.#isPresent(this.#contender) ? this.#contender : undefined;
  }

  /** True if it still counts, or did up to `graceTicks` ago. */
  #isPresent(asker: Asker | undefined, graceTicks = 0): boolean {
    return asker !== undefined && this.#tick < asker.untilTick + graceTicks;
  }
}

function isAbove(ballot: Ballot | undefined, other: Ballot): boolean {
  return ballot !== undefined && compareBallots(ballot, other) > 0;
}
