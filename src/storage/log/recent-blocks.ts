import type { Entry } from '../../omnipaxos/entry.ts';

/** Each of those who catch up reads at a place of its own, and has a piece of a block at a time. */
const blocksMax = 4;
/** Beside the one block that was read last, which may be larger. */
const bytesMax = 8 * 1024 * 1024;

/** The blocks of the log that were read from disk last. */
export class RecentBlocks {
  /** By first index, the one that was wanted last at the end. */
  readonly #blocks = new Map<number, { readonly entries: Entry<Uint8Array>[]; readonly bytes: number }>();
  #bytes = 0;

  /** The entries of the block that begins at `firstIndex`, if it is among them. */
  get(firstIndex: number): Entry<Uint8Array>[] | undefined {
    const block = this.#blocks.get(firstIndex);
    if (block === undefined) return undefined;
    this.#blocks.delete(firstIndex);
    this.#blocks.set(firstIndex, block);
    return block.entries;
  }

  /** Takes one in that is not among them, of `bytes` on disk; others go for it. */
  add(firstIndex: number, entries: Entry<Uint8Array>[], bytes: number): void {
    for (const [first, oldest] of this.#blocks) {
      if (this.#blocks.size < blocksMax && this.#bytes + bytes <= bytesMax) break;
      this.#blocks.delete(first);
      this.#bytes -= oldest.bytes;
    }
    this.#blocks.set(firstIndex, { entries, bytes });
    this.#bytes += bytes;
  }

  clear(): void {
    this.#blocks.clear();
    this.#bytes = 0;
  }
}
