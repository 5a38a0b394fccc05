import type { NodeId } from '../omnipaxos/ballot.ts';

/** A donor that was asked for something, and how long ago. */
interface Errand {
  readonly donor: NodeId;
  ticks: number;
}

/**
 * Who was asked for what, and has not answered. Mostly one donor for each thing; a second one is asked when the first takes
 * long, and the first answer counts.
 */
export class Errands<Thing> {
  readonly #errands = new Map<Thing, Errand[]>();
  readonly #patienceTicks: number;

  constructor(patienceTicks: number) {
    this.#patienceTicks = patienceTicks;
  }

  get size(): number {
    return this.#errands.size;
  }

  has(thing: Thing): boolean {
    return this.#errands.has(thing);
  }

  /** How many things `donor` was asked for. */
  countOf(donor: NodeId): number {
    let count = 0;
    for (const errands of this.#errands.values()) if (errands.some((errand) => errand.donor === donor)) count++;
    return count;
  }

  ask(thing: Thing, donor: NodeId): void {
    const errands = this.#errands.get(thing) ?? [];
    errands.push({ donor, ticks: 0 });
    this.#errands.set(thing, errands);
  }

  /** It is here, or not wanted any more. */
  end(thing: Thing): void {
    this.#errands.delete(thing);
  }

  /** `donor` will not give it. */
  fail(thing: Thing, donor: NodeId): void {
    const left = (this.#errands.get(thing) ?? []).filter((errand) => errand.donor !== donor);
    if (left.length > 0) this.#errands.set(thing, left);
    else this.#errands.delete(thing);
  }

  /** The one for which another donor has been asked longest, `ticksMin` at least, if `donor` may be asked, too. */
  late(donor: NodeId, ticksMin: number): Thing | undefined {
    let found: Thing | undefined;
    let longest = ticksMin - 1;
    for (const [thing, errands] of this.#errands) {
      const [first] = errands;
      if (!first || errands.length > 1 || first.donor === donor || first.ticks <= longest) continue;
      longest = first.ticks;
      found = thing;
    }
    return found;
  }

  /** Time passes. Returns the donors whose time was over for something. */
  tick(): Set<NodeId> {
    const slow = new Set<NodeId>();
    for (const errands of this.#errands.values()) {
      for (const errand of errands) if (++errand.ticks >= this.#patienceTicks) slow.add(errand.donor);
    }
    for (const donor of slow) this.forget(donor);
    return slow;
  }

  /** Nothing more is expected of `donor`. */
  forget(donor: NodeId): void {
    for (const thing of [...this.#errands.keys()]) this.fail(thing, donor);
  }

  /** Donors that something is expected of. */
  donors(): Set<NodeId> {
    return new Set([...this.#errands.values()].flat().map(({ donor }) => donor));
  }
}
