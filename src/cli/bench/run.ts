import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fill } from './fill.ts';
import { KeySpace } from './key-space.ts';
import { type BenchClient, Load } from './load.ts';
import { Latencies, type LatencySummary, Meter, type OperationKind } from './meter.ts';
import type { BenchPlan } from './plan.ts';

/** What a run needs of the world. */
export interface BenchSurroundings {
  readonly endpoints: readonly string[];
  /** Connects a client whose first endpoint is the one to ask, and the others where to go if it is lost. */
  readonly connect: (endpoints: readonly string[]) => Promise<BenchClient>;
  /** Ends the run early; what was measured counts. */
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: BenchProgress) => void;
  /** Called in the very moment at which the window of the measurement begins and ends. */
  readonly onWindow?: (moment: 'begin' | 'end') => void;
}

/** About once a second. */
export type BenchProgress =
  | { readonly phase: 'fill'; readonly done: number; readonly keys: number }
  | {
      readonly phase: 'load';
      /** Since the window began. */
      readonly seconds: number;
      readonly operationsPerSecond: number;
      readonly latency: LatencySummary;
      readonly errorCount: number;
    };

/** What was measured of one kind of operation, or of all. */
export interface BenchFigures {
  /** That succeeded within the window. */
  readonly operations: number;
  readonly operationsPerSecond: number;
  /** Milliseconds. */
  readonly latencyMs: LatencySummary;
}

export interface BenchResult {
  /** Length of the window, which is shorter than planned if the run was interrupted. */
  readonly seconds: number;
  readonly isInterrupted: boolean;
  readonly total: BenchFigures;
  readonly kinds: readonly (BenchFigures & { readonly kind: OperationKind })[];
  /** Gets that found no such key. */
  readonly missing: number;
  /** Error code → how many. */
  readonly errors: ReadonlyMap<string, number>;
  readonly lastError: Error | undefined;
  /** Operations of an open loop that should have begun in time, and could not since too many were in flight. */
  readonly notStarted: number;
  /** CPU time of this process in the window: near its length, this process was the bottleneck. */
  readonly cpuSeconds: number;
}

const progressMs = 1000;

/** Runs a load and measures it. Rejects with a KvError if no node can be reached or the keys cannot be filled in. */
export async function runBench(plan: BenchPlan, surroundings: BenchSurroundings): Promise<BenchResult> {
  const clients = await connectAll(plan.clients, surroundings);
  try {
    const keySpace = new KeySpace(plan.keys, plan.keyBytes, randomBytes(4).readInt32LE());
    // Noise, so that nothing on the way can make it small.
    const value = new Uint8Array(randomBytes(plan.valueBytes));
    if (plan.isFilled) await fill(clients, keySpace, value, surroundings.signal, fillProgress(plan, surroundings));
    return await measure(plan, clients, keySpace, value, surroundings);
  } finally {
    await Promise.all(clients.map((client) => client.close()));
  }
}

async function connectAll(count: number, { endpoints, connect }: BenchSurroundings): Promise<BenchClient[]> {
  const rotated = (by: number) => [...endpoints.slice(by), ...endpoints.slice(0, by)];
  const connecting = Array.from({ length: count }, (_, number) => connect(rotated(number % endpoints.length)));
  const results = await Promise.allSettled(connecting);
  const failed = results.find((result) => result.status === 'rejected');
  const clients = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  if (failed === undefined) return clients;
  await Promise.all(clients.map((client) => client.close()));
  throw failed.reason;
}

function fillProgress({ keys }: BenchPlan, { onProgress }: BenchSurroundings): (done: number) => void {
  let dueMs = performance.now() + progressMs;
  return (done) => {
    if (done % 256 !== 0 || performance.now() < dueMs) return;
    dueMs = performance.now() + progressMs;
    onProgress?.({ phase: 'fill', done, keys });
  };
}

async function measure(
  plan: BenchPlan,
  clients: readonly BenchClient[],
  keySpace: KeySpace,
  value: Uint8Array,
  surroundings: BenchSurroundings,
): Promise<BenchResult> {
  const meter = new Meter();
  const defect = new AbortController();
  const load = new Load({
    ...plan,
    clients,
    keySpace,
    value,
    meter,
    onDefect: (error) => defect.abort(error),
  });
  const ended = AbortSignal.any([surroundings.signal, defect.signal]);
  if (!ended.aborted) load.start();
  await pause(plan.warmUpMs, ended);
  const window = new Window(meter, surroundings);
  await pause(plan.durationMs, ended);
  const isInterrupted = ended.aborted;
  const { seconds, cpuSeconds } = window.end();
  const notStarted = load.overdue;
  await load.stop();
  if (defect.signal.aborted) throw defect.signal.reason;
  return { seconds, cpuSeconds, isInterrupted, notStarted, ...figuresOf(meter, seconds, plan) };
}

/** The time in which operations count. */
class Window {
  readonly #meter: Meter;
  readonly #surroundings: BenchSurroundings;
  readonly #cpu: NodeJS.CpuUsage;
  readonly #startedMs: number;
  readonly #ticker: NodeJS.Timeout;
  #shownMs: number;

  constructor(meter: Meter, surroundings: BenchSurroundings) {
    this.#meter = meter;
    this.#surroundings = surroundings;
    surroundings.onWindow?.('begin');
    meter.begin();
    this.#cpu = process.cpuUsage();
    this.#startedMs = performance.now();
    this.#shownMs = this.#startedMs;
    this.#ticker = setInterval(() => this.#show(), progressMs);
  }

  end(): { readonly seconds: number; readonly cpuSeconds: number } {
    const { user, system } = process.cpuUsage(this.#cpu);
    const seconds = (performance.now() - this.#startedMs) / 1000;
    this.#meter.end();
    this.#surroundings.onWindow?.('end');
    clearInterval(this.#ticker);
    return { seconds, cpuSeconds: (user + system) / 1e6 };
  }

  #show(): void {
    const nowMs = performance.now();
    const { operations, latency, errorCount } = this.#meter.interval();
    const operationsPerSecond = (operations * 1000) / (nowMs - this.#shownMs);
    this.#shownMs = nowMs;
    const seconds = (nowMs - this.#startedMs) / 1000;
    this.#surroundings.onProgress?.({ phase: 'load', seconds, operationsPerSecond, latency, errorCount });
  }
}

function figuresOf(
  meter: Meter,
  seconds: number,
  { readShare }: BenchPlan,
): Pick<BenchResult, 'total' | 'kinds' | 'missing' | 'errors' | 'lastError'> {
  const all = new Latencies();
  let operations = 0;
  const kinds: OperationKind[] = [
    ...(readShare < 1 ? ['put' as const] : []),
    ...(readShare > 0 ? ['get' as const] : []),
  ];
  const measured = kinds.map((kind) => {
    const measurement = meter.measurement(kind);
    all.add(measurement.latencies);
    operations += measurement.operations;
    return { kind, ...figures(measurement.operations, seconds, measurement.latencies) };
  });
  const { missing, errors, lastError } = meter;
  return { total: figures(operations, seconds, all), kinds: measured, missing, errors, lastError };
}

function figures(operations: number, seconds: number, latencies: Latencies): BenchFigures {
  const operationsPerSecond = seconds > 0 ? operations / seconds : 0;
  return { operations, operationsPerSecond, latencyMs: latencies.summary() };
}

/** Waits so long, or until `signal` is aborted. */
async function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  if (durationMs === 0 || signal.aborted) return;
  const isAborted = () => signal.aborted;
  await delay(durationMs, undefined, { signal }).catch((error: unknown) => {
    if (!isAborted()) throw error;
  });
}
