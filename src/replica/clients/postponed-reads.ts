import type { ConnectionId } from '../events.ts';
import type { PendingRead } from './pending-reads.ts';

/** What one connection gets before the next one gets something. */
const bytesAtATime = 1024 * 1024;

/** Reads that could be answered, but for the room that their answers take, by the connection that is to take them. */
export class PostponedReads {
  readonly #queues = new Map<ConnectionId, PendingRead[]>();
  #count = 0;

  get count(): number {
    return this.#count;
  }

  /** How many reads of this connection wait. */
  countOf(connection: ConnectionId): number {
    return this.#queues.get(connection)?.length ?? 0;
  }

  add(read: PendingRead): void {
    const queue = this.#queues.get(read.connection);
    if (queue) queue.push(read);
    else this.#queues.set(read.connection, [read]);
    this.#count++;
  }

  /**
   * Hands reads of connections that `mayTake` to `serve`, which returns how many bytes it gave: of each in order, a mebibyte at a time and then
   * those of the next, while `hasRoom`. True if only for want of room some are left.
   */
  serve(
    hasRoom: () => boolean,
    mayTake: (connection: ConnectionId) => boolean,
    serve: (read: PendingRead) => number,
  ): boolean {
    for (const [connection, queue] of this.#queues) {
      if (!hasRoom()) return true;
      if (!mayTake(connection)) continue;
      let served = 0;
      for (let bytes = 0; served < queue.length && bytes < bytesAtATime && hasRoom(); served++) {
        bytes += serve(queue[served] as PendingRead);
      }
      this.#count -= served;
      this.#queues.delete(connection);
      // As the last one: the others come first, in this turn, too.
      if (served < queue.length) this.#queues.set(connection, queue.slice(served));
    }
    return false;
  }

  /** Takes out, and returns, the reads that `isOut` names. */
  takeOut(isOut: (read: PendingRead) => boolean): PendingRead[] {
    const out: PendingRead[] = [];
    for (const [connection, queue] of this.#queues) {
      const left = queue.filter((read) => !isOut(read));
      if (left.length === queue.length) continue;
      out.push(...queue.filter(isOut));
      if (left.length > 0) this.#queues.set(connection, left);
      else this.#queues.delete(connection);
    }
    this.#count -= out.length;
    return out;
  }
}
