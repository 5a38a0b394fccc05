/** When to try again: at once while there are nodes not yet tried, then after growing, jittered pauses. */
export class Pacing {
  readonly #startMs: number;
  readonly #maxMs: number;
  #failuresInRow = 0;
  #resumeMs = 0;

  /** The shortest pause and the longest, milliseconds. */
  constructor(startMs = 20, maxMs = 500) {
    this.#startMs = startMs;
    this.#maxMs = maxMs;
  }

  /** False: wait, a pause is running. */
  isOpen(nowMs: number): boolean {
    return nowMs >= this.#resumeMs;
  }

  /** Something failed; `nodes` is how many there are to try. Failures within one pause count once. */
  failed(nowMs: number, nodes: number): void {
    if (!this.isOpen(nowMs)) return;
    this.#failuresInRow++;
    const rounds = this.#failuresInRow - nodes;
    if (rounds < 0) return;
    const pauseMs = Math.min(this.#maxMs, this.#startMs * 2 ** Math.min(rounds, 10));
    this.#resumeMs = nowMs + pauseMs * (0.5 + Math.random() / 2);
  }

  /** Something succeeded. */
  succeeded(): void {
    this.#failuresInRow = 0;
    this.#resumeMs = 0;
  }
}
