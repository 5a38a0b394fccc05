import { InputError } from '../../cluster/input-error.ts';

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/**
 * Reads `500ms`, `5s`, `1.5s`, `2m`, `1h` or plain seconds (`5`), in milliseconds, rounded up. Throws {@link InputError} if it is
 * none or outside `minMs` to `maxMs`; `what` names it there.
 */
export function parseDurationMs(text: string, what: string, minMs: number, maxMs: number): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?$/.exec(text.trim());
  const unit = (match?.[2] ?? 's') as keyof typeof unitMs;
  const durationMs = match === null ? Number.NaN : Math.ceil(Number(match[1]) * unitMs[unit]);
  if (durationMs >= minMs && durationMs <= maxMs) return durationMs;
  throw new InputError(`${what} "${text}" is none: write 500ms, 5s or 2m, from ${minMs}ms to ${formatDuration(maxMs)}`);
}

function formatDuration(durationMs: number): string {
  if (durationMs % unitMs.m === 0) return `${durationMs / unitMs.m}m`;
  return durationMs % unitMs.s === 0 ? `${durationMs / unitMs.s}s` : `${durationMs}ms`;
}
