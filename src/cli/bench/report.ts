import { formatTable } from '../output.ts';
import { count, ms } from '../report/numbers.ts';
import type { LatencySummary } from './meter.ts';
import type { BenchPlan } from './plan.ts';
import type { BenchFigures, BenchResult } from './run.ts';

/** From this share of one core on, the generator may be what limits the rate. */
const busyShare = 0.9;

/** What people read at the end. */
export function reportLines(plan: BenchPlan, result: BenchResult): string[] {
  const { total, kinds } = result;
  const rows = kinds.map((figures) => row(figures.kind, figures));
  if (kinds.length > 1) rows.push(row('all', total));
  const table = [['', 'OPS', 'OPS/S', 'MEAN', 'P50', 'P90', 'P99', 'P99.9', 'MAX ms'], ...rows];
  const lines = formatTable(table, [1, 2, 3, 4, 5, 6, 7, 8]);
  return [...lines, '', describePlan(plan, result), describeCpu(result), ...troubles(plan, result)];
}

/** What scripts read. */
export function benchJson(plan: BenchPlan, endpoints: readonly string[], result: BenchResult): Record<string, unknown> {
  const { total, kinds, errors } = result;
  return {
    workload: plan.workload,
    consistency: plan.consistency,
    endpoints,
    clients: plan.clients,
    outstanding: plan.outstanding,
    keys: plan.keys,
    keyBytes: plan.keyBytes,
    valueBytes: plan.valueBytes,
    ratePerSecond: plan.ratePerSecond ?? null,
    seconds: result.seconds,
    isInterrupted: result.isInterrupted,
    ...figuresJson(total),
    kinds: Object.fromEntries(kinds.map((figures) => [figures.kind, figuresJson(figures)])),
    missing: result.missing,
    errors: Object.fromEntries(errors),
    notStarted: result.notStarted,
    generatorCpuSeconds: result.cpuSeconds,
  };
}

function figuresJson({ operations, operationsPerSecond, latencyMs }: BenchFigures): object {
  return { operations, operationsPerSecond, latencyMs };
}

function row(name: string, { operations, operationsPerSecond, latencyMs }: BenchFigures): string[] {
  const { mean, p50, p90, p99, p999, max } = latencyMs satisfies LatencySummary;
  return [name, count(operations), count(operationsPerSecond), ...[mean, p50, p90, p99, p999, max].map(ms)];
}

function describePlan(plan: BenchPlan, { seconds, isInterrupted }: BenchResult): string {
  const rate = plan.ratePerSecond === undefined ? 'closed loop' : `open loop at ${count(plan.ratePerSecond)}/s`;
  const reads = plan.readShare > 0 ? `, ${plan.consistency} gets` : '';
  return [
    `${isInterrupted ? 'interrupted after ' : ''}${seconds.toFixed(1)} s`,
    `${rate}${reads}`,
    `${plan.clients} clients, ${plan.outstanding} outstanding`,
    `${count(plan.keys)} keys of ${plan.keyBytes} bytes, values of ${plan.valueBytes} bytes`,
  ].join('; ');
}

function describeCpu({ seconds, cpuSeconds }: BenchResult): string {
  const share = seconds > 0 ? cpuSeconds / seconds : 0;
  const verdict = share >= busyShare ? ': this generator may have been the bottleneck' : '';
  return `CPU of this process: ${cpuSeconds.toFixed(2)} s, ${Math.round(share * 100)} % of one core${verdict}`;
}

function troubles({ keys }: BenchPlan, { errors, missing, notStarted }: BenchResult): string[] {
  const lines: string[] = [];
  const codes = [...errors].map(([code, times]) => `${code} ${count(times)}`);
  if (codes.length > 0) lines.push(`errors: ${codes.join(', ')}`);
  if (missing > 0)
    lines.push(`gets that found nothing: ${count(missing)} (are all ${count(keys)} keys there? see --fill)`);
  if (notStarted > 0) {
    lines.push(
      `not begun in time: ${count(notStarted)} operations, and in no figure above (more --outstanding, or less --rate)`,
    );
  }
  return lines;
}
