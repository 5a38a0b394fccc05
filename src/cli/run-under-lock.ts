import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import type { KvClient, LockOptions } from '../client/client.ts';
import { KvError } from '../client/errors.ts';
import { type KeptKey, lossMargin } from '../client/kept-key.ts';
import { InputError } from '../cluster/input-error.ts';
import { CommandError } from './exit-codes.ts';
import { printMessage } from './output.ts';
import { ProcessTree } from './process-tree.ts';
import { hasTerminal } from './stop-signals.ts';

/** A program and its arguments. */
type Command = readonly [string, ...string[]];

/** Which lock. */
export interface Lock extends LockOptions {
  readonly name: string;
  readonly ttlMs: number;
}

const pollMs = 50;
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** Waits for the lock, runs the command, and lets go. Gives the exit code of the command, as shells do where a signal ended it. */
export async function runUnderLock(client: KvClient, lock: Lock, command: Command): Promise<number> {
  const { name, ...options } = lock;
  const asked = new AbortController();
  // Who waits lets go of its place; the command itself is told below.
  const onSignal = (signal: NodeJS.Signals) => asked.abort(signal);
  for (const signal of stopSignals) process.on(signal, onSignal);
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
    printMessage(`kv lock: the lock ${name} goes by itself in ${ttlMs / 1000} s at the latest: ${error.message}`);
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

async function runHolding(held: KeptKey, { name, ttlMs }: Lock, [program, ...words]: Command): Promise<number> {
  const own = {
    KV_LOCK_NAME: name,
    KV_LOCK_KEY: Buffer.from(held.key).toString(),
    KV_LOCK_REVISION: `${held.revision}`,
  };
  const env = { ...process.env, ...own };
  const child = spawn(program, words, { stdio: 'inherit', env });
  let killing: Promise<void> | undefined;
  // From then on another may hold it.
  const onLost = () => {
    killing = stopAll(child, ttlMs * lossMargin);
    // It is looked at once the command has ended.
    killing.catch(() => {});
  };
  // It may have been lost before the command began.
  if (held.lost.aborted) onLost();
  else held.lost.addEventListener('abort', onLost);
  // Whoever sends a signal to this process alone means both. A terminal sends SIGINT to both: twice would mean more to many.
  const forwarded = hasTerminal() ? stopSignals.filter((signal) => signal !== 'SIGINT') : stopSignals;
  const forward = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of forwarded) process.on(signal, forward);
  try {
    const code = await ended(child, program);
    await killing;
    if (held.lost.aborted) throw lostError(name, held.lost.reason);
    return code;
  } finally {
    held.lost.removeEventListener('abort', onLost);
    for (const signal of forwarded) process.off(signal, forward);
  }
}

/** The command, and all that it has started: it is a script, as like as not. Resolves when none of that runs, or `patienceMs` after all that was killed. */
async function stopAll(child: ChildProcess, patienceMs: number): Promise<void> {
  if (child.pid === undefined) return;
  const tree = new ProcessTree(child.pid);
  signalAll(child, tree, 'SIGTERM');
  if (await hasEnded(child, tree, patienceMs)) return;
  signalAll(child, tree, 'SIGKILL');
  await hasEnded(child, tree, patienceMs);
}

/** The tree knows them all before the first is told: whose parent has gone then is found no more. */
function signalAll(child: ChildProcess, tree: ProcessTree, signal: NodeJS.Signals): void {
  let isTold = false;
  try {
    isTold = tree.signal(signal);
  } finally {
    if (!isTold) child.kill(signal);
  }
}

async function hasEnded(child: ChildProcess, tree: ProcessTree, withinMs: number): Promise<boolean> {
  const deadlineMs = performance.now() + withinMs;
  while (tree.isRunning || (child.exitCode === null && child.signalCode === null)) {
    if (performance.now() >= deadlineMs) return false;
    await delay(pollMs);
  }
  return true;
}

/** The exit code. Only a command that could not be started has none: one that must not be signalled, since it runs as somebody else, goes on. */
function ended(child: ChildProcess, program: string): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : codeOfSignal(signal)));
    child.on('error', (error) => {
      if (child.pid === undefined) {
        reject(new InputError(`the command ${program} cannot be run: ${error.message}`, { cause: error }));
      } else printMessage(`kv lock: ${program} (process ${child.pid}) cannot be stopped: ${error.message}`);
    });
  });
}

function lostError(name: string, reason: unknown): CommandError {
  const why = reason instanceof Error ? reason.message : String(reason);
  return new CommandError('internal', 'lockLost', `the lock ${name} was lost while the command ran: ${why}`, 'unknown');
}

function codeOfSignal(signal: keyof typeof constants.signals): number {
  return 128 + constants.signals[signal];
}
