import type { StateStore } from '../../kv/state-store.ts';
import type { LackOfRoom } from '../../wire/client-message.ts';
import type { SnapshotOffer } from '../../wire/peer-message.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { StateRoom } from '../state/space.ts';

/** A state that there was room for when it was begun. */
export interface RoomAttempt {
  /** What it was to take, and what there was, bytes. */
  readonly neededBytes: number;
  readonly roomBytes: number;
  /** What it was to take by what the donor said alone. */
  readonly saidBytes: number;
  /** There was space since it began: if there is none by now, it is for this. */
  hadSpace: boolean;
}

/** How far an attempt had come. */
export interface Taken {
  /** The part of the rows that is on the disk, of as many as the donor said there are; undefined: what was there before cannot be told from it. */
  readonly part: number | undefined;
  /** What they take there, bytes. */
  readonly diskBytes: number;
}

/** A page of the disk; what its head takes, and each row in it beside its bytes. */
const pageBytes = 4096;
const pageHeadBytes = 16;
const rowOverheadBytes = 24;
/** Pages are not full: rows take so many times their bytes, at the least and at the most. */
const leastOnDisk = 5 / 4;
const mostOnDisk = 13 / 8;
/** What a state takes in all is told by a part of it, if that is not less than this. */
const tellingPart = 1 / 20;
/** Of one that is larger than was said nobody knows by how much: at least so many times what is there. As much more room is more than there was. */
const leastOver = 5 / 4;
/** The donor's guess is another one if it differs by so many times: what was learned of the last one says nothing of it. */
const otherGuess = 3 / 2;
/** Times that the pause behind such an attempt is doubled. */
const pauseDoublings = 5;

/**
 * Whether there is room on the disk for a state beside the present one. A state that does not fit would fill the disk half-way, and a full member keeps
 * the cluster from taking puts: it is not begun, or is given up, and none is asked for until another attempt may come through.
 */
export class RoomForState {
  readonly #stateStore: StateStore;
  readonly #settings: ReplicaSettings;
  /** No snapshot is asked for so long. */
  #pauseTicks = 0;
  /** Set from the moment at which a snapshot did not fit until one does. */
  #lack: LackOfRoom | undefined;
  #isLackTold = false;
  /** So many times what a donor said did one take that ran out of room on the way, and what it had said. */
  #factor = 1;
  #saidBytes = 0;
  /** Attempts in a row that did. */
  #failures = 0;
  /** Less room does not end the pause behind one: it may be what that attempt itself left. */
  #roomToGoOn = 0;

  constructor(state: StateStore, settings: ReplicaSettings) {
    this.#stateStore = state;
    this.#settings = settings;
  }

  /** True while no snapshot is to be asked for. */
  get isPausing(): boolean {
    return this.#pauseTicks > 0;
  }

  /** Why the last snapshot offered was not taken, or not to its end; undefined if that was not for want of room. */
  get lack(): LackOfRoom | undefined {
    return this.#lack;
  }

