import type { DiskStatus } from '../../wire/client-message.ts';

/** Flushes that the percentiles are of: at a thousand a second, the last second; at one a second, the last quarter of an hour. */
const keptMax = 1024;

/** How long the last flushes of the log took. Taking one in makes no garbage: there are thousands a second. */
export class FlushTimes {
  readonly #kept = new Float64Array(keptMax);
  #count = 0;

  add(durationMs: number): void {
    this.#kept[this.#count % keptMax] = durationMs;
    this.#count++;
  }

  /** Sorts what is kept: for whoever asks now and then. */
  status(): DiskStatus {
    const sorted = this.#kept.slice(0, this.#count).sort();
    return { flushP50Ms: percentile(sorted, 50), flushP99Ms: percentile(sorted, 99), flushes: this.#count };
  }
}

/** The least value that `percent` of all do not exceed, to a microsecond. */
function percentile(sorted: Float64Array, percent: number): number | undefined {
  const value = sorted[Math.ceil((sorted.length * percent) / 100) - 1];
  return value === undefined ? undefined : Math.round(value * 1000) / 1000;
}
