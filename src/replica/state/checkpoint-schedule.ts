import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { StateStore } from '../../kv/state-store.ts';
import type { SpaceMeasured } from '../events.ts';
import type { ReplicaSettings } from '../settings.ts';

/** A checkpoint takes at most this part of the space. */
const checkpointPart = 1 / 16;
/** Part of the space that a checkpoint may take while space is low: there must be room for three, as pages are free again only two commits later. */
const scarceCheckpointPart = 1 / 128;
/** What a change costs beside its bytes: a page of its own and a share of those above it. */
const changeBytes = 8192;

/**
 * Members that made their checkpoints at the same time would keep disks and processors busy at the same time: if they share
 * them, nobody is served meanwhile. All apply the same entries, so the log is a clock that all have: a cycle of it has as many
 * entries as a checkpoint usually holds, and each member has its own moment in it. What is staged is sealed at that moment if
 * it is this part of what is usual; what comes to the later one does not wait for it.
 */
const earliestPart = 0.7;
const latestPart = 1.5;

/** While checkpoints are put off, their usual thresholds of age and of what is overtaken are multiplied by this. */
const patienceWhilePutOff = 1.75;
/** While checkpoints are put off, their usual threshold of memory is multiplied by this: what waits adds up. */
const memoryPartWhilePutOff = 7 / 8;

/**
 * Rows of which a page holds no more than a few cost a page each, however many are written together: a checkpoint of such ones is
 * made this much earlier, so that its flush does not keep the log's writes from the same disk for long.
 */
const bulkyRowBytes = 512;
const bulkyPart = 1 / 4;

/** Most layers that wait while checkpoints are put off: a read of a key may have to look into each. */
const layersMax = 16;
/** Most layers while a checkpoint waits for room on the disk: none may be large then, and reads had better go on slowly. */
const layersWhileWaitingMax = 128;
/** Part of the memory of the largest usual checkpoint that may wait: below the point from which on nothing more is applied. */
const memoryPartMax = 3 / 4;

/**
 * Checkpoints that were put off are made one after the other, a part of the time apart in which their layer filled: so there come to be
 * fewer while more is written, and they take little more of disk and processors than usual.
 */
const drainPart = 3 / 4;
/** Most ticks between two of them: a second. */
const drainTicksMax = 50;

/** Ticks between checkpoints of a full disk: what is applied then are mostly deletions, and there is room only once they are durable. */
const fullPauseTicks = 25;

/** Ticks between the ends of the time in which checkpoints are put off, at members one behind the other: they give until the same moment. */
const turnTicks = 25;

/**
 * Changes for each page that holds rows from which on a page is changed so often in the largest usual checkpoint that this saves much:
 * with four times as many random changes as pages, each page that is written has 4.1 of them, with twice as many 2.3, with few 1.
 */
const changesPerPageMin = 3;

/** Ticks between checkpoints because of many pages: the estimate takes keys to be random, and where they are not, far fewer are written. */
const manyPagesPauseTicks = 25;

/** What this node gives to those who catch up. */
export interface Giving {
  /** Below this index nothing of the log may be dropped; infinite if nobody needs it. */
  readonly holdsLogFrom: number;
  /** Since something was given to anyone; infinite before that. */
  readonly ticksSinceGiven: number;
}

/**
 * When what is staged is sealed, and when the oldest of what is sealed becomes a checkpoint. That is mostly the same moment. But while
 * this node gives its state to others, or stands by and catches up, checkpoints are put off, layer by layer, and made later one by one:
 * as long as a snapshot is open LMDB uses no page again that was freed since, so that each is a new one of the file and of the
 * system's memory, and the processors have enough to do.
 */
export class CheckpointSchedule {
  readonly #machine: KvStateMachine;
  readonly #stateStore: StateStore;
  readonly #giving: Giving;
  readonly #settings: ReplicaSettings;
  /** Which of how many members this node is. */
  #rank = 0;
  #ranks = 1;
  /** Ticks at which each layer that waits for its checkpoint was begun and sealed, the oldest first. */
  #sealedLayers: { readonly beganTick: number; readonly sealTick: number }[] = [];
  #sealTick = 0;
  /** Up to here everything is sealed, or was installed. */
  #sealedIndex = 0;
  /** This node's moment in the cycle, once enough is staged for it: when so much is applied. */
  #turnIndex: number | undefined;
  #fillTicks = drainTicksMax;
  #checkpointTick = 0;
  /** The state is to be durable up to here as soon as may be: somebody asked. */
  #requestedIndex = 0;
  /** Of the log below this there is more than the disk has room for. */
  #logSurplusIndex = 0;
  /** Of the log below this there will soon be more than the disk has room for. */
  #logAmpleIndex = 0;
  /** The most that a checkpoint may hold for the disk to have room for it: bytes, and changes of keys. */
  #roomBytes = Number.POSITIVE_INFINITY;
  #roomChanges = Number.POSITIVE_INFINITY;
  #isRoomScarce = false;
  #isSpaceFull = false;
  /** The disk is full, and a checkpoint may take long. */
  #isDiskFull = false;
  /** There may be more layers than usual, from a time in which one waited. */
  #hasManyLayers = false;

