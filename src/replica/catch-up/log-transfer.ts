import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { Entry } from '../../omnipaxos/entry.ts';
import type { LogRequest, LogSegment } from '../../wire/peer-message.ts';
import type { ReplicaSettings } from '../settings.ts';
import { bytesOf } from './donor.ts';
import type { Standing } from './donors.ts';
import { OutstandingRequests } from './outstanding-requests.ts';
import { segmentChecksum } from './segment-checksum.ts';

/** Where decided entries and state go. An `OmniPaxos`, or the bare log of a node that does not vote yet. */
export interface DecidedSink {
  readonly decidedIndex: number;
  installDecided(from: number, entries: readonly Entry<Uint8Array>[]): void;
  installState(index: number): void;
}

/** Entries from `from` up to `to`, asked for as a whole; `entries` once they are here and wait for those before them. */
interface Piece {
  readonly from: number;
  readonly to: number;
  entries: readonly Entry<Uint8Array>[] | undefined;
}

/** `empty`: the donor has nothing of it. */
export type SegmentResult = 'taken' | 'notWanted' | 'bad' | 'empty';

/** Most entries in a piece, however small they are. */
const entriesPerPieceMax = 8_192;
/** Most pieces asked for or waiting for those before them. */
const piecesMax = 64;
/** Most bytes of entries that wait for those before them. */
const waitingBytesMax = 8 * 1024 * 1024;

/**
 * Decided entries, pulled in pieces from all who have them, and put into the log in order. The window of pieces out of order is
 * bounded; the last piece is whatever is left, however small.
 */
export class LogTransfer {
  readonly #sink: DecidedSink;
  readonly #settings: ReplicaSettings;
  readonly #requests: OutstandingRequests<Piece>;
  /** In order, without gaps, from the decided index on. */
  #pieces: Piece[] = [];
  #waitingBytes = 0;
  /** How many entries fit into a message, as far as is known. */
  #entriesPerPiece = entriesPerPieceMax;
  #isSealed = false;

  constructor(sink: DecidedSink, settings: ReplicaSettings) {
    this.#sink = sink;
    this.#settings = settings;
    this.#requests = new OutstandingRequests();
  }

  outstandingOf(donor: NodeId): number {
    return this.#requests.countOf(donor);
  }

  get outstanding(): number {
    return this.#requests.size;
  }

