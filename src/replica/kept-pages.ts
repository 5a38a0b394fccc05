import type { SpaceMeasured } from './events.ts';

const mebibyte = 1024 * 1024;
/** A snapshot may keep so much of the state's file from being used again, or as much as is in use if that is more, … */
const keptBytesAmple = 1024 * mebibyte;
/** … but no more than half of what is left of the space, which is never taken for less than this. */
const keptBytesMin = 32 * mebibyte;

/**
 * How much of the state's file a snapshot keeps from being used again. As long as one is open, the store uses no page that was freed since,
 * and its file grows with every change: a reader that is slow, or hangs, must not fill the disk.
 */
export class KeptPages {
  #freeBytesBefore: number | undefined;

  /** To be called whenever space was measured while the snapshot is open. True if it is to be let go of. */
  isTooMuch({ usedBytes, capacityBytes, stateFreeBytes }: SpaceMeasured): boolean {
    if (stateFreeBytes === undefined) return false;
    this.#freeBytesBefore ??= stateFreeBytes;
    const left = Math.max(keptBytesMin, (capacityBytes - usedBytes) / 2);
    return stateFreeBytes - this.#freeBytesBefore > Math.min(Math.max(keptBytesAmple, usedBytes), left);
  }
}