  constructor(machine: KvStateMachine, state: StateStore, giving: Giving, settings: ReplicaSettings) {
    this.#machine = machine;
    this.#stateStore = state;
    this.#giving = giving;
    this.#settings = settings;
  }

  /**
   * True while what is staged is all that the next checkpoint may hold, or takes, with what waits, twice the memory of a usual one (four
   * times while a checkpoint waits for room): nothing more is applied before one has begun. LMDB writes
   * a changed page anew before it lets go of the old one, so a large checkpoint on a small disk would never fit. While a checkpoint waits for
   * room, the log has to: applying goes on, in a number of layers that fit, so that reads and answers do.
   */
  get isBehind(): boolean {
    const { staged } = this.#stateStore;
    const memoryBytes = staged.memoryBytes + staged.sealedMemoryBytes;
    const { checkpointBytesMax } = this.#settings;
    return this.#isLarge || memoryBytes >= (this.#isDiskFull ? 4 : 2) * checkpointBytesMax;
  }

  /** How many changes may be staged before it is; at least 1. */
  get roomForChanges(): number {
    return Math.max(1, this.#roomChanges - this.#stateStore.staged.changes);
  }

  /** Of the members of the present configuration, which this node is: from 0 on. */
  onRank(rank: number, ranks: number): void {
    this.#rank = rank;
    this.#ranks = ranks;
  }

  onSpace({ level, capacityBytes, logSurplusIndex, logAmpleIndex, isWaiting }: SpaceMeasured): void {
    this.#logSurplusIndex = logSurplusIndex;
    this.#logAmpleIndex = logAmpleIndex;
    this.#isDiskFull = isWaiting;
    this.#hasManyLayers ||= isWaiting;
    this.#isSpaceFull = level === 'full';
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
    if (this.#machine.appliedIndex === Math.max(this.#sealedIndex, this.#stateStore.durableIndex)) return false;
    // Without the one whose checkpoint has begun, though that may wait for the log.
    const layers = this.#sealedLayers.length;
    if (layers < layersMax && !this.#isDiskFull) this.#hasManyLayers = false;
    if (isWriting && this.#hasManyLayers) return this.#isLarge && layers < layersWhileWaitingMax;
    // Until the next checkpoint may begin, more can be staged for it; but one of the usual size is to come of what is put off.
    if (isWriting && !this.#isPutOff(isUnhurried) && layers === 0) return false;
    if (layers >= layersMax) return false;
    const pauseTicks = this.#isSpaceFull
      ? fullPauseTicks
      : this.#settings.checkpointTicks * this.#patience(isUnhurried);
    const isOld = tick - this.#sealTick >= pauseTicks;
    const isWanted = !isWriting && this.#wantedIndex > Math.max(this.#sealedIndex, this.#stateStore.durableIndex);
    return isOld || isWanted || this.#isLarge || this.#isUsual(tick, isUnhurried);
  }

  /** True if the oldest of what is sealed is to be made durable now. */
  isCheckpointDue(tick: number, isUnhurried: boolean): boolean {
    const [oldest] = this.#sealedLayers;
    if (oldest === undefined) return false;
    if (this.#wantedIndex > this.#stateStore.durableIndex || this.#isRoomScarce || this.#isBacklogFull) return true;
    if (tick - oldest.beganTick >= this.#settings.checkpointTicks * patienceWhilePutOff) return true;
    if (this.#isPutOff(isUnhurried)) return false;
    // The only one, as it mostly is: it was sealed for this.
    if (oldest.sealTick === tick) return true;
    return tick - this.#checkpointTick >= Math.min(drainTicksMax, this.#fillTicks * drainPart);
  }

  /** True if somebody waits for the end of the checkpoint under way, or the next one is due. */
  isWaitedFor(tick: number, isUnhurried: boolean): boolean {
    if (this.#wantedIndex > this.#stateStore.durableIndex || this.#isRoomScarce || this.isBehind) return true;
    return this.#isBacklogFull || this.#partOfUsual(tick, isUnhurried) >= earliestPart;
  }

  onSealed(tick: number, index: number): void {
    this.#sealedLayers.push({ beganTick: this.#sealTick, sealTick: tick });
    this.#fillTicks = tick - this.#sealTick;
    this.#sealTick = tick;
    this.#sealedIndex = index;
    this.#turnIndex = undefined;
  }

  onCheckpointBegun(tick: number): void {
    this.#checkpointTick = tick;
    this.#sealedLayers.shift();
  }

  /** Another state is here instead of all that was staged. */
  onInstalled(): void {
    this.#sealedLayers = [];
    this.#sealedIndex = 0;
    this.#turnIndex = undefined;
  }

  /** While a write waits for room, each checkpoint may be what lets log go. */
  get #wantedIndex(): number {
    const freeingIndex = this.#isDiskFull ? this.#machine.appliedIndex : 0;
    return Math.max(this.#requestedIndex, this.#logSurplusIndex, freeingIndex);
  }

  /** As much waits as may. */
  get #isBacklogFull(): boolean {
    const { sealedLayers, sealedMemoryBytes, memoryBytes } = this.#stateStore.staged;
    const memoryMax = this.#settings.checkpointBytesMax * memoryPartMax;
    return sealedLayers >= layersMax || sealedMemoryBytes + memoryBytes >= memoryMax;
  }

  #isPutOff(isUnhurried: boolean): boolean {
    return isUnhurried || this.#giving.ticksSinceGiven < this.#settings.donorTimeoutTicks + this.#rank * turnTicks;
  }

  #patience(isUnhurried: boolean): number {
    return this.#isPutOff(isUnhurried) ? patienceWhilePutOff : 1;
  }

  get #isLarge(): boolean {
    return this.#stateStore.staged.bytes >= this.#roomBytes || this.#stateStore.staged.changes >= this.#roomChanges;
  }

  /** So much is staged as a checkpoint usually holds, or less and it is this node's turn. */
  #isUsual(tick: number, isUnhurried: boolean): boolean {
    const part = this.#partOfUsual(tick, isUnhurried);
    // What is put off is sealed now and written at some other time.
    if (this.#ranks === 1 || this.#isPutOff(isUnhurried)) return part >= 1;
    if (part < earliestPart) return false;
    this.#turnIndex ??= this.#nextTurn(part);
    return part >= latestPart || this.#machine.appliedIndex >= this.#turnIndex;
  }

  /** A cycle is a power of two of entries, so that members whose sizes of checkpoints differ a little have the same. */
  #nextTurn(part: number): number {
    const { appliedIndex } = this.#machine;
    const cycle = nearestPowerOfTwo((appliedIndex - Math.max(this.#sealedIndex, this.#stateStore.durableIndex)) / part);
    const moment = (cycle * this.#rank) / this.#ranks;
    return Math.ceil((appliedIndex - moment) / cycle) * cycle + moment;
  }

  /** What is staged in parts of what a checkpoint usually holds, by whichever measure it is the most. */
  #partOfUsual(tick: number, isUnhurried: boolean): number {
    const isLogAmple = this.#logAmpleIndex > Math.max(this.#sealedIndex, this.#stateStore.durableIndex);
    return Math.max(
      isLogAmple ? earliestPart : 0,
      this.#partOfPages(tick),
      this.#partOfBulk,
      this.#partOfMemory(isUnhurried),
    );
  }

  /**
   * A checkpoint of rows that lie far apart writes about a page for each. Then a large one saves nothing, and its flush keeps the
   * log's writes from the disk for as long as it takes.
   */
  #partOfPages(tick: number): number {
    if (tick - this.#sealTick < manyPagesPauseTicks) return 0;
    const { stagedPages, rowPages, staged } = this.#stateStore;
    const changesInUsual = (staged.changes * this.#settings.checkpointBytesMax) / staged.memoryBytes;
    if (changesInUsual >= changesPerPageMin * rowPages) return 0;
    return stagedPages / this.#settings.checkpointPagesMax;
  }

  get #partOfBulk(): number {
    const { bytes, changes } = this.#stateStore.staged;
    if (bytes < changes * bulkyRowBytes) return 0;
    return bytes / (this.#settings.checkpointBytesMax * bulkyPart);
  }

  /**
   * A change that takes the place of one of another size leaves that in memory: much of this may gather beside much that is of use. One of
   * the same size costs nothing but log.
   */
  #partOfMemory(isUnhurried: boolean): number {
    const { bytes, memoryBytes } = this.#stateStore.staged;
    const { checkpointBytesMax, checkpointOvertakenBytesMax } = this.#settings;
    const overtakenBytes = memoryBytes - bytes;
    return Math.max(
      memoryBytes / checkpointBytesMax / (this.#isPutOff(isUnhurried) ? memoryPartWhilePutOff : 1),
      overtakenBytes / Math.max(checkpointOvertakenBytesMax, 3 * bytes) / this.#patience(isUnhurried),
    );
  }
}

/** By ratio. Between 1 and 2^30. */
function nearestPowerOfTwo(number: number): number {
  const whole = Math.min(2 ** 30, Math.max(1, Math.floor(number)));
  const below = 1 << (31 - Math.clz32(whole));
  return whole * whole < 2 * below * below ? below : 2 * below;
}
