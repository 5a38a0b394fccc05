import { describe, expect, test } from 'vitest';
import type { BenchClient } from '../../../src/cli/bench/load.ts';
import type { BenchPlan } from '../../../src/cli/bench/plan.ts';
import { benchJson, reportLines } from '../../../src/cli/bench/report.ts';
import { type BenchSurroundings, runBench } from '../../../src/cli/bench/run.ts';
import { KvError } from '../../../src/client/call/errors.ts';

/** Answers each operation after a while, from a map, and watches how many are in flight. */
class FakeCluster implements BenchClient {
  readonly keys = new Set<string>();
  readonly firstEndpoints: string[] = [];
  readonly consistencies = new Set<string>();
  latencyMs = 0;
  inFlight = 0;
  inFlightMost = 0;
  puts = 0;
  gets = 0;
  open = 0;
  failure: (() => Error | undefined) | undefined;

  readonly connect = async (endpoints: readonly string[]): Promise<BenchClient> => {
    this.open++;
    this.firstEndpoints.push(String(endpoints[0]));
    return this;
  };

  put(key: Uint8Array, value: Uint8Array): Promise<unknown> {
    expect(value.length).toBe(100);
    this.puts++;
    this.keys.add(text(key));
    return this.#answer({ revision: this.puts });
  }

  get(key: Uint8Array, { consistency }: { readonly consistency: string }): Promise<unknown> {
    this.gets++;
    this.consistencies.add(consistency);
    return this.#answer(this.keys.has(text(key)) ? {} : undefined);
  }

  async close(): Promise<void> {
    this.open--;
  }

  #answer(result: unknown): Promise<unknown> {
    this.inFlight++;
    this.inFlightMost = Math.max(this.inFlightMost, this.inFlight);
    return new Promise((resolve, reject) => {
      const settle = () => {
        this.inFlight--;
        const failure = this.failure?.();
        if (failure === undefined) resolve(result);
        else reject(failure);
      };
      if (this.latencyMs === 0) setImmediate(settle);
      else setTimeout(settle, this.latencyMs);
    });
  }
}

const text = (key: Uint8Array) => Buffer.from(key).toString();

const plan: BenchPlan = {
  workload: 'put',
  clients: 3,
  outstanding: 10,
  keys: 100,
  keyBytes: 16,
  valueBytes: 100,
  durationMs: 200,
  warmUpMs: 20,
  ratePerSecond: undefined,
  readShare: 0,
  consistency: 'linearizable',
  isFilled: false,
};

function run(cluster: FakeCluster, change: Partial<BenchPlan>, surroundings: Partial<BenchSurroundings> = {}) {
  const signal = new AbortController().signal;
  return runBench(
    { ...plan, ...change },
    { endpoints: ['a:1', 'b:2'], connect: cluster.connect, signal, ...surroundings },
  );
}

