import { InputError } from '../../cluster/input-error.ts';

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const;

/**
 * Reads `500ms`, `5s`, `1.5s`, `2m`, `1h` or plain seconds (`5`), in milliseconds, rounded up. Throws {@link InputError} if it is
 * no duration or outside `minMs` to `maxMs`; `what` names it there.
 */
export function parseDurationMs(text: string, what: string, minMs: number, maxMs: number): number {
  const match = /^([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)?$/.exec(text.trim());
  const unit = (match?.[2] ?? 's') as keyof typeof unitMs;
  const durationMs = match === null ? Number.NaN : Math.ceil(Number(match[1]) * unitMs[unit]);
  if (durationMs >= minMs && durationMs <= maxMs) return durationMs;
  const limits = `from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`;
  throw new InputError(`${what} "${text}" is not a duration ${limits}: write 500ms, 5s, 2m or 1h`);
}

function formatDuration(durationMs: number): string {
  const unit = (['h', 'm', 's'] as const).find((name) => durationMs % unitMs[name] === 0) ?? 'ms';
  return `${durationMs / unitMs[unit]}${unit}`;
}
