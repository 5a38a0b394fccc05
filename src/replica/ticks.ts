/** Milliseconds between ticks: the resolution of all of a replica's timing. */
export const tickMs = 20;
/** Least milliseconds between two ticks. */
const tickMsMin = tickMs / 2;
/** Most ticks that are due: the first waits for a turn that something else asks for, a second one asks for a turn itself, more are dropped. */
const ticksDueMax = 2;
/** Whose last tick is so long ago stood still, milliseconds. */
const standstillMs = 1000;

/**
 * When a replica gets its ticks: a timer makes them due, and a turn takes them. A tick goes along with the next turn, whatever that is for: in
 * a turn of its own it keeps clients waiting for longer. Only if the last one still waits, since nothing else goes on, there is a turn for it.
 * All times are milliseconds of one clock.
 */
export class Ticks {
  #due = 0;
  #takenAtMs: number;

  constructor(nowMs: number) {
    this.#takenAtMs = nowMs;
  }

  /** To be called every {@link tickMs}. True if a turn is wanted: the last tick still waits for one. */
  onTimer(): boolean {
    const isTurnWanted = this.#due > 0;
    this.#due = Math.min(this.#due + 1, ticksDueMax);
    return isTurnWanted;
  }

  /**
   * To be called in every turn: for how long this tick is, milliseconds, or 0 if there is none. One in a turn and never two at once: what one asks of
   * others is to be answered before the next.
   */
  take(nowMs: number): number {
    const elapsedMs = nowMs - this.#takenAtMs;
    if (this.#due === 0 || elapsedMs < tickMsMin) return 0;
    this.#due--;
    this.#takenAtMs = nowMs;
    return elapsedMs;
  }

  /** True if the process did not run for a while: it was stopped, or its machine slept. */
  stoodStill(nowMs: number): boolean {
    return nowMs - this.#takenAtMs > standstillMs;
  }
}
