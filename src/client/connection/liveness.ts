/** Where calls wait and not a byte has come from the node for so long, it is asked for a sign of life. */
const silentMsMax = 2000;
/** So long it may take to give one… */
const signMsMax = 2000;
/** … and longer on a slow way, where the question stands behind what was sent before: at least so much gets through. */
export const bytesPerMsMin = 64;

/** What to do about a connection now. */
export type LivenessStep = 'wait' | 'ask' | 'giveUp';

/**
 * Notices a half-open connection: the node's host has gone, or forgets it, or a box between drops what is sent, and nobody says so. TCP by itself
 * sends again for a quarter of an hour. A node that is merely slow with its answers gives a sign of life, and so does any byte of a long answer.
 */
export class Liveness {
  #bytesRead = 0;
  /** Since when nothing has come, as far as was looked. */
  #silentSinceMs: number | undefined;
  /** When a sign was asked for that has not come. */
  #askedMs: number | undefined;

  /** Call it again and again while calls wait. `bytesRead`: so far; `bytesAsked`: how much was sent that has no answer. */
  step(bytesRead: number, bytesAsked: () => number, nowMs: number): LivenessStep {
    if (bytesRead !== this.#bytesRead || this.#silentSinceMs === undefined) {
      this.#bytesRead = bytesRead;
      this.#silentSinceMs = nowMs;
      this.#askedMs = undefined;
      return 'wait';
    }
    if (this.#askedMs !== undefined) return this.#isOverdue(this.#askedMs, bytesAsked, nowMs) ? 'giveUp' : 'wait';
    if (nowMs - this.#silentSinceMs < silentMsMax) return 'wait';
    this.#askedMs = nowMs;
    return 'ask';
  }

  #isOverdue(askedMs: number, bytesAsked: () => number, nowMs: number): boolean {
    const silentMs = nowMs - askedMs;
    return silentMs >= signMsMax && silentMs >= signMsMax + bytesAsked() / bytesPerMsMin;
  }
}
