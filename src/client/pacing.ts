const backoffStartMs = 20;
const backoffMaxMs = 500;

/** When to try again: at once while there are nodes not yet tried, then after growing, jittered pauses. */
export class Pacing {
  #failuresInRow = 0;
  #resumeMs = 0;

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
    const pauseMs = Math.min(backoffMaxMs, backoffStartMs * 2 ** Math.min(rounds, 10));
    this.#resumeMs = nowMs + pauseMs * (0.5 + Math.random() / 2);
  }

  /** Something succeeded. */
  succeeded(): void {
    this.#failuresInRow = 0;
    this.#resumeMs = 0;
  }
}
