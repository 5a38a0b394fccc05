import { isSameCursor, rowOverheadBytes } from '../../kv/packed-rows.ts';
import type { InstallProgress, PackedRows, RowRange, SnapshotCursor, StateStore } from '../../kv/state-store.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { Cuts, PeerPayload, SnapshotOffer, StateChunk } from '../../wire/peer-message.ts';
import type { ReplicaSettings } from '../settings.ts';
import { OutstandingRequests } from './outstanding-requests.ts';

/** A range of rows, asked for as a whole, and its rows once they are here. */
interface Piece extends RowRange {
  readonly received?: { readonly from: NodeId; readonly rows: PackedRows };
}

/** What came of a chunk: `gone` says that the donor does not hold the snapshot any more. */
export type ChunkResult = 'taken' | 'notWanted' | 'gone';

/** Only so many pieces are asked for that follow each other; cuts for more while fewer wait. */
const piecesAhead = 64;
/** Most rows in a piece, however small they are. */
const rowsPerPieceMax = 4_096;
/** How full of rows of the usual size a message is to be. */
const fullPart = 15 / 16;
/** Nothing is asked for while so many bytes wait to be written. */
const backlogBytesMax = 16 * 1024 * 1024;
/** While so many bytes wait for rows that come before them, only those are asked for. */
const gapBytesMax = 16 * 1024 * 1024;

/**
 * The rows of one snapshot, pulled in pieces from all who hold it. Pieces come in whatever order and are installed in that of their
 * rows: a store on disk then fills its pages, and has a third less to write. The last piece is open at its end, so none is left out.
 */
export class StateTransfer {
  readonly index: number;
  /** About how many bytes there are to come, as the first donor said. */
  readonly bytesTotal: number;
  readonly holders = new Set<NodeId>();
  readonly #stateStore: StateStore;
  readonly #settings: ReplicaSettings;
  readonly #rowsPerCut: number;
  readonly #requests: OutstandingRequests<Piece>;
  readonly #cutOutstandingRequests: OutstandingRequests<'cuts'>;
  /** In order, without gaps, from the frontier on. */
  readonly #pieces: Piece[] = [];
  /** Bytes of those that are here. */
  #heldBytes = 0;
  /** Up to here there are pieces. */
  #cutTo: SnapshotCursor | undefined;
  #isAllCut = false;
  /** Some rows were there before. */
  readonly #isResumed: boolean;

  /** Begins, or goes on where an install of the same snapshot was left. */
  constructor(offer: SnapshotOffer, state: StateStore, settings: ReplicaSettings) {
    this.index = offer.index;
    this.bytesTotal = offer.bytes;
    this.#stateStore = state;
    this.#settings = settings;
    this.#rowsPerCut = rowsPerPiece(offer, settings.catchUpBytesMax);
    this.#requests = new OutstandingRequests();
    this.#cutOutstandingRequests = new OutstandingRequests();
    const progress = beginOrResume(state, offer.index);
    this.#isResumed = progress !== undefined;
    this.#cutTo = progress?.frontier;
  }

  get isComplete(): boolean {
    return this.#isAllCut && this.#pieces.length === 0;
  }

