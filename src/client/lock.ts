import { randomUUID } from 'node:crypto';
import { KvError } from './errors.ts';
import type { KeptKey } from './kept-key.ts';
import type { KvChange } from './watch.ts';

/** What a contender for a lock does with the store. */
export interface Contending {
  keep(key: string): Promise<KeptKey>;
  watchPrefix(prefix: string, signal: AbortSignal): AsyncGenerator<KvChange[]>;
}

/** When a contender gives up. */
export interface LockWaiting {
  readonly waitMs: number | undefined;
  readonly signal: AbortSignal | undefined;
}

const decoder = new TextDecoder();

/**
 * Waits until it holds the lock. Each contender keeps a key of its own below the lock's; the one whose key has the lowest revision holds the
 * lock, and the others follow in the order of theirs. A contender whose key expires while it waits begins again, behind the others.
 */
export async function acquireLock(contending: Contending, name: string, waiting: LockWaiting): Promise<KeptKey> {
  const { waitMs, signal } = waiting;
  const timeout = waitMs === undefined ? undefined : AbortSignal.timeout(waitMs);
  const prefix = lockPrefix(name);
  const ends = [timeout, signal].filter((end) => end !== undefined);
  for (;;) {
    const kept = await contending.keep(prefix + randomUUID());
    try {
      const end = AbortSignal.any([...ends, kept.lost]);
      if (await isLowest(contending.watchPrefix(prefix, end), prefix, kept.revision)) return kept;
    } catch (error) {
      if (timeout?.aborted) {
        await letGo(kept);
        throw new KvError('timeout', `others held the lock ${name} for ${waitMs} ms`, 'notApplied');
      }
      if (signal?.aborted || !kept.lost.aborted) {
        await letGo(kept);
        throw error;
      }
    }
  }
}

/** Where that fails the key goes after its time: what kept it from its turn is what its owner is to know. */
async function letGo(kept: KeptKey): Promise<void> {
  try {
    await kept.release();
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
      // Of a lock whose name begins with this one's.
      if (key.includes('/', prefix.length)) continue;
      if (change.type === 'put') contenders.set(key, change.revision);
      else contenders.delete(key);
    }
    const revisions = [...contenders.values()];
    if (!revisions.includes(own)) return false;
    if (Math.min(...revisions) === own) return true;
  }
  return false;
}
