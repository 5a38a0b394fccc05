import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { abortedError } from './call-errors.ts';
import { KvError } from './errors.ts';
import type { KeptKey } from './kept-key.ts';
import type { KvChange } from './watch.ts';

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
  readonly signal: AbortSignal | undefined;
}

const decoder = new TextDecoder();
/** What `randomUUID` makes. */
const placePattern = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Before it tries anew where no majority answered. */
const pauseMs = 250;

/**
 * Waits until it holds the lock. Each contender keeps a key of its own below the lock's; the one whose key has the lowest revision holds the
 * lock, and the others follow in the order of theirs. A contender whose key expires while it waits begins again, behind the others.
 */
export async function acquireLock(contending: Contending, name: string, waiting: LockWaiting): Promise<KeptKey> {
  const { waitMs, signal } = waiting;
  const timeout = waitMs === undefined ? undefined : AbortSignal.timeout(Math.ceil(waitMs));
  const end = AbortSignal.any([timeout, signal].filter((one) => one !== undefined));
  for (;;) {
    try {
      const kept = await takePlace(contending, name, end);
      if (kept !== undefined) return kept;
    } catch (error) {
      if (!end.aborted && mayPass(error)) {
        await pause(end);
        continue;
      }
      if (!timeout?.aborted || signal?.aborted) throw error;
      throw new KvError('timeout', `the lock ${name} was not to be had within ${waitMs} ms`, 'notApplied', {
        cause: error,
      });
    }
  }
}

/** The lock, once it is this contender's turn; undefined if its place is lost before that. Where it ends otherwise, nothing is left of it. */
async function takePlace(contending: Contending, name: string, end: AbortSignal): Promise<KeptKey | undefined> {
  const prefix = lockPrefix(name);
  const key = prefix + randomUUID();
  let kept: KeptKey;
  try {
    kept = await contending.keep(key, end);
  } catch (error) {
    // Nobody else has this key: whether it was put or not, it is to go.
    if (error instanceof KvError && error.outcome === 'unknown') await tried(contending.remove(key));
    throw error;
  }
  try {
    const changes = contending.watchPrefix(prefix, AbortSignal.any([end, kept.lost]));
    const isTurn = await isLowest(changes, prefix, kept.revision);
    if (end.aborted) throw abortedError(end, 'notApplied');
    if (isTurn && !kept.lost.aborted && !kept.isOverdue) return kept;
  } catch (error) {
    if (end.aborted || !kept.lost.aborted) {
      await tried(kept.release());
      throw error;
    }
  }
  await tried(kept.release());
  return undefined;
}

/** The cluster may answer later: who waits without a limit waits for that, too. */
function mayPass(error: unknown): boolean {
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

/** Where that fails the key goes after its time: what kept it from its turn is what its owner is to know. */
async function tried(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
  }
}

/** Where the keys of those stand who want this lock. */
export function lockPrefix(name: string): string {
  return `lock/${name}/`;
}

/** True once no lower revision is left, false if this one goes before. */
async function isLowest(changes: AsyncIterable<KvChange[]>, prefix: string, own: number): Promise<boolean> {
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
  }
  return false;
}
