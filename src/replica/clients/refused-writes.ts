import type { CommandOrigin } from '../../kv/command.ts';
import type { Failure } from '../../wire/client-message.ts';
import type { ConnectionId } from '../events.ts';

/** So long those behind a refused write are refused, too, unless it came again: that gives its client the time to hear of it, milliseconds. */
const refusedMs = 250;

/** The first write that was refused on a connection and has not come again. */
interface RefusedWrite {
  readonly session: number;
  readonly number: number;
  /** The last that was refused with it, or behind it: when the first has come again, those up to this one are yet to come. */
  readonly last: number;
  readonly failure: Failure;
  readonly untilMs: number;
}

/**
 * Keeps the writes of a client in order where some were refused that may be sent again. Others are on the way behind them, which this node might take,
 * as where it has just become a member: before their client hears of the refusal. They are refused like the first, until that one comes again; or for a while
 * only, as the client may have given it up, or have gone to another node with it.
 */
export class RefusedWrites {
  readonly #first = new Map<ConnectionId, RefusedWrite>();

  /** A write was refused for what may pass. */
  note(
    connection: ConnectionId,
    { session, number, acknowledgedBelow }: CommandOrigin,
    failure: Failure,
    nowMs: number,
  ): void {
    // Those that open sessions have no order.
    if (session === 0) return;
    const before = this.#first.get(connection);
    const isKept = before?.session === session && acknowledgedBelow <= before.number && nowMs < before.untilMs;
    const first = isKept ? Math.min(before.number, number) : number;
    const last = isKept ? Math.max(before.last, number) : number;
    this.#first.set(connection, { session, number: first, last, failure, untilMs: nowMs + refusedMs });
  }

  /** Why a write is to be refused, if one before it was. */
  refusalOf(
    connection: ConnectionId,
    { session, number, acknowledgedBelow }: CommandOrigin,
    nowMs: number,
  ): Failure | undefined {
    if (this.#first.size === 0) return undefined;
    const first = this.#first.get(connection);
    // One before it may have been in the inbox already, when that was full.
    if (first === undefined || first.session !== session || number < first.number) return undefined;
    // One below what its client has settled never comes again: it was given up, or another node has it.
    const isAwaited = acknowledgedBelow <= first.number && nowMs < first.untilMs;
    if (number > first.number && isAwaited) {
      if (number > first.last) this.#first.set(connection, { ...first, last: number });
      return first.failure;
    }
    if (isAwaited && number < first.last) this.#first.set(connection, { ...first, number: number + 1 });
    else this.#first.delete(connection);
    return undefined;
  }

  /** The connection is gone. */
  forget(connection: ConnectionId): void {
    this.#first.delete(connection);
  }
}
