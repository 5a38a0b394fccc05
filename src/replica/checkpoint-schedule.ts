import type { KvStateMachine } from '../kv/state-machine.ts';
import type { StateStore } from '../kv/state-store.ts';
import type { Donor } from './donor.ts';
import type { SpaceMeasured } from './events.ts';
import type { ReplicaSettings } from './settings.ts';

/** A checkpoint takes at most so small a part of the space … */
const checkpointPart = 1 / 16;
/** … and of space that is low: there must be room for three of them, as pages are free again only two commits later. */
const scarceCheckpointPart = 1 / 128;
/** What a change costs beside its bytes: a page of its own and a share of those above it. */
const changeBytes = 8192;

/**
 * Nodes whose numbers follow on each other make checkpoints at thresholds that differ by so much: if all members did at once, their
 * disks and processors would be busy with it at the same time.
 */
const staggering = 1 / 8;

/** By what the usual thresholds of age and memory grow while checkpoints are put off. */
const patienceWhilePutOff = 1.75;

/**
 * Rows of which a page holds no more than a few cost a page each, however many are written together: a checkpoint of such ones is
 * made this much earlier, so that its flush does not keep the log's writes from the same disk for long.
 */
const bulkyRowBytes = 512;
const bulkyPart = 1 / 2;

/** The most that waits while checkpoints are put off: layers, since a read of a key may have to look into each … */
const layersMax = 16;
/** … and of the memory of a usual checkpoint; below that at which nothing more is applied. */
const memoryPartMax = 3 / 2;

/**
 * Of the ticks that a layer took to fill, those between the checkpoints of what was put off: so that it gets less while more comes, and
 * takes little more of disk and processors than ever; and the most ticks.
 */
const drainPart = 3 / 4;
const drainTicksMax = 50;

/**
 * Ticks between the ends of the time in which checkpoints are put off, at nodes whose numbers follow on each other: they give until
 * the same moment.
 */
const turnTicks = 25;

/**
 * Changes for each page that holds rows from which on a page is changed so often in a checkpoint of the usual size that this saves much:
 * with twice as many random changes as pages, each page that is written has 2.3 of them, with as many 1.6, with few 1.
 */
const changesPerPageMin = 1.5;

/** Ticks between checkpoints because of many pages: the estimate takes keys to be random, and where they are not, far fewer are written. */
const manyPagesPauseTicks = 25;

/**
 * When what is staged is sealed, and when the oldest of what is sealed becomes a checkpoint. That is mostly the same moment. But while
 * this node gives its state to others, or stands by and catches up, checkpoints are put off, layer by layer, and made later one by one:
 * as long as a snapshot is open LMDB uses no page again that was freed since, so that each is a new one of the file and of the
 * system's memory, and the processors have enough to do.
 */
export class CheckpointSchedule {
  readonly #machine: KvStateMachine;
  readonly #state: StateStore;
  readonly #donor: Donor;
  readonly #settings: ReplicaSettings;
  /** Of the usual thresholds. */
  readonly #share: number;
  /** Ticks behind the end of a transfer in which the checkpoints of others come first. */
  readonly #othersTicks: number;
  /** Ticks at which each layer that waits for its checkpoint was begun and sealed, the oldest first. */
  #waiting: { readonly beganTick: number; readonly sealTick: number }[] = [];
  #sealTick = 0;
  /** Up to here everything is sealed, or was installed. */
  #sealedIndex = 0;
  #fillTicks = drainTicksMax;
  #checkpointTick = 0;
  /** The state is to be durable up to here as soon as may be: somebody asked. */
  #requestedIndex = 0;
  /** Of the log below there is more than the disk has room for. */
  #logSurplusIndex = 0;
  /** The most that a checkpoint may hold for the disk to have room for it: bytes, and changes of keys. */
  #roomBytes = Number.POSITIVE_INFINITY;
  #roomChanges = Number.POSITIVE_INFINITY;
  #isRoomScarce = false;
  /** The disk is full, and a checkpoint may take long. */
  #isWaiting = false;

  constructor(machine: KvStateMachine, state: StateStore, donor: Donor, settings: ReplicaSettings, nodeId: number) {
    this.#machine = machine;
    this.#state = state;
    this.#donor = donor;
    this.#settings = settings;
    const rank = nodeId % 3;
    this.#share = 1 - rank * staggering;
    this.#othersTicks = rank * turnTicks;
  }

