import { build, type Histogram } from 'hdr-histogram-js';

/** Longest time that is told apart, microseconds: two hours. What takes longer counts as this. */
const latencyUsMax = 2 * 60 * 60 * 1_000_000;

/** Latencies with three significant digits, however far apart they are. Milliseconds outside, microseconds inside. */
export class Latencies {
  readonly #histogram: Histogram = build({
    bitBucketSize: 32,
    lowestDiscernibleValue: 1,
    highestTrackableValue: latencyUsMax,
    numberOfSignificantValueDigits: 3,
  });

  get count(): number {
    return this.#histogram.totalCount;
  }

  record(latencyMs: number): void {
    const latencyUs = Math.round(latencyMs * 1000);
    this.#histogram.recordValue(latencyUs > latencyUsMax ? latencyUsMax : latencyUs);
  }

  add(other: Latencies): void {
    // The library takes the smallest and largest value of an empty histogram for real ones.
    if (other.count > 0) this.#histogram.add(other.#histogram);
  }

  clear(): void {
    this.#histogram.reset();
  }

  summary(): LatencySummary {
    const ms = (latencyUs: number) => (this.count === 0 ? 0 : latencyUs / 1000);
    const { maxValue } = this.#histogram;
    // A percentile is the upper end of what is not told apart, which may lie above the largest value.
    const at = (percentile: number) => ms(Math.min(this.#histogram.getValueAtPercentile(percentile), maxValue));
    return {
      mean: ms(this.#histogram.mean),
      p50: at(50),
      p90: at(90),
      p99: at(99),
      p999: at(99.9),
      max: ms(maxValue),
    };
  }
}

/** Milliseconds; all 0 if there is nothing to sum up. */
export interface LatencySummary {
  readonly mean: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Of which kind an operation is. */
export type OperationKind = 'put' | 'get';

/** What was measured of one kind of operation. */
export interface KindMeasurement {
  /** Operations that succeeded within the window. */
  readonly operations: number;
  readonly latencies: Latencies;
}

/** The last moment, for the live line. */
export interface Interval {
  readonly operations: number;
  readonly latency: LatencySummary;
  /** Since the window began. */
  readonly errorCount: number;
}

/**
 * Counts and times what is settled in the window of a measurement.
 *
 * The rate counts what succeeded between its begin and its end. What was in flight at the end is waited for and adds to
 * latencies and errors, else the slowest of all would be left out.
 */
export class Meter {
  readonly errors = new Map<string, number>();
  /** Gets that found no such key. */
  missing = 0;
  lastError: Error | undefined;
  readonly #kinds = { put: new Tally(), get: new Tally() };
  #phase: 'before' | 'window' | 'after' = 'before';
  #intervalOperations = 0;

  begin(): void {
    this.#phase = 'window';
  }

  end(): void {
    this.#phase = 'after';
  }

  succeeded(kind: OperationKind, latencyMs: number): void {
    if (this.#phase === 'before') return;
    const tally = this.#kinds[kind];
    tally.recent.record(latencyMs);
    if (this.#phase === 'window') tally.operations++;
  }

  found(isFound: boolean): void {
    if (!isFound && this.#phase !== 'before') this.missing++;
  }

  failed(code: string, error: Error): void {
    if (this.#phase === 'before') return;
    this.errors.set(code, (this.errors.get(code) ?? 0) + 1);
    this.lastError = error;
  }

  /** What came since the last call of this. */
  interval(): Interval {
    const latencies = new Latencies();
    for (const { recent } of Object.values(this.#kinds)) latencies.add(recent);
    for (const tally of Object.values(this.#kinds)) tally.gather();
    const { put, get } = this.#kinds;
    const operations = put.operations + get.operations - this.#intervalOperations;
    this.#intervalOperations += operations;
    return { operations, latency: latencies.summary(), errorCount: sum(this.errors.values()) };
  }

  measurement(kind: OperationKind): KindMeasurement {
    const tally = this.#kinds[kind];
    tally.gather();
    return { operations: tally.operations, latencies: tally.all };
  }
}

class Tally {
  operations = 0;
  /** Since the last interval: each latency is recorded once, and merged into `all` now and then. */
  readonly recent = new Latencies();
  readonly all = new Latencies();

  gather(): void {
    this.all.add(this.recent);
    this.recent.clear();
  }
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
