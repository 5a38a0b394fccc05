import { type ChildProcess, spawn, spawnSync } from 'node:child_process';

/** What strace does to calls: `call` on one of `files` fails, or takes longer; `when` as strace has it, counted by thread. */
export interface Injection {
  readonly call: string;
  readonly files: readonly string[];
  readonly fault: `error=${string}` | `delay_exit=${number}`;
  readonly when?: string;
}

/** Why no call of a process can be made to fail here; undefined if it can. */
export function straceProblem(): string | undefined {
  const { error, status } = spawnSync('strace', [
    ...quiet,
    '--seccomp-bpf',
    '-e',
    'inject=fdatasync:error=EIO',
    'true',
  ]);
  if (error) return 'needs the package strace';
  return status === 0 ? undefined : 'needs the right to trace, and seccomp';
}

/** Why no process that runs can be traced here; undefined if it can. */
export function attachProblem(): string | undefined {
  const problem = straceProblem();
  if (problem) return problem;
  const traced = spawn('sleep', ['10'], { stdio: 'ignore' });
  // It ends by itself only if it may not.
  const strace = ['strace', ...quiet, '-e', 'trace=none', '-p', String(traced.pid)];
  const { status } = spawnSync('timeout', ['--signal=INT', '1', ...strace]);
  traced.kill();
  return status === 124 ? undefined : 'needs the right to trace a process that runs';
}

/** Words to put before a command. The process is the command's own: its pid, its signals, its exit code. */
export function under(injection: Injection): string[] {
  return ['strace', '-D', '--seccomp-bpf', ...quiet, ...wordsOf(injection)];
}

/** Does it to a process that runs, until `end`. */
export class Attached {
  readonly #strace: ChildProcess;

  constructor(pid: number, injection: Injection) {
    this.#strace = spawn('strace', [...quiet, ...wordsOf(injection), '-p', String(pid)], { stdio: 'ignore' });
  }

  /** Lets go of the process. */
  async end(): Promise<void> {
    const ended = new Promise((resolve) => this.#strace.once('exit', resolve));
    this.#strace.kill('SIGINT');
    await ended;
  }
}

const quiet = ['-f', '-qq', '-o', '/dev/null'];

function wordsOf({ call, files, fault, when }: Injection): string[] {
  const inject = `inject=${call}:${fault}${when === undefined ? '' : `:when=${when}`}`;
  return [...files.flatMap((file) => ['-P', file]), '-e', `trace=${call}`, '-e', inject];
}
