import type { CallOptions, KvClient } from '../client/client.ts';
import { type KvTransactionChange, transactionPartsMax } from '../client/keys/transaction.ts';
import { printMessage } from './output.ts';

/**
 * Deletes the keys that begin with `prefix`, so many at a moment as a transaction takes. Gives how many there were. Where it fails on the way it says
 * how many are gone.
 */
export async function deletePrefix(client: KvClient, prefix: Uint8Array, options: CallOptions): Promise<number> {
  let deleted = 0;
  let waiting: KvTransactionChange[] = [];
  const flush = async () => {
    if (waiting.length === 0) return;
    await client.transact({ do: waiting }, options);
    deleted += waiting.length;
    waiting = [];
  };
  try {
    for await (const { key } of client.scan(prefix, options)) {
      waiting.push({ delete: key });
      if (waiting.length === transactionPartsMax) await flush();
    }
    await flush();
    return deleted;
  } catch (error) {
    if (deleted > 0) printMessage(`kv delete: ${deleted} keys are deleted, others are left`);
    throw error;
  }
}
