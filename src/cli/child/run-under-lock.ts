import { KvError } from '../../client/call/errors.ts';
import type { KvClient } from '../../client/client.ts';
import type { KeptKey } from '../../client/keys/kept-key.ts';
import type { LockOptions } from '../../client/options.ts';
import { CommandError } from '../exit-codes.ts';
import { printMessage } from '../output.ts';
import { ChildCommand, type CommandWords, codeOfSignal, passedSignals } from './child-command.ts';

/** Which lock. */
export interface Lock extends LockOptions {
  readonly name: string;
  readonly ttlMs: number;
}

const title = 'kv lock';
/** What a command has to end by itself, also where somebody else may hold the lock by now. */
const patienceMsMin = 250;

/** Waits for the lock, runs the command, and lets go. Gives the exit code of the command, as shells do where a signal ended it. */
export async function runUnderLock(client: KvClient, lock: Lock, command: CommandWords): Promise<number> {
  const { name, ...options } = lock;
  const asked = new AbortController();
  // Who waits lets go of its place; the command itself is told below.
  const onSignal = (signal: NodeJS.Signals) => asked.abort(signal);
  for (const signal of passedSignals) process.on(signal, onSignal);
  const held = await acquire(client, name, { ...options, signal: asked.signal });
  if (typeof held === 'number') return held;
  try {
    if (asked.signal.aborted) return codeOfSignal(asked.signal.reason);
    return await runHolding(held, lock, command);
  } finally {
    await letGo(held, lock);
  }
}

/** What became of the command is what counts: a lock that cannot be let go of now goes by itself. */
async function letGo(held: KeptKey, { name, ttlMs }: Lock): Promise<void> {
  try {
    await held.release();
  } catch (error) {
    if (!(error instanceof KvError)) throw error;
    printMessage(`${title}: the lock ${name} goes by itself in ${ttlMs / 1000} s at the latest: ${error.message}`);
  }
}

/** The exit code instead, if a signal ended the waiting. */
async function acquire(client: KvClient, name: string, options: LockOptions): Promise<KeptKey | number> {
  try {
    return await client.lock(name, options);
  } catch (error) {
    if (options.signal?.aborted) return codeOfSignal(options.signal.reason);
    const isOthers = error instanceof KvError && error.code === 'timeout' && options.waitMs !== undefined;
    throw isOthers ? new CommandError('conditionFailed', 'locked', error.message) : error;
  }
}

async function runHolding(held: KeptKey, { name }: Lock, words: CommandWords): Promise<number> {
  const variables = {
    KV_LOCK_NAME: name,
    KV_LOCK_KEY: Buffer.from(held.key).toString(),
    KV_LOCK_REVISION: `${held.revision}`,
  };
  const command = new ChildCommand(words, title, { variables });
  let killing: Promise<void> | undefined;
  // From then on another may hold it.
  const onLost = () => {
    const patienceMs = Math.max(patienceMsMin, held.remainingMs);
    killing = command.stopAll(patienceMs, `KV_LOCK_KEY=${variables.KV_LOCK_KEY}`);
    // It is looked at once the command has ended.
    killing.catch(() => {});
  };
  // It may have been lost before the command began.
  if (held.lost.aborted) onLost();
  else held.lost.addEventListener('abort', onLost);
  try {
    const code = await command.ended();
    await killing;
    if (held.lost.aborted) throw lostError(name, held.lost.reason);
    return code;
  } finally {
    held.lost.removeEventListener('abort', onLost);
  }
}

function lostError(name: string, reason: unknown): CommandError {
  const why = reason instanceof Error ? reason.message : String(reason);
  return new CommandError('internal', 'lockLost', `the lock ${name} was lost while the command ran: ${why}`, 'unknown');
}