  /** What to ask `donor` for next, if it has anything of the entries up to `end`. */
  next(donor: NodeId, standing: Standing, end: number): LogRequest | undefined {
    if (this.#isSealed) return undefined;
    this.#dropDecided();
    const has = (from: number): boolean => standing.trimmedIndex <= from && from < standing.decidedIndex;
    const piece = this.#waitingPiece(has) ?? this.#newPiece(has, end) ?? this.#latePiece(donor, has);
    if (!piece) return undefined;
    this.#requests.ask(piece, donor);
    return { type: 'LogRequest', from: piece.from, to: piece.to };
  }

  /** Takes a segment, if it was asked for and is what the donor sent. */
  onSegment(from: NodeId, segment: LogSegment): SegmentResult {
    this.#requests.heard(from);
    const at = this.#pieces.findIndex((piece) => piece.from === segment.from && !piece.entries);
    const piece = this.#pieces[at];
    if (!piece) return 'notWanted';
    this.#requests.heard(from, piece);
    const result = this.#judge(piece, segment);
    if (result !== 'taken') {
      this.#requests.fail(piece, from);
      return result;
    }
    this.#requests.end(piece);
    const { entries } = segment;
    const end = piece.from + entries.length;
    const here: Piece = { from: piece.from, to: end, entries };
    const rest: Piece[] = end < piece.to ? [{ from: end, to: piece.to, entries: undefined }] : [];
    this.#pieces.splice(at, 1, here, ...rest);
    this.#waitingBytes += bytesOfAll(entries);
    this.#entriesPerPiece =
      rest.length > 0
        ? entries.length
        : Math.min(entriesPerPieceMax, Math.max(this.#entriesPerPiece, 2 * entries.length));
    return 'taken';
  }

  /**
   * Puts what is here into the log, up to the first gap. What lies behind a StopSign is for those who have entered the
   * configuration that it opens: nothing goes in behind one that opens a later one than `knownConfigurationId`.
   */
  install(knownConfigurationId: number): void {
    this.#dropDecided();
    while (!this.#isSealed) {
      const [piece] = this.#pieces;
      if (!piece?.entries || piece.from > this.#sink.decidedIndex) return;
      const entries = upToStopSign(piece.entries, knownConfigurationId);
      this.#isSealed = entries.length < piece.entries.length || endsUnknown(entries, knownConfigurationId);
      this.#sink.installDecided(piece.from, entries);
      this.#dropFirst();
    }
  }

  /** Returns the donors whose time was over. */
  tick(patienceOf: (donor: NodeId) => number): Set<NodeId> {
    return this.#requests.tick(patienceOf);
  }

  /** Nothing more is expected of `donor` now. */
  forget(donor: NodeId): void {
    this.#requests.forget(donor);
  }

  windowOf(donor: NodeId): number {
    return this.#requests.windowOf(donor);
  }

  answerTicksOf(donor: NodeId): number {
    return this.#requests.answerTicksOf(donor);
  }

  #judge(piece: Piece, { from, entries, checksum }: LogSegment): SegmentResult {
    if (segmentChecksum(from, entries) !== checksum) return 'bad';
    if (entries.length === 0) return 'empty';
    return entries.length <= piece.to - piece.from ? 'taken' : 'notWanted';
  }

  #waitingPiece(has: (from: number) => boolean): Piece | undefined {
    const at = this.#pieces.findIndex((piece) => !piece.entries && !this.#requests.has(piece) && has(piece.from));
    const piece = this.#pieces[at];
    if (!piece || piece.to - piece.from <= this.#entriesPerPiece) return piece;
    const middle = piece.from + this.#entriesPerPiece;
    const first: Piece = { from: piece.from, to: middle, entries: undefined };
    this.#pieces.splice(at, 1, first, { from: middle, to: piece.to, entries: undefined });
    return first;
  }

  #newPiece(has: (from: number) => boolean, end: number): Piece | undefined {
    const from = this.#pieces.at(-1)?.to ?? this.#sink.decidedIndex;
    const isFull = this.#pieces.length >= piecesMax || this.#waitingBytes >= waitingBytesMax;
    if (from >= end || isFull || !has(from)) return undefined;
    const piece: Piece = { from, to: Math.min(end, from + this.#entriesPerPiece), entries: undefined };
    this.#pieces.push(piece);
    return piece;
  }

  #latePiece(donor: NodeId, has: (from: number) => boolean): Piece | undefined {
    const piece = this.#requests.late(donor, Math.ceil(this.#settings.donorTimeoutTicks / 4));
    return piece && has(piece.from) ? piece : undefined;
  }

  /** The log may have grown by itself. */
  #dropDecided(): void {
    while (this.#pieces[0] && this.#pieces[0].to <= this.#sink.decidedIndex) this.#dropFirst();
  }

  #dropFirst(): void {
    const piece = this.#pieces.shift();
    if (!piece) return;
    this.#requests.end(piece);
    if (piece.entries) this.#waitingBytes -= bytesOfAll(piece.entries);
  }
}

function upToStopSign(entries: readonly Entry<Uint8Array>[], known: number): readonly Entry<Uint8Array>[] {
  const at = entries.findIndex((entry) => isUnknownStopSign(entry, known));
  return at < 0 ? entries : entries.slice(0, at + 1);
}

function endsUnknown(entries: readonly Entry<Uint8Array>[], known: number): boolean {
  const last = entries.at(-1);
  return last !== undefined && isUnknownStopSign(last, known);
}

function isUnknownStopSign(entry: Entry<Uint8Array>, known: number): boolean {
  return entry.type === 'StopSign' && entry.stopSign.configId > known;
}

function bytesOfAll(entries: readonly Entry<Uint8Array>[]): number {
  let bytes = 0;
  for (const entry of entries) bytes += bytesOf(entry);
  return bytes;
}
