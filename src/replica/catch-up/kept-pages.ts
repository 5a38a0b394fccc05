import type { SpaceMeasured } from '../events.ts';

const mebibyte = 1024 * 1024;
/** No more than half of what is left of the space is kept for a snapshot, but so much in any case. */
const keptBytesMin = 32 * mebibyte;
/** And for a node that takes it, which may begin anew, no more than this, or twice what is in use. */
const keptForNodesMax = 4096 * mebibyte;

/**
 * How much of the state's file a snapshot keeps from being used again. As long as one is open, the store uses no page that was freed since,
 * and its file grows with every change: a reader that is slow, or hangs, must not fill the disk.
 */
export class KeptPages {
  readonly #isForNode: boolean;
  #freeBytesBefore: number | undefined;

  /** `isForNode`: else it is for a person, who waits for a backup. */
  constructor(isForNode: boolean) {
    this.#isForNode = isForNode;
  }

  /** To be called whenever space was measured while the snapshot is open. True if it is to be let go of. */
  isTooMuch({ usedBytes, capacityBytes, stateFreeBytes }: SpaceMeasured): boolean {
    if (stateFreeBytes === undefined) return false;
    this.#freeBytesBefore ??= stateFreeBytes;
    const left = Math.max(keptBytesMin, (capacityBytes - usedBytes) / 2);
    const keptMax = this.#isForNode ? Math.min(Math.max(keptForNodesMax, 2 * usedBytes), left) : left;
    return stateFreeBytes - this.#freeBytesBefore > keptMax;
  }
}
