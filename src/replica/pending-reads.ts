import type { ClientRequest } from '../wire/client-message.ts';
import type { ConnectionId } from './events.ts';

/** A linearizable read of one of this node's clients. */
export interface PendingRead {
  readonly connection: ConnectionId;
  readonly request: ClientRequest;
  readonly deadlineMs: number;
}

interface ConfirmedReads {
  readonly readIndex: number;
  readonly reads: PendingRead[];
}

/**
 * Reads on their way: collected in a turn, sent as one read id, confirmed with an index, served once that is applied.
 */
export class PendingReads {
  readonly #countMax: number;
  /** Not asked for yet: the next read id stands for all of them. */
  #collected: PendingRead[] = [];
  readonly #asked = new Map<number, PendingRead[]>();
  #confirmed: ConfirmedReads[] = [];
  #count = 0;

  constructor(countMax: number) {
    this.#countMax = countMax;
  }

  get isFull(): boolean {
    return this.#count >= this.#countMax;
  }

  get hasCollected(): boolean {
    return this.#collected.length > 0;
  }

  add(read: PendingRead): void {
    this.#collected.push(read);
    this.#count++;
  }

  /** All collected reads went out under `readId`. */
  asked(readId: number): void {
    this.#asked.set(readId, this.#collected);
    this.#collected = [];
  }

  /** The leader answered. */
  confirmed(readId: number, readIndex: number): void {
    const reads = this.#asked.get(readId);
    if (!reads) return;
    this.#asked.delete(readId);
    this.#confirmed.push({ readIndex, reads });
  }

  /** Reads whose index is applied: to be served now. */
  takeServable(appliedIndex: number): PendingRead[] {
    if (this.#confirmed.length === 0) return [];
    const servable: PendingRead[] = [];
    const waiting: ConfirmedReads[] = [];
    for (const group of this.#confirmed) {
      if (group.readIndex > appliedIndex) waiting.push(group);
      else for (const read of group.reads) servable.push(read);
    }
    this.#confirmed = waiting;
    this.#count -= servable.length;
    return servable;
  }

  /** The configuration ended: what was asked of it is asked again in the next. */
  askAgain(): void {
    for (const reads of this.#asked.values()) for (const read of reads) this.#collected.push(read);
    this.#asked.clear();
  }

  /** Takes out reads over their deadline; returns them and the read ids nobody waits for any more. */
  sweep(nowMs: number): { readonly expired: PendingRead[]; readonly abandoned: number[] } {
    const expired: PendingRead[] = [];
    const isAlive = (read: PendingRead): boolean => {
      if (read.deadlineMs > nowMs) return true;
      expired.push(read);
      return false;
    };
    this.#collected = this.#collected.filter(isAlive);
    const abandoned: number[] = [];
    for (const [readId, reads] of this.#asked) {
      const alive = reads.filter(isAlive);
      if (alive.length > 0) this.#asked.set(readId, alive);
      else {
        this.#asked.delete(readId);
        abandoned.push(readId);
      }
    }
    for (const group of this.#confirmed) group.reads.splice(0, group.reads.length, ...group.reads.filter(isAlive));
    this.#confirmed = this.#confirmed.filter((group) => group.reads.length > 0);
    this.#count -= expired.length;
    return { expired, abandoned };
  }

  takeAll(): PendingRead[] {
    this.askAgain();
    const taken = [...this.#collected, ...this.#confirmed.flatMap((group) => group.reads)];
    this.#collected = [];
    this.#confirmed = [];
    this.#count = 0;
    return taken;
  }
}