  /** The part of the rows, by their bytes, that is written; over 1 if there are more than the first donor said. Undefined where some were there before. */
  get writtenPart(): number | undefined {
    if (this.#isResumed) return undefined;
    return this.#stateStore.installUse.rowBytes / Math.max(1, this.bytesTotal);
  }

  outstandingOf(donor: NodeId): number {
    return this.#requests.countOf(donor) + this.#cutOutstandingRequests.countOf(donor);
  }

  get outstanding(): number {
    return this.#requests.size;
  }

  /** What to ask `donor` for next, if anything. */
  next(donor: NodeId): PeerPayload | undefined {
    if (!this.holders.has(donor) || this.#stateStore.installBacklogBytes > backlogBytesMax) return undefined;
    const { index } = this;
    if (this.#needsCuts) {
      this.#cutOutstandingRequests.ask('cuts', donor);
      return { type: 'CutsRequest', index, after: this.#cutTo, rowsPerCut: this.#rowsPerCut };
    }
    const lateTicks = Math.ceil(this.#settings.donorTimeoutTicks / 4);
    const piece = this.#firstWaiting() ?? this.#requests.late(donor, lateTicks);
    if (!piece) return undefined;
    this.#requests.ask(piece, donor);
    return { type: 'StateRequest', index, after: piece.after, upTo: piece.upTo };
  }

  /** False if the donor does not hold the snapshot any more. */
  onCuts({ index, after, cursors, done }: Cuts): boolean {
    if (index !== this.index || this.#isAllCut || !isSameCursor(after, this.#cutTo)) return true;
    if (cursors.length === 0 && !done) return false;
    this.#cutOutstandingRequests.end('cuts');
    for (const upTo of cursors) this.#add(upTo);
    if (!done) return true;
    this.#add(undefined);
    this.#isAllCut = true;
    return true;
  }

  /** Takes rows that were asked for, whoever gives them; `install` is to follow. What is wanted no more is dropped. */
  onChunk(from: NodeId, { index, after, upTo, chunk }: StateChunk): ChunkResult {
    this.#requests.heard(from);
    this.#cutOutstandingRequests.heard(from);
    if (index !== this.index) return 'notWanted';
    if (chunk === undefined) return 'gone';
    const at = this.#pieces.findIndex((piece) => isSameCursor(piece.after, after) && isSameCursor(piece.upTo, upTo));
    const piece = this.#pieces[at];
    if (!piece || piece.received) return 'notWanted';
    this.#requests.heard(from, piece);
    const isWhole = chunk.done || chunk.last === undefined;
    const here: Piece = { after, upTo: isWhole ? upTo : chunk.last, received: { from, rows: chunk.rows } };
    const rest: Piece[] = isWhole ? [] : [{ after: chunk.last, upTo }];
    this.#pieces.splice(at, 1, here, ...rest);
    this.#heldBytes += chunk.rows.bytes.length;
    this.#requests.end(piece);
    return 'taken';
  }

  /** Installs what has come without a gap. Returns a donor whose rows had a wrong checksum: others are asked for them. */
  install(): NodeId | undefined {
    for (let piece = this.#pieces[0]; piece?.received; piece = this.#pieces[0]) {
      const { after, upTo, received } = piece;
      this.#heldBytes -= received.rows.bytes.length;
      // The last piece of all is open at its end: what comes before it is what can be gone on from.
      if (!this.#stateStore.installPacked(received.rows, upTo ?? after)) {
        this.#pieces[0] = { after, upTo };
        return received.from;
      }
      this.#pieces.shift();
    }
    return undefined;
  }

  /** Returns the donors whose time was over. */
  tick(patienceOf: (donor: NodeId) => number): Set<NodeId> {
    return new Set([...this.#requests.tick(patienceOf), ...this.#cutOutstandingRequests.tick(patienceOf)]);
  }

  windowOf(donor: NodeId): number {
    return this.#requests.windowOf(donor);
  }

  answerTicksOf(donor: NodeId): number {
    return this.#requests.answerTicksOf(donor);
  }

  /** Nothing more is expected of `donor` now. */
  forget(donor: NodeId): void {
    this.#requests.forget(donor);
    this.#cutOutstandingRequests.forget(donor);
  }

  get #needsCuts(): boolean {
    if (this.#isAllCut || this.#cutOutstandingRequests.size > 0) return false;
    return this.#pieces.length - this.#requests.size < piecesAhead;
  }

  #firstWaiting(): Piece | undefined {
    const ahead = this.#heldBytes < gapBytesMax ? piecesAhead : 1;
    for (let at = 0; at < Math.min(ahead, this.#pieces.length); at++) {
      const piece = this.#pieces[at] as Piece;
      if (!piece.received && !this.#requests.has(piece)) return piece;
    }
    return undefined;
  }

  #add(upTo: SnapshotCursor | undefined): void {
    this.#pieces.push({ after: this.#cutTo, upTo });
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
