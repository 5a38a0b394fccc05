import type { Configuration } from '../cluster/configuration.ts';
import type { KvStateMachine } from '../kv/state-machine.ts';
import type { StateStore } from '../kv/state-store.ts';
import type { Donor } from './donor.ts';
import type { SpaceMeasured } from './events.ts';
import type { LogStore } from './log-store.ts';
import type { Output } from './output.ts';
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

/** By what the usual thresholds grow while this node gives its state to others: both at a time cost its clients too much. */
const givingPatience = 1.75;

/**
 * Rows of which a page holds no more than a few cost a page each, however many are written together: a checkpoint of such ones is
 * made this much earlier, so that its flush does not keep the log's writes from the same disk for long.
 */
const bulkyRowBytes = 512;
const bulkyPart = 1 / 2;
/** … and this much later while they are put off: below the memory at which nothing more is applied. */
const bulkyPartPutOff = 3 / 2;
/**
 * So many times the usual pages a checkpoint may have then, and where a node stands by and catches up. LMDB holds each in memory until all
 * are written.
 */
const pagesPutOff = 8;

/**
 * Ticks between the checkpoints that nodes whose numbers follow on each other have put off while they gave: they give until the same
 * moment, and what is left to write is a second's work for each.
 */
const putOffTicks = 75;

/**
 * Changes for each page that holds rows from which on a page is changed so often in a checkpoint of the usual size that this saves much:
 * with twice as many random changes as pages, each page that is written has 2.3 of them, with as many 1.6, with few 1.
 */
const changesPerPageMin = 1.5;

/** Ticks between checkpoints because of many pages: the estimate takes keys to be random, and where they are not, far fewer are written. */
const manyPagesPauseTicks = 25;

/** A trim drops at least so many entries: small ones are not worth a write. */
const trimEntriesMin = 10_000;

/**
 * When the state is made durable or replaced, and what of the log may go then. The store does one thing at a time: an
 * install waits for the checkpoint that is being written.
 */
export class StateKeeper {
  readonly #machine: KvStateMachine;
  readonly #state: StateStore;
  readonly #store: LogStore;
  readonly #donor: Donor;
  readonly #settings: ReplicaSettings;
  /** Of the usual thresholds for a checkpoint. */
  readonly #share: number;
  /** Ticks behind the end of a transfer in which the checkpoints of others come first. */
  readonly #othersTicks: number;
  #checkpointTick = 0;
  /** The state is to be durable up to here as soon as may be. */
  #requestedIndex = 0;
  #isCheckpointing = false;
  #installIndex: number | undefined;
  #isInstalling = false;
  /** Of the log below there is more than the disk has room for. */
  #logSurplusIndex = 0;
  /** The most that a checkpoint may hold for the disk to have room for it: bytes, and changes of keys. */
  #roomBytes = Number.POSITIVE_INFINITY;
  #roomChanges = Number.POSITIVE_INFINITY;
  /** The disk is full, and a checkpoint may take long. */
  #isWaiting = false;
  /** The write that made the present configuration so. */
  #configurationWrite = 0;

  constructor(machine: KvStateMachine, state: StateStore, store: LogStore, donor: Donor, settings: ReplicaSettings) {
    this.#machine = machine;
    this.#state = state;
    this.#store = store;
    this.#donor = donor;
    this.#settings = settings;
    const rank = store.identity.nodeId % 3;
    this.#share = 1 - rank * staggering;
    this.#othersTicks = rank * putOffTicks;
  }

  /** True from when a whole snapshot is here until it is the state: nothing is applied meanwhile. */
  get isInstalling(): boolean {
    return this.#isInstalling;
  }

  /** True while no snapshot of the last checkpoint can be opened. */
  get isCheckpointing(): boolean {
    return this.#isCheckpointing;
  }

