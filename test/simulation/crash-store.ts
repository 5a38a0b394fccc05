import type { Ballot, Entry, PaxosState, Sequence, Store } from '../../src/omnipaxos/index.ts';
import { bottomBallot, MemorySequence } from '../../src/omnipaxos/index.ts';

/** One change of the log, kept until the disk has it. */
type LogChange<T> =
  | { readonly kind: 'append'; readonly entries: readonly Entry<T>[] }
  | { readonly kind: 'truncate' | 'trim' | 'reset'; readonly index: number };

/** What one `commit()` closed: the changes of the log, then the state as it was. */
interface Transition<T> {
  readonly write: number;
  readonly changes: readonly LogChange<T>[];
  readonly state: PaxosState;
}

/** What survives a crash. */
export interface DiskImage<T> {
  readonly sequence: MemorySequence<T>;
  readonly state: PaxosState;
}

/** An empty disk. */
function emptyDisk<T>(): DiskImage<T> {
  return {
    sequence: new MemorySequence<T>(),
    state: { promise: bottomBallot, acceptedRound: bottomBallot, decidedIndex: 0 },
  };
}

/**
 * A store that models the disk: what is staged is read at once, and survives `crash()` only if `flush()` came first.
 * Transitions reach the disk in order and each whole. As in the real log store, a change of the decided index alone is
 * not worth a flush: it counts as durable as soon as everything before it is, and a crash may take it back.
 */
export class CrashStore<T> implements Store<T> {
  readonly sequence: Sequence<T>;
  readonly state: PaxosState;
  readonly #disk: DiskImage<T>;
  #staged: LogChange<T>[] = [];
  #pending: Transition<T>[] = [];
  #writes = 0;
  #durable = 0;
  /** State at the last commit, to tell what a transition changed. */
  #committed: PaxosState;

  constructor(disk: DiskImage<T> = emptyDisk()) {
    this.#disk = disk;
    const working = copySequence(disk.sequence);
    this.sequence = new JournaledSequence(working, (change) => this.#staged.push(change));
    this.state = { ...disk.state };
    this.#committed = { ...disk.state };
  }

  commit(): number {
    const write = ++this.#writes;
    const state = { ...this.state };
    const isDecidedOnly = this.#staged.length === 0 && sameBallots(state, this.#committed);
    if (isDecidedOnly && this.#pending.length === 0) this.#durable = write;
    else this.#pending.push({ write, changes: this.#staged, state });
    this.#staged = [];
    this.#committed = state;
    return write;
  }

  durableWrite(): number {
    return this.#durable;
  }

  /** Number of the last commit. */
  get lastWrite(): number {
    return this.#writes;
  }

  /** The decided index that a crash now would leave. */
  get durableDecidedIndex(): number {
    return this.#disk.state.decidedIndex;
  }

  /** True when a flush would write something. */
  get hasStagedWrites(): boolean {
    return this.#pending.length > 0;
  }

  /** Makes transitions durable, in order, up to the commit numbered `upTo` (default: all). */
  flush(upTo = this.#writes): void {
    while (this.#pending.length > 0 && (this.#pending[0] as Transition<T>).write <= upTo) {
      const { write, changes, state } = this.#pending.shift() as Transition<T>;
      for (const change of changes) applyChange(this.#disk.sequence, change);
      Object.assign(this.#disk.state, state);
      this.#durable = write;
    }
    // What came after and changed the decided index alone rides along.
    if (this.#pending.length === 0) this.#durable = Math.max(this.#durable, Math.min(upTo, this.#writes));
  }

  /** The machine stops: everything that was not flushed is gone. Opens what is left as a new store. */
  crash(): CrashStore<T> {
    return new CrashStore(this.#disk);
  }
}

/** The working log; every change is noted for the disk. */
class JournaledSequence<T> implements Sequence<T> {
  readonly #log: MemorySequence<T>;
  readonly #note: (change: LogChange<T>) => void;

  constructor(log: MemorySequence<T>, note: (change: LogChange<T>) => void) {
    this.#log = log;
    this.#note = note;
  }

  get trimmedIndex(): number {
    return this.#log.trimmedIndex;
  }

  get endIndex(): number {
    return this.#log.endIndex;
  }

  append(entries: readonly Entry<T>[]): void {
    this.#log.append(entries);
    this.#note({ kind: 'append', entries: [...entries] });
  }

  truncate(index: number): void {
    this.#log.truncate(index);
    this.#note({ kind: 'truncate', index });
  }

  read(from: number, to: number): Entry<T>[] {
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

function applyChange<T>(sequence: MemorySequence<T>, change: LogChange<T>): void {
  if (change.kind === 'append') sequence.append(change.entries);
  else sequence[change.kind](change.index);
}

function copySequence<T>(source: MemorySequence<T>): MemorySequence<T> {
  const copy = new MemorySequence<T>();
  copy.reset(source.trimmedIndex);
  copy.append(source.read(source.trimmedIndex, source.endIndex));
  return copy;
}

function sameBallots(a: PaxosState, b: PaxosState): boolean {
  return isSame(a.promise, b.promise) && isSame(a.acceptedRound, b.acceptedRound);
}

function isSame(a: Ballot, b: Ballot): boolean {
  return a.n === b.n && a.priority === b.priority && a.pid === b.pid;
}