  /** The same, once each time. */
  takeLack(): LackOfRoom | undefined {
    if (this.#isLackTold) return undefined;
    this.#isLackTold = true;
    return this.#lack;
  }

  tick(): void {
    if (this.#pauseTicks > 0) this.#pauseTicks--;
  }

  /** There is so much room now: where it is enough, nothing is to be waited for. */
  onRoom(roomBytes: number): void {
    const hasRoom = this.#lack !== undefined && roomBytes >= this.#lack.neededBytes;
    if (!hasRoom || (this.isPausing && roomBytes < this.#roomToGoOn)) return;
    this.#lack = undefined;
    this.#pauseTicks = 0;
  }

  /**
   * The attempt to take this snapshot with so much room. Undefined: it is not to be begun, and another one is asked for later, when there may be
   * more room, or less to take. Donors hold their snapshots for a while though nobody reads them, and free no pages meanwhile: hence the long pause.
   */
  begin(offer: SnapshotOffer, roomBytes: number): RoomAttempt | undefined {
    const saidBytes = bytesOnDisk(offer);
    if (saidBytes > otherGuess * this.#saidBytes || otherGuess * saidBytes < this.#saidBytes) this.#factor = 1;
    const neededBytes = this.#factor * saidBytes;
    const begunIndex = this.#stateStore.installProgress?.index;
    // What is there of this very snapshot takes room that it will need.
    const ownBytes = begunIndex === offer.index ? this.#stateStore.installUse.diskBytes : 0;
    if (neededBytes <= roomBytes || begunIndex === offer.index) {
      this.#lack = undefined;
      return { neededBytes, roomBytes: roomBytes + ownBytes, saidBytes, hadSpace: false };
    }
    if (begunIndex === undefined) this.#beginLack(neededBytes, roomBytes);
    else {
      // Rows of another one are of no use any more, and take room: as soon as that is measured it may do.
      this.#stateStore.beginInstall();
      this.#pauseTicks = this.#settings.donorTimeoutTicks;
    }
    return undefined;
  }

  /**
   * To be called in every turn of an attempt. True if there is no room for the rest: it is to be given up. Where all of it is written (`isWritten`) to
   * install it is what makes room, since the state before it goes; but not where a checkpoint of that one waits, which comes first.
   */
  isOverFor(attempt: RoomAttempt, { isOver, isWaiting }: StateRoom, isWritten: boolean): boolean {
    if (this.#stateStore.installLacksRoom) return true;
    if (isOver && (isWaiting || (attempt.hadSpace && !isWritten))) return true;
    attempt.hadSpace ||= !isOver;
    return false;
  }

  /**
   * There is no room for the rest: what donors say of a size is a guess, and others may have taken what was free. What is there already makes room
   * again, lest a full member keep the cluster from taking puts. `leftBytes` is the room that there is now.
   */
  giveUp({ neededBytes, roomBytes, saidBytes }: RoomAttempt, taken: Taken, leftBytes: number): void {
    const allBytes = Math.max(neededBytes, allBytesOf(taken));
    if (neededBytes > 0) this.#factor *= allBytes / neededBytes;
    this.#saidBytes = saidBytes;
    this.#stateStore.beginInstall();
    // Where it would have fitted others have taken what it lacks.
    const wasTaken = allBytes <= roomBytes;
    this.#beginLack(allBytes, wasTaken ? Math.min(leftBytes + taken.diskBytes, allBytes) : roomBytes);
    this.#roomToGoOn = leastOver * roomBytes;
    this.#pauseTicks *= 2 ** Math.min(this.#failures, pauseDoublings);
    this.#failures++;
  }

  /** The log will do: no state is needed. */
  onLog(): void {
    this.#lack = undefined;
  }

  /** A state came through: the next one is judged anew. */
  onInstalled(): void {
    this.#factor = 1;
    this.#failures = 0;
  }

  #beginLack(neededBytes: number, roomBytes: number): void {
    const toldBytes = Math.min(Math.max(0, Math.floor(roomBytes)), Number.MAX_SAFE_INTEGER);
    this.#lack = { neededBytes: Math.ceil(neededBytes), roomBytes: toldBytes };
    this.#isLackTold = false;
    this.#pauseTicks = 2 * this.#settings.snapshotIdleTicks;
    this.#roomToGoOn = 0;
  }
}

/** What all rows take at the least, as some of them show; 0 if these show nothing. */
function allBytesOf({ part, diskBytes }: Taken): number {
  if (part === undefined || part < tellingPart) return 0;
  return part > 1 ? leastOver * diskBytes : diskBytes / part;
}

/**
 * About what rows take on the disk: as many of the mean size as fit share a page, and one that is over half of a page has pages of its own.
 * Rows may be of many sizes, so that only goes so far. What is more than this is noticed later; what is less would keep out who has the room.
 */
function bytesOnDisk({ rows, bytes }: SnapshotOffer): number {
  const rowBytes = bytes / Math.max(rows, 1) + rowOverheadBytes;
  const perPage = Math.floor((pageBytes - pageHeadBytes) / rowBytes);
  const pages = perPage >= 2 ? rows / perPage : rows * Math.ceil((rowBytes + pageHeadBytes) / pageBytes);
  const overheadBytes = rows * rowOverheadBytes;
  const least = bytes * leastOnDisk + overheadBytes;
  const most = bytes * mostOnDisk + overheadBytes;
  return Math.ceil(Math.min(Math.max(pages * pageBytes, least), most));
}
