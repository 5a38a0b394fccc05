import type { NodeId } from './ballot.ts';
import type { PaxosMessage, PaxosPayload } from './messages.ts';

interface Waiting<T> {
  readonly write: number;
  readonly message: PaxosMessage<T>;
}

/**
 * The durability gate: the one place that decides what may leave the node before the disk has spoken.
 *
 * | leaves at once | waits for the write that it depends on |
 * |---|---|
 * | AcceptSync, AcceptDecide, Decide, Probe, Behind, NotAccepted, PrepareRequest, proposals, reads | Prepare, Promise |
 *
 * Accepted never waits here: it is made from the durable index only.
 */
export class Outbox<T> {
  readonly #pid: NodeId;
  readonly #configurationId: number;
  /** What leaves with the next `take()`: the first `#readyCount` of it. The array is kept, since it is filled over and over. */
  readonly #ready: (PaxosMessage<T> | undefined)[] = [];
  #readyCount = 0;
  /** In order of their writes, since writes are numbered in order. */
  #waiting: Waiting<T>[] = [];

  constructor(pid: NodeId, configurationId: number) {
    this.#pid = pid;
    this.#configurationId = configurationId;
  }

  /** Leaves with the next `take()`. */
  send(to: NodeId, payload: PaxosPayload<T>): void {
    this.#release({ from: this.#pid, to, configurationId: this.#configurationId, payload });
  }

  /** Leaves once `write` is durable. Nothing is added for a node that one waits for already: that one repeats it all. */
  sendAfter(write: number, to: NodeId, payload: PaxosPayload<T>): void {
    if (this.#waiting.some((waiting) => waiting.message.to === to)) return;
    const message = { from: this.#pid, to, configurationId: this.#configurationId, payload };
    this.#waiting.push({ write, message });
  }

  /** Drops what waits: a higher promise made it void. */
  dropWaiting(): void {
    this.#waiting = [];
  }

  /** All that may leave, given the last durable write. */
  take(durableWrite: number): PaxosMessage<T>[] {
    if (this.#waiting.length > 0) this.#releaseWaiting(durableWrite);
    if (this.#readyCount === 0) return [];
    const taken = new Array<PaxosMessage<T>>(this.#readyCount);
    for (let at = 0; at < taken.length; at++) {
      taken[at] = this.#ready[at] as PaxosMessage<T>;
      this.#ready[at] = undefined;
    }
    this.#readyCount = 0;
    return taken;
  }

  #releaseWaiting(durableWrite: number): void {
    let count = 0;
    while (count < this.#waiting.length && (this.#waiting[count] as Waiting<T>).write <= durableWrite) {
      this.#release((this.#waiting[count] as Waiting<T>).message);
      count++;
    }
    if (count > 0) this.#waiting.splice(0, count);
  }

  #release(message: PaxosMessage<T>): void {
    this.#ready[this.#readyCount] = message;
    this.#readyCount++;
  }
}
