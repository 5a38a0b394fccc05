/** What is remembered: slices of time, the oldest of which is dropped as a new one begins. */
const sliceMs = 500;
const sliceCount = 20;
const windowMs = sliceMs * sliceCount;
/** So much of the window must have gone into slow flushes for the disk to be slow, and no more than that for it to be quick again. */
const slowFromMs = 1500;
const quickBelowMs = 500;

/** A large flush may take longer: a sound disk, however humble, writes at least so much of it in a millisecond. */
const bytesPerMsMin = 20_000;

/**
 * Tells whether this node's disk is slow now, from how long the flushes of its log take. Time counts, not flushes: a
 * second of quick ones is a thousand, a second of slow ones is five, and whoever writes meets either with equal odds.
 *
 * The disk becomes slow once, of the last 10 s, at least 1.5 s went into slow flushes, and more than into quick ones: a
 * hiccup, such as a checkpoint makes, is shorter, and a busy disk that stalls now and then is quick most of the time. It is
 * quick again when less than 0.5 s of the last 10 s did. In between it stays what it was.
 */
export class DiskWatch {
  readonly #slowFlushMs: number;
  readonly #slowMs = new Float64Array(sliceCount);
  readonly #quickMs = new Float64Array(sliceCount);
  #slice = 0;
  #isSlow = false;

  /** A flush of `slowFlushMs` or more is slow, if that is not for its size. */
  constructor(slowFlushMs: number) {
    this.#slowFlushMs = slowFlushMs;
  }

  get isSlow(): boolean {
    return this.#isSlow;
  }

  /** A flush is done. */
  flushed(durationMs: number, bytes: number): void {
    const times = this.#isSlowFlush(durationMs, bytes) ? this.#slowMs : this.#quickMs;
    const at = this.#slice % sliceCount;
    times[at] = (times[at] as number) + Math.min(durationMs, windowMs);
  }

  /** Time passes. `flushingMs`: for how long a flush is under way; a disk that hangs answers none. */
  tick(nowMs: number, flushingMs: number, flushingBytes: number): void {
    this.#roll(Math.floor(nowMs / sliceMs));
    const slowMs = sum(this.#slowMs) + (this.#isSlowFlush(flushingMs, flushingBytes) ? flushingMs : 0);
    if (this.#isSlow) this.#isSlow = slowMs >= quickBelowMs;
    else this.#isSlow = slowMs >= slowFromMs && slowMs > sum(this.#quickMs);
  }

  #isSlowFlush(durationMs: number, bytes: number): boolean {
    return durationMs >= this.#slowFlushMs + bytes / bytesPerMsMin;
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