  /**
   * True while what is staged is all that the next checkpoint may hold, or takes twice the memory of a usual one (four times
   * while a checkpoint waits for room): nothing more is applied before it has begun. LMDB writes
   * a changed page anew before it lets go of the old one, so a large checkpoint on a small disk would never fit. While a checkpoint waits for room, the log has to: applying goes on, so that reads and answers do.
   */
  get isBehind(): boolean {
    const { stagedMemoryBytes } = this.#state;
    const { checkpointBytesMax } = this.#settings;
    if (this.#isWaiting) return stagedMemoryBytes >= 4 * checkpointBytesMax;
    return this.#isLarge(this.#roomBytes) || stagedMemoryBytes >= 2 * checkpointBytesMax;
  }

  /** How many changes may be staged before it is; at least 1. */
  get roomForChanges(): number {
    return this.#isWaiting ? Number.POSITIVE_INFINITY : Math.max(1, this.#roomChanges - this.#state.stagedChanges);
  }

  onSpace({ level, capacityBytes, logSurplusIndex, isWaiting }: SpaceMeasured): void {
    this.#logSurplusIndex = logSurplusIndex;
    this.#isWaiting = isWaiting;
    const part = level === 'ok' ? checkpointPart : scarceCheckpointPart;
    this.#roomBytes = Math.max(this.#settings.smallCheckpointBytes, capacityBytes * part);
    this.#roomChanges = Math.ceil(this.#roomBytes / changeBytes);
  }

  /** The present configuration is being written as `write`. */
  onConfiguration(write: number): void {
    this.#configurationWrite = write;
  }

  /** The rows of a snapshot at `index` are complete in the store. */
  install(index: number): void {
    this.#installIndex = index;
    this.#isInstalling = true;
  }

  /** A checkpoint at `index` or above, which is applied, is wanted now. */
  requestCheckpoint(index: number): void {
    this.#requestedIndex = Math.max(this.#requestedIndex, index);
  }

  /** Asks for the jobs that are due. `isUnhurried`: nobody waits for this node. */
  advance(tick: number, isUnhurried: boolean, output: Output): void {
    if (this.#isCheckpointing || !this.#isConfigurationDurable) return;
    if (this.#installIndex !== undefined) this.#startInstall(this.#installIndex, output);
    else if (!this.#isInstalling && this.#isCheckpointDue(tick, isUnhurried)) this.#startCheckpoint(tick, output);
  }

  onCheckpointed(): void {
    this.#isCheckpointing = false;
  }

  onInstalled(): void {
    this.#isInstalling = false;
    this.#machine.reload();
  }

  /**
   * Drops log that the durable state covers, but for a tail for those who are a little behind. Not until something is decided
   * in the present configuration: members of the one before may need all of the log to reach it.
   */
  trimLog(configuration: Configuration): void {
    const { sequence, state } = this.#store;
    // The state may be far ahead of the log until it is told that it begins there.
    if (this.#isInstalling || state.decidedIndex <= configuration.startIndex) return;
    const tailFrom = this.#state.durableIndex - this.#settings.logTailEntries;
    const surplusTo = Math.min(this.#state.durableIndex, this.#logSurplusIndex);
    const keepFrom = Math.min(Math.max(tailFrom, surplusTo), this.#donor.holdsLogFrom);
    const isSurplus = surplusTo > tailFrom;
    const entriesMin = isSurplus ? 1 : Math.min(trimEntriesMin, this.#settings.logTailEntries);
    if (keepFrom - sequence.trimmedIndex < entriesMin) return;
    sequence.trim(keepFrom);
    this.#store.commit();
  }

  /**
   * True once the configuration is on the disk. Before that no state of it may be: after a crash this node would vote in the
   * old configuration with a state from behind its StopSign, not knowing that it was sealed.
   */
  get #isConfigurationDurable(): boolean {
    return this.#store.durableWrite() >= this.#configurationWrite;
  }

  #isCheckpointDue(tick: number, isUnhurried: boolean): boolean {
    if (this.#machine.appliedIndex === this.#state.durableIndex) return false;
    const isOld = tick - this.#checkpointTick >= this.#settings.checkpointTicks * this.#patience;
    const isRequested = this.#requestedIndex > this.#state.durableIndex;
    const isLogLarge = this.#logSurplusIndex > this.#state.durableIndex;
    const isFull = this.#isLarge(this.#roomBytes) || this.#takesMuchMemory || this.#writesManyPages(tick, isUnhurried);
    return isOld || isRequested || isLogLarge || isFull;
  }

  /**
   * A checkpoint of rows that lie far apart writes about a page for each. Then a large one saves nothing, and its flush keeps the
   * log's writes from the disk for as long as it takes. It is put off while this node gives: as long as a snapshot is open LMDB uses no
   * page again that was freed since, so that each is a new one of the file and of the system's memory, and the processors have enough to do.
   */
  #writesManyPages(tick: number, isUnhurried: boolean): boolean {
    if (tick - this.#checkpointTick < manyPagesPauseTicks) return false;
    const { stagedPages, rowPages, stagedChanges, stagedMemoryBytes } = this.#state;
    const patience = isUnhurried || this.#isPutOff ? pagesPutOff : 1;
    if (stagedPages < this.#settings.checkpointPagesMax * this.#share * patience) return false;
    const changesInUsual = (stagedChanges * this.#settings.checkpointBytesMax) / stagedMemoryBytes;
    return changesInUsual < changesPerPageMin * rowPages;
  }

  /** What is overwritten before it is written costs nothing but memory and log: much of it may gather beside much that is not. */
  get #takesMuchMemory(): boolean {
    const { stagedBytes, stagedMemoryBytes, stagedChanges } = this.#state;
    const { checkpointBytesMax, checkpointOverwrittenMax } = this.#settings;
    const overwritten = stagedMemoryBytes - stagedBytes;
    const isBulky = stagedBytes >= stagedChanges * bulkyRowBytes;
    const bulkyMax = checkpointBytesMax * (this.#isPutOff ? bulkyPartPutOff : bulkyPart);
    return (
      stagedMemoryBytes >= checkpointBytesMax * this.#share * this.#patience ||
      (isBulky && stagedBytes >= bulkyMax * this.#share) ||
      overwritten >= Math.max(checkpointOverwrittenMax, 3 * stagedBytes) * this.#share * this.#patience
    );
  }

  get #isPutOff(): boolean {
    return this.#donor.ticksSinceGiven < this.#settings.donorTimeoutTicks + this.#othersTicks;
  }

  get #patience(): number {
    return this.#isPutOff ? givingPatience : 1;
  }

  #isLarge(bytesMax: number): boolean {
    return this.#state.stagedBytes >= bytesMax || this.#state.stagedChanges >= this.#roomChanges;
  }

  #startInstall(index: number, output: Output): void {
    this.#installIndex = undefined;
    output.job({ type: 'finishInstall', index, run: () => this.#state.finishInstall(index) });
  }

  #startCheckpoint(tick: number, output: Output): void {
    this.#checkpointTick = tick;
    this.#isCheckpointing = true;
    const { appliedIndex, sessions } = this.#machine.takeCheckpoint();
    output.job({ type: 'checkpoint', run: () => this.#state.checkpoint(appliedIndex, sessions) });
  }
}
