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
/** CAP_SYS_NICE. */
const niceCapability = 23n;

/** What of the system it needs. */
export interface PriorityHost {
  /** Nanoseconds in which the main thread could have run but had to wait; undefined: that cannot be known, or nothing be set. */
  waitedNs(): number | undefined;
  /** Makes the process so much nicer than it was started. False: not, or not all of it; try again. */
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
  /** Some of the process may be nicer than it was started. */
  #isNicer = false;
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
    if (waitedNs === undefined) this.#end();
    else this.#enter(lowest, waitedNs, nowMs);
  }

  #judge(level: number, nowMs: number): void {
    const waitedNs = this.#host.waitedNs();
    const share = waitedNs === undefined ? 1 : (waitedNs - this.#waitedNs) / 1e6 / (nowMs - this.#sinceMs);
    this.#enter(share > waitShareMax ? Math.max(0, level - 1) : level, waitedNs ?? 0, nowMs);
  }

  #enter(level: number, waitedNs: number, nowMs: number): void {
    if (level !== this.#level) {
      this.#isNicer = true;
      if (!this.#host.setNiceness(levels[level] as number)) return;
    }
    this.#level = level;
    this.#waitedNs = waitedNs;
    this.#sinceMs = nowMs;
  }

  #end(): void {
    this.#level = undefined;
    if (this.#isNicer && this.#host.setNiceness(0)) this.#isNicer = false;
  }
}

/**
 * On Linux, threads have a niceness each, and the processes of a session one more together (autogroup, see sched(7)). Only who has the
 * capability for it may take back that of threads; that of a session anybody, unless it is below 0, but it is ours alone to set where
 * this process began the session.
 */
function ownHost(): PriorityHost {
  const threads = mayTakeBackNiceness() ? new ThreadNiceness() : undefined;
  const groupNiceness = ownSession() === process.pid ? numberIn(read(groupFile), 2) : undefined;
  const group = groupNiceness !== undefined && groupNiceness >= 0 ? groupNiceness : undefined;
  return {
    waitedNs: () => (threads || group !== undefined ? waitedNs() : undefined),
    setNiceness(niceness) {
      const isGroupSet = group === undefined || write(groupFile, String(Math.min(nicenessMax, group + niceness)));
      // Refused for a moment; to go on with the threads alone would have to be taken back by itself.
      if (!isGroupSet && niceness > 0) return false;
      return (threads?.set(niceness) ?? true) && isGroupSet;
    },
  };
}

/** Where the system does not count, it says that no thread ever ran. */
function waitedNs(): number | undefined {
  const schedule = read(scheduleFile);
  return numberIn(schedule, 0) === 0 ? undefined : numberIn(schedule, 1);
}

/** It has that capability, and not in a user namespace of its own, where it is worth nothing. */
function mayTakeBackNiceness(): boolean {
  const [, capabilities] = /^CapEff:\s*([0-9a-f]+)$/m.exec(read('/proc/self/status') ?? '') ?? [];
  const isFirstNamespace = /^\s*0\s+0\s+4294967295\s*$/.test(read('/proc/self/uid_map') ?? '');
  return (
    isFirstNamespace && capabilities !== undefined && ((BigInt(`0x${capabilities}`) >> niceCapability) & 1n) === 1n
  );
}

/** All threads of this process, made nicer by the same. */
class ThreadNiceness {
  /** What each had of its own. */
  readonly #own = new Map<number, number>();
  #niceness = 0;

  /** False if any refused. */
  set(niceness: number): boolean {
    const threads = attempt(() => readdirSync(threadsDirectory)) ?? [];
    let isSet = threads.length > 0;
    for (const thread of threads.map(Number)) isSet = this.#setOne(thread, niceness) && isSet;
    if (isSet) this.#niceness = niceness;
    if (isSet && niceness === 0) this.#own.clear();
    return isSet;
  }

  #setOne(thread: number, niceness: number): boolean {
    try {
      // One that was started meanwhile began with what its starter had.
      const own = this.#own.get(thread) ?? getPriority(thread) - this.#niceness;
      this.#own.set(thread, own);
      setPriority(thread, Math.min(nicenessMax, own + niceness));
      return true;
    } catch (error) {
      // Node puts the system's word for it aside. One that has ended since is as good as set.
      return error instanceof Error && 'info' in error && (error.info as { code?: unknown }).code === 'ESRCH';
    }
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

/** Undefined where there is no such file, or it cannot be read now. */
function read(path: string): string | undefined {
  return attempt(() => readFileSync(path, 'utf8'));
}

/** False where the system refuses: it limits how often this may be changed. */
function write(path: string, text: string): boolean {
  const isWritten = attempt(() => {
    writeFileSync(path, text);
    return true;
  });
  return isWritten === true;
}

/** Undefined if it fails, however it does: how urgent a node is must never be what ends it. */
function attempt<Result>(work: () => Result): Result | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
