import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { setTimeout as delay } from 'node:timers/promises';
import { keyBytesMax } from '../../kv/command-limits.ts';
import { abortedError } from '../call/call-errors.ts';
import { KvError } from '../call/errors.ts';
import { JoinedSignal } from '../joined-signal.ts';
import type { KeptKey } from './kept-key.ts';
import type { KvChange } from './watch-batch.ts';

/** What a contender for a lock does with the store. */
export interface Contending {
  keep(key: string, signal: AbortSignal): Promise<KeptKey>;
  watchPrefix(prefix: string, signal: AbortSignal): AsyncGenerator<KvChange[]>;
  /** Removes a key of its own that may be there or not. */
  remove(key: string): Promise<unknown>;
}

/** When a contender gives up. */
export interface LockWaiting {
  readonly waitMs: number | undefined;
  /** Of which that is what is left: errors tell this. */
  readonly toldMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

const decoder = new TextDecoder();
/** What `randomUUID` makes. */
const placePattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const uuidBytes = 36;
/** Before it tries anew where no majority answered. */
const pauseMs = 250;
/** Whoever waits no longer is kept so long, while what is left of the waiting is removed; that goes on behind it. */
const cleanUpMsMax = 250;

/**
 * Waits until it holds the lock. Each contender keeps a key of its own below the lock's; the one whose key has the lowest revision holds the
 * lock, and the others follow in the order of theirs. A contender whose key expires while it waits begins again, behind the others.
 */
export async function acquireLock(
  contending: Contending,
  name: string,
  { waitMs, toldMs = waitMs, signal }: LockWaiting,
): Promise<KeptKey> {
  const patience = new AbortController();
  const timer = waitMs === undefined ? undefined : setTimeout(() => patience.abort(), waitMs);
  const end = new JoinedSignal([patience.signal, signal]);
  const waiting: Waiting = { isBehind: false, problem: undefined };
  try {
    return await placeInTurn(contending, name, waiting, end.signal);
  } catch (error) {
    if (!patience.signal.aborted || signal?.aborted) throw error;
    throw notHeld(name, waiting, `${toldMs} ms`, error);
  } finally {
    clearTimeout(timer);
    end.release();
  }
}

/** How it went so far, as it was seen last. */
interface Waiting {
  /** Another goes before. */
  isBehind: boolean;
  /** Why that could not be found out. */
  problem: KvError | undefined;
}

/** Whoever runs a job only where nobody else does must not take a cluster that is down for somebody else. */
function notHeld(name: string, { isBehind, problem }: Waiting, time: string, cause: unknown): KvError {
  if (isBehind)
    return new KvError('timeout', `the lock ${name} was still another's after ${time}`, 'notApplied', { cause });
  const why = problem?.message ?? 'no majority has answered';
  const message = `the lock ${name} was not to be had within ${time}, and whether another holds it is not known: ${why}`;
  return new KvError('noMajority', message, 'notApplied', { cause });
}

/** Takes a place, again and again, until it is one's turn. */
async function placeInTurn(contending: Contending, name: string, waiting: Waiting, end: AbortSignal): Promise<KeptKey> {
  for (;;) {
    try {
      const kept = await takePlace(contending, name, waiting, end);
      if (kept !== undefined) return kept;
    } catch (error) {
      if (end.aborted || !mayPass(error)) throw error;
      waiting.isBehind = false;
      waiting.problem = error;
      await pause(end);
    }
  }
}

/** The lock, once it is this contender's turn; undefined if its place is lost before that. Where it ends otherwise, nothing is left of it. */
async function takePlace(
  contending: Contending,
  name: string,
  waiting: Waiting,
  end: AbortSignal,
): Promise<KeptKey | undefined> {
  const prefix = lockPrefix(name);
  const key = prefix + randomUUID();
  let kept: KeptKey;
  try {
    kept = await contending.keep(key, end);
  } catch (error) {
    // Nobody else has this key: whether it was put or not, it is to go.
    if (error instanceof KvError && error.outcome === 'unknown') await tried(contending.remove(key), end);
    throw error;
  }
  const over = new JoinedSignal([end, kept.lost]);
  try {
    const isTurn = await isLowest(contending.watchPrefix(prefix, over.signal), prefix, kept.revision, waiting);
    if (end.aborted) throw abortedError(end, 'notApplied');
    if (isTurn && !kept.lost.aborted && !kept.isOverdue) return kept;
  } catch (error) {
    if (end.aborted || !kept.lost.aborted) {
      await tried(kept.release(), end);
      throw error;
    }
  } finally {
    over.release();
  }
  await tried(kept.release(), end);
  return undefined;
}

/** The cluster may answer later: who waits without a limit waits for that, too. */
function mayPass(error: unknown): error is KvError {
  return error instanceof KvError && ['noMajority', 'timeout', 'busy'].includes(error.code);
}

/** Shorter if it ends. */
async function pause(end: AbortSignal): Promise<void> {
  try {
    await delay(pauseMs, undefined, { signal: end });
  } catch (error) {
    if (!end.aborted) throw error;
  }
}

/** Where that fails the key goes after its time: what kept it from its turn is what its owner is to know. At the end it is not waited for to its own. */
async function tried(work: Promise<unknown>, end: AbortSignal): Promise<void> {
  const done = new AbortController();
  try {
    await Promise.race([work, endOfPatience(end, done.signal)]);
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
  } finally {
    done.abort();
  }
}

async function endOfPatience(end: AbortSignal, done: AbortSignal): Promise<void> {
  try {
    if (!end.aborted) await once(end, 'abort', { signal: done });
    await delay(cleanUpMsMax, undefined, { signal: done });
  } catch (error) {
    if (!done.aborted) throw error;
  }
}

/** Most bytes of a lock's name: that, and the UUID of a contender, are in one key. */
export const lockNameBytesMax = keyBytesMax - lockPrefix('').length - uuidBytes;

/** Where the keys of those stand who want this lock. */
function lockPrefix(name: string): string {
  return `lock/${name}/`;
}

/** True once no lower revision is left, false if this one goes before. */
async function isLowest(
  changes: AsyncIterable<KvChange[]>,
  prefix: string,
  own: number,
  waiting: Waiting,
): Promise<boolean> {
  const contenders = new Map<string, number>();
  for await (const batch of changes) {
    for (const change of batch) {
      const key = decoder.decode(change.key);
      // Of a lock whose name begins with this one's, or none at all.
      if (!placePattern.test(key.slice(prefix.length))) continue;
      if (change.type === 'put') contenders.set(key, change.revision);
      else contenders.delete(key);
    }
    const revisions = [...contenders.values()];
    if (!revisions.includes(own)) return false;
    if (Math.min(...revisions) === own) return true;
    waiting.isBehind = true;
  }
  return false;
}
