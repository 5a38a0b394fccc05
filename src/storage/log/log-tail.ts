import type { Entry } from '../../omnipaxos/entry.ts';

/** What an entry costs in memory beside its bytes; a round guess. */
const entryOverheadBytes = 64;

/** How much of the log stays in memory. Entries that are not durable and decided yet stay whatever the limit is. */
export interface TailLimits {
  readonly entriesMax: number;
  readonly bytesMax: number;
}

/** The recent end of the log in memory: what followers that keep up ask for, and all that is not on disk yet. */
export class LogTail {
  #entries: Entry<Uint8Array>[] = [];
  #from: number;
  #bytes = 0;

  /** An empty tail of a log that ends at `index`. */
  constructor(index: number) {
    this.#from = index;
  }

  /** Index of the first entry in memory. */
  get from(): number {
    return this.#from;
  }

  get end(): number {
    return this.#from + this.#entries.length;
  }

  append(entries: readonly Entry<Uint8Array>[]): void {
    for (const entry of entries) {
      this.#entries.push(entry);
      this.#bytes += entryMemoryBytes(entry);
    }
  }

  /** Adds entries in front, the last of which is right before `from`. */
  prepend(entries: readonly Entry<Uint8Array>[]): void {
    for (const entry of entries) this.#bytes += entryMemoryBytes(entry);
    this.#entries = [...entries, ...this.#entries];
    this.#from -= entries.length;
  }

  /** Drops `index` and above; below the tail leaves it empty there. */
  truncate(index: number): void {
    if (index <= this.#from) {
      this.reset(index);
      return;
    }
    for (let at = index - this.#from; at < this.#entries.length; at++) this.#bytes -= this.#weightAt(at);
    this.#entries.length = index - this.#from;
  }

  /** Drops everything below `index`. */
  dropBelow(index: number): void {
    const count = index - this.#from;
    if (count <= 0) return;
    for (let at = 0; at < count; at++) this.#bytes -= this.#weightAt(at);
    this.#entries.splice(0, count);
    this.#from = index;
  }

  /** Empty, at `index`. */
  reset(index: number): void {
    this.#entries = [];
    this.#bytes = 0;
    this.#from = index;
  }

  /** Makes room once the limits are well exceeded, so that it costs little an entry; keeps what is at `end` and above. */
  evict(limits: TailLimits, end: number): void {
    if (this.#entries.length <= limits.entriesMax * 2 && this.#bytes <= limits.bytesMax * 1.25) return;
    const countMax = Math.min(end - this.#from, this.#entries.length);
    let bytes = this.#bytes;
    let count = 0;
    while (count < countMax && (this.#entries.length - count > limits.entriesMax || bytes > limits.bytesMax)) {
      bytes -= this.#weightAt(count++);
    }
    this.dropBelow(this.#from + count);
  }

  /** Entries `from` to `to`, both within the tail. */
  slice(from: number, to: number): Entry<Uint8Array>[] {
    return this.#entries.slice(from - this.#from, to - this.#from);
  }

  /** Bytes of the entries at `from` and above. */
  sizeFrom(from: number): number {
    let size = 0;
    for (let at = Math.max(from - this.#from, 0); at < this.#entries.length; at++) {
      const entry = this.#entries[at] as Entry<Uint8Array>;
      if (entry.type === 'Normal') size += entry.entry.length;
    }
    return size;
  }

  #weightAt(at: number): number {
    return entryMemoryBytes(this.#entries[at] as Entry<Uint8Array>);
  }
}

/** About how many bytes an entry takes in memory. */
export function entryMemoryBytes(entry: Entry<Uint8Array>): number {
  return entryOverheadBytes + (entry.type === 'Normal' ? entry.entry.length : (entry.stopSign.metadata?.length ?? 0));
}
