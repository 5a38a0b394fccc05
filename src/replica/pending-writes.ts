import { RecentMap } from '../base/recent-map.ts';
import { decodeOrigin } from '../kv/command.ts';
import type { ConnectionId } from './events.ts';

/** A write of one of this node's clients that has no answer yet. */
export interface PendingWrite {
  readonly session: number;
  readonly number: number;
  /** The command as the client encoded it. */
  readonly command: Uint8Array;
  /** Who waits for the answer; the latest asker, if the client asked again. */
  connection: ConnectionId;
  requestId: number;
  readonly deadlineMs: number;
  /** True while it is in the hands of a leader, as far as this node knows. */
  isProposed: boolean;
  /** How often it was proposed; 0 means that it cannot have been applied through this node. */
  proposals: number;
  /** When to propose it again if nothing is heard of it. */
  retryTick: number;
}

/**
 * Writes of own clients on their way. A write stays here until its command is applied or its time is over, and is
 * proposed again whenever it may have been lost: sessions make a second proposal harmless.
 */
export class PendingWrites {
  readonly #countMax: number;
  readonly #bytesMax: number;
  /** By session, then by number. A session without any stays until the next sweep: mostly its next write comes at once. */
  readonly #sessions = new Map<number, RecentMap<PendingWrite>>();
  /** Writes to be proposed, in order of arrival. */
  #held: PendingWrite[] = [];
  #count = 0;
  #bytes = 0;

  constructor(countMax: number, bytesMax: number) {
    this.#countMax = countMax;
    this.#bytesMax = bytesMax;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  get isFull(): boolean {
    return this.#count >= this.#countMax || this.#bytes >= this.#bytesMax;
  }

  find(session: number, number: number): PendingWrite | undefined {
    return this.#sessions.get(session)?.get(number);
  }

  add(write: PendingWrite): void {
    let numbers = this.#sessions.get(write.session);
    if (!numbers) {
      numbers = new RecentMap();
      this.#sessions.set(write.session, numbers);
    }
    numbers.set(write.number, write);
    this.#count++;
    this.#bytes += write.command.length;
    this.#held.push(write);
  }

  /** Takes the write that `command`, now applied, answers: undefined if no client of this node waits for it. */
  takeApplied(command: Uint8Array): PendingWrite | undefined {
    if (this.#count === 0) return undefined;
    const origin = decodeOrigin(command);
    const write = this.find(origin.session, origin.number);
    if (write) this.remove(write);
    return write;
  }

  remove(write: PendingWrite): void {
    const numbers = this.#sessions.get(write.session);
    if (!numbers?.delete(write.number)) return;
    this.#count--;
    this.#bytes -= write.command.length;
  }

  /** Hands every held write to `propose`, in order, until it returns false; that one and the rest stay held. */
  proposeHeld(tick: number, retryTicks: number, propose: (command: Uint8Array) => boolean): void {
    if (this.#held.length === 0) return;
    let count = 0;
    for (const write of this.#held) {
      if (this.find(write.session, write.number) === write) {
        if (!propose(write.command)) break;
        write.isProposed = true;
        write.proposals++;
        // Back off: what is slow must not be proposed over and over.
        write.retryTick = tick + retryTicks * 2 ** Math.min(write.proposals, 6);
      }
      count++;
    }
    this.#held = count === this.#held.length ? [] : this.#held.slice(count);
  }

  /** Everything may have been lost (new leader, new link, new configuration): propose all again, in order. */
  holdAll(): void {
    this.#held = [];
    for (const write of this.all()) {
      write.isProposed = false;
      this.#held.push(write);
    }
  }

  /** A proposal came back: it is due again with the next sweep, not at once, lest two nodes play ball with it. */
  returned(session: number, number: number): void {
    const write = this.find(session, number);
    if (write) write.retryTick = 0;
  }

  /** Holds what was proposed long ago, and takes out what is over its deadline. */
  sweep(nowMs: number, tick: number, mayRetry: boolean): PendingWrite[] {
    const expired: PendingWrite[] = [];
    for (const write of this.all()) {
      if (write.deadlineMs <= nowMs) expired.push(write);
      else if (mayRetry && write.isProposed && write.retryTick <= tick) {
        write.isProposed = false;
        this.#held.push(write);
      }
    }
    for (const write of expired) this.remove(write);
    this.#forgetRemoved();
    for (const [session, numbers] of this.#sessions) if (numbers.size === 0) this.#sessions.delete(session);
    return expired;
  }

  /** Without a leader in reach nothing is proposed, and what is over its time would be held for ever. */
  #forgetRemoved(): void {
    if (this.#held.length <= 2 * this.#count) return;
    this.#held = this.#held.filter((write) => this.find(write.session, write.number) === write);
  }

  takeAll(): PendingWrite[] {
    const taken = [...this.all()];
    for (const write of taken) this.remove(write);
    this.#held = [];
    return taken;
  }

  *all(): Iterable<PendingWrite> {
    for (const numbers of this.#sessions.values()) yield* numbers.values();
  }
}
