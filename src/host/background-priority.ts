import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** Steps of niceness, from a thirtieth of a usual process' share of a processor that is short to all of it. */
const levels = [0, 3, 6, 10, 14] as const;
const lowest = levels.length - 1;
const nicenessMax = 19;
/** How long a level is tried, milliseconds. */
const periodMs = 1_000;
/** A node that waits for a processor so much of the time gets too little of it. */
const waitShareMax = 0.5;

const groupFile = '/proc/self/autogroup';
const scheduleFile = '/proc/self/schedstat';
const threadsDirectory = '/proc/self/task';

/** What of the system it needs. */
export interface PriorityHost {
  /** Nanoseconds in which the main thread could have run but had to wait; undefined: that cannot be known, or nothing be set. */
  waitedNs(): number | undefined;
  /** Makes the process so much nicer than it was started. False: not now. */
  setNiceness(niceness: number): boolean;
}

/**
 * Lets a process work in the background: where processors are short, those that serve clients come first. Once it waits for them more
 * than half of its time it becomes more urgent, by a step a second, so that it gets through however busy the machine is.
 */
export class BackgroundPriority {
  readonly #host: PriorityHost;
  /** Of `levels`; undefined while nothing is done in the background. */
  #level: number | undefined;
  #sinceMs = 0;
  #waitedNs = 0;

  constructor(host: PriorityHost = ownHost()) {
    this.#host = host;
  }

  /** To be called often. `isBackground`: what this process does can wait. */
  tick(isBackground: boolean, nowMs: number): void {
    if (!isBackground) this.#end();
    else if (this.#level === undefined) this.#begin(nowMs);
    else if (nowMs - this.#sinceMs >= periodMs) this.#judge(this.#level, nowMs);
  }

  #begin(nowMs: number): void {
    const waitedNs = this.#host.waitedNs();
    // Who cannot tell that it gets too little must not ask for less.
    if (waitedNs !== undefined) this.#enter(lowest, waitedNs, nowMs);
  }

  #judge(level: number, nowMs: number): void {
    const waitedNs = this.#host.waitedNs() ?? 0;
    const share = (waitedNs - this.#waitedNs) / 1e6 / (nowMs - this.#sinceMs);
    this.#enter(share > waitShareMax ? Math.max(0, level - 1) : level, waitedNs, nowMs);
  }

  #enter(level: number, waitedNs: number, nowMs: number): void {
    if (level !== this.#level && !this.#host.setNiceness(levels[level] as number)) return;
    this.#level = level;
    this.#waitedNs = waitedNs;
    this.#sinceMs = nowMs;
  }

  #end(): void {
    if (this.#level !== undefined && this.#host.setNiceness(0)) this.#level = undefined;
  }
}

/**
 * On Linux, threads have a niceness each, and the processes of a session one more together (autogroup, see sched(7)). Only root may take
 * back that of threads; that of a session anybody, but it is ours alone to set where this process began the session.
 */
function ownHost(): PriorityHost {
  const threads = process.platform === 'linux' && process.geteuid?.() === 0 ? new ThreadNiceness() : undefined;
  const groupNiceness = ownSession() === process.pid ? numberIn(read(groupFile), 2) : undefined;
  const canSet = threads !== undefined || groupNiceness !== undefined;
  return {
    waitedNs: () => (canSet ? numberIn(read(scheduleFile), 1) : undefined),
    setNiceness(niceness) {
      threads?.set(niceness);
      return groupNiceness === undefined || write(groupFile, String(Math.min(nicenessMax, groupNiceness + niceness)));
    },
  };
}

/** All threads of this process, made nicer by the same. */
class ThreadNiceness {
  /** What each had of its own. */
  readonly #own = new Map<number, number>();
  #niceness = 0;

  set(niceness: number): void {
    for (const thread of readdirSync(threadsDirectory).map(Number)) {
      try {
        // One that was started meanwhile began with what its starter had.
        const own = this.#own.get(thread) ?? getPriority(thread) - this.#niceness;
        this.#own.set(thread, own);
        setPriority(thread, Math.min(nicenessMax, own + niceness));
      } catch (error) {
        // It has ended since.
        if (codeOf(error) !== 'ERR_SYSTEM_ERROR') throw error;
      }
    }
    this.#niceness = niceness;
    if (niceness === 0) this.#own.clear();
  }
}

/** The process that began the session of this one: the sixth word of its status, of which the second may have spaces. */
function ownSession(): number | undefined {
  return numberIn(read('/proc/self/stat')?.split(') ')[1], 3);
}

function numberIn(text: string | undefined, at: number): number | undefined {
  const number = Number(text?.split(' ')[at] ?? Number.NaN);
  return Number.isFinite(number) ? number : undefined;
}

/** Undefined where the system has no such file. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** False where the system refuses: it limits how often this may be changed. */
function write(path: string, text: string): boolean {
  try {
    writeFileSync(path, text);
    return true;
  } catch (error) {
    if (['EAGAIN', 'EACCES', 'EPERM', 'EROFS'].includes(codeOf(error))) return false;
    throw error;
  }
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
