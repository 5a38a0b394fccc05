/** What of a donor's time its clients leave to those who catch up. */
export interface DonorLoad {
  /** It applied entries, or has requests of clients, since the last tick. */
  readonly isServing: boolean;
  /** How long the last tick took, in ticks: over 1 when turns are long or the processor is short. */
  readonly lateness: number;
  /** Bytes of the commands that it applied since the last tick. */
  readonly appliedBytes: number;
}

/** To each who catches up a donor gives at least so many times what it applies itself: a log that grows faster than it is given has no end. */
export const outpacing = 1.5;
/** Part of a tick's bytes that the mean of the applied ones moves by. */
const meanPart = 1 / 8;

/** A donor is idle once it has served nobody for so many ticks. */
const idleTicks = 10;
/** A tick that took so much longer says that turns are long or the processor is short. */
const lateMax = 1.25;
/** What a late tick leaves of the budget, and what part of the full one any other adds: one late tick in nine is borne. */
const partLeft = 3 / 4;
const partAdded = 1 / 32;
/** The budget of a tick never falls below this part of the full one, nor below what outpaces its clients, so that a newcomer gets through in the end. */
const leastPart = 1 / 8;
/** Who gave nothing for so many ticks begins with the least: code that runs for the first time costs several times as much. */
const ticksToCool = 25;

/**
 * Bytes that a donor gives to those who catch up in one tick, so that clients come first: no limit while it serves nobody; else
 * a budget, which is small at first, and which late ticks make smaller again and others let grow.
 */
export class DonorBudget {
  readonly #bytesMax: number;
  #bytesPerTick: number;
  #left = Number.POSITIVE_INFINITY;
  #ticksIdle = idleTicks;
  #ticksUnspent = 0;
  #appliedPerTick = 0;
  #spentBytes = 0;

  /** `bytesMax`: the full budget of a tick. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#bytesPerTick = bytesMax * leastPart;
  }

  get isSpent(): boolean {
    return this.#left <= 0;
  }

  /** Bytes spent in all. */
  get spentBytes(): number {
    return this.#spentBytes;
  }

  spend(bytes: number): void {
    this.#spentBytes += bytes;
    this.#ticksUnspent = 0;
    this.#left -= bytes;
  }

  /** A new tick begins. What was spent too much is taken off it. `takers`: how many catch up from here. */
  tick({ isServing, lateness, appliedBytes }: DonorLoad, takers: number): void {
    this.#ticksIdle = isServing ? 0 : this.#ticksIdle + 1;
    this.#appliedPerTick += (appliedBytes - this.#appliedPerTick) * meanPart;
    const least = Math.max(this.#bytesMax * leastPart, this.#appliedPerTick * outpacing * takers);
    if (++this.#ticksUnspent > ticksToCool) this.#bytesPerTick = least;
    if (this.#ticksIdle >= idleTicks) {
      this.#left = Number.POSITIVE_INFINITY;
      return;
    }
    this.#bytesPerTick =
      lateness > lateMax
        ? Math.max(least, this.#bytesPerTick * partLeft)
        : Math.min(Math.max(this.#bytesMax, least), Math.max(least, this.#bytesPerTick + this.#bytesMax * partAdded));
    const debt = Number.isFinite(this.#left) ? Math.min(0, this.#left) : 0;
    this.#left = this.#bytesPerTick + debt;
  }
}
