import { type ByteString, fromByteString } from '../../base/bytes.ts';
import { expireKey } from '../../kv/command.ts';
import type { Expiry } from '../../kv/expiry-table.ts';
import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { Voter } from '../voter.ts';

/** What the end of keys needs to know of the node. */
export interface ExpirerView {
  /** Set while this node votes. */
  readonly voter: Voter | undefined;
  readonly tick: number;
  /** Nominal milliseconds between ticks. */
  readonly tickMs: number;
}

/** A key as this leader saw it last, and when its time is over, on the clock below. */
interface Watched {
  readonly revision: number;
  readonly renewedAt: number;
  readonly untilMs: number;
  /** Set once its end was proposed: when. */
  proposedTick: number | undefined;
}

/** Ticks between looks at all keys that expire. */
const lookTicks = 10;
/** Most ends proposed at a look: the rest comes with the next. */
const proposalsMax = 1000;
/** No tick counts for more of these: a node that stood still has not served those who would have renewed. */
const elapsedTicksMax = 5;

/**
 * Ends keys that were not renewed in time, while this node leads. Its clock measures from when it first saw a put or a renewal applied, or came into
 * office: so no key goes before its time, and after a change of leaders it may stay for its time once more. It only proposes: what counts is whether
 * the key was renewed before that in the log.
 */
export class Expirer {
  readonly #machine: KvStateMachine;
  readonly #view: ExpirerView;
  readonly #retryTicks: number;
  readonly #watched = new Map<ByteString, Watched>();
  #clockMs = 0;

  constructor(machine: KvStateMachine, view: ExpirerView, retryTicks: number) {
    this.#machine = machine;
    this.#view = view;
    this.#retryTicks = retryTicks;
  }

  tick(elapsedMs: number): void {
    const { tick, tickMs, voter } = this.#view;
    this.#clockMs += Math.min(elapsedMs, elapsedTicksMax * tickMs);
    if (!voter?.paxos.isLeaderInAcceptPhase) return this.#watched.clear();
    if (this.#machine.expiryCount === 0 && this.#watched.size === 0) return;
    if (tick % lookTicks === 0) this.#look(voter);
  }

  #look(voter: Voter): void {
    let left = proposalsMax;
    for (const expiry of this.#machine.expiries) {
      const watched = this.#watch(expiry);
      if (watched.untilMs > this.#clockMs || left === 0 || !this.#isDue(watched)) continue;
      if (!voter.propose(expireKey(fromByteString(expiry.key), expiry.revision, expiry.renewedAt)).ok) return;
      watched.proposedTick = this.#view.tick;
      left--;
    }
    if (this.#watched.size > this.#machine.expiryCount) this.#forgetGone();
  }

  #watch({ key, revision, renewedAt, ttlMs }: Expiry): Watched {
    const known = this.#watched.get(key);
    if (known?.revision === revision && known.renewedAt === renewedAt) return known;
    const watched = { revision, renewedAt, untilMs: this.#clockMs + ttlMs, proposedTick: undefined };
    this.#watched.set(key, watched);
    return watched;
  }

  #isDue({ proposedTick }: Watched): boolean {
    return proposedTick === undefined || this.#view.tick - proposedTick >= this.#retryTicks;
  }

  #forgetGone(): void {
    const keys = new Set([...this.#machine.expiries].map(({ key }) => key));
    for (const key of this.#watched.keys()) if (!keys.has(key)) this.#watched.delete(key);
  }
}
