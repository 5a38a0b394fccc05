import type { Log } from './log.ts';

/** How often the same line may be told in one span of time, and how often lines that differ in their fields alone. */
const timesMax = 5;
const timesOfMessageMax = 100;
const spanMs = 60_000;
/** Most lines that are remembered. */
const linesMax = 256;

/** What was told, since when its span runs, and how often it came in it. */
interface Told {
  readonly sinceMs: number;
  times: number;
}

/** How often each of some texts may be told in a span of time. */
class Ration {
  readonly #timesMax: number;
  readonly #told = new Map<string, Told>();

  constructor(timesMax: number) {
    this.#timesMax = timesMax;
  }

  /** Counts `text`: undefined if it is not to be told now, else how often it was left out before. */
  take(text: string, nowMs: number): number | undefined {
    const before = this.#told.get(text);
    if (before !== undefined && nowMs - before.sinceMs < spanMs) {
      before.times++;
      return before.times <= this.#timesMax ? 0 : undefined;
    }
    // As the newest: the oldest is forgotten first.
    this.#told.delete(text);
    this.#told.set(text, { sinceMs: nowMs, times: 1 });
    const [oldest] = this.#told.keys();
    if (this.#told.size > linesMax && oldest !== undefined) this.#told.delete(oldest);
    return Math.max(0, (before?.times ?? 0) - this.#timesMax);
  }
}

/**
 * `log` without the lines that come again and again: a node that is refused knocks each second, for days maybe. The same line, with the
 * same fields, is told five times a minute at most, and the same message with other fields a hundred times: whoever is behind it may come from another
 * port each time. The next one that is told says how many were `leftOut` before it.
 */
export function calmLog(log: Log, now: () => number): Log {
  const lines = new Ration(timesMax);
  const messages = new Ration(timesOfMessageMax);
  return (level, message, fields) => {
    const nowMs = now();
    const linesLeftOut = lines.take(`${level} ${message} ${JSON.stringify(fields)}`, nowMs);
    if (linesLeftOut === undefined) return;
    const messagesLeftOut = messages.take(`${level} ${message}`, nowMs);
    if (messagesLeftOut === undefined) return;
    const leftOut = linesLeftOut + messagesLeftOut;
    log(level, message, leftOut > 0 ? { ...fields, leftOut } : fields);
  };
}
