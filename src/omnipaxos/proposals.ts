import type { NodeId } from './ballot.ts';
import type { Entry } from './entry.ts';

/** Proposals of one node, in its order. */
export interface ProposalChunk<T> {
  from: NodeId;
  entries: Entry<T>[];
}

/** Replaced before anything is added. */
const noEntries: never[] = [];

/** Proposals that wait for a leader, for the end of its prepare phase, or for the turn to end. Bounded by size. */
export class ProposalQueue<T> {
  readonly #sizeOf: (entry: T) => number;
  readonly #sizeMax: number;
  #chunks: ProposalChunk<T>[] = [];
  #size = 0;
  #stopSigns = 0;

  constructor(sizeOf: (entry: T) => number, sizeMax: number) {
    this.#sizeOf = sizeOf;
    this.#sizeMax = sizeMax;
  }

  get isEmpty(): boolean {
    // A lone chunk may be there without entries: it is kept for the next ones.
    const [first] = this.#chunks;
    return first === undefined || (this.#chunks.length === 1 && first.entries.length === 0);
  }

  /** False, and nothing kept, if the queue is full. */
  add(from: NodeId, entry: Entry<T>): boolean {
    if (this.#size >= this.#sizeMax) return false;
    const size = entrySize(entry, this.#sizeOf);
    // Added to others it would turn every limit off.
    if (!(size >= 0)) throw new RangeError(`sizeOf gave ${size} for an entry, it must give a number of at least 0`);
    this.#size += size;
    if (isStopSign(entry)) this.#stopSigns++;
    const last = this.#chunks[this.#chunks.length - 1];
    if (last?.entries.length === 0) {
      last.from = from;
      last.entries = [entry];
    } else if (last?.from === from) last.entries.push(entry);
    else this.#chunks.push({ from, entries: [entry] });
    return true;
  }

  /** Takes out those of the Normal entries of `from` that `isToGo`. */
  withdraw(from: NodeId, isToGo: (entry: T) => boolean): void {
    if (this.isEmpty) return;
    const stays = (entry: Entry<T>) => entry.type === 'StopSign' || !isToGo(entry.entry);
    const chunks = this.#chunks.map((chunk) =>
      chunk.from === from ? { from, entries: chunk.entries.filter(stays) } : chunk,
    );
    this.#chunks = chunks.filter(({ entries }) => entries.length > 0);
    this.#size = this.#chunks.reduce((sum, { entries }) => sum + entriesSize(entries, this.#sizeOf), 0);
  }

  /** Takes out everything. */
  takeAll(): ProposalChunk<T>[] {
    const taken = this.isEmpty ? [] : this.#chunks;
    this.#chunks = [];
    this.#size = 0;
    this.#stopSigns = 0;
    return taken;
  }

  /**
   * Takes entries in order up to `sizeMax`, at least one, ending with the first StopSign:
   * nothing may follow that one into the log.
   */
  take(sizeMax: number): { readonly entries: Entry<T>[]; readonly size: number } {
    const first = this.#chunks[0];
    if (this.#chunks.length === 1 && first && this.#size <= sizeMax && this.#stopSigns === 0) {
      const { entries } = first;
      const size = this.#size;
      first.entries = noEntries;
      this.#size = 0;
      return { entries, size };
    }
    return this.#takeOneByOne(sizeMax);
  }

  #takeOneByOne(sizeMax: number): { entries: Entry<T>[]; size: number } {
    const entries: Entry<T>[] = [];
    let size = 0;
    while (this.#chunks.length > 0) {
      const chunk = this.#chunks[0] as ProposalChunk<T>;
      let taken = 0;
      let stopped = false;
      for (const entry of chunk.entries) {
        const next = entrySize(entry, this.#sizeOf);
        if (stopped || (entries.length > 0 && size + next > sizeMax)) break;
        entries.push(entry);
        size += next;
        taken++;
        stopped = isStopSign(entry);
        if (stopped) this.#stopSigns--;
      }
      if (taken < chunk.entries.length) {
        chunk.entries.splice(0, taken);
        break;
      }
      this.#chunks.shift();
      if (stopped) break;
    }
    this.#size -= size;
    return { entries, size };
  }
}

/** Size of an entry; a StopSign counts as one, it is always alone. */
export function entrySize<T>(entry: Entry<T>, sizeOf: (entry: T) => number): number {
  return entry.type === 'Normal' ? sizeOf(entry.entry) : 1;
}

/** Sum of the sizes of `entries`. */
export function entriesSize<T>(entries: readonly Entry<T>[], sizeOf: (entry: T) => number): number {
  let size = 0;
  for (const entry of entries) size += entrySize(entry, sizeOf);
  return size;
}

function isStopSign<T>(entry: Entry<T>): boolean {
  return entry.type === 'StopSign';
}
