import { closeSync, existsSync, openSync, readdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { isNoSpace } from '../disk/disk-room.ts';
import { syncDirectory } from '../disk/durable-file.ts';
import { type LifeSign, lifeOf, showLife } from './life-sign.ts';
import { isAlive, isSameProcess, type ProcessIdentity, seesProcessOf, thisProcess } from './process-identity.ts';

/*
 * The lock of a directory. Each thread that wants it makes a file of its own, named after itself and its process, and has the lock if it
 * then sees no file of another that lives. Two that start together cannot both get it: whoever makes its file later
 * sees the other's. Files of the dead are removed by whoever finds them, which can hit nobody else's.
 *
 * Whether another process lives is seen in /proc; but not if that is in a container of its own, and not of a thread. Such a one shows itself by a
 * socket that the system serves even while it stands still (life-sign.ts), from before its file is there. Besides it is asked: who holds
 * the lock looks now and then for files of others, and touches its own where it finds any. Both must say that it is dead.
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
  /** True once another has taken it: this process, or thread, stood still for so long that it seemed dead. */
  readonly isTaken: boolean;
  /** Gives it back; `movedTo`: the directory has that name now. */
  release(movedTo?: string): void;
}

/** What became of those that cannot be seen. */
interface Asked {
  readonly living?: ProcessIdentity;
  readonly silent: readonly string[];
}

const nobodySilent: Asked = { silent: [] };

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
 * It holds between all processes of a machine: not across machines that share the directory. One that stands still for three seconds loses it, where no
 * socket shows that it lives, to another in a container that asks meanwhile, see `isTaken`.
 */
export async function lockDirectory(path: string, deadNames: 'remove' | 'keep' = 'remove'): Promise<DirectoryLock> {
  const self = thisProcess();
  const sign = await showLife(path, signOf(nameOf(self)));
  try {
    return await take(path, self, sign, deadNames);
  } catch (error) {
    sign?.end(path);
    throw error;
  }
}

async function take(
  path: string,
  self: ProcessIdentity,
  sign: LifeSign | undefined,
  deadNames: 'remove' | 'keep',
): Promise<DirectoryLock> {
  const own = join(path, nameOf(self));
  const deadline = performance.now() + patienceMs;
  for (;;) {
    const isMade = createNew(own, deadNames === 'keep');
    if (isMade === false) throw inUse(path, self, self);
    if (isMade === undefined) {
      sign?.end(path);
      return await lookedAt(path, self);
    }
    const found = await tryToHold(path, self, sign, deadNames);
    if (found === undefined) continue;
    if ('release' in found) return found;
    if (performance.now() > deadline) throw await inUseOrCopied(path, found, self);
    // Of several that start together the oldest comes back first, so that one of them gets it.
    await delay(isOlder(self, found) ? pollMs / 5 : pollMs);
  }
}

/** With a file of its own: the lock, or who has it, or wants it as well; that file is gone then. Undefined: it is gone, and nobody is known who has the lock. */
async function tryToHold(
  path: string,
  self: ProcessIdentity,
  sign: LifeSign | undefined,
  deadNames: 'remove' | 'keep',
): Promise<DirectoryLock | ProcessIdentity | undefined> {
  const own = join(path, nameOf(self));
  try {
    const { living: seen, dead } = others(path, self);
    const { living = seen, silent } = seen ? nobodySilent : await askUnseen(path, self);
    // Without it this process stood still for so long that another took it for dead.
    if (living === undefined && existsSync(own)) {
      const gone = [...dead, ...silent];
      if (deadNames === 'remove') {
        for (const name of gone.flatMap((one) => [one, signOf(one)])) rmSync(join(path, name), { force: true });
        await removeStraySigns(path);
        syncDirectory(path);
      }
      return held(path, self, sign, gone.length > 0);
    }
    rmSync(own, { force: true });
    return living;
  } catch (error) {
    rmSync(own, { force: true });
    throw error;
  }
}

/** Where nothing can be written from here, nobody can be asked: another may write there all the same, through a mount of its own. */
async function lookedAt(path: string, self: ProcessIdentity): Promise<DirectoryLock> {
  const { living, unseen, dead } = others(path, self);
  if (living !== undefined) throw await inUseOrCopied(path, living, self);
  const lives = await Promise.all(unseen.map(async (name) => ({ name, life: await lifeOf(path, signOf(name)) })));
  const open = lives.find(({ life }) => life === 'lives');
  if (open !== undefined) throw inUse(path, parseName(open.name) as ProcessIdentity, self);
  const name = lives.find(({ life }) => life === 'unknown')?.name;
  if (name === undefined) return { wasAbandoned: dead.length + lives.length > 0, isTaken: false, release: () => {} };
  const { pid } = parseName(name) as ProcessIdentity;
  throw new DataDirectoryError(
    'inUse',
    `data directory ${path} may be in use by process ${pid} of another container, which cannot be asked, since nothing can be written there from here: ` +
      `give one that can be written to, or, if no such process runs, remove ${name} there`,
  );
}

