import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import type { KvClient, LockOptions } from '../client/client.ts';
import { KvError } from '../client/errors.ts';
import type { KeptKey } from '../client/kept-key.ts';
import { InputError } from '../cluster/input-error.ts';
import { CommandError } from './exit-codes.ts';

/** Which lock. */
export interface Lock extends LockOptions {
  readonly name: string;
}

const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Waits for the lock, runs the command, and lets go. Gives the exit code of the command, as shells do where a signal ended it. */
export async function runUnderLock(
  client: KvClient,
  lock: Lock,
  command: readonly [string, ...string[]],
): Promise<number> {
  const { name, ...options } = lock;
  const asked = new AbortController();
  // Who waits lets go of its place; the command itself is told below.
  const onSignal = (signal: NodeJS.Signals) => asked.abort(signal);
  for (const signal of stopSignals) process.on(signal, onSignal);
  const held = await acquire(client, name, { ...options, signal: asked.signal });
  if (typeof held === 'number') return held;
  try {
    return await runHolding(held, name, command);
  } finally {
    await held.release();
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

async function runHolding(
  held: KeptKey,
  name: string,
  [program, ...words]: readonly [string, ...string[]],
): Promise<number> {
  const env = { ...process.env, KV_LOCK_NAME: name, KV_LOCK_REVISION: `${held.revision}` };
  const child = spawn(program, words, { stdio: 'inherit', env });
  const onLost = () => child.kill('SIGTERM');
  held.lost.addEventListener('abort', onLost);
  // A terminal sends its signals to the command, too; whoever sends one to this process alone means both.
  const onTerm = () => child.kill('SIGTERM');
  process.on('SIGTERM', onTerm);
  try {
    const code = await ended(child, program);
    if (held.lost.aborted) throw lostError(name, held.lost.reason);
    return code;
  } finally {
    process.off('SIGTERM', onTerm);
  }
}

async function ended(child: ChildProcess, program: string): Promise<number> {
  try {
    const [code, signal] = await once(child, 'exit');
    return signal === null ? code : codeOfSignal(signal);
  } catch (error) {
    throw new InputError(`the command ${program} cannot be run: ${(error as Error).message}`, { cause: error });
  }
}

function lostError(name: string, reason: unknown): CommandError {
  const why = reason instanceof Error ? reason.message : String(reason);
  return new CommandError('internal', 'lockLost', `the lock ${name} was lost while the command ran: ${why}`, 'unknown');
}

function codeOfSignal(signal: keyof typeof constants.signals): number {
  return 128 + constants.signals[signal];
}
