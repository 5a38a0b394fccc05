import type { NodeStatus } from '../../wire/client-message.ts';
import { KvError } from '../call/errors.ts';
import { describeFull, describeLackOfRoom } from './lack-of-room.ts';

/** A newcomer that is full for longer has no room for what it takes. For a moment it may be: log goes once it is in the state. */
const fullMsMax = 10_000;

/** What the watch needs to know of a newcomer. */
export type NewcomerRoom = Pick<NodeStatus, 'nodeId' | 'catchUp' | 'space'>;

/**
 * Sees to it that nobody becomes a member who has no room for all data: as long as a member is full, the cluster takes no puts.
 * Waiting brings no more room, so the filling of newcomers ends with what this says: a {@link KvError} `noSpace`.
 */
export class RoomWatch {
  readonly #fullSinceMs = new Map<number, number>();

  /** Throws if a newcomer waits for room to begin with. */
  assertRoom({ nodeId, catchUp }: NewcomerRoom): void {
    if (catchUp?.lackOfRoom !== undefined) throw noSpace(nodeId, describeLackOfRoom(catchUp.lackOfRoom));
  }

  /** True if a newcomer is full now. Throws if it is full for too long. */
  isFull({ nodeId, space }: NewcomerRoom, nowMs: number): boolean {
    if (space?.level !== 'full') {
      this.#fullSinceMs.delete(nodeId);
      return false;
    }
    const sinceMs = this.#fullSinceMs.get(nodeId) ?? nowMs;
    this.#fullSinceMs.set(nodeId, sinceMs);
    if (nowMs - sinceMs >= fullMsMax) throw noSpace(nodeId, describeFull(space));
    return true;
  }
}

function noSpace(nodeId: number, what: string): KvError {
  const problem = `node ${nodeId} has ${what}: nothing was changed; give it more room, or take another node`;
  return new KvError('noSpace', problem, 'notApplied');
}
