/** What of a donor's time its clients leave to those who catch up. */
export interface DonorLoad {
  /** It applied entries, or has requests of clients, since the last tick. */
  readonly isServing: boolean;
  /** How long the last tick took, in ticks: over 1 when turns are long or the processor is short. */
  readonly lateness: number;
}

/** A donor is idle once it has served nobody for so many ticks. */
const idleTicks = 10;
/** A tick that took so much longer says that turns are long or the processor is short. */
const lateMax = 1.25;
/** What a late tick leaves of the budget, and what part of the full one any other adds: one late tick in nine is borne. */
const partLeft = 3 / 4;
const partAdded = 1 / 32;
/** The budget of a tick never falls below this part of the full one, so that a newcomer gets through in the end. */
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

  /** `bytesMax`: the full budget of a tick. */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#bytesPerTick = bytesMax * leastPart;
  }

  get isSpent(): boolean {
    return this.#left <= 0;
  }

  spend(bytes: number): void {
    this.#ticksUnspent = 0;
    this.#left -= bytes;
  }

  /** A new tick begins. What was spent too much is taken off it. */
  tick({ isServing, lateness }: DonorLoad): void {
    this.#ticksIdle = isServing ? 0 : this.#ticksIdle + 1;
    if (++this.#ticksUnspent > ticksToCool) this.#bytesPerTick = this.#bytesMax * leastPart;
    if (this.#ticksIdle >= idleTicks) {
      this.#left = Number.POSITIVE_INFINITY;
      return;
    }
    this.#bytesPerTick =
      lateness > lateMax
        ? Math.max(this.#bytesMax * leastPart, this.#bytesPerTick * partLeft)
        : Math.min(this.#bytesMax, this.#bytesPerTick + this.#bytesMax * partAdded);
    const debt = Number.isFinite(this.#left) ? Math.min(0, this.#left) : 0;
    this.#left = this.#bytesPerTick + debt;
  }
}
