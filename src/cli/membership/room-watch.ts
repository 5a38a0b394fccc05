import type { NodeSpace } from '../../wire/client-message.ts';
import { CommandError } from '../exit-codes.ts';
import { describeFull, describeLackOfRoom } from '../lack-of-room.ts';
import type { NewcomerProgress, NewcomerStatus } from './catch-up-meter.ts';

/** A newcomer that is full for longer has no room for what it takes. For a moment it may be: log goes once it is in the state. */
const fullMsMax = 10_000;

/**
 * Sees to it that nobody becomes a member who has no room for all data: as long as a member is full, the cluster takes no puts.
 * Waiting brings no more room, so a command that fills newcomers ends with what this says.
 */
export class RoomWatch {
  readonly #fullSinceMs = new Map<number, number>();

  /** Throws a {@link CommandError} if a newcomer waits for room to begin with. */
  assertRoom({ id, lackOfRoom }: NewcomerProgress): void {
    if (lackOfRoom !== null) throw noRoom(id, describeLackOfRoom(lackOfRoom));
  }

  /** True if a newcomer is full now. Throws a {@link CommandError} if it is full for too long. */
  isFull({ id, space }: NewcomerStatus & { readonly space: NodeSpace | undefined }, nowMs: number): boolean {
    if (space?.level !== 'full') {
      this.#fullSinceMs.delete(id);
      return false;
    }
    const sinceMs = this.#fullSinceMs.get(id) ?? nowMs;
    this.#fullSinceMs.set(id, sinceMs);
    if (nowMs - sinceMs >= fullMsMax) throw noRoom(id, describeFull(space));
    return true;
  }
}

function noRoom(id: number, what: string): CommandError {
  const problem = `node ${id} has ${what}: nothing was changed; give it more room, or take another node`;
  return new CommandError('overLimit', 'noRoom', problem, 'notApplied');
}
