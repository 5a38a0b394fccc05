import type { StateSnapshot, StateStore } from '../kv/state-store.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { Entry } from '../omnipaxos/entry.ts';
import type { LogHeld } from '../wire/client-message.ts';
import type { LogRequest, LogSegment, StateChunk, StateRequest } from '../wire/peer-message.ts';
import type { ReplicaSettings } from './settings.ts';

/** What a donor reads from: the log of this node, as far as it is decided. */
export interface DecidedLog {
  readonly decidedIndex: number;
  readonly trimmedIndex: number;
  read(from: number, to: number): Entry<Uint8Array>[];
}

interface OpenSnapshot {
  readonly snapshot: StateSnapshot;
  readonly readers: Set<NodeId>;
  idleTicks: number;
}

/** Most entries read for one segment, whatever their bytes. */
const entriesPerSegmentMax = 8_192;
/** Most nodes that wait for a snapshot to open. */
const waitingMax = 64;

/** Serves newcomers and stragglers: decided entries, and state where the log is trimmed. */
export class Donor {
  readonly #state: StateStore;
  readonly #settings: ReplicaSettings;
  readonly #snapshots = new Map<number, OpenSnapshot>();
  #waiting: NodeId[] = [];

  constructor(state: StateStore, settings: ReplicaSettings) {
    this.#state = state;
    this.#settings = settings;
  }

  /** Below this index nothing of the log may be dropped: readers of a snapshot need what follows it. */
  get holdsLogFrom(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#snapshots.keys());
  }

  /** Who keeps the log from being trimmed, if anyone does. */
  get logHeld(): LogHeld | undefined {
    if (this.#snapshots.size === 0) return undefined;
    const readers = new Set([...this.#snapshots.values()].flatMap((open) => [...open.readers]));
    return { fromIndex: this.holdsLogFrom, readers: [...readers].sort((a, b) => a - b) };
  }

  /** Decided entries as asked, as many as fit. */
  segment(log: DecidedLog, request: LogRequest): LogSegment {
    const { decidedIndex, trimmedIndex } = log;
    const to = Math.min(request.to, decidedIndex, request.from + entriesPerSegmentMax);
    const isHere = request.from >= trimmedIndex && request.from < to;
    const entries = isHere ? firstBytes(log.read(request.from, to), this.#settings.catchUpBytesMax) : [];
    return { type: 'LogSegment', from: request.from, entries, decidedIndex, trimmedIndex };
  }

  /** Rows of a snapshot; undefined while none can be opened: the asker is answered by `openWaiting` later. */
  chunk(from: NodeId, request: StateRequest): StateChunk | undefined {
    if (request.snapshotIndex === 0) {
      if (!this.#waiting.includes(from) && this.#waiting.length < waitingMax) this.#waiting.push(from);
      return undefined;
    }
    const open = this.#snapshots.get(request.snapshotIndex);
    const { snapshotIndex, cursor } = request;
    if (!open) return { type: 'StateChunk', snapshotIndex, cursor, rows: undefined, done: false };
    open.idleTicks = 0;
    open.readers.add(from);
    const { rows, done } = open.snapshot.read(cursor, this.#settings.catchUpBytesMax);
    return { type: 'StateChunk', snapshotIndex, cursor, rows, done };
  }

  /** Opens a snapshot of the last checkpoint for those who wait. Only while no checkpoint is being written. */
  openWaiting(): { readonly to: NodeId; readonly chunk: StateChunk }[] {
    if (this.#waiting.length === 0) return [];
    const index = this.#state.durableIndex;
    if (!this.#snapshots.has(index)) this.#open(index);
    const request: StateRequest = { type: 'StateRequest', snapshotIndex: index, cursor: undefined };
    const answers = [];
    for (const to of this.#waiting) {
      const chunk = this.chunk(to, request);
      if (chunk) answers.push({ to, chunk });
    }
    this.#waiting = [];
    return answers;
  }

  #open(index: number): void {
    this.#snapshots.set(index, { snapshot: this.#state.openSnapshot(), readers: new Set(), idleTicks: 0 });
  }

  /** Lets go of snapshots that nobody reads any more. */
  tick(): void {
    for (const [index, open] of this.#snapshots) {
      open.idleTicks++;
      if (open.idleTicks < this.#settings.snapshotIdleTicks) continue;
      open.snapshot.close();
      this.#snapshots.delete(index);
    }
  }

  close(): void {
    for (const { snapshot } of this.#snapshots.values()) snapshot.close();
    this.#snapshots.clear();
  }
}

function firstBytes(entries: Entry<Uint8Array>[], bytesMax: number): Entry<Uint8Array>[] {
  let bytes = 0;
  for (let count = 0; count < entries.length; count++) {
    const entry = entries[count] as Entry<Uint8Array>;
    bytes += entry.type === 'Normal' ? entry.entry.length : (entry.stopSign.metadata?.length ?? 0);
    if (bytes > bytesMax) return entries.slice(0, Math.max(1, count));
  }
  return entries;
}
