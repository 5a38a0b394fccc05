import { type Ballot, compareBallots } from '../../omnipaxos/ballot.ts';
import { SlownessWatch } from './slowness-watch.ts';

/** Milliseconds of the last 10 s that long waits must have taken for decisions to be slow, and to be quick again. */
const slow = { slowFromMs: 1500, quickBelowMs: 500 };

/** What is looked at of the consensus: an `OmniPaxos` is one. */
export interface DecisionView {
  readonly acceptedIndex: number;
  readonly decidedIndex: number;
  readonly undecidedSize: number;
  /** The ballot that it leads with. */
  readonly promise: Ballot;
}

/**
 * Tells whether what a leader is asked for takes long to be decided, be it for its links or for the disks of those that follow. Heartbeats do not tell: they
 * come through where nothing else does. One entry at a time is followed, from a tick at which it is the last of the log to the tick at which it is decided.
 * Ticks are counted, so that time in which this process stood still is left out. Each time in office begins anew.
 */
export class DecisionWatch {
  readonly #slowMs: number;
  readonly #tickMs: number;
  #watch: SlownessWatch;
  /** What was led at the last tick. */
  #led: DecisionView | undefined;
  #ballot: Ballot | undefined;
  #followed: { readonly endIndex: number; readonly bytes: number; readonly sinceTick: number } | undefined;

  /** `slowMs`: who waits so long for a decision waits long, if that is not for how much there is to decide. */
  constructor(slowMs: number, tickMs: number) {
    this.#slowMs = slowMs;
    this.#tickMs = tickMs;
    this.#watch = this.#newWatch();
  }

  get isSlow(): boolean {
    return this.#watch.isSlow;
  }

  /** A decision is waited for. */
  get isWaiting(): boolean {
    return this.#followed !== undefined;
  }

  /** To be called on every tick. `led`: undefined while this node does not lead. */
  tick(led: DecisionView | undefined, tick: number): void {
    if (!this.#isSameOffice(led)) this.#begin(led);
    const followed = this.#followed;
    if (led && (followed === undefined || led.decidedIndex >= followed.endIndex)) {
      if (followed) this.#watch.took((tick - followed.sinceTick) * this.#tickMs, followed.bytes);
      this.#followed = nextOf(led, tick);
    }
    const { sinceTick = tick, bytes = 0 } = this.#followed ?? {};
    this.#watch.tick(tick * this.#tickMs, (tick - sinceTick) * this.#tickMs, bytes);
  }

  #isSameOffice(led: DecisionView | undefined): boolean {
    if (led !== this.#led || led === undefined) return led === this.#led;
    return this.#ballot !== undefined && compareBallots(led.promise, this.#ballot) === 0;
  }

  #begin(led: DecisionView | undefined): void {
    this.#led = led;
    this.#ballot = led?.promise;
    this.#followed = undefined;
    this.#watch = this.#newWatch();
  }

  #newWatch(): SlownessWatch {
    return new SlownessWatch({ slowMs: this.#slowMs, ...slow });
  }
}

function nextOf({ acceptedIndex, decidedIndex, undecidedSize }: DecisionView, sinceTick: number) {
  return acceptedIndex > decidedIndex ? { endIndex: acceptedIndex, bytes: undecidedSize, sinceTick } : undefined;
}
