import { type ChildProcess, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { InputError } from '../../cluster/input-error.ts';
import { isReaderGone, printMessage } from '../output.ts';
import { ProcessTree } from './process-tree.ts';
import { hasTerminal } from './stop-signals.ts';

/** A program and its arguments. */
export type CommandWords = readonly [string, ...string[]];

/** What a command gets that is not its own. */
export interface ChildInput {
  /** Added to the environment, or left out of it where undefined. */
  readonly variables?: Readonly<Record<string, string | undefined>>;
  /** Its standard input; else it is this one's. */
  readonly input?: Uint8Array;
}

export const passedSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const pollMs = 50;
/** How often what still runs is looked for and killed, and how long it may take to end. */
const killRoundsMax = 5;
const killMsMax = 2000;

/**
 * What stands before the first `--`, and the command behind it; undefined if there is no `--`. Taken apart here: oclif puts words that are the
 * same, or further dashes, in another order. Throws {@link InputError}, with `usage`, if nothing is behind it.
 */
export function splitCommand(
  argv: readonly string[],
  usage: string,
): { readonly own: string[]; readonly command: CommandWords | undefined } {
  const at = argv.indexOf('--');
  if (at < 0) return { own: [...argv], command: undefined };
  const [program, ...words] = argv.slice(at + 1);
  if (program === undefined) throw new InputError(`the COMMAND is missing: ${usage}`);
  return { own: argv.slice(0, at), command: [program, ...words] };
}

/** A command that runs in this one's place: with its streams, and told of the signals that it gets. */
export class ChildCommand {
  readonly #child: ChildProcess;
  readonly #program: string;
  readonly #title: string;

  /** `title`: of this process, in what it says. */
  constructor([program, ...words]: CommandWords, title: string, { variables, input }: ChildInput = {}) {
    this.#program = program;
    this.#title = title;
    this.#child = spawn(program, words, {
      stdio: [input === undefined ? 'inherit' : 'pipe', 'inherit', 'inherit'],
      env: { ...process.env, ...variables },
    });
    if (input !== undefined) this.#give(input);
  }

  #give(input: Uint8Array): void {
    // It need not read all of it, and there is none where it could not be started.
    this.#child.stdin?.on('error', (error) => {
      if (!isReaderGone(error))
        printMessage(`${this.#title}: ${this.#program} does not get all input: ${error.message}`);
    });
    this.#child.stdin?.end(input);
  }

  /**
   * Its exit code, as shells give it where a signal ended it; to be called at once. Only a command that could not be started has none (an
   * {@link InputError}): one that must not be signalled, since it runs as somebody else, goes on.
   */
  async ended(): Promise<number> {
    // Whoever sends a signal to this process alone means both. A terminal sends SIGINT to both: twice would mean more to many.
    const forwarded = hasTerminal() ? passedSignals.filter((signal) => signal !== 'SIGINT') : passedSignals;
    const forward = (signal: NodeJS.Signals) => this.#child.kill(signal);
    for (const signal of forwarded) process.on(signal, forward);
    try {
      return await this.#exitCode();
    } finally {
      for (const signal of forwarded) process.off(signal, forward);
    }
  }

  #exitCode(): Promise<number> {
    const child = this.#child;
    return new Promise((resolve, reject) => {
      child.once('exit', (code, signal) => resolve(signal === null ? (code ?? 1) : codeOfSignal(signal)));
      child.on('error', (error) => {
        if (child.pid === undefined) {
          reject(new InputError(`the command ${this.#program} cannot be run: ${error.message}`, { cause: error }));
        } else
          printMessage(`${this.#title}: ${this.#program} (process ${child.pid}) cannot be stopped: ${error.message}`);
      });
    });
  }

  /**
   * Stops the command, and all that it has started: it is a script, as like as not. SIGTERM now, SIGKILL in `patienceMs`. `mark`: what stands in
   * the environment of this command, as `NAME=value`, and of nothing else. Resolves when none of it runs, or some seconds after it was killed.
   */
  async stopAll(patienceMs: number, mark: string): Promise<void> {
    const { pid } = this.#child;
    if (pid === undefined) return;
    const tree = new ProcessTree(pid, mark);
    this.#signalAll(tree, 'SIGTERM');
    await this.#hasEnded(tree, patienceMs);
    // Whatever was begun meanwhile is found by its mark; what cannot be killed is not waited for without end.
    for (let round = 0; round < killRoundsMax && (tree.find() > 0 || !this.#hasExited); round++) {
      this.#signalAll(tree, 'SIGKILL');
      await this.#hasEnded(tree, killMsMax);
    }
  }

  /** The tree knows them all before the first is told: whose parent has gone then is found no more. */
  #signalAll(tree: ProcessTree, signal: NodeJS.Signals): void {
    let isTold = false;
    try {
      isTold = tree.signal(signal);
    } finally {
      if (!isTold) this.#child.kill(signal);
    }
  }

  /** The command itself: where there is no /proc nothing else is known. */
  get #hasExited(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  async #hasEnded(tree: ProcessTree, withinMs: number): Promise<boolean> {
    const deadlineMs = performance.now() + withinMs;
    while (tree.isRunning || !this.#hasExited) {
      if (performance.now() >= deadlineMs) return false;
      await delay(pollMs);
    }
    return true;
  }
}

/** What shells give as the exit code of a command that a signal ended. */
export function codeOfSignal(signal: keyof typeof constants.signals): number {
  return 128 + constants.signals[signal];
}
