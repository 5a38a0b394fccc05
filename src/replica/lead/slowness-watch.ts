/** What is remembered: slices of time, the oldest of which is dropped as a new one begins. */
const sliceMs = 500;
const sliceCount = 20;
const windowMs = sliceMs * sliceCount;
/** What counts as slow, and how much of the last 10 s it takes. All in milliseconds. */
export interface SlownessBounds {
  /** One that takes so long is slow, if that is not for its size. */
  readonly slowMs: number;
  /** So much must have gone into slow ones to be slow… */
  readonly slowFromMs: number;
  /** … and no more than that to be quick again. */
  readonly quickBelowMs: number;
}

/** A large one may take longer: what is sound, however humble, takes at least so many bytes in a millisecond. */
const bytesPerMsMin = 20_000;

/**
 * Tells whether something that is done again and again is slow now, from how long it takes. Time counts, not how often: a
 * second of quick flushes is a thousand, a second of slow ones is five, and whoever writes meets either with equal odds.
 *
 * It becomes slow once enough of the last 10 s went into slow ones, and more than into quick ones: a
 * hiccup, such as a checkpoint makes, is shorter, and what is busy and stalls now and then is quick most of the time. It is
 * quick again when little of the last 10 s did. In between it stays what it was.
 */
export class SlownessWatch {
  readonly #bounds: SlownessBounds;
  readonly #slowMs = new Float64Array(sliceCount);
  readonly #quickMs = new Float64Array(sliceCount);
  #slice = 0;
  #isSlow = false;

  constructor(bounds: SlownessBounds) {
    this.#bounds = bounds;
  }

  get isSlow(): boolean {
    return this.#isSlow;
  }

  /** One is done. */
  took(durationMs: number, bytes: number): void {
    const times = this.#isSlowOne(durationMs, bytes) ? this.#slowMs : this.#quickMs;
    const at = this.#slice % sliceCount;
    times[at] = (times[at] as number) + Math.min(durationMs, windowMs);
  }

  /** Time passes. `underWayMs`: for how long one is under way; a disk that hangs finishes none. */
  tick(nowMs: number, underWayMs: number, bytes: number): void {
    const { slowFromMs, quickBelowMs } = this.#bounds;
    this.#roll(Math.floor(nowMs / sliceMs));
    const slowMs = sum(this.#slowMs) + (this.#isSlowOne(underWayMs, bytes) ? underWayMs : 0);
    if (this.#isSlow) this.#isSlow = slowMs >= quickBelowMs;
    else this.#isSlow = slowMs >= slowFromMs && slowMs > sum(this.#quickMs);
  }

  #isSlowOne(durationMs: number, bytes: number): boolean {
    return durationMs >= this.#bounds.slowMs + bytes / bytesPerMsMin;
  }

  #roll(slice: number): void {
    // After a long time without a tick the whole window is old.
    const first = Math.max(this.#slice + 1, slice - sliceCount + 1);
    for (let next = first; next <= slice; next++) {
      this.#slowMs[next % sliceCount] = 0;
      this.#quickMs[next % sliceCount] = 0;
    }
    this.#slice = Math.max(this.#slice, slice);
  }
}

function sum(times: Float64Array): number {
  let total = 0;
  for (let at = 0; at < times.length; at++) total += times[at] as number;
  return total;
}
