import type { ByteString } from '../../base/bytes.ts';
import type { ConnectionId } from '../events.ts';

/** The changes of a key, or of all with a prefix, behind a revision; see `watch` in wire/client-message.ts. */
export interface WatchQuery {
  readonly type: 'watch';
  readonly key: ByteString;
  readonly isPrefix: boolean;
  readonly since: number | undefined;
  readonly after: ByteString | undefined;
  /** On the owner's clock: it waits no longer for a change. */
  readonly untilMs: number;
}

/**
 * What is asked for; a get, of which there are many, is its key alone. Keys are no views into the frame that brought them: that would stay
 * as long as the read waits.
 */
export type ReadQuery =
  | ByteString
  | {
      readonly type: 'list';
      readonly prefix: ByteString;
      readonly after: ByteString | undefined;
      readonly limit: number;
    }
  | WatchQuery
  | { readonly type: 'status' }
  | { readonly type: 'backupOpen' }
  | { readonly type: 'backupRead'; readonly backup: string; readonly after: ByteString | undefined };

/** A read of one of this node's clients that has no answer yet. */
export interface PendingRead {
  readonly connection: ConnectionId;
  readonly requestId: number;
  readonly query: ReadQuery;
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
  /** Not asked for yet: the next read id stands for all of them. */
  #collected: PendingRead[] = [];
  readonly #asked = new Map<number, PendingRead[]>();
  #confirmed: ConfirmedReads[] = [];
  #count = 0;

  get count(): number {
    return this.#count;
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

  /** Takes out the reads that `isOut` names; returns them and the read ids nobody waits for any more. */
  takeOut(isOut: (read: PendingRead) => boolean): { readonly out: PendingRead[]; readonly abandoned: number[] } {
    const out: PendingRead[] = [];
    const stays = (read: PendingRead): boolean => {
      if (!isOut(read)) return true;
      out.push(read);
      return false;
    };
    this.#collected = this.#collected.filter(stays);
    const abandoned: number[] = [];
    for (const [readId, reads] of this.#asked) {
      const left = reads.filter(stays);
      if (left.length > 0) this.#asked.set(readId, left);
      else {
        this.#asked.delete(readId);
        abandoned.push(readId);
      }
    }
    for (const group of this.#confirmed) group.reads.splice(0, group.reads.length, ...group.reads.filter(stays));
    this.#confirmed = this.#confirmed.filter((group) => group.reads.length > 0);
    this.#count -= out.length;
    return { out, abandoned };
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
