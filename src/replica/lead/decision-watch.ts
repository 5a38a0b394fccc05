import { SlownessWatch } from './slowness-watch.ts';

/** Milliseconds of the last 10 s in which what was decided took long, for that to be slow, and to be quick again. */
const slow = { slowFromMs: 3000, quickBelowMs: 1000 };

/** What is looked at of the consensus: an `OmniPaxos` is one. */
export interface DecisionView {
  readonly acceptedIndex: number;
  readonly decidedIndex: number;
  readonly undecidedSize: number;
}

/**
 * Tells whether what a leader is asked for takes long to be decided, be it for its links or for the disks of those that follow.
 * One entry at a time is followed, from a tick at which it is the last of the log to the tick at which it is decided; and only what was decided counts, since
 * whoever has nothing decided has lost its majority, which the election mends. Ticks are counted, so that time in which this process stood still is left out.
 */
export class DecisionWatch {
  readonly #watch: SlownessWatch;
  readonly #tickMs: number;
  #followed: { readonly endIndex: number; readonly bytes: number; readonly sinceTick: number } | undefined;

  /** `slowMs`: who waits so long for a decision waits long, if that is not for how much there is to decide. */
  constructor(slowMs: number, tickMs: number) {
    this.#watch = new SlownessWatch({ slowMs, ...slow });
    this.#tickMs = tickMs;
  }

  /** Decisions take long, and one is waited for. */
  get isSlow(): boolean {
    return this.#watch.isSlow && this.#followed !== undefined;
  }

  /** To be called on every tick. `led`: undefined while this node does not lead. */
  tick(led: DecisionView | undefined, tick: number): void {
    const followed = this.#followed;
    if (led === undefined) this.#followed = undefined;
    else if (followed === undefined || led.decidedIndex >= followed.endIndex) {
      if (followed) this.#watch.took((tick - followed.sinceTick) * this.#tickMs, followed.bytes);
      this.#followed = nextOf(led, tick);
    }
    this.#watch.tick(tick * this.#tickMs, 0, 0);
  }
}

function nextOf({ acceptedIndex, decidedIndex, undecidedSize }: DecisionView, sinceTick: number) {
  return acceptedIndex > decidedIndex ? { endIndex: acceptedIndex, bytes: undecidedSize, sinceTick } : undefined;
}
