import { closeSync, openSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DataDirectoryError } from './data-directory-error.ts';
import { syncDirectory } from './durable-file.ts';
import { isAlive, isSameProcess, type ProcessIdentity, seesProcessOf, thisProcess } from './process-identity.ts';

/*
 * The lock of a directory. Each thread that wants it makes a file of its own, named after itself and its process, and has the lock if it
 * then sees no file of another that lives. Two that start together cannot both get it: whoever makes its file later
 * sees the other's. Files of the dead are removed by whoever finds them, which can hit nobody else's.
 *
 * Whether another process lives is seen in /proc; but not if that is in a container of its own, and not of a thread. Such a one is asked:
 * who holds the lock looks now and then for files of others, and touches its own where it finds any.
 */

const lockName = /^lock-(\d+)-(\d+)-([0-9a-f]+)(?:-(\d+)-(\d+))?$/;

/** How long to wait for a holder that is just ending, milliseconds. */
const patienceMs = 300;
const pollMs = 20;
/** How long one that cannot be seen has to answer: it may be busy. */
const answerMs = 3000;
/** How often a holder looks for those who ask. */
const lookMs = 250;

/** A lock that is held. */
export interface DirectoryLock {
  /** Who had it last did not give it back: it was killed, or the machine stopped. */
  readonly wasAbandoned: boolean;
  /** Gives it back; `movedTo`: the directory has that name now. */
  release(movedTo?: string): void;
}

/** Those whose files are there. */
interface Others {
  readonly living: ProcessIdentity | undefined;
  /** They may live or not. */
  readonly unseen: readonly string[];
  readonly dead: readonly string[];
}

/**
 * Takes the lock of directory `path`. Rejects with code `inUse`, naming the holder's pid, in well under a second, but for holders that have to be
 * asked: after a crash in a container of its own, or of a thread, it takes three.
 * `deadNames`: whether files that the dead left are removed; who only looks keeps them, and may do so on a file system that
 * is mounted for reading only.
 * It holds between all processes of a machine: not across machines that share the directory, nor for a process that stands still in a
 * container of its own.
 */
export async function lockDirectory(path: string, deadNames: 'remove' | 'keep' = 'remove'): Promise<DirectoryLock> {
  const self = thisProcess();
  const own = join(path, nameOf(self));
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const isMade = createNew(own, deadNames === 'keep');
    if (isMade === false) throw inUse(path, self, self);
    const { living: seen, unseen, dead } = others(path, self);
    const living = seen ?? (isMade && (await oneThatAnswers(path, self)));
    if (living === undefined) {
      const gone = [...dead, ...unseen];
      // Nobody can write there either, nor be asked.
      if (isMade === undefined) return { wasAbandoned: gone.length > 0, release: () => {} };
      if (deadNames === 'remove') {
        for (const name of gone) rmSync(join(path, name), { force: true });
        syncDirectory(path);
      }
      return held(path, self, gone.length > 0);
    }
    rmSync(own, { force: true });
    if (performance.now() > deadline) throw inUse(path, living, self);
    // Of several that start together the oldest comes back first, so that one of them gets it.
    await delay(isOlder(self, living) ? pollMs / 5 : pollMs);
  }
}

function held(path: string, self: ProcessIdentity, wasAbandoned: boolean): DirectoryLock {
  const name = nameOf(self);
  const looking = setInterval(() => {
    try {
      if (hasOthers(path, self)) touch(join(path, name));
    } catch {
      // The directory was renamed, too many files are open, or the disk takes nothing: it is tried again soon, and a node that cannot write there ends by that.
    }
  }, lookMs);
  looking.unref();
  return {
    wasAbandoned,
    release: (movedTo = path) => {
      clearInterval(looking);
      rmSync(join(movedTo, name), { force: true });
      syncDirectory(movedTo);
    },
  };
}

/** One of those that cannot be seen, if it answers; those who come meanwhile are asked, too. Of two that ask each other the older one answers. */
async function oneThatAnswers(path: string, self: ProcessIdentity): Promise<ProcessIdentity | undefined> {
  const own = join(path, nameOf(self));
  const asked = new Map<string, { readonly touchedMs: number; readonly untilMs: number }>();
  for (;;) {
    const { unseen } = others(path, self);
    const nowMs = performance.now();
    for (const name of unseen) {
      const touchedMs = touchedAt(join(path, name));
      const first = asked.get(name) ?? { touchedMs, untilMs: nowMs + answerMs };
      asked.set(name, first);
      const other = parseName(name) as ProcessIdentity;
      if (touchedMs !== first.touchedMs) return other;
      if (isOlder(self, other)) touch(own);
    }
    if (unseen.every((name) => nowMs >= (asked.get(name)?.untilMs ?? 0))) return undefined;
    await delay(pollMs);
  }
}

function others(path: string, self: ProcessIdentity): Others {
  const dead: string[] = [];
  const unseen: string[] = [];
  let living: ProcessIdentity | undefined;
  for (const name of readdirSync(path)) {
    const holder = parseName(name);
    if (holder === undefined || name === nameOf(self)) continue;
    if (!seesProcessOf(self, holder) || isSameProcess(self, holder)) unseen.push(name);
    else if (isAlive(holder)) living = holder;
    else dead.push(name);
  }
  return { living, unseen, dead };
}

function hasOthers(path: string, self: ProcessIdentity): boolean {
  return readdirSync(path).some((name) => lockName.test(name) && name !== nameOf(self));
}

function touch(path: string): void {
  const now = new Date();
  utimesSync(path, now, now);
}

function touchedAt(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function nameOf({ pid, startTicks, boot, namespace, thread }: ProcessIdentity): string {
  return `lock-${pid}-${startTicks}-${boot}-${namespace}-${thread}`;
}

function parseName(name: string): ProcessIdentity | undefined {
  const match = lockName.exec(name);
  if (match === null) return undefined;
  const [, pid, startTicks, boot = '0', namespace = '0', thread = '0'] = match;
  return { pid: Number(pid), startTicks: Number(startTicks), boot, namespace, thread: Number(thread) };
}

function isOlder(a: ProcessIdentity, b: ProcessIdentity): boolean {
  if (a.startTicks !== b.startTicks) return a.startTicks < b.startTicks;
  return a.pid < b.pid || (a.pid === b.pid && a.thread < b.thread);
}

/** Makes an empty file; false if it is there. Undefined, if `isReader`, where the file system is mounted for reading only. */
function createNew(path: string, isReader: boolean): boolean | undefined {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (code === 'EROFS' && isReader) return undefined;
    throw error;
  }
}

function inUse(path: string, holder: ProcessIdentity, self: ProcessIdentity): DataDirectoryError {
  const isSeen = seesProcessOf(self, holder);
  const [where, remedy] = isSameProcess(self, holder)
    ? [', which is this one', 'stop the node that has it']
    : [isSeen ? '' : ' of another container', 'stop that process'];
  return new DataDirectoryError(
    'inUse',
    `data directory ${path} is in use by process ${holder.pid}${where}: ${remedy} or use another directory`,
  );
}
