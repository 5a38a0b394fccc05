const intervalMs = 20;
/** A sweep that comes later than this was held up by this process itself. */
const lateMs = 100;

/** Something with deadlines. */
export interface Sweepable {
  /** Ends what is overdue. True: there is more to watch. */
  sweep(nowMs: number): boolean;
}

/** One timer for all deadlines of a client, instead of one for each call. It runs only while there is something to watch. */
export class Sweeper {
  readonly #parts: readonly Sweepable[];
  #timer: NodeJS.Timeout | undefined;
  #dueMs = 0;
  #isClosed = false;

  constructor(parts: readonly Sweepable[]) {
    this.#parts = parts;
  }

  /** There is something to watch. */
  wake(): void {
    if (this.#timer !== undefined || this.#isClosed) return;
    this.#dueMs = performance.now() + intervalMs;
    this.#timer = setTimeout(() => this.#onTimer(), intervalMs);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #onTimer(): void {
    // If this process was paused, answers may lie in the sockets: they are read before anyone is declared dead.
    if (performance.now() - this.#dueMs > lateMs) setImmediate(() => this.#sweep());
    else this.#sweep();
  }

  #sweep(): void {
    this.#timer = undefined;
    const nowMs = performance.now();
    let isMore = false;
    for (const part of this.#parts) isMore = part.sweep(nowMs) || isMore;
    if (isMore) this.wake();
  }
}
