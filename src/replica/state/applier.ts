import type { Outcome } from '../../kv/outcome.ts';
import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { StopSign } from '../../omnipaxos/entry.ts';
import type { LogStore } from '../log-store.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { StateKeeper } from './state-keeper.ts';

/** Entries first read from the log: they may be large, and on the disk, and then not all of many would be applied in this turn. */
const entriesReadFirst = 4;
/** So few bytes of as many: twice as many may be read next. */
const smallReadBytes = 64 * 1024;

/** What the applier works with. */
export interface ApplierParts {
  readonly machine: KvStateMachine;
  readonly keeper: StateKeeper;
  /** Next index at which to stand for a moment, for a snapshot of just that. */
  readonly holds: { readonly nextHold: number };
  readonly logStore: LogStore;
  readonly settings: ReplicaSettings;
}

/** Who learns of what was applied. */
export interface ApplierHooks {
  /** A Normal entry was applied. */
  readonly onApplied: (command: Uint8Array, outcome: Outcome) => void;
  /** The StopSign at `index` is next. True if the node entered or left a configuration by it: then nothing more is applied for now. */
  readonly onStopSign: (stopSign: StopSign, index: number) => boolean;
}

/**
 * What came of an attempt to apply: there was nothing, or not now; all that is decided is applied; there is more, for another turn; or a StopSign made
 * the node enter or leave a configuration.
 */
export type Applied = 'nothing' | 'all' | 'more' | 'handedOver';

/** Applies decided entries to the state, in order, no more in a turn than lets heartbeats be answered in between. */
export class Applier {
  readonly #parts: ApplierParts;
  readonly #hooks: ApplierHooks;
  #entriesSinceTick = 0;
  /** Bytes of commands applied, in all and up to the last tick. */
  #bytes = 0;
  #bytesAtTick = 0;
  #bytesAtTurn = 0;

  constructor(parts: ApplierParts, hooks: ApplierHooks) {
    this.#parts = parts;
    this.#hooks = hooks;
  }

  beginTurn(): void {
    this.#bytesAtTurn = this.#bytes;
  }

  /** Bytes of commands applied in this turn. */
  get bytesInTurn(): number {
    return this.#bytes - this.#bytesAtTurn;
  }

  /** What was applied since it was last called, which every tick does. */
  takeSinceTick(): { readonly entries: number; readonly bytes: number } {
    const taken = { entries: this.#entriesSinceTick, bytes: this.#bytes - this.#bytesAtTick };
    this.#entriesSinceTick = 0;
    this.#bytesAtTick = this.#bytes;
    return taken;
  }

  /** Applies what is decided, as far as one turn should and the state has room for changes. Nothing while a state is being installed. */
  advance(): Applied {
    const { machine, keeper, holds, logStore, settings } = this.#parts;
    if (keeper.isInstalling || keeper.isBehind) return 'nothing';
    const { decidedIndex } = logStore.state;
    const from = machine.appliedIndex;
    if (from >= decidedIndex) return 'nothing';
    const roomFor = Math.min(settings.appliedPerTurnMax, keeper.roomForChanges);
    const to = Math.min(decidedIndex, from + roomFor, holds.nextHold);
    const isHandedOver = this.#apply(from, to);
    this.#entriesSinceTick += machine.appliedIndex - from;
    if (isHandedOver) return 'handedOver';
    return machine.appliedIndex < decidedIndex && !keeper.isBehind ? 'more' : 'all';
  }

  /** The entries from `from` to `to`, or fewer. True: handed over. */
  #apply(from: number, to: number): boolean {
    const { machine, keeper, logStore, settings } = this.#parts;
    let bytes = 0;
    let index = from;
    for (let count = entriesReadFirst; index < to; ) {
      const bytesBefore = bytes;
      for (const entry of logStore.sequence.read(index, Math.min(to, index + count), settings.appliedBytesPerTurnMax)) {
        if (keeper.isBehind || bytes >= settings.appliedBytesPerTurnMax) return false;
        if (entry.type === 'Normal') {
          this.#hooks.onApplied(entry.entry, machine.apply(index, entry.entry));
          bytes += entry.entry.length;
          this.#bytes += entry.entry.length;
        } else {
          if (this.#hooks.onStopSign(entry.stopSign, index)) return true;
        }
        index++;
      }
      if (bytes - bytesBefore <= smallReadBytes) count *= 2;
    }
    return false;
  }
}
