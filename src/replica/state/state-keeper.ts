import type { Configuration } from '../../cluster/configuration.ts';
import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { StateStore } from '../../kv/state-store.ts';
import type { SpaceMeasured } from '../events.ts';
import type { LogStore } from '../log-store.ts';
import type { Output } from '../output.ts';
import type { ReplicaSettings } from '../settings.ts';
import { CheckpointSchedule, type Giving } from './checkpoint-schedule.ts';

/** A trim drops at least so many entries: small ones are not worth a write. */
const trimEntriesMin = 10_000;

/**
 * When the state is made durable or replaced, and what of the log may go then. The store does one thing at a time: an
 * install waits for the checkpoint that is being written.
 */
export class StateKeeper {
  readonly #machine: KvStateMachine;
  readonly #stateStore: StateStore;
  readonly #logStore: LogStore;
  readonly #giving: Giving;
  readonly #settings: ReplicaSettings;
  readonly #schedule: CheckpointSchedule;
  #isCheckpointing = false;
  #installIndex: number | undefined;
  #isInstalling = false;
  /** Of the log below there is more than the disk has room for. */
  #logSurplusIndex = 0;
  /** The write that made the present configuration so. */
  #configurationWrite = 0;
  #durableConfigurationId = 0;
  /** A checkpoint has begun, and waits for this write, which tells the log that all in it is decided. */
  #decidedWrite: number | undefined;
  /** A write of the log waits for room on a full disk. */
  #isLogWaiting = false;

  constructor(machine: KvStateMachine, state: StateStore, store: LogStore, giving: Giving, settings: ReplicaSettings) {
    this.#machine = machine;
    this.#stateStore = state;
    this.#logStore = store;
    this.#giving = giving;
    this.#settings = settings;
    this.#schedule = new CheckpointSchedule(machine, state, giving, settings);
    this.#findRank();
  }

  /** True from when a whole snapshot is here until it is the state: nothing is applied meanwhile. */
  get isInstalling(): boolean {
    return this.#isInstalling;
  }

  /** True while no snapshot of the last checkpoint can be opened. */
  get isCheckpointing(): boolean {
    return this.#isCheckpointing;
  }

