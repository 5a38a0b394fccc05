import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';

/** What each of its two halves is to have. V8 lets them become 16, 32 or 64 MiB by itself, one version or another. */
const wantedBytes = 16 * 1024 * 1024;
/** How often its size is looked at once it may not grow any more, milliseconds. */
const periodMs = 250;

/** What of the runtime it needs. */
export interface YoungGenerationHost {
  /** What a half may have now, bytes. */
  capacity(): number;
  /** How many times as much it has once it has grown; 1: it does not grow. */
  setGrowthFactor(factor: number): void;
}

/**
 * Has V8's young generation grow to {@link wantedBytes} at once, instead of doubling, and no further. V8 lets it grow in proportion to what
 * survived in it, and of what a node makes next to nothing does. Each of its collections holds the node up for half a millisecond however
 * small it is, and a cluster has several: with one put in flight they are half of the slowest in a hundred. The price is up to 20 MiB that it
 * takes anyway once much is going on; with halves of 64 MiB it would be 116. For a process that does nothing but run a node: it is a setting
 * of the whole process.
 */
export class YoungGeneration {
  readonly #host: YoungGenerationHost;
  #factor = 0;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(host: YoungGenerationHost = ownHost) {
    this.#host = host;
  }

  /** To be called often: V8 makes it smaller when there is little to do. */
  tick(nowMs: number): void {
    // While it may grow at each tick: once is enough.
    if (this.#factor === 1 && nowMs - this.#lookedAtMs < periodMs) return;
    this.#lookedAtMs = nowMs;
    const factor = Math.max(1, Math.round(wantedBytes / this.#host.capacity()));
    if (factor === this.#factor) return;
    this.#factor = factor;
    this.#host.setGrowthFactor(factor);
  }
}

const ownHost: YoungGenerationHost = {
  capacity() {
    const space = getHeapSpaceStatistics().find(({ space_name }) => space_name === 'new_space');
    // Not its `space_size`: newer versions count there what they have taken so far.
    return space === undefined ? wantedBytes : space.space_used_size + space.space_available_size;
  },
  setGrowthFactor: (factor) => setFlagsFromString(`--semi-space-growth-factor=${factor}`),
};
