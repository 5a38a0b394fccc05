import type { NodeId } from '../../omnipaxos/ballot.ts';

/** A donor that was asked for something, and how long ago. */
interface Request {
  readonly donor: NodeId;
  ticks: number;
}

/** Most requests that wait for answers of one donor, and most where it is far away. */
export const requestsPerDonorMax = 8;
const requestsPerFarDonorMax = 32;
/** Ticks that the quickest answer of a donor takes that is far away. */
const farTicks = 3;
/** Answers that take so many times as long as the quickest have waited behind others: more requests would only wait longer. */
const queuedFactor = 1.5;

/** Times the patience that a request may be old at a donor that answers others: then its answer is lost. */
const patiencesMax = 8;

/**
 * Who was asked for what, and has not answered. Mostly one donor for each thing; a second one is asked when the first takes
 * long, and the first answer counts.
 *
 * Patience is with a donor, from its last answer on: several are under way, and over a slow link the last of them takes as long as all. Asked for
 * again by then, they would be sent again, behind those that are on their way.
 */
export class OutstandingRequests<Thing> {
  readonly #requests = new Map<Thing, Request[]>();
  /** Ticks since each donor answered anything, for those that have. */
  readonly #silentTicks = new Map<NodeId, number>();
  /** Ticks that each donor's last answer took, and its quickest one. */
  readonly #answerTicks = new Map<NodeId, number>();
  readonly #quickestTicks = new Map<NodeId, number>();
  /** How many requests may wait for each donor. */
  readonly #windows = new Map<NodeId, number>();

  get size(): number {
    return this.#requests.size;
  }

  has(thing: Thing): boolean {
    return this.#requests.has(thing);
  }

  /** How many things `donor` was asked for. */
  countOf(donor: NodeId): number {
    let count = 0;
    for (const requests of this.#requests.values()) if (requests.some((request) => request.donor === donor)) count++;
    return count;
  }

  ask(thing: Thing, donor: NodeId): void {
    const requests = this.#requests.get(thing) ?? [];
    requests.push({ donor, ticks: 0 });
    this.#requests.set(thing, requests);
  }

  /** `donor` answered something: `thing`, if that is wanted yet. */
  heard(donor: NodeId, thing?: Thing): void {
    this.#silentTicks.set(donor, 0);
    const requests = thing === undefined ? undefined : this.#requests.get(thing);
    const request = requests?.find((one) => one.donor === donor);
    if (request) this.#answered(donor, request.ticks);
  }

  /** How many requests may wait for answers of `donor`: more where the way is long and not full, so that it becomes full. */
  windowOf(donor: NodeId): number {
    return this.#windows.get(donor) ?? requestsPerDonorMax;
  }

  #answered(donor: NodeId, ticks: number): void {
    const quickest = Math.min(ticks, this.#quickestTicks.get(donor) ?? ticks);
    this.#answerTicks.set(donor, ticks);
    this.#quickestTicks.set(donor, quickest);
    const window = this.windowOf(donor);
    const isFull = ticks > queuedFactor * quickest;
    const next = isFull ? window - 1 : window + (quickest >= farTicks ? 1 : 0);
    this.#windows.set(donor, Math.min(Math.max(next, requestsPerDonorMax), requestsPerFarDonorMax));
  }

  /** Ticks that the last answer of `donor` took; infinite before the first. */
  answerTicksOf(donor: NodeId): number {
    return this.#answerTicks.get(donor) ?? Number.POSITIVE_INFINITY;
  }

  /** It is here, or not wanted any more. */
  end(thing: Thing): void {
    this.#requests.delete(thing);
  }

  /** `donor` will not give it. */
  fail(thing: Thing, donor: NodeId): void {
    const left = (this.#requests.get(thing) ?? []).filter((request) => request.donor !== donor);
    if (left.length > 0) this.#requests.set(thing, left);
    else this.#requests.delete(thing);
  }

  /** The one for which another donor has been asked longest, `ticksMin` at least, if `donor` may be asked, too. */
  late(donor: NodeId, ticksMin: number): Thing | undefined {
    let found: Thing | undefined;
    let longest = ticksMin - 1;
    for (const [thing, requests] of this.#requests) {
      const [first] = requests;
      if (!first || requests.length > 1 || first.donor === donor || first.ticks <= longest) continue;
      longest = first.ticks;
      found = thing;
    }
    return found;
  }

  /** Time passes. Returns the donors whose time was over for something: `patienceOf` says how many ticks each has. */
  tick(patienceOf: (donor: NodeId) => number): Set<NodeId> {
    const slow = new Set<NodeId>();
    for (const [donor, ticks] of this.#silentTicks) this.#silentTicks.set(donor, ticks + 1);
    for (const requests of this.#requests.values()) {
      for (const request of requests) {
        request.ticks++;
        const patience = patienceOf(request.donor);
        const silentTicks = Math.min(request.ticks, this.#silentTicks.get(request.donor) ?? request.ticks);
        const isLost = request.ticks >= patiencesMax * patience;
        if (silentTicks >= patience || isLost) slow.add(request.donor);
      }
    }
    for (const donor of slow) this.forget(donor);
    return slow;
  }

  /** Nothing more is expected of `donor`. */
  forget(donor: NodeId): void {
    for (const thing of [...this.#requests.keys()]) this.fail(thing, donor);
  }
}
