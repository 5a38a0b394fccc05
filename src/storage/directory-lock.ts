import { closeSync, openSync, readdirSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DataDirectoryError } from './data-directory-error.ts';
import { syncDirectory } from './durable-file.ts';
import { isAlive, type ProcessIdentity, thisProcess } from './process-identity.ts';

/*
 * The lock of a directory. Each process that wants it makes a file of its own, named after itself, and has the lock if it
 * then sees no file of another living process. Two that start together cannot both get it: whoever makes its file later
 * sees the other's. Files of dead processes are removed by whoever finds them, which can hit nobody else's.
 */

const lockName = /^lock-(\d+)-(\d+)-([0-9a-f]+)$/;

/** How long to wait for a holder that is just ending, milliseconds. */
const patienceMs = 300;
const pollMs = 20;

/** A lock that is held. */
export interface DirectoryLock {
  /** Who had it last did not give it back: it was killed, or the machine stopped. */
  readonly wasAbandoned: boolean;
  /** Gives it back; `movedTo`: the directory has that name now. */
  release(movedTo?: string): void;
}

/**
 * Takes the lock of directory `path`. Rejects with code `inUse`, naming the holder's pid, in well under a second.
 * `deadNames`: whether files that dead processes left are removed; who only looks keeps them, and may do so on a file system that
 * is mounted for reading only.
 * It holds between processes that see each other in /proc: not across containers or machines that share the directory.
 */
export async function lockDirectory(path: string, deadNames: 'remove' | 'keep' = 'remove'): Promise<DirectoryLock> {
  const self = thisProcess();
  const own = join(path, `lock-${self.pid}-${self.startTicks}-${self.boot}`);
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const isMade = createNew(own, deadNames === 'keep');
    if (isMade === false) throw inUse(path, self);
    const { living, dead } = others(path, self);
    if (living === undefined) {
      // Nobody can write there either.
      if (isMade === undefined) return { wasAbandoned: dead.length > 0, release: () => {} };
      if (deadNames === 'remove') {
        for (const name of dead) rmSync(join(path, name), { force: true });
        syncDirectory(path);
      }
      return { wasAbandoned: dead.length > 0, release: (movedTo = path) => releaseLock(movedTo, basename(own)) };
    }
    rmSync(own, { force: true });
    if (performance.now() > deadline) throw inUse(path, living);
    // Of several that start together the oldest comes back first, so that one of them gets it.
    await delay(isOlder(self, living) ? pollMs / 5 : pollMs);
  }
}

function releaseLock(path: string, own: string): void {
  rmSync(join(path, own), { force: true });
  syncDirectory(path);
}

function others(path: string, self: ProcessIdentity): { living: ProcessIdentity | undefined; dead: string[] } {
  const dead: string[] = [];
  let living: ProcessIdentity | undefined;
  for (const name of readdirSync(path)) {
    const holder = parseName(name);
    if (holder === undefined || isSame(holder, self)) continue;
    if (isAlive(holder)) living = holder;
    else dead.push(name);
  }
  return { living, dead };
}

function parseName(name: string): ProcessIdentity | undefined {
  const match = lockName.exec(name);
  if (match === null) return undefined;
  return { pid: Number(match[1]), startTicks: Number(match[2]), boot: match[3] as string };
}

function isSame(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.pid === b.pid && a.startTicks === b.startTicks && a.boot === b.boot;
}

function isOlder(a: ProcessIdentity, b: ProcessIdentity): boolean {
  return a.startTicks < b.startTicks || (a.startTicks === b.startTicks && a.pid < b.pid);
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

function inUse(path: string, holder: ProcessIdentity): DataDirectoryError {
  return new DataDirectoryError(
    'inUse',
    `data directory ${path} is in use by process ${holder.pid}: stop that process or use another directory`,
  );
}
