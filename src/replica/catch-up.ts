import type { SnapshotCursor, SnapshotRow, StateStore } from '../kv/state-store.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { Entry } from '../omnipaxos/entry.ts';
import type { CatchUpStatus } from '../wire/client-message.ts';
import type { LogSegment, PeerPayload, StateChunk } from '../wire/peer-message.ts';
import type { ReplicaSettings } from './settings.ts';

/** Where decided entries and state go. An `OmniPaxos`, or the bare log of a node that does not vote yet. */
export interface DecidedSink {
  readonly decidedIndex: number;
  installDecided(from: number, entries: readonly Entry<Uint8Array>[]): void;
  installState(index: number): void;
}

/**
 * - `log`: asks for decided entries.
 * - `state`: what follows is trimmed everywhere asked; reads a snapshot of `donor`.
 * - `installing`: the snapshot is complete and being made the state.
 */
type Stage =
  | { readonly name: 'log' }
  | { readonly name: 'state'; snapshotIndex: number; cursor: SnapshotCursor | undefined }
  | { readonly name: 'installing'; readonly index: number };

/** Most entries asked for at once. */
const entriesPerRequestMax = 8_192;
/** Most repeats of a request for rows before the donor, and what it gave, is given up. */
const repeatsMax = 3;
/** Ticks to wait after a donor that had nothing. */
const emptyHandedTicks = 5;

/**
 * Catching up: a node that lacks decided entries pulls them, or state where they are trimmed, from nodes that have them.
 * State always moves this way (PROTOCOL: Trim, snapshot, catch-up). One request is out at a time; a donor that does not answer
 * in time, or has nothing, is passed over for the next.
 */
export class CatchUp {
  readonly #sink: DecidedSink;
  readonly #state: StateStore;
  readonly #settings: ReplicaSettings;
  #targetIndex: number;
  /** Whom the request that is out went to, or who was asked last. */
  #donor: NodeId | undefined;
  #hasLeft = false;
  #decidedElsewhere = 0;
  /** How often the request for the next rows was repeated. */
  #repeats = 0;
  #stage: Stage = { name: 'log' };
  readonly #fromIndex: number;
  readonly #bytesFrom = new Map<NodeId, number>();
  /** Ticks left for the request that is out; 0: ask now. */
  #patience = 0;

  constructor(sink: DecidedSink, state: StateStore, settings: ReplicaSettings, targetIndex: number) {
    this.#sink = sink;
    this.#state = state;
    this.#settings = settings;
    this.#targetIndex = targetIndex;
    this.#fromIndex = sink.decidedIndex;
  }

  get isComplete(): boolean {
    return this.#stage.name !== 'installing' && this.#sink.decidedIndex >= this.#targetIndex;
  }

  get isInstalling(): boolean {
    return this.#stage.name === 'installing';
  }

  get targetIndex(): number {
    return this.#targetIndex;
  }

