import type { KeySpace } from './key-space.ts';
import type { BenchClient } from './load.ts';

/** Puts in flight, over all clients together. */
const outstanding = 256;

/**
 * Puts every key once. Rejects with the first KvError; ends early, without one, when `signal` is aborted. `onFilled` is called
 * after each key with how many are done.
 */
export async function fill(
  clients: readonly BenchClient[],
  keySpace: KeySpace,
  value: Uint8Array,
  signal: AbortSignal,
  onFilled: (done: number) => void,
): Promise<void> {
  let next = 0;
  let done = 0;
  let hasFailed = false;
  const work = async (client: BenchClient): Promise<void> => {
    const key = keySpace.newKey();
    while (next < keySpace.keys && !hasFailed && !signal.aborted) {
      keySpace.write(key, next++);
      await client.put(key, value);
      onFilled(++done);
    }
  };
  const lanes = Array.from({ length: Math.min(outstanding, keySpace.keys) }, (_, lane) =>
    work(clients[lane % clients.length] as BenchClient).catch((error: unknown) => {
      hasFailed = true;
      throw error;
    }),
  );
  // Until all have ended: none may still be under way when the caller closes the clients.
  const failed = (await Promise.allSettled(lanes)).find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
