import { isSameCursor } from '../../kv/packed-rows.ts';
import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { SnapshotCursor, StateSnapshot } from '../../kv/state-store.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { Entry } from '../../omnipaxos/entry.ts';
import type { LogHeld } from '../../wire/client-message.ts';
import { cutsPerMessageMax } from '../../wire/limits.ts';
import type {
  Cuts,
  CutsRequest,
  LogRequest,
  LogSegment,
  PeerPayload,
  SnapshotOffer,
  StateChunk,
  StateRequest,
} from '../../wire/peer-message.ts';
import type { SpaceMeasured } from '../events.ts';
import type { ReplicaSettings } from '../settings.ts';
import { DonorBudget, type DonorLoad } from './donor-budget.ts';
import { KeptPages } from './kept-pages.ts';
import { segmentChecksum } from './segment-checksum.ts';

/** What a donor reads from: the log of this node, as far as it is decided. */
export interface DecidedLog {
  readonly decidedIndex: number;
  readonly trimmedIndex: number;
  /** May end early, once it has `bytesMax`. */
  read(from: number, to: number, bytesMax: number): Entry<Uint8Array>[];
}

/** What takes work to answer. */
export type WorkRequest = LogRequest | CutsRequest | StateRequest;

/** A message for a node that catches up. */
export interface Answer {
  readonly to: NodeId;
  readonly payload: PeerPayload;
}

/** A request that waits for its turn. */
interface Waiting {
  readonly from: NodeId;
  readonly request: WorkRequest;
}

interface OpenSnapshot {
  /** Undefined once nobody needs it any more: only the log behind it is held for them still. */
  snapshot: StateSnapshot | undefined;
  readonly readers: Set<NodeId>;
  /** Those to whom it was offered, or who asked for rows of it, and who may not have it all yet. */
  readonly reading: Set<NodeId>;
  readonly kept: KeptPages;
  /** Since rows of it were read. */
  idleTicks: number;
  /** Since one who has it asked for log behind it. */
  quietTicks: number;
}

/** Nodes that wait until this one comes to an index. */
interface Hold {
  readonly askers: Set<NodeId>;
  ticks: number;
}

/** Most entries read for one segment, whatever their bytes. */
const entriesPerSegmentMax = 8_192;
/** Most rows looked at for cuts in one turn. */
const rowsPerWalkMax = 16_384;
/** Most snapshots held, and most indexes waited for. */
const snapshotsMax = 4;
const holdsMax = 16;
/** Most requests that wait, of all nodes. */
const requestsMax = 256;
/** Ticks that a node waits for an index that this one does not come to. */
const holdTicksMax = 10;

/**
 * Serves newcomers and stragglers: decided entries, and state where the log is trimmed.
 *
 * A snapshot is of exactly the index that was asked for, so that all donors hold the same one and each can give a part of it.
 * What takes work waits for the budget, and is done one piece a turn, so that clients come first.
 */
export class Donor {
  readonly #machine: KvStateMachine;
  readonly #settings: ReplicaSettings;
  readonly #budget: DonorBudget;
  #ticksSinceGiven = Number.POSITIVE_INFINITY;
  readonly #snapshots = new Map<number, OpenSnapshot>();
  readonly #holds = new Map<number, Hold>();
  #nextHold = Number.POSITIVE_INFINITY;
  readonly #requests = new Set<Waiting>();
  /** Who was given something lately, and ticks since that. */
  readonly #takers = new Map<NodeId, number>();

  constructor(machine: KvStateMachine, settings: ReplicaSettings) {
    this.#machine = machine;
    this.#settings = settings;
    this.#budget = new DonorBudget(settings.donorBytesPerTick);
  }