  /** For people: how far it is. */
  status(): CatchUpStatus {
    const donors = [...this.#bytesFrom].map(([id, bytes]) => ({ id, bytes })).sort((a, b) => a.id - b.id);
    return {
      stage: this.#stage.name === 'installing' ? 'install' : this.#donor === undefined ? 'plan' : this.#stage.name,
      bytesReceived: donors.reduce((sum, { bytes }) => sum + bytes, 0),
      fromIndex: this.#fromIndex,
      targetIndex: this.#targetIndex,
      donors,
    };
  }

  /** The goal moved on. */
  retarget(targetIndex: number): void {
    this.#targetIndex = Math.max(this.#targetIndex, targetIndex);
  }

  tick(): void {
    if (this.#patience === 0) return;
    this.#patience--;
    if (this.#patience > 0) return;
    // Another donor would mean to begin the snapshot anew: the request or its answer may only have been lost.
    if (this.#stage.name === 'state' && this.#repeats < repeatsMax) this.#repeats++;
    else this.#leaveDonor();
  }

  /** The request to send now, if any is due. `donors` are the nodes that have a link now, in one order always. */
  nextRequest(donors: readonly NodeId[]): { readonly to: NodeId; readonly payload: PeerPayload } | undefined {
    if (this.#patience > 0 || this.isInstalling || this.isComplete) return undefined;
    if (this.#hasLeft || this.#donor === undefined || !donors.includes(this.#donor)) this.#chooseDonor(donors);
    if (this.#donor === undefined) return undefined;
    this.#patience = this.#settings.donorTimeoutTicks;
    return { to: this.#donor, payload: this.#request() };
  }

  /** True while decided entries will not do: those who were asked have trimmed them. */
  get needsState(): boolean {
    return this.#stage.name === 'state';
  }

  /** The highest decided index that a donor told of. */
  get decidedElsewhere(): number {
    return this.#decidedElsewhere;
  }

  onLogSegment(from: NodeId, segment: LogSegment): void {
    this.#decidedElsewhere = Math.max(this.#decidedElsewhere, segment.decidedIndex);
    if (from !== this.#donor || this.#stage.name !== 'log' || this.#patience === 0) return;
    const { decidedIndex } = this.#sink;
    if (segment.entries.length > 0 && segment.from <= decidedIndex) {
      this.#count(from, bytesOfEntries(segment.entries));
      this.#patience = 0;
      this.#sink.installDecided(segment.from, segment.entries);
    } else if (segment.trimmedIndex > decidedIndex) {
      this.#patience = 0;
      this.#stage = { name: 'state', snapshotIndex: 0, cursor: undefined };
    }
    // A donor with nothing for us: the next one, but not at once, lest nodes that all have nothing be asked in a rush.
    else this.#patience = Math.min(this.#patience, emptyHandedTicks);
  }

  /** Returns the index at which the state, now complete, is to be installed. */
  onStateChunk(from: NodeId, chunk: StateChunk): number | undefined {
    const stage = this.#stage;
    if (from !== this.#donor || stage.name !== 'state') return undefined;
    if (chunk.rows === undefined) {
      this.#restart();
      return undefined;
    }
    const isFirst = stage.snapshotIndex === 0;
    if (!isFirst && (chunk.snapshotIndex !== stage.snapshotIndex || !isSameCursor(chunk.cursor, stage.cursor)))
      return undefined;
    if (isFirst) {
      if (chunk.cursor !== undefined) return undefined;
      this.#state.beginInstall();
      stage.snapshotIndex = chunk.snapshotIndex;
    }
    this.#state.installRows(chunk.rows);
    this.#count(from, bytesOfRows(chunk.rows));
    stage.cursor = cursorAfter(chunk.rows) ?? stage.cursor;
    this.#patience = 0;
    this.#repeats = 0;
    if (!chunk.done) return undefined;
    this.#stage = { name: 'installing', index: chunk.snapshotIndex };
    return chunk.snapshotIndex;
  }

  /** The installed state is durable and in use; the log goes on behind it. */
  onInstalled(index: number): void {
    this.#sink.installState(index);
    this.#restart();
  }

  /** The snapshot turned out to be older than what is applied: not needed. */
  abandonState(): void {
    this.#restart();
  }

  /** A snapshot is read from one donor to its end; another donor has another index, so it starts over. */
  #leaveDonor(): void {
    this.#hasLeft = true;
    this.#patience = 0;
    this.#repeats = 0;
    if (this.#stage.name === 'state') this.#stage = { name: 'log' };
  }

  /** The one after the last, in turn. */
  #chooseDonor(donors: readonly NodeId[]): void {
    if (this.#donor !== undefined) this.#leaveDonor();
    const last = this.#donor ?? 0;
    const ascending = [...donors].sort((a, b) => a - b);
    this.#donor = ascending.find((id) => id > last) ?? ascending[0];
    this.#hasLeft = false;
  }

  #count(from: NodeId, bytes: number): void {
    this.#bytesFrom.set(from, (this.#bytesFrom.get(from) ?? 0) + bytes);
  }

  #restart(): void {
    this.#stage = { name: 'log' };
    this.#patience = 0;
  }

  #request(): PeerPayload {
    const stage = this.#stage;
    if (stage.name === 'state') {
      return { type: 'StateRequest', snapshotIndex: stage.snapshotIndex, cursor: stage.cursor };
    }
    const from = this.#sink.decidedIndex;
    return { type: 'LogRequest', from, to: from + entriesPerRequestMax };
  }
}

function bytesOfEntries(entries: readonly Entry<Uint8Array>[]): number {
  let bytes = 0;
  for (const entry of entries) if (entry.type === 'Normal') bytes += entry.entry.length;
  return bytes;
}

function bytesOfRows(rows: readonly SnapshotRow[]): number {
  let bytes = 0;
  for (const row of rows) if (row.type === 'pair') bytes += row.key.length + row.value.length;
  return bytes;
}

function cursorAfter(rows: readonly SnapshotRow[]): SnapshotCursor | undefined {
  const last = rows.at(-1);
  if (!last) return undefined;
  return last.type === 'pair' ? { type: 'pair', key: last.key } : { type: 'session', id: last.id };
}

function isSameCursor(a: SnapshotCursor | undefined, b: SnapshotCursor | undefined): boolean {
  if (a?.type === 'pair' && b?.type === 'pair') return a.key === b.key;
  if (a?.type === 'session' && b?.type === 'session') return a.id === b.id;
  return a === b;
}
