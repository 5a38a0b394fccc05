import { setTimeout as delay } from 'node:timers/promises';
import { KvError, type KvErrorCode } from '../call/errors.ts';

/** So many renewals fit into a key's time: one that is lost, or a leader that is replaced, does not end it. */
const renewalsPerTtl = 3;
/** Such a part of its time before anybody may end a key it counts as lost: so long those have who must end what they do with it. */
const lossMargin = 1 / 6;
/** Longest a timer of the platform can be set for. */
const pauseMsMax = 2 ** 31 - 1;
/** Longest that a renewal waits for its answer before it is tried anew. */
const renewalMsMax = 30_000;
/** Before a renewal that failed is tried again. */
const pauseMs = 100;

/** What a kept key does with the store. */
export interface Keeping {
  renew(revision: number, options: { readonly timeoutMs: number }): Promise<unknown>;
  /** Removes the key if it has this revision. */
  remove(revision: number): Promise<void>;
}

/** What was put. */
interface Kept {
  readonly key: Uint8Array;
  readonly revision: number;
  readonly ttlMs: number;
  /** When it was called, on the clock of `performance.now()`. */
  readonly putMs: number;
}

/**
 * A key that expires, and is renewed as long as this process can: it goes when this is released, and after its time if the process has died, hangs
 * or reaches no majority.
 */
export class KeptKey {
  readonly key: Uint8Array;
  /** Of its put: it grows from holder to holder, so that whoever is told of it can refuse a former one. */
  readonly revision: number;
  readonly #keeping: Keeping;
  readonly #ttlMs: number;
  readonly #lost = new AbortController();
  readonly #released = new AbortController();
  /** Renewed before that, or lost; nobody ends it for some time after. */
  #keptUntilMs: number;
  #isGone = false;

  constructor(keeping: Keeping, put: Kept) {
    this.#keeping = keeping;
    this.key = put.key;
    this.revision = put.revision;
    this.#ttlMs = put.ttlMs;
    this.#keptUntilMs = this.#keptFrom(put.putMs);
    if (this.isOverdue) this.#lose(stoodStill);
    else void this.#renewAgainAndAgain();
  }

  /**
   * Aborted once the key is gone or was put by somebody else, or, where it could not be renewed, a sixth of its time before it may go: what is done
   * with it has to end until then. `reason` is a KvError that says why. Not aborted by {@link release}. A process that stood still learns of it late.
   */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** True once it should have been renewed and was not: it is about to count as lost, if it does not yet. */
  get isOverdue(): boolean {
    return performance.now() >= this.#keptUntilMs;
  }

  /**
   * Milliseconds until anybody may end it, as far as this process knows; 0 once it is gone, or somebody else's. What is done with it has so long
   * when {@link lost} is aborted, which is a sixth of its time, or less where this process stood still.
   */
  get remainingMs(): number {
    if (this.#isGone) return 0;
    return Math.max(0, this.#keptUntilMs + this.#ttlMs * lossMargin - performance.now());
  }

  /** Renews it no more, and removes it if it is still the one that was put. Fails as `delete` does, unless it is lost; then it goes after its time. */
  async release(): Promise<void> {
    this.#released.abort();
    try {
      await this.#keeping.remove(this.revision);
    } catch (error) {
      // What is lost may be there still, and in others' way: it was worth a try.
      if (!this.#lost.signal.aborted || !(error instanceof KvError)) throw error;
    }
  }

  /** As {@link release}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }

  #keptFrom(sentMs: number): number {
    return sentMs + this.#ttlMs * (1 - lossMargin);
  }

  async #renewAgainAndAgain(): Promise<void> {
    /** Since the last renewal: it says more than those whose time was short. */
    let firstProblem: KvError | undefined;
    while (await this.#pause(firstProblem ? pauseMs : this.#ttlMs / renewalsPerTtl)) {
      const sentMs = performance.now();
      const problem = await this.#renew(sentMs);
      if (problem === undefined) {
        this.#keptUntilMs = this.#keptFrom(sentMs);
        firstProblem = undefined;
        continue;
      }
      firstProblem ??= problem;
      if (isFinal(problem)) return this.#lose(problem);
      if (performance.now() >= this.#keptUntilMs) return this.#lose(firstProblem);
    }
  }

  async #renew(nowMs: number): Promise<KvError | undefined> {
    const leftMs = this.#keptUntilMs - nowMs;
    if (leftMs <= 0) return stoodStill;
    try {
      const timeoutMs = Math.max(1, Math.min(leftMs, this.#ttlMs / renewalsPerTtl, renewalMsMax));
      await this.#keeping.renew(this.revision, { timeoutMs });
      return undefined;
    } catch (error) {
      if (error instanceof KvError) return error;
      throw error;
    }
  }

  /** False once it is released. */
  async #pause(ms: number): Promise<boolean> {
    const { signal } = this.#released;
    try {
      const leftMs = Math.min(ms, this.#keptUntilMs - performance.now(), pauseMsMax);
      await delay(Math.max(0, leftMs), undefined, { signal, ref: false });
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    return !signal.aborted;
  }

  #lose(problem: KvError): void {
    if (this.#released.signal.aborted) return;
    const { code, message, outcome } = problem;
    this.#isGone = code === 'conflict';
    this.#lost.abort(new KvError(code, `the key was not renewed in time: ${message}`, outcome, { cause: problem }));
  }
}

const stoodStill = new KvError(
  'timeout',
  'this process, or its connection, was stalled for longer than its time allows',
  'unknown',
);

const finalCodes: readonly KvErrorCode[] = ['conflict', 'closed', 'internal', 'notKvNode', 'untrusted'];

/** Another try would not help. */
function isFinal({ code }: KvError): boolean {
  return finalCodes.includes(code);
}
