import { assert } from '../../src/base/assert.ts';
import type { Configuration, Identity, Opening } from '../../src/cluster/configuration.ts';
import { bottomBallot, compareBallots } from '../../src/omnipaxos/ballot.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import { MemorySequence } from '../../src/omnipaxos/memory-store.ts';
import type { PaxosState, Sequence } from '../../src/omnipaxos/storage.ts';
import type { LogStore } from '../../src/replica/log-store.ts';
import type { SimulatedDisk } from './simulated-disk.ts';

/** One change of the log. */
export type LogChange =
  | { readonly kind: 'append'; readonly index: number; readonly entries: readonly Entry<Uint8Array>[] }
  | { readonly kind: 'truncate' | 'trim' | 'reset'; readonly index: number };

/** What one `commit()` closed. */
export interface Transition {
  readonly write: number;
  readonly changes: readonly LogChange[];
  readonly paxos: PaxosState;
  readonly clusterId: string | undefined;
  readonly configuration: Configuration | undefined;
  readonly openings: readonly Opening[];
}

/**
 * The log store on a simulated disk: writes are staged, a flush takes virtual time, and a crash loses all that was not
 * flushed. A flush is one transaction: it survives whole or not at all, except that of one that only appends entries the first ones
 * may survive alone. Its owner calls `beginFlush`, and later `endFlush`, or crashes.
 */
export class SimulatedLogStore implements LogStore {
  readonly sequence: Sequence<Uint8Array>;
  readonly state: PaxosState;
  readonly incarnation: number;
  readonly nonce: string;
  readonly #disk: SimulatedDisk;
  readonly #onDurable: (transition: Transition, before: PaxosState) => void;
  #identity: Identity;
  #configuration: Configuration | undefined;
  #openings: readonly Opening[];
  #changes: LogChange[] = [];
  #committed: PaxosState;
  #hasChangedRecords = false;
  /** Transitions that wait for a flush to begin. */
  #waiting: Transition[] = [];
  #flushing: Transition[] | undefined;
  /** First write that needs a flush, of those waiting and of those being flushed. */
  #firstWaiting: number | undefined;
  #firstFlushing: number | undefined;
  #writes = 0;

