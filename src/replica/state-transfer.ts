import { isSameCursor, rowOverheadBytes } from '../kv/packed-rows.ts';
import type { InstallProgress, RowRange, SnapshotCursor, StateStore } from '../kv/state-store.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { Cuts, PeerPayload, SnapshotOffer, StateChunk } from '../wire/peer-message.ts';
import { Errands } from './errands.ts';
import type { ReplicaSettings } from './settings.ts';

/** A range of rows, asked for as a whole. */
interface Piece extends RowRange {
  isHere: boolean;
}

/** What came of a chunk: `gone` says that the donor does not hold the snapshot any more. */
export type ChunkResult = 'installed' | 'notWanted' | 'bad' | 'gone';

/** Cuts are asked for while fewer pieces than this wait. */
const piecesAhead = 64;
/** Most rows in a piece, however small they are. */
const rowsPerPieceMax = 4_096;
/** How full of rows of the usual size a message is to be. */
const fullPart = 15 / 16;
/** Nothing is asked for while so many bytes wait to be written. */
const backlogBytesMax = 16 * 1024 * 1024;

/**
 * The rows of one snapshot, pulled in pieces from all who hold it. Pieces are installed in whatever order they come: the durable
 * progress is the end of those that came without a gap. The last piece is open at its end, so none is left out.
 */
export class StateTransfer {
  readonly index: number;
  /** About how many bytes there are to come; undefined while no donor has said. */
  readonly bytesTotal: number;
  readonly holders = new Set<NodeId>();
  readonly #state: StateStore;
  readonly #settings: ReplicaSettings;
  readonly #rowsPerCut: number;
  readonly #errands: Errands<Piece>;
  readonly #cutErrands: Errands<'cuts'>;
  /** In order, without gaps; those at the beginning that are here are dropped. */
  #pieces: Piece[] = [];
  /** All rows up to here are installed. */
  #frontier: SnapshotCursor | undefined;
  /** Up to here there are pieces. */
  #cutTo: SnapshotCursor | undefined;
  #isAllCut = false;

  /** Begins, or goes on after `progress` if it is of the same snapshot. */
  constructor(offer: SnapshotOffer, state: StateStore, settings: ReplicaSettings) {
    this.index = offer.index;
    this.bytesTotal = offer.bytes;
    this.#state = state;
    this.#settings = settings;
    this.#rowsPerCut = rowsPerPiece(offer, settings.catchUpBytesMax);
    this.#errands = new Errands(settings.donorTimeoutTicks);
    this.#cutErrands = new Errands(settings.donorTimeoutTicks);
    this.#frontier = beginOrResume(state, offer.index)?.frontier;
    this.#cutTo = this.#frontier;
  }

  get isComplete(): boolean {
    return this.#isAllCut && this.#pieces.length === 0;
  }

  outstandingOf(donor: NodeId): number {
    return this.#errands.countOf(donor) + this.#cutErrands.countOf(donor);
  }

  get outstanding(): number {
    return this.#errands.size;
  }

  /** What to ask `donor` for next, if anything. */
  next(donor: NodeId): PeerPayload | undefined {
    if (!this.holders.has(donor) || this.#state.installBacklogBytes > backlogBytesMax) return undefined;
    const { index } = this;
    if (this.#needsCuts) {
      this.#cutErrands.ask('cuts', donor);
      return { type: 'CutsRequest', index, after: this.#cutTo, rowsPerCut: this.#rowsPerCut };
    }
    const lateTicks = Math.ceil(this.#settings.donorTimeoutTicks / 4);
    const waiting = this.#pieces.find((piece) => !piece.isHere && !this.#errands.has(piece));
    const piece = waiting ?? this.#errands.late(donor, lateTicks);
    if (!piece) return undefined;
    this.#errands.ask(piece, donor);
    return { type: 'StateRequest', index, after: piece.after, upTo: piece.upTo };
  }

  /** False if the donor does not hold the snapshot any more. */
  onCuts({ index, after, cursors, done }: Cuts): boolean {
    if (index !== this.index || this.#isAllCut || !isSameCursor(after, this.#cutTo)) return true;
    if (cursors.length === 0 && !done) return false;
    this.#cutErrands.end('cuts');
    for (const upTo of cursors) this.#add(upTo);
    if (!done) return true;
    this.#add(undefined);
    this.#isAllCut = true;
    return true;
  }

  onChunk(from: NodeId, { index, after, upTo, chunk }: StateChunk): ChunkResult {
    if (index !== this.index) return 'notWanted';
    if (chunk === undefined) return 'gone';
    const at = this.#pieces.findIndex((piece) => isSameCursor(piece.after, after) && isSameCursor(piece.upTo, upTo));
    const piece = this.#pieces[at];
    if (!piece || piece.isHere) return 'notWanted';
    const isWhole = chunk.done || chunk.last === undefined;
    const here: Piece = { after, upTo: isWhole ? upTo : chunk.last, isHere: true };
    const rest: Piece[] = isWhole ? [] : [{ after: chunk.last, upTo, isHere: false }];
    const pieces = this.#pieces.toSpliced(at, 1, here, ...rest);
    const frontier = frontierOf(this.#frontier, pieces);
    if (!this.#state.installPacked(chunk.rows, frontier)) {
      this.#errands.fail(piece, from);
      return 'bad';
    }
    this.#errands.end(piece);
    this.#frontier = frontier;
    this.#pieces = pieces.slice(countHere(pieces));
    return 'installed';
  }

  /** Returns the donors whose time was over. */
  tick(): Set<NodeId> {
    return new Set([...this.#errands.tick(), ...this.#cutErrands.tick()]);
  }

  /** Nothing more is expected of `donor` now. */
  forget(donor: NodeId): void {
    this.#errands.forget(donor);
    this.#cutErrands.forget(donor);
  }

  get #needsCuts(): boolean {
    if (this.#isAllCut || this.#cutErrands.size > 0) return false;
    return this.#pieces.length - this.#errands.size < piecesAhead;
  }

  #add(upTo: SnapshotCursor | undefined): void {
    this.#pieces.push({ after: this.#cutTo, upTo, isHere: false });
    this.#cutTo = upTo;
  }
}

/** Rows of two snapshots must never be mixed: another index means to begin anew. */
function beginOrResume(state: StateStore, index: number): InstallProgress | undefined {
  const progress = state.installProgress;
  if (progress?.index === index) {
    state.resumeInstall();
    return progress;
  }
  state.beginInstall(index);
  return undefined;
}

/**
 * Rows of a piece, so few that it fits into one message although its rows are a little larger than most: what is over comes in a
 * message of its own, which costs both sides almost as much as a full one.
 */
function rowsPerPiece({ rows, bytes }: SnapshotOffer, bytesMax: number): number {
  const rowBytes = bytes / Math.max(1, rows) + rowOverheadBytes;
  return Math.min(rowsPerPieceMax, Math.max(1, Math.floor((bytesMax * fullPart) / rowBytes)));
}

function countHere(pieces: readonly Piece[]): number {
  const count = pieces.findIndex((piece) => !piece.isHere);
  return count < 0 ? pieces.length : count;
}

function frontierOf(before: SnapshotCursor | undefined, pieces: readonly Piece[]): SnapshotCursor | undefined {
  const count = countHere(pieces);
  const last = pieces[count - 1];
  // The last piece of all is open at its end: what comes before it is what can be gone on from.
  return last ? (last.upTo ?? last.after) : before;
}