  /**
   * True while what is staged is all that the next checkpoint may hold, or takes, with what waits, twice the memory of a usual one (four
   * times while a checkpoint waits for room): nothing more is applied before one has begun. LMDB writes
   * a changed page anew before it lets go of the old one, so a large checkpoint on a small disk would never fit. While a checkpoint waits for room, the log has to: applying goes on, so that reads and answers do.
   */
  get isBehind(): boolean {
    const memoryBytes = this.#state.stagedMemoryBytes + this.#state.sealedMemoryBytes;
    const { checkpointBytesMax } = this.#settings;
    if (this.#isWaiting) return memoryBytes >= 4 * checkpointBytesMax;
    return this.#isLarge || memoryBytes >= 2 * checkpointBytesMax;
  }

  /** How many changes may be staged before it is; at least 1. */
  get roomForChanges(): number {
    return this.#isWaiting ? Number.POSITIVE_INFINITY : Math.max(1, this.#roomChanges - this.#state.stagedChanges);
  }

  onSpace({ level, capacityBytes, logSurplusIndex, isWaiting }: SpaceMeasured): void {
    this.#logSurplusIndex = logSurplusIndex;
    this.#isWaiting = isWaiting;
    this.#isRoomScarce = level !== 'ok';
    const part = this.#isRoomScarce ? scarceCheckpointPart : checkpointPart;
    this.#roomBytes = Math.max(this.#settings.smallCheckpointBytes, capacityBytes * part);
    this.#roomChanges = Math.ceil(this.#roomBytes / changeBytes);
  }

  /** A checkpoint at `index` or above, which is applied, is wanted now. */
  request(index: number): void {
    this.#requestedIndex = Math.max(this.#requestedIndex, index);
  }

  /** True if what is staged is to be sealed now. `isUnhurried`: nobody waits for this node. */
  isSealDue(tick: number, isUnhurried: boolean, isWriting: boolean): boolean {
    if (this.#machine.appliedIndex === Math.max(this.#sealedIndex, this.#state.durableIndex)) return false;
    // Until the next checkpoint may begin, more can be staged for it; but one of the usual size is to come of what is put off.
    if (isWriting && !this.#isPutOff(isUnhurried) && this.#state.sealedLayers === 0) return false;
    if (this.#state.sealedLayers >= layersMax) return false;
    const isOld = tick - this.#sealTick >= this.#settings.checkpointTicks * this.#patience(isUnhurried);
    const isWanted = !isWriting && this.#wantedIndex > Math.max(this.#sealedIndex, this.#state.durableIndex);
    return isOld || isWanted || this.#isLarge || this.#takesMuchMemory(isUnhurried) || this.#writesManyPages(tick);
  }

  /** True if the oldest of what is sealed is to be made durable now. */
  isCheckpointDue(tick: number, isUnhurried: boolean): boolean {
    const [oldest] = this.#waiting;
    if (oldest === undefined) return false;
    if (this.#wantedIndex > this.#state.durableIndex || this.#isRoomScarce || this.#isFull) return true;
    if (tick - oldest.beganTick >= this.#settings.checkpointTicks * patienceWhilePutOff) return true;
    if (this.#isPutOff(isUnhurried)) return false;
    // The only one, as it mostly is: it was sealed for this.
    if (oldest.sealTick === tick) return true;
    return tick - this.#checkpointTick >= Math.min(drainTicksMax, this.#fillTicks * drainPart);
  }

  onSealed(tick: number, index: number): void {
    this.#waiting.push({ beganTick: this.#sealTick, sealTick: tick });
    this.#fillTicks = tick - this.#sealTick;
    this.#sealTick = tick;
    this.#sealedIndex = index;
  }

  onCheckpointBegun(tick: number): void {
    this.#checkpointTick = tick;
    this.#waiting.shift();
  }

  /** Another state is here instead of all that was staged. */
  onInstalled(): void {
    this.#waiting = [];
    this.#sealedIndex = 0;
  }

  get #wantedIndex(): number {
    return Math.max(this.#requestedIndex, this.#logSurplusIndex);
  }

  /** As much waits as may. */
  get #isFull(): boolean {
    const { sealedLayers, sealedMemoryBytes, stagedMemoryBytes } = this.#state;
    const memoryMax = this.#settings.checkpointBytesMax * memoryPartMax;
    return sealedLayers >= layersMax || sealedMemoryBytes + stagedMemoryBytes >= memoryMax;
  }

  #isPutOff(isUnhurried: boolean): boolean {
    return isUnhurried || this.#donor.ticksSinceGiven < this.#settings.donorTimeoutTicks + this.#othersTicks;
  }

  #patience(isUnhurried: boolean): number {
    return this.#isPutOff(isUnhurried) ? patienceWhilePutOff : 1;
  }

  get #isLarge(): boolean {
    return this.#state.stagedBytes >= this.#roomBytes || this.#state.stagedChanges >= this.#roomChanges;
  }

  /**
   * A checkpoint of rows that lie far apart writes about a page for each. Then a large one saves nothing, and its flush keeps the
   * log's writes from the disk for as long as it takes.
   */
  #writesManyPages(tick: number): boolean {
    if (tick - this.#sealTick < manyPagesPauseTicks) return false;
    const { stagedPages, rowPages, stagedChanges, stagedMemoryBytes } = this.#state;
    if (stagedPages < this.#settings.checkpointPagesMax * this.#share) return false;
    const changesInUsual = (stagedChanges * this.#settings.checkpointBytesMax) / stagedMemoryBytes;
    return changesInUsual < changesPerPageMin * rowPages;
  }

  /** What is overwritten before it is written costs nothing but log, and memory at times: much of it may gather beside much that is not. */
  #takesMuchMemory(isUnhurried: boolean): boolean {
    const { stagedBytes, stagedMemoryBytes, stagedChanges, overwrittenBytes } = this.#state;
    const { checkpointBytesMax, checkpointOverwrittenMax } = this.#settings;
    const isBulky = stagedBytes >= stagedChanges * bulkyRowBytes;
    const share = this.#share * this.#patience(isUnhurried);
    return (
      stagedMemoryBytes >= checkpointBytesMax * share ||
      (isBulky && stagedBytes >= checkpointBytesMax * bulkyPart * this.#share) ||
      overwrittenBytes >= Math.max(checkpointOverwrittenMax, 3 * stagedBytes) * share
    );
  }
}