  /** Below this index nothing of the log may be dropped: readers of a snapshot need what follows it. */
  get holdsLogFrom(): number {
    return Math.min(Number.POSITIVE_INFINITY, ...this.#snapshots.keys());
  }

  /** Since something was given to anyone; infinite before that. */
  get ticksSinceGiven(): number {
    return this.#ticksSinceGiven;
  }

  /** True while someone is given state or log. */
  get isGiving(): boolean {
    return this.#ticksSinceGiven < this.#settings.donorTimeoutTicks;
  }

  /** Who keeps the log from being trimmed, if anyone does. */
  get logHeld(): LogHeld | undefined {
    if (this.#snapshots.size === 0) return undefined;
    const readers = new Set([...this.#snapshots.values()].flatMap((open) => [...open.readers]));
    return { fromIndex: this.holdsLogFrom, readers: [...readers].sort((a, b) => a - b) };
  }

  /** The next index to stop at while applying, since a snapshot of it is wanted; infinite if none is. */
  get nextHold(): number {
    return this.#nextHold;
  }

  /** True while requests wait that may be answered now. */
  get hasWork(): boolean {
    return !this.#budget.isSpent && this.#requests.size > 0;
  }

  /** A node wants a snapshot of exactly `index`: the answer, or undefined if it comes later, from `reached` or `tick`. */
  hold(from: NodeId, index: number): SnapshotOffer | undefined {
    const isHere = index === this.#machine.appliedIndex;
    if (isHere) this.holdHere();
    if (this.#snapshots.has(index) || index <= this.#machine.appliedIndex) return this.#offer(from, index);
    const hold = this.#holds.get(index) ?? { askers: new Set<NodeId>(), ticks: 0 };
    if (!this.#holds.has(index) && this.#holds.size >= holdsMax) return this.#offer(from, index);
    hold.askers.add(from);
    this.#holds.set(index, hold);
    this.#nextHold = Math.min(this.#nextHold, index);
    return undefined;
  }

  /** Opens a snapshot of what is applied now, unless there are too many. */
  holdHere(): void {
    const { appliedIndex } = this.#machine;
    const open = this.#snapshots.get(appliedIndex);
    if (open?.snapshot || (!open && !this.#makeRoom())) return;
    const snapshot = this.#machine.openSnapshot();
    this.#snapshots.set(appliedIndex, {
      snapshot,
      readers: open?.readers ?? new Set(),
      reading: new Set(),
      kept: new KeptPages(true),
      idleTicks: 0,
      quietTicks: 0,
    });
  }

  /** To be called whenever entries were applied: answers those who waited for this index, or for one that was passed. */
  reached(): Answer[] {
    const { appliedIndex } = this.#machine;
    const answers: Answer[] = [];
    for (const [index, hold] of this.#holds) {
      if (index > appliedIndex) continue;
      if (index === appliedIndex) this.holdHere();
      answers.push(...this.#release(index, hold));
    }
    return answers;
  }

  /** Takes a request that is answered by `serve`. One that waits already is not taken twice. */
  take(from: NodeId, request: WorkRequest): void {
    if (request.type === 'LogRequest') this.#noticeComplete(from, request.from);
    else this.#snapshots.get(request.index)?.reading.add(from);
    if (this.#requests.size >= requestsMax) return;
    for (const waiting of this.#requests) if (waiting.from === from && isSameRequest(waiting.request, request)) return;
    this.#requests.add({ from, request });
  }

  /** Bytes given since this node began. */
  get givenBytes(): number {
    return this.#budget.spentBytes;
  }

  /** The answer to one request, if one waits and the budget is not spent. */
  serve(log: DecidedLog): Answer | undefined {
    const [first] = this.#requests;
    if (first === undefined || this.#budget.isSpent) return undefined;
    this.#requests.delete(first);
    const { from, request } = first;
    this.#ticksSinceGiven = 0;
    this.#takers.set(from, 0);
    if (request.type === 'StateRequest') this.#snapshots.get(request.index)?.readers.add(from);
    return { to: from, payload: this.#answer(log, request) };
  }

  /**
   * Who asks for log from the index of a snapshot on has that state, or gets there by the log. Once all to whom it was offered do,
   * nothing is gained by keeping it, and much is lost: as long as it is open, the store uses no page again that was freed since.
   */
  #noticeComplete(nodeId: NodeId, logFrom: number): void {
    for (const [index, open] of this.#snapshots) {
      if (index <= logFrom && open.readers.has(nodeId)) open.quietTicks = 0;
      if (index > logFrom || !open.reading.delete(nodeId) || open.reading.size > 0) continue;
      open.snapshot?.close();
      open.snapshot = undefined;
    }
  }

  /** Lets go of snapshots that nobody reads any more, and tells those who wait in vain. */
  tick(load: DonorLoad): Answer[] {
    this.#ticksSinceGiven++;
    for (const [taker, ticks] of this.#takers) {
      if (ticks >= this.#settings.donorTimeoutTicks) this.#takers.delete(taker);
      else this.#takers.set(taker, ticks + 1);
    }
    this.#budget.tick(load, this.#takers.size);
    for (const [index, open] of this.#snapshots) {
      open.idleTicks++;
      open.quietTicks++;
      if (open.idleTicks >= this.#settings.snapshotIdleTicks) this.#close(index, open);
    }
    const answers: Answer[] = [];
    for (const [index, hold] of this.#holds) {
      hold.ticks++;
      if (hold.ticks >= holdTicksMax) answers.push(...this.#release(index, hold));
    }
    return answers;
  }

  /**
   * A write waits for room on the disk. As long as a snapshot is open, the store uses no page again that was freed since, and the log
   * behind it is kept: so those that nobody reads now go at once.
   */
  makeRoomOnDisk(): void {
    for (const [index, open] of this.#snapshots) {
      if (open.idleTicks >= this.#settings.donorTimeoutTicks) this.#close(index, open);
    }
  }

  /** Space is low: log that is held for those who have the state, and ask for no more of it, is held no longer. */
  letGoOfLog(): void {
    for (const [index, open] of this.#snapshots) {
      if (!open.snapshot && open.quietTicks >= this.#settings.donorTimeoutTicks) this.#close(index, open);
    }
  }

  /** Lets go of snapshots that keep too much of the state's file from being used again. Returns who read them: they begin anew. */
  onSpace(measured: SpaceMeasured): NodeId[] {
    const losers: NodeId[] = [];
    for (const [index, open] of this.#snapshots) {
      if (!open.snapshot || !open.kept.isTooMuch(measured)) continue;
      losers.push(...open.reading);
      this.#close(index, open);
    }
    return losers;
  }

  /** A node is gone: it asks again when it is back. */
  forget(nodeId: NodeId): void {
    for (const waiting of this.#requests) if (waiting.from === nodeId) this.#requests.delete(waiting);
  }

  close(): void {
    for (const [index, open] of this.#snapshots) this.#close(index, open);
  }

  #answer(log: DecidedLog, request: WorkRequest): PeerPayload {
    switch (request.type) {
      case 'LogRequest':
        return this.#segment(log, request);
      case 'CutsRequest':
        return this.#cuts(request);
      case 'StateRequest':
        return this.#chunk(request);
    }
  }

  /** Decided entries as asked, as many as fit. */
  #segment(log: DecidedLog, { from, to }: LogRequest): LogSegment {
    const { decidedIndex, trimmedIndex } = log;
    const end = Math.min(to, decidedIndex, from + entriesPerSegmentMax);
    const isHere = from >= trimmedIndex && from < end;
    const entries = isHere ? this.#firstBytes(log.read(from, end, this.#settings.catchUpBytesMax)) : [];
    const checksum = segmentChecksum(from, entries);
    return { type: 'LogSegment', from, entries, checksum, decidedIndex, trimmedIndex };
  }

  #cuts({ index, after, rowsPerCut }: CutsRequest): Cuts {
    const snapshot = this.#read(index);
    const rows = Math.min(Math.max(rowsPerCut, 1), rowsPerWalkMax);
    const rowsMax = Math.min(rowsPerWalkMax, rows * cutsPerMessageMax);
    const { cursors, done } = snapshot?.cuts(after, rows, rowsMax) ?? { cursors: [], done: false };
    return { type: 'Cuts', index, after, cursors, done };
  }

  #chunk({ index, after, upTo }: StateRequest): StateChunk {
    const chunk = this.#read(index)?.readPacked({ after, upTo }, this.#settings.catchUpBytesMax);
    if (chunk) this.#budget.spend(chunk.rows.bytes.length);
    return { type: 'StateChunk', index, after, upTo, chunk };
  }

  #read(index: number): StateSnapshot | undefined {
    const open = this.#snapshots.get(index);
    if (open?.snapshot) open.idleTicks = 0;
    return open?.snapshot;
  }

  #offer(to: NodeId, index: number): SnapshotOffer {
    const snapshot = this.#read(index);
    if (snapshot) this.#snapshots.get(index)?.reading.add(to);
    const { appliedIndex } = this.#machine;
    const { rows, bytes } = snapshot?.size ?? { rows: 0, bytes: 0 };
    return { type: 'SnapshotOffer', index, isHeld: snapshot !== undefined, appliedIndex, rows, bytes };
  }

  #release(index: number, hold: Hold): Answer[] {
    this.#holds.delete(index);
    this.#nextHold = Math.min(Number.POSITIVE_INFINITY, ...this.#holds.keys());
    return [...hold.askers].map((to) => ({ to, payload: this.#offer(to, index) }));
  }

  /** True if one more snapshot may be opened: the one that was read least lately may have to go. */
  #makeRoom(): boolean {
    if (this.#snapshots.size < snapshotsMax) return true;
    const [idlest] = [...this.#snapshots].sort(([, a], [, b]) => b.idleTicks - a.idleTicks);
    if (!idlest || idlest[1].idleTicks < this.#settings.donorTimeoutTicks) return false;
    this.#close(...idlest);
    return true;
  }

  #close(index: number, open: OpenSnapshot): void {
    open.snapshot?.close();
    this.#snapshots.delete(index);
  }

  #firstBytes(entries: Entry<Uint8Array>[]): Entry<Uint8Array>[] {
    const bytesMax = this.#settings.catchUpBytesMax;
    let bytes = 0;
    for (let count = 0; count < entries.length; count++) {
      const entryBytes = bytesOf(entries[count] as Entry<Uint8Array>);
      if (count > 0 && bytes + entryBytes > bytesMax) {
        this.#budget.spend(bytes);
        return entries.slice(0, count);
      }
      bytes += entryBytes;
    }
    this.#budget.spend(bytes);
    return entries;
  }
}

/** What an entry weighs on its way. */
export function bytesOf(entry: Entry<Uint8Array>): number {
  return entry.type === 'Normal' ? entry.entry.length : (entry.stopSign.metadata?.length ?? 0);
}

function isSameRequest(a: WorkRequest, b: WorkRequest): boolean {
  if (a.type === 'LogRequest') return b.type === 'LogRequest' && a.from === b.from;
  if (b.type !== a.type || a.index !== b.index) return false;
  return isSameCursor(a.after, b.after as SnapshotCursor | undefined);
}
