import { KvError } from '../client/call/errors.ts';
import type { KvClient } from '../client/client.ts';
import { type KvTransactionChange, transactionPartsMax } from '../client/keys/transaction.ts';
import type { CallOptions } from '../client/options.ts';
import { CommandError } from './exit-codes.ts';
import { countOf } from './report/numbers.ts';

/**
 * Deletes the keys that begin with `prefix`, so many at a moment as a transaction takes. Gives how many there were. Where it fails on the way the
 * outcome is unknown, and the error, a {@link CommandError}, says how many are gone.
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
    if (deleted === 0 || !(error instanceof KvError)) throw error;
    // The error of the last step says of itself alone that it was not applied.
    const message = `${countOf(deleted, 'key')} deleted, others may be left: ${error.message}`;
    throw new CommandError('unknown', error.code, message, 'unknown');
  }
}
