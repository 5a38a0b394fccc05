import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { threadId } from 'node:worker_threads';

/**
 * A thread of a process, told from every other that had or will have its pid: by when it started, and in which boot of the machine.
 * Where there is no /proc, `startTicks` and `boot` are `0` and the pid alone must do.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks between boot and the start of the process. */
  readonly startTicks: number;
  /** The first 8 digits of the boot's id. */
  readonly boot: string;
  /** The number of the namespace that `pid` is of, such as a container's; `0`: not known. It is not given again as long as that is there. */
  readonly namespace: string;
  /** Node's number of the thread; 0 is the first one. */
  readonly thread: number;
}

/** The process that this is. */
export function thisProcess(): ProcessIdentity {
  const startTicks = readStat(process.pid)?.startTicks ?? 0;
  return { pid: process.pid, startTicks, boot: readBoot(), namespace: readNamespace(), thread: threadId };
}

/** True if both are of one process. */
export function isSameProcess(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.startTicks === b.startTicks && a.boot === b.boot && a.namespace === b.namespace;
}

/** False: it may live in a container of its own, on this machine, of which `self` sees nothing in /proc. */
export function seesProcessOf(self: ProcessIdentity, other: ProcessIdentity): boolean {
  if (self.boot !== other.boot || self.namespace === '0' || other.namespace === '0') return true;
  return self.namespace === other.namespace;
}

/** True if `identity` is a process that can still write: also one that was killed and has not ended entirely. */
export function isAlive(identity: ProcessIdentity): boolean {
  if (identity.boot !== readBoot()) return false;
  if (identity.startTicks === 0) return signalProblem(identity.pid) !== 'ESRCH';
  const stat = readStat(identity.pid);
  // Hidden by how /proc is mounted, and still there: a signal is refused, not lost.
  if (stat === undefined) return signalProblem(identity.pid) === 'EPERM';
  if (stat.startTicks !== identity.startTicks) return false;
  // A zombie's files are closed once its last other thread has ended; until then a write may be under way.
  return !stat.hasEnded || threadCount(identity.pid) > 1;
}

/** Such as `4026531836`. */
function readNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '0';
  } catch (error) {
    if (isAbsent(error)) return '0';
    throw error;
  }
}

function readBoot(): string {
  return readOrUndefined('/proc/sys/kernel/random/boot_id')?.slice(0, 8) ?? '0';
}

function readStat(pid: number): { startTicks: number; hasEnded: boolean } | undefined {
  const stat = readOrUndefined(`/proc/${pid}/stat`);
  if (stat === undefined) return undefined;
  // The name in parentheses may hold anything; what follows is: state, …, and the start time as the 20th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { startTicks: Number(fields[19]), hasEnded: fields[0] === 'Z' || fields[0] === 'X' };
}

function threadCount(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/task`).length;
  } catch (error) {
    if (isAbsent(error)) return 0;
    throw error;
  }
}

function readOrUndefined(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

/** True if there is a process with that pid, whichever it is. */
export function isPidTaken(pid: number): boolean {
  return signalProblem(pid) !== 'ESRCH';
}

/** Why process `pid` cannot be signalled: `ESRCH` there is none, `EPERM` it is another user's; `undefined`: it can. */
function signalProblem(pid: number): unknown {
  try {
    process.kill(pid, 0);
    return undefined;
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : error;
  }
}

/** It is not there, or /proc is mounted so that only its owner sees it. */
function isAbsent(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return ['ENOENT', 'ESRCH', 'EPERM', 'EACCES'].includes(code);
}
