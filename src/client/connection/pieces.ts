import { fragmentsPerFrameMax } from '../../wire/limits.ts';
import { bytesPerMsMin } from './liveness.ts';

/** A larger frame goes out in pieces of so much, or of more where they would be too many. */
const pieceBytesMin = 64 * 1024;

/** The pieces in which a frame goes out, in order: more than one for a large frame. */
export function piecesOf(frame: Uint8Array): readonly Uint8Array[] {
  const count = Math.min(fragmentsPerFrameMax, Math.ceil(frame.length / pieceBytesMin));
  if (count <= 1) return [frame];
  const bytes = Math.ceil(frame.length / count);
  return Array.from({ length: count }, (_, at) => frame.subarray(at * bytes, (at + 1) * bytes));
}

interface Piece {
  readonly bytes: number;
  readonly isLast: boolean;
  /** When its frame was sent. */
  readonly sentMs: number;
}

/** Pieces of large frames from when they are sent until the node says that they came, which it does in that order. */
export class PiecesUnderWay {
  readonly #pieces: Piece[] = [];
  /** When one came last. */
  cameMs = 0;

  add(pieces: readonly Uint8Array[], sentMs: number): void {
    for (const [at, { length }] of pieces.entries()) {
      this.#pieces.push({ bytes: length, isLast: at === pieces.length - 1, sentMs });
    }
  }

  /** The node has the oldest one. If it has a whole frame with that: when that frame was sent. */
  takeOldest(nowMs: number): number | undefined {
    this.cameMs = nowMs;
    const piece = this.#pieces.shift();
    return piece?.isLast ? piece.sentMs : undefined;
  }

  /** True if what was sent then is in one of them, or behind one. */
  has(sentMs: number): boolean {
    const [oldest] = this.#pieces;
    return oldest !== undefined && oldest.sentMs <= sentMs;
  }

  /** How long the oldest one may take on a slow way. */
  get oldestMs(): number {
    return (this.#pieces[0]?.bytes ?? 0) / bytesPerMsMin;
  }
}
