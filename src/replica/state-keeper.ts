import type { Configuration } from '../cluster/configuration.ts';
import type { KvStateMachine } from '../kv/state-machine.ts';
import type { StateStore } from '../kv/state-store.ts';
import type { Donor } from './donor.ts';
import type { LogStore } from './log-store.ts';
import type { Output } from './output.ts';
import type { ReplicaSettings } from './settings.ts';

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
  #checkpointTick = 0;
  /** The state is to be durable up to here as soon as may be. */
  #requestedIndex = 0;
  #isCheckpointing = false;
  #installIndex: number | undefined;
  #isInstalling = false;
  /** The write that made the present configuration so. */
  #configurationWrite = 0;

  constructor(machine: KvStateMachine, state: StateStore, store: LogStore, donor: Donor, settings: ReplicaSettings) {
    this.#machine = machine;
    this.#state = state;
    this.#store = store;
    this.#donor = donor;
    this.#settings = settings;
  }

  /** True from when a whole snapshot is here until it is the state: nothing is applied meanwhile. */
  get isInstalling(): boolean {
    return this.#isInstalling;
  }

  /** True while no snapshot of the last checkpoint can be opened. */
  get isCheckpointing(): boolean {
    return this.#isCheckpointing;
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

  /** Asks for the jobs that are due. */
  advance(tick: number, output: Output): void {
    if (this.#isCheckpointing || !this.#isConfigurationDurable) return;
    if (this.#installIndex !== undefined) this.#startInstall(this.#installIndex, output);
    else if (!this.#isInstalling && this.#isCheckpointDue(tick)) this.#startCheckpoint(tick, output);
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
    if (state.decidedIndex <= configuration.startIndex) return;
    const keepFrom = Math.min(this.#state.durableIndex - this.#settings.logTailEntries, this.#donor.holdsLogFrom);
    if (keepFrom - sequence.trimmedIndex < Math.min(trimEntriesMin, this.#settings.logTailEntries)) return;
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

  #isCheckpointDue(tick: number): boolean {
    if (this.#machine.appliedIndex === this.#state.durableIndex) return false;
    const isOld = tick - this.#checkpointTick >= this.#settings.checkpointTicks;
    const isRequested = this.#requestedIndex > this.#state.durableIndex;
    return isOld || isRequested || this.#state.stagedBytes >= this.#settings.checkpointBytesMax;
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
