import type { PeerHello } from '../wire/peer-message.ts';
import type { Backoff } from './backoff.ts';
import { openingOf, type PeerLink } from './peer-link.ts';

/** A node that is to be dialled whenever there is no link to it: which attempt is under way or due, and what became of those before. */
export class PeerTarget {
  readonly nodeId: number;
  readonly address: string;
  readonly #backoff: Backoff;
  #timer: NodeJS.Timeout | undefined;
  #attempt: Pick<PeerLink, 'peer' | 'cut'> | undefined;
  /** Since when no attempt has reached it; undefined while none has failed since it was reached. */
  #unreachedSinceMs: number | undefined;
  /** With which opening it was met there last, or linked. */
  #opening: string | undefined;
  /** Why the last attempt failed. */
  #reason: string | undefined;

  constructor(nodeId: number, address: string, backoff: Backoff) {
    this.nodeId = nodeId;
    this.address = address;
    this.#backoff = backoff;
  }

  /** An attempt is under way, also one that has become the link, or the next is due. */
  get isDialled(): boolean {
    return this.#timer !== undefined || this.#attempt !== undefined;
  }

  /** `attempt` is under way. */
  begin(attempt: Pick<PeerLink, 'peer' | 'cut'>): void {
    this.#attempt = attempt;
  }

  /** `link` is over, which may have been the attempt. */
  forget(link: Pick<PeerLink, 'peer' | 'cut'>): void {
    if (this.#attempt === link) this.#attempt = undefined;
  }

  /** Has `dial` called after a pause, which grows from one to the next until {@link resetPause}. */
  dialLater(dial: () => void): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      dial();
    }, this.#backoff.nextMs());
  }

  resetPause(): void {
    this.#backoff.reset();
  }

  /** No attempt is made any more, and one under way is cut, unless it has reached somebody. */
  giveUp(): void {
    clearTimeout(this.#timer);
    if (this.#attempt !== undefined && this.#attempt.peer === undefined) this.#attempt.cut('no longer dialled');
  }

  /** Somebody says there that it is this node. */
  onMet(hello: PeerHello): void {
    this.#opening = openingOf(hello);
  }

  /** There is a link to it, whoever dialled. */
  onLinked(hello: PeerHello): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#reason = undefined;
    this.#unreachedSinceMs = undefined;
    this.onMet(hello);
  }

  /** An attempt failed, and there is no link to it. */
  onUnreached(nowMs: number): void {
    this.#unreachedSinceMs ??= nowMs;
  }

  /** Why an attempt failed. False if the one before did for the same reason: that is not to be logged every second. */
  noteReason(reason: string): boolean {
    const isNew = this.#reason !== reason;
    this.#reason = reason;
    return isNew;
  }

  /**
   * Why a node that came from another address is not taken for this one: for `movedMsMin` milliseconds nobody must have reached that at the known
   * address. Undefined if it is.
   */
  movedProblem(hello: PeerHello, nowMs: number, movedMsMin: number): string | undefined {
    // Before there is a cluster each names the others as its own file does.
    if (hello.clusterId === undefined) return undefined;
    if (this.address === hello.address || this.#opening === openingOf(hello)) return undefined;
    const unreachedMs = nowMs - (this.#unreachedSinceMs ?? nowMs);
    if (unreachedMs >= movedMsMin) return undefined;
    return `node ${this.nodeId} is known at ${this.address}, not ${hello.address}: it is looked for there first, for ${movedMsMin / 1000} s`;
  }
}

/** True for "host:port" that can be dialled. */
export function isDialAddress(address: string): boolean {
  return /:\d+$/.test(address) && !/[/?#@\s]/.test(address) && URL.canParse(`ws://${address}`);
}
