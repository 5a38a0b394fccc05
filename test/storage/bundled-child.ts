import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type BuildOptions, build } from 'esbuild';

/** A TypeScript program of `children/`, made ready to run in processes of its own. */
export class BundledChild {
  readonly #directory: string;
  readonly #file: string;
  readonly #running = new Set<ChildProcess>();

  private constructor(directory: string) {
    this.#directory = directory;
    this.#file = join(directory, 'child.mjs');
  }

  static async of(name: string, options: BuildOptions = {}): Promise<BundledChild> {
    // Inside the project, so that the program finds its packages.
    const child = new BundledChild(mkdtempSync(join(import.meta.dirname, '../../node_modules/.child-')));
    await build({
      entryPoints: [join(import.meta.dirname, 'children', `${name}.ts`)],
      bundle: true,
      packages: 'external',
      platform: 'node',
      format: 'esm',
      target: 'node20',
      outfile: child.#file,
      ...options,
    });
    return child;
  }

  /** Starts it, with `wrapper` (a command and its arguments) in front. */
  start(args: readonly string[], wrapper: readonly string[] = []): RunningChild {
    const [command, ...rest] = [...wrapper, process.execPath, this.#file, ...args] as [string, ...string[]];
    const process_ = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
    this.#running.add(process_);
    return new RunningChild(process_);
  }

  /** Ends what still runs and removes the program. */
  remove(): void {
    for (const child of this.#running) child.kill('SIGKILL');
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/** A child and the lines it printed. */
export class RunningChild {
  readonly lines: string[] = [];
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null; readonly stderr: string }>;
  readonly #process: ChildProcess;
  #onLine: () => void = () => undefined;
  #hasEnded = false;

  constructor(process_: ChildProcess) {
    this.#process = process_;
    let stderr = '';
    process_.stderr?.on('data', (data) => {
      stderr += String(data);
    });
    if (process_.stdout === null) throw new Error('the child has no output');
    createInterface({ input: process_.stdout }).on('line', (line) => {
      this.lines.push(line);
      this.#onLine();
    });
    this.ended = new Promise((resolve, reject) => {
      process_.once('error', reject);
      process_.once('close', (code, signal) => {
        this.#hasEnded = true;
        resolve({ code, signal, stderr });
        this.#onLine();
      });
    });
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error('the child did not start');
    return this.#process.pid;
  }

  /** Resolves with the first line that begins with one of `starts`. Rejects if it ends without. One caller at a time. */
  async line(...starts: readonly string[]): Promise<string> {
    for (;;) {
      const found = this.lines.find((line) => starts.some((start) => line.startsWith(start)));
      if (found !== undefined) return found;
      if (this.#hasEnded) throw new Error(`no line '${starts}': ${this.lines.join('\n')} ${(await this.ended).stderr}`);
      await this.more();
    }
  }

  /** Resolves with the next line or the end. One caller at a time. */
  more(): Promise<void> {
    return new Promise((resolve) => {
      this.#onLine = resolve;
    });
  }

  kill(): void {
    this.#process.kill('SIGKILL');
  }
}