  /** The newest configuration that is on the disk; 0 while none is. Noted when it is asked for, which each turn does. */
  get durableConfigurationId(): number {
    if (this.#isConfigurationDurable) this.#durableConfigurationId = this.#logStore.configuration?.configurationId ?? 0;
    return this.#durableConfigurationId;
  }

  /** See {@link CheckpointSchedule.isBehind}. */
  get isBehind(): boolean {
    return this.#schedule.isBehind;
  }

  /** How many changes may be staged before it is; at least 1. */
  get roomForChanges(): number {
    return this.#schedule.roomForChanges;
  }

  /** Somebody waits for the checkpoint under way. */
  hurryCheckpoint(): void {
    this.#stateStore.hurryCheckpoint();
  }

  /** A state of `upTo` at the most that was begun and is not gone on with makes room. */
  dropHalfTaken(upTo: number): void {
    const index = this.#stateStore.installProgress?.index;
    if (!this.#isInstalling && index !== undefined && index <= upTo) this.#stateStore.beginInstall();
  }

  onSpace(measured: SpaceMeasured): void {
    this.#logSurplusIndex = measured.logSurplusIndex;
    this.#isLogWaiting = measured.isWaiting;
    this.#schedule.onSpace(measured);
  }

  /** The present configuration is being written as `write`. */
  onConfiguration(write: number): void {
    this.#configurationWrite = write;
    this.#findRank();
  }

  /** The rows of a snapshot at `index` are complete in the store. */
  install(index: number): void {
    this.#installIndex = index;
    this.#isInstalling = true;
  }

  /** A checkpoint at `index` or above, which is applied, is wanted now. */
  requestCheckpoint(index: number): void {
    this.#schedule.request(index);
  }

  /** Asks for the jobs that are due. `isUnhurried`: nobody waits for this node. */
  advance(tick: number, isUnhurried: boolean, output: Output): void {
    if (!this.#isConfigurationDurable) return;
    this.#writeCheckpoint(output);
    if (this.#isCheckpointing && (this.#isInstalling || this.#schedule.isWaitedFor(tick, isUnhurried))) {
      this.#stateStore.hurryCheckpoint();
    }
    if (this.#isInstalling) {
      if (this.#installIndex !== undefined && !this.#isCheckpointing) this.#startInstall(this.#installIndex, output);
      return;
    }
    if (this.#schedule.isSealDue(tick, isUnhurried, this.#isCheckpointing)) this.#seal(tick);
    if (!this.#isCheckpointing && this.#schedule.isCheckpointDue(tick, isUnhurried))
      this.#startCheckpoint(tick, output);
  }

  onCheckpointed(): void {
    this.#isCheckpointing = false;
  }

  onInstalled(): void {
    this.#isInstalling = false;
    this.#schedule.onInstalled();
    this.#machine.reload();
  }

  /**
   * Drops log that the durable state covers, but for a tail for those who are a little behind. Not until something is decided
   * in the present configuration: members of the one before may need all of the log to reach it.
   */
  trimLog(configuration: Configuration): void {
    const { sequence, state } = this.#logStore;
    // The state may be far ahead of the log until it is told that it begins there.
    if (this.#isInstalling || state.decidedIndex <= configuration.startIndex) return;
    const tailFrom = this.#stateStore.durableIndex - this.#settings.logTailEntries;
    const surplusTo = Math.min(this.#stateStore.durableIndex, this.#logSurplusIndex);
    // A leader may have come by a state that is ahead of what it knows to be decided.
    const keepFrom = Math.min(Math.max(tailFrom, surplusTo), this.#giving.holdsLogFrom, state.decidedIndex);
    const isSurplus = surplusTo > tailFrom;
    const entriesMin = isSurplus ? 1 : Math.min(trimEntriesMin, this.#settings.logTailEntries);
    if (keepFrom - sequence.trimmedIndex < entriesMin) return;
    sequence.trim(keepFrom);
    this.#logStore.commit();
  }

  /** Before it is, no checkpoint from behind its StopSign is made: whoever reads the directory goes by the configuration in the log. */
  get #isConfigurationDurable(): boolean {
    return this.#logStore.durableWrite() >= this.#configurationWrite;
  }

  #findRank(): void {
    const { identity, configuration } = this.#logStore;
    const members = (configuration?.members ?? []).map(({ id }) => id).sort((a, b) => a - b);
    this.#schedule.onRank(Math.max(0, members.indexOf(identity.nodeId)), Math.max(1, members.length));
  }

  #startInstall(index: number, output: Output): void {
    this.#installIndex = undefined;
    output.job({ type: 'finishInstall', index, run: () => this.#stateStore.finishInstall(index) });
  }

  #seal(tick: number): void {
    const { appliedIndex, sessions } = this.#machine.takeCheckpoint();
    this.#stateStore.seal(appliedIndex, sessions);
    this.#schedule.onSealed(tick, appliedIndex);
  }

  #startCheckpoint(tick: number, output: Output): void {
    this.#isCheckpointing = true;
    this.#schedule.onCheckpointBegun(tick);
    this.#logStore.stageDecided();
    this.#decidedWrite = this.#logStore.commit();
    this.#writeCheckpoint(output);
  }

  /**
   * Not before the log, too, knows all of it to be decided. A node whose state is ahead of that lets go of its log when it starts again:
   * were it elected, the others would need its whole state for a last few entries that all of them have. Where the log waits for room it
   * may be the checkpoint that makes some.
   */
  #writeCheckpoint(output: Output): void {
    if (this.#decidedWrite === undefined) return;
    if (!this.#isLogWaiting && this.#logStore.durableWrite() < this.#decidedWrite) return;
    this.#decidedWrite = undefined;
    output.job({ type: 'checkpoint', run: () => this.#stateStore.checkpoint() });
  }
}
