/**
 * Measures how long flushes take by the disk's part of it. Time in which this process did not run (stopped, or short of a
 * processor) is not the disk's: it shows in ticks that come late, and is left out. All times are milliseconds of one clock.
 */
export class FlushTimer {
  readonly #tickMs: number;
  #tickedAt: number;
  /** How long this process stood still, in all, up to the last tick. */
  #stalledMs = 0;
  #begunAt: number | undefined;
  #stalledBeforeMs = 0;

  constructor(tickMs: number, now: number) {
    this.#tickMs = tickMs;
    this.#tickedAt = now;
  }

  begin(now: number): void {
    this.#begunAt = now;
    this.#stalledBeforeMs = this.#stalledUntil(now);
  }

  /** The duration of the flush that began last. */
  end(now: number): number {
    const durationMs = this.#runningMs(now);
    this.#begunAt = undefined;
    return durationMs;
  }

  /** To be called on every tick; for how long the present flush has been under way, 0 if there is none. */
  tick(now: number): number {
    this.#stalledMs = this.#stalledUntil(now);
    this.#tickedAt = now;
    return this.#runningMs(now);
  }

  #runningMs(now: number): number {
    if (this.#begunAt === undefined) return 0;
    return Math.max(0, now - this.#begunAt - (this.#stalledUntil(now) - this.#stalledBeforeMs));
  }

  /** A tick that is a little late is none that stood still. */
  #stalledUntil(now: number): number {
    return this.#stalledMs + Math.max(0, now - this.#tickedAt - 2 * this.#tickMs);
  }
}