describe('a closed loop', () => {
  test('keeps as many operations in flight as it was told, and counts those of its window', async () => {
    const cluster = new FakeCluster();
    cluster.latencyMs = 5;
    const result = await run(cluster, {});
    expect(cluster.inFlightMost).toBe(10);
    expect(cluster.firstEndpoints).toEqual(['a:1', 'b:2', 'a:1']);
    expect(cluster.open).toBe(0);
    expect(cluster.inFlight).toBe(0);
    const { operations, latencyMs } = result.total;
    expect(operations).toBeGreaterThan(0);
    expect(operations).toBeLessThan(cluster.puts);
    // Ten at a time, each of 5 ms or more.
    expect(operations).toBeLessThanOrEqual((result.seconds * 1000 * 10) / 5 + 10);
    expect(latencyMs.p50).toBeGreaterThanOrEqual(4);
    expect(latencyMs.max).toBeGreaterThanOrEqual(latencyMs.p99);
    expect(result.errors.size).toBe(0);
  });

  test('fills in the keys before it reads them', async () => {
    const cluster = new FakeCluster();
    const result = await run(cluster, { workload: 'get', readShare: 1, isFilled: true, consistency: 'local' });
    expect(cluster.puts).toBe(100);
    expect(cluster.keys.size).toBe(100);
    expect(result.missing).toBe(0);
    expect([...cluster.consistencies]).toEqual(['local']);
    expect(result.kinds.map(({ kind }) => kind)).toEqual(['get']);
  });

  test('says how many gets found nothing', async () => {
    const result = await run(new FakeCluster(), { workload: 'get', readShare: 1 });
    expect(result.missing).toBeGreaterThanOrEqual(result.total.operations);
    expect(reportLines(plan, result).join('\n')).toContain('gets that found nothing: ');
  });

  test('counts errors by code, and does not ask in a tight loop', async () => {
    const cluster = new FakeCluster();
    cluster.failure = () => new KvError('noMajority', 'nobody leads', 'notApplied');
    const result = await run(cluster, { durationMs: 300, warmUpMs: 0 });
    expect(result.total.operations).toBe(0);
    const times = result.errors.get('noMajority') ?? 0;
    expect(times).toBeGreaterThanOrEqual(10);
    // Each of ten slots rests for 10 ms after a failure.
    expect(times).toBeLessThanOrEqual((300 / 10 + 2) * 10);
    expect(result.lastError?.message).toBe('nobody leads');
    expect(benchJson(plan, ['a:1'], result)).toMatchObject({ operations: 0, errors: { noMajority: times } });
  });

  test('a defect of the client ends the run with it', async () => {
    const cluster = new FakeCluster();
    cluster.failure = () => new TypeError('undefined is not a function');
    await expect(run(cluster, { durationMs: 60_000 })).rejects.toThrow('undefined is not a function');
    expect(cluster.open).toBe(0);
  });

  test('an interruption ends the window and keeps what was measured', async () => {
    const cluster = new FakeCluster();
    const interruption = new AbortController();
    const moments: string[] = [];
    const onWindow = (moment: string) => {
      moments.push(moment);
      if (moment === 'begin') setTimeout(() => interruption.abort(), 50);
    };
    const result = await run(cluster, { durationMs: 60_000 }, { signal: interruption.signal, onWindow });
    expect(moments).toEqual(['begin', 'end']);
    expect(result.isInterrupted).toBe(true);
    expect(result.seconds).toBeLessThan(30);
    expect(result.total.operations).toBeGreaterThan(0);
    expect(cluster.inFlight).toBe(0);
  });

  test('an interruption while keys are filled in measures nothing', async () => {
    const cluster = new FakeCluster();
    const result = await run(
      cluster,
      { workload: 'get', readShare: 1, isFilled: true },
      { signal: AbortSignal.abort() },
    );
    expect(cluster.puts + cluster.gets).toBe(0);
    expect(result).toMatchObject({
      isInterrupted: true,
      total: { operations: 0, operationsPerSecond: expect.any(Number) },
    });
  });
});

describe('an open loop', () => {
  test('begins the first operation of a rate at once, and counts no wait that there was not', async () => {
    const result = await run(new FakeCluster(), { ratePerSecond: 5, durationMs: 700, warmUpMs: 0 });
    expect(result.total.operations).toBe(4);
    expect(result.total.latencyMs.p50, 'the pause between two is 200 ms').toBeLessThan(100);
    expect(result.notStarted).toBe(0);
  });

  test('begins operations at its rate, of both kinds', async () => {
    const cluster = new FakeCluster();
    const result = await run(cluster, { workload: 'mix', readShare: 0.5, ratePerSecond: 1000, durationMs: 500 });
    expect(Math.abs(result.total.operations - 1000 * result.seconds)).toBeLessThan(100);
    const [puts, gets] = result.kinds;
    expect(puts?.operations).toBeGreaterThan(100);
    expect(gets?.operations).toBeGreaterThan(100);
    expect((puts?.operations ?? 0) + (gets?.operations ?? 0)).toBe(result.total.operations);
  });

  test('counts latency from the intended start: a stall shows in full', async () => {
    const cluster = new FakeCluster();
    cluster.latencyMs = 100;
    // One at a time of 100 ms each, while 1,000 a second are asked for.
    const result = await run(cluster, {
      clients: 1,
      outstanding: 1,
      ratePerSecond: 1000,
      durationMs: 500,
      warmUpMs: 0,
    });
    expect(cluster.inFlightMost).toBe(1);
    // The nth waits for n of 100 ms each, but should have begun at n ms.
    expect(result.total.latencyMs.max).toBeGreaterThan(300);
    expect(result.notStarted).toBeGreaterThan(400);
    expect(reportLines(plan, result).join('\n')).toContain('not begun in time: ');
  });
});
