import { count, ms } from '../report/numbers.ts';
import type { BenchProgress } from './run.ts';

/** What the line says. */
export function progressLine(progress: BenchProgress): string {
  if (progress.phase === 'fill') return `fill in keys: ${count(progress.done)} of ${count(progress.keys)}`;
  const { seconds, operationsPerSecond, latency, errorCount } = progress;
  const errors = errorCount === 0 ? '' : `  errors ${count(errorCount)}`;
  return `${seconds.toFixed(0)} s  ${count(operationsPerSecond)}/s  p50 ${ms(latency.p50)}  p99 ${ms(latency.p99)} ms${errors}`;
}
