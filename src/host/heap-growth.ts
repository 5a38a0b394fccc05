import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';

/**
 * By how many percent of what is alive V8's heap may usually grow before its old generation is collected. V8 goes by the size of its own
 * heap; what received frames hold outside of that is several times as much, and stays until the few bytes of each that are inside are
 * collected: so by little.
 */
const growthPercentLow = 70;
/** The same while so much comes in that a process would do little else than collect. */
const growthPercentHigh = 300;

/**
 * From how many percent of that growth on V8 marks what is alive. A small heap may grow by 8 MB whatever the growth says, which is most of
 * what is alive, and where little gets old a minute passes between two collections: so marking begins early after some time without any.
 */
const markingPercentEarly = 20;
/** V8 decides. */
const markingPercentDefault = 0;
/** Without a collection for so long, milliseconds, marking is to begin early. */
const quietMsMax = 2_500;

/** Over how long collections are counted, milliseconds. */
const periodMs = 2_000;
/** So many collections in a period are too many: the heap is to grow by more, and is collected a fifth as often then. */
const collectionsMax = 4;
/** With so few in a period the heap need not grow by more. */
const collectionsCalmMax = 0;
/**
 * A load that needs a large heap is calm with it, too, and each trial of a small one costs a burst of collections. So after each that failed
 * twice as many calm periods must pass before the next, up to so many; after as many calm ones with a small heap all is forgotten.
 */
const calmPeriodsMax = 16;

/** What of the runtime it needs. */
export interface HeapHost {
  /** How often the old generation was collected since the last call. */
  collections(): number;
  setGrowth(percent: number): void;
  /** From how many percent of that growth on what is alive is marked, for the next collection; 0: the runtime decides. */
  setMarking(percent: number): void;
}

/** How far the heap of this process may grow. For one that does nothing but run a node: V8 has it as a setting of the whole process. */
export class HeapGrowth {
  readonly #host: HeapHost;
  #growth: number | undefined;
  #marking = markingPercentDefault;
  #sinceMs = 0;
  /** In the present period. */
  #collections = 0;
  #collectedMs = 0;
  /** Periods in a row with few collections, and how many it takes to try a small heap again. */
  #calmPeriods = 0;
  #calmPeriodsWanted = 1;

  constructor(host: HeapHost = ownHost()) {
    this.#host = host;
  }

  /** To be called often. `isBackground`: this process does nothing but catch up, and receives a lot. */
  tick(isBackground: boolean, nowMs: number): void {
    if (isBackground) this.#set(growthPercentHigh);
    else if (this.#growth === undefined) this.#set(growthPercentLow);
    const collected = this.#host.collections();
    if (collected > 0 || isBackground) this.#collectedMs = nowMs;
    this.#mark(nowMs - this.#collectedMs < quietMsMax ? markingPercentDefault : markingPercentEarly);
    this.#collections += collected;
    const hasFailed = this.#growth === growthPercentLow && this.#collections >= collectionsMax;
    if (!hasFailed && nowMs - this.#sinceMs < periodMs) return;
    const isCalm = this.#collections <= collectionsCalmMax;
    this.#sinceMs = nowMs;
    this.#collections = 0;
    if (isBackground) return;
    this.#calmPeriods = isCalm ? this.#calmPeriods + 1 : 0;
    if (hasFailed) this.#set(growthPercentHigh);
    else if (this.#growth === growthPercentHigh) this.#trySmallHeap();
    else if (this.#calmPeriods >= calmPeriodsMax) this.#calmPeriodsWanted = 1;
  }

  #trySmallHeap(): void {
    if (this.#calmPeriods < this.#calmPeriodsWanted) return;
    this.#calmPeriods = 0;
    this.#calmPeriodsWanted = Math.min(calmPeriodsMax, 2 * this.#calmPeriodsWanted);
    this.#set(growthPercentLow);
  }

  #mark(percent: number): void {
    if (percent === this.#marking) return;
    this.#marking = percent;
    this.#host.setMarking(percent);
  }

  #set(percent: number): void {
    if (percent === this.#growth) return;
    this.#growth = percent;
    this.#host.setGrowth(percent);
  }
}

function ownHost(): HeapHost {
  let count = 0;
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries() as (PerformanceEntry & { readonly detail?: { readonly kind: number } })[]) {
      if (entry.detail?.kind === constants.NODE_PERFORMANCE_GC_MAJOR) count++;
    }
  });
  observer.observe({ entryTypes: ['gc'] });
  return {
    collections() {
      const collected = count;
      count = 0;
      return collected;
    },
    setGrowth: (percent) => setFlagsFromString(`--heap-growing-percent=${percent}`),
    setMarking: (percent) => setFlagsFromString(`--incremental-marking-soft-trigger=${percent}`),
  };
}