  /** `onDurable` is told of every transition once it is on the disk, and of the state before it. */
  constructor(disk: SimulatedDisk, onDurable: (transition: Transition, before: PaxosState) => void = () => {}) {
    this.#disk = disk;
    this.#onDurable = onDurable;
    this.incarnation = disk.incarnation++;
    this.nonce = disk.newNonce();
    this.#openings = disk.log.openings;
    const { nodeId, storageId, origin } = disk;
    this.#identity = { nodeId, storageId, clusterId: disk.log.clusterId, origin };
    this.#configuration = disk.log.configuration;
    this.state = { ...disk.log.paxos };
    this.#committed = { ...disk.log.paxos };
    const working = new MemorySequence<Uint8Array>();
    const { trimmedIndex, endIndex } = disk.log.sequence;
    working.reset(trimmedIndex);
    working.append(disk.log.sequence.read(trimmedIndex, endIndex));
    this.sequence = new JournaledSequence(working, (change) => this.#changes.push(change));
  }

  get identity(): Identity {
    return this.#identity;
  }

  get configuration(): Configuration | undefined {
    return this.#configuration;
  }

  get hasStagedWrites(): boolean {
    return this.#firstWaiting !== undefined;
  }

  get openings(): readonly Opening[] {
    return this.#openings;
  }

  setOpenings(openings: readonly Opening[]): void {
    this.#openings = openings;
    this.#hasChangedRecords = true;
  }

  bindCluster(clusterId: string): void {
    const bound = this.#identity.clusterId;
    if (bound === clusterId) return;
    if (bound !== undefined) throw new Error(`the store belongs to cluster ${bound}, not ${clusterId}`);
    this.#identity = { ...this.#identity, clusterId };
    this.#hasChangedRecords = true;
  }

  setConfiguration(configuration: Configuration): void {
    if (configuration.configurationId !== this.#configuration?.configurationId) {
      this.state.promise = bottomBallot;
      this.state.acceptedRound = bottomBallot;
    }
    this.#configuration = configuration;
    this.#hasChangedRecords = true;
  }

  stageDecided(): void {
    this.#hasChangedRecords = true;
  }

  commit(): number {
    const write = ++this.#writes;
    const before = this.#committed;
    const paxos = { ...this.state };
    const needsFlush =
      this.#changes.length > 0 ||
      this.#hasChangedRecords ||
      compareBallots(paxos.promise, before.promise) !== 0 ||
      compareBallots(paxos.acceptedRound, before.acceptedRound) !== 0;
    const { clusterId } = this.#identity;
    const records = { clusterId, configuration: this.#configuration, openings: this.#openings };
    const transition = { write, changes: this.#changes, paxos, ...records };
    this.#waiting.push(transition);
    if (needsFlush) this.#firstWaiting ??= write;
    this.#changes = [];
    this.#hasChangedRecords = false;
    this.#committed = paxos;
    return write;
  }

  durableWrite(): number {
    const pending = this.#firstFlushing ?? this.#firstWaiting;
    return pending === undefined ? this.#writes : pending - 1;
  }

  /** All committed so far is on its way to the disk. */
  beginFlush(): void {
    assert(this.#flushing === undefined, 'a flush began while another was under way');
    assert(this.#changes.length === 0 && !this.#hasChangedRecords, 'a flush began in the middle of a transition');
    this.#flushing = this.#waiting;
    this.#firstFlushing = this.#firstWaiting;
    this.#waiting = [];
    this.#firstWaiting = undefined;
  }

  /** The flush under way is on the disk. */
  endFlush(): void {
    this.#writeFlushing();
    this.#flushing = undefined;
    this.#firstFlushing = undefined;
  }

  /** The machine stops. A flush under way survives whole or not at all, as `survives` says. */
  crash(survives: boolean): void {
    if (survives && this.#flushing) this.#writeFlushing();
  }

  /** How many entries a flush under way appends, if it does nothing else: then {@link crashInAppend} may be called. Else 0. */
  get flushingEntries(): number {
    const { paxos, clusterId, configuration, openings, sequence } = this.#disk.log;
    let count = 0;
    for (const transition of this.#flushing ?? []) {
      const isSameOwner =
        transition.clusterId === clusterId &&
        transition.configuration === configuration &&
        transition.openings === openings;
      const isSameRound =
        compareBallots(transition.paxos.promise, paxos.promise) === 0 &&
        compareBallots(transition.paxos.acceptedRound, paxos.acceptedRound) === 0;
      if (!isSameOwner || !isSameRound) return 0;
      for (const change of transition.changes) {
        if (change.kind === 'append') count += change.entries.length;
        // A log that is trimmed past what was there is written as a whole.
        else if (change.kind !== 'trim' || change.index > sequence.endIndex) return 0;
      }
    }
    return count;
  }

  /** The machine stops when the first `count` entries of the flush under way are on the disk: they were too many for one record. */
  crashInAppend(count: number): void {
    const { log } = this.#disk;
    let left = count;
    for (const { write, changes, paxos, ...records } of this.#flushing ?? []) {
      const before = { ...log.paxos };
      const written: LogChange[] = [];
      for (const change of changes) {
        const part = change.kind === 'append' ? { ...change, entries: change.entries.slice(0, left) } : change;
        if (part.kind === 'append') left -= part.entries.length;
        applyChange(log.sequence, part);
        written.push(part);
      }
      log.paxos.decidedIndex = Math.min(paxos.decidedIndex, log.sequence.endIndex);
      this.#onDurable({ write, changes: written, paxos: { ...log.paxos }, ...records }, before);
    }
  }

  flush(): Promise<number> {
    this.beginFlush();
    this.endFlush();
    return Promise.resolve(this.durableWrite());
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #writeFlushing(): void {
    const { log } = this.#disk;
    for (const transition of this.#flushing ?? []) {
      const before = { ...log.paxos };
      for (const change of transition.changes) applyChange(log.sequence, change);
      Object.assign(log.paxos, transition.paxos);
      log.clusterId = transition.clusterId;
      log.configuration = transition.configuration;
      log.openings = transition.openings;
      this.#onDurable(transition, before);
    }
  }
}

/** The working log; every change is noted for the disk. */
class JournaledSequence implements Sequence<Uint8Array> {
  readonly #log: MemorySequence<Uint8Array>;
  readonly #note: (change: LogChange) => void;

  constructor(log: MemorySequence<Uint8Array>, note: (change: LogChange) => void) {
    this.#log = log;
    this.#note = note;
  }

  get trimmedIndex(): number {
    return this.#log.trimmedIndex;
  }

  get endIndex(): number {
    return this.#log.endIndex;
  }

  append(entries: readonly Entry<Uint8Array>[]): void {
    this.#note({ kind: 'append', index: this.#log.endIndex, entries: [...entries] });
    this.#log.append(entries);
  }

  truncate(index: number): void {
    this.#log.truncate(index);
    this.#note({ kind: 'truncate', index });
  }

  read(from: number, to: number): Entry<Uint8Array>[] {
    return this.#log.read(from, to);
  }

  trim(index: number): void {
    this.#log.trim(index);
    this.#note({ kind: 'trim', index });
  }

  reset(index: number): void {
    this.#log.reset(index);
    this.#note({ kind: 'reset', index });
  }
}

function applyChange(sequence: MemorySequence<Uint8Array>, change: LogChange): void {
  if (change.kind === 'append') sequence.append(change.entries);
  else sequence[change.kind](change.index);
}