function held(path: string, self: ProcessIdentity, sign: LifeSign | undefined, wasAbandoned: boolean): DirectoryLock {
  const name = nameOf(self);
  let isTaken = false;
  let lookedAtMs = performance.now();
  const look = () => {
    lookedAtMs = performance.now();
    try {
      const names = lockNamesIn(path);
      isTaken ||= !names.includes(name) && !existsSync(join(path, name));
      if (!isTaken && names.length > 1) touch(join(path, name));
    } catch {
      // The directory was renamed, too many files are open, or the disk takes nothing: it is tried again soon, and a node that cannot write there ends by that.
    }
  };
  const looking = setInterval(look, lookMs);
  looking.unref();
  return {
    wasAbandoned,
    get isTaken() {
      // Who stood still goes on before its timers do.
      if (performance.now() - lookedAtMs > 2 * lookMs) look();
      return isTaken;
    },
    release: (movedTo = path) => {
      clearInterval(looking);
      try {
        rmSync(join(movedTo, name), { force: true });
      } finally {
        sign?.end(movedTo);
      }
      syncDirectory(movedTo);
    },
  };
}

/**
 * Asks those that cannot be seen, and those who come meanwhile: one that answers, or who was silent for all of its time. Of two that ask each other the
 * older one answers.
 */
async function askUnseen(path: string, self: ProcessIdentity): Promise<Asked> {
  const own = join(path, nameOf(self));
  const asked = new Map<string, { readonly touchedMs: number; readonly untilMs: number }>();
  for (;;) {
    const { unseen } = others(path, self);
    const nowMs = performance.now();
    for (const name of unseen) {
      const touchedMs = touchedAt(join(path, name));
      // It has just gone by itself.
      if (touchedMs === undefined) continue;
      const other = parseName(name) as ProcessIdentity;
      if (!asked.has(name)) {
        const life = await lifeOf(path, signOf(name));
        if (life === 'lives') return { ...nobodySilent, living: other };
      }
      const first = asked.get(name) ?? { touchedMs, untilMs: nowMs + answerMs };
      asked.set(name, first);
      if (touchedMs !== first.touchedMs) return { ...nobodySilent, living: other };
      if (isOlder(self, other)) touch(own);
    }
    if (unseen.every((name) => nowMs >= (asked.get(name)?.untilMs ?? 0))) return { silent: unseen };
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

function lockNamesIn(path: string): string[] {
  return readdirSync(path).filter((name) => lockName.test(name));
}

function touch(path: string): void {
  const now = new Date();
  utimesSync(path, now, now);
}

function touchedAt(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}

function nameOf({ pid, startTicks, boot, namespace, thread }: ProcessIdentity): string {
  return `lock-${pid}-${startTicks}-${boot}-${namespace}-${thread}`;
}

const signEnding = '.alive';

/** The socket by which that one shows that it lives. */
function signOf(name: string): string {
  return name + signEnding;
}

/** Those of processes that were killed before they made their lock's file, or whose file somebody else removed. */
async function removeStraySigns(path: string): Promise<void> {
  for (const sign of readdirSync(path)) {
    const name = sign.slice(0, -signEnding.length);
    if (!sign.endsWith(signEnding) || parseName(name) === undefined || existsSync(join(path, name))) continue;
    if ((await lifeOf(path, sign)) === 'dead') rmSync(join(path, sign), { force: true });
  }
}

function parseName(name: string): ProcessIdentity | undefined {
  const match = lockName.exec(name);
  if (match === null) return undefined;
  const [, pid, startTicks, boot = '0', namespace = '0', thread = '0'] = match;
  return { pid: Number(pid), startTicks: Number(startTicks), boot, namespace, thread: Number(thread) };
}

/** Of two that differ in anything one is, and both say which: the first processes of two containers may begin in one tick of the clock. */
function isOlder(a: ProcessIdentity, b: ProcessIdentity): boolean {
  if (a.startTicks !== b.startTicks) return a.startTicks < b.startTicks;
  return nameOf(a) < nameOf(b);
}

/** Makes an empty file; false if it is there. Undefined, if `isReader`, where the file system is mounted for reading only, or full. */
function createNew(path: string, isReader: boolean): boolean | undefined {
  try {
    closeSync(openSync(path, 'wx', 0o600));
    return true;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'EEXIST') return false;
    if (isReader && (code === 'EROFS' || isNoSpace(error))) return undefined;
    throw error;
  }
}

/** One that is seen in /proc, and of whom no socket is there, or only a file that was one: a copy has the lock of who has the original. */
async function inUseOrCopied(
  path: string,
  holder: ProcessIdentity,
  self: ProcessIdentity,
): Promise<DataDirectoryError> {
  const name = nameOf(holder);
  // One that is not seen has answered here.
  const isHere = !seesProcessOf(self, holder) || isSameProcess(self, holder);
  if (isHere || (await lifeOf(path, signOf(name))) === 'lives') return inUse(path, holder, self);
  return inUse(path, holder, self, `; if this is a copy, made while that process ran, remove ${name} from the copy`);
}

function inUse(path: string, holder: ProcessIdentity, self: ProcessIdentity, hint = ''): DataDirectoryError {
  const isSeen = seesProcessOf(self, holder);
  const [where, remedy] = isSameProcess(self, holder)
    ? [', which is this one', 'stop the node that has it']
    : [isSeen ? '' : ' of another container', 'stop that process'];
  return new DataDirectoryError(
    'inUse',
    `data directory ${path} is in use by process ${holder.pid}${where}: ${remedy} or use another directory${hint}`,
  );
}
