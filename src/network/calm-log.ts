import type { Log } from './log.ts';

/** How often the same line may be told in one span of time. */
const timesMax = 5;
const spanMs = 60_000;
/** Most lines that are remembered. */
const linesMax = 256;

/** A line that was told, since when its span runs, and how often it came in it. */
interface Told {
  readonly sinceMs: number;
  times: number;
}

/**
 * `log` without the lines that come again and again: a node that is refused knocks each second, for days maybe. The same line, with the
 * same fields, is told five times a minute at most; the next one that is told says how many were `leftOut` before it.
 */
export function calmLog(log: Log, now: () => number): Log {
  const told = new Map<string, Told>();
  return (level, message, fields) => {
    const line = `${level} ${message} ${JSON.stringify(fields)}`;
    const nowMs = now();
    const before = told.get(line);
    if (before !== undefined && nowMs - before.sinceMs < spanMs) {
      before.times++;
      if (before.times <= timesMax) log(level, message, fields);
      return;
    }
    // As the newest: the oldest is forgotten first.
    told.delete(line);
    told.set(line, { sinceMs: nowMs, times: 1 });
    const [oldest] = told.keys();
    if (told.size > linesMax && oldest !== undefined) told.delete(oldest);
    const leftOut = Math.max(0, (before?.times ?? 0) - timesMax);
    log(level, message, leftOut > 0 ? { ...fields, leftOut } : fields);
  };
}
