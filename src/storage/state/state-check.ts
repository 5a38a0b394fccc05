import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { isSea } from 'node:sea';
import type { Readable } from 'node:stream';
import { clearReaders, dataFileName } from './lmdb-environment.ts';
import { findLmdb } from './lmdb-path.ts';
import type { CheckLine, FoundRecords } from './programs/check-records.ts';
import { checkRecordsText } from './programs/texts.ts';

/** Something in the state that is not as it was written. */
export interface StateProblem {
  /** Names the record or table, such as `key "a"`. */
  readonly where: string;
  readonly problem: string;
}

/** What a check of the state found. */
export interface StateContents extends FoundRecords {
  /** At most 100. */
  readonly problems: readonly StateProblem[];
}

/** The check could not be made: nothing is known of the state. */
export class StateCheckError extends Error {
  override readonly name = 'StateCheckError';

  constructor(why: string) {
    super(`the state cannot be checked: ${why}`);
  }
}

/** How long a check may be silent, milliseconds: for a disk that hangs. */
const silenceMsMax = 60_000;

/** What the program says first. */
const beginLine = JSON.stringify({ type: 'begin' } satisfies CheckLine);

/** How long to read at most, and who is told how far it is. */
export interface StateCheckOptions {
  /** Milliseconds; all of it if not given. */
  readonly readMsMax?: number;
  readonly onProgress?: (records: number) => void;
}

/**
 * Checks the state in directory `path`, which nobody may have open, in a child process, which a data file that was cut or overwritten may
 * end by a signal; changes nothing there. About 0.15 s, and
 * some microseconds a record. Rejects with a {@link StateCheckError} where no such process is to be had, as in a program that is one file with
 * its own Node: to start that would run all of it once more.
 */
export async function checkState(path: string, options: StateCheckOptions = {}): Promise<StateContents> {
  // LMDB has a file for its readers beside the data: it goes elsewhere.
  const scratch = makeScratch();
  try {
    clearReaders(scratch);
    symlinkSync(resolve(path, dataFileName), join(scratch, dataFileName));
    return await runCheck(scratch, options);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** In memory where there is such a place: the disk may be full. */
function makeScratch(): string {
  const name = 'kv-check-';
  try {
    return mkdtempSync(join('/dev/shm', name));
  } catch {
    return mkdtempSync(join(tmpdir(), name));
  }
}

function runCheck(path: string, { readMsMax, onProgress }: StateCheckOptions): Promise<StateContents> {
  if (isSea() || 'electron' in process.versions || 'pkg' in process) {
    throw new StateCheckError('this program is not run by a node of its own');
  }
  const args = ['-e', checkRecordsText, findLmdb(), String(readMsMax ?? Number.MAX_SAFE_INTEGER), path];
  return new CheckRun(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: {} }), onProgress)
    .contents;
}

/** What the program says, up to its end, whatever that is. */
class CheckRun {
  readonly contents: Promise<StateContents>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #onProgress: ((records: number) => void) | undefined;
  readonly #problems: StateProblem[] = [];
  #found: FoundRecords = { appliedIndex: undefined, keys: 0, sessions: 0, bytes: 0, isWhole: false };
  #hasBegun = false;
  #hasEnded = false;
  #isSilent = false;
  #stderr = '';
  #timer: NodeJS.Timeout | undefined;

  constructor(child: ChildProcessByStdio<null, Readable, Readable>, onProgress?: (records: number) => void) {
    this.#child = child;
    this.#onProgress = onProgress;
    this.#wait();
    child.stderr.on('data', (text) => {
      this.#stderr = `${this.#stderr}${text}`.slice(-10_000);
    });
    createInterface({ input: child.stdout }).on('line', (text) => this.#onLine(text));
    this.contents = new Promise((settle, reject) => {
      child.once('error', (error) => {
        clearTimeout(this.#timer);
        reject(new StateCheckError(error.message));
      });
      child.once('close', (code, signal) => {
        clearTimeout(this.#timer);
        const end = endOf(code, signal, this.#isSilent, this.#stderr);
        if (this.#hasBegun) settle(this.#contentsAt(end));
        else reject(new StateCheckError(`${process.execPath} ran no check (${end})`));
      });
    });
  }

  #wait(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#isSilent = true;
      this.#child.kill('SIGKILL');
    }, silenceMsMax);
  }

  #onLine(text: string): void {
    this.#wait();
    this.#hasBegun ||= text === beginLine;
    // Whatever that is, it is not our program.
    if (!this.#hasBegun) return void this.#child.kill('SIGKILL');
    const line = JSON.parse(text) as CheckLine;
    if (line.type === 'progress') this.#onProgress?.(line.records);
    else if (line.type === 'problem') this.#problems.push({ where: line.where, problem: line.problem });
    else if (line.type === 'end') {
      const { type, ...found } = line;
      this.#found = { ...this.#found, ...found };
      this.#hasEnded = true;
    }
  }

  #contentsAt(end: string): StateContents {
    if (!this.#hasEnded) this.#problems.push({ where: 'its pages', problem: end });
    return { ...this.#found, problems: this.#problems };
  }
}

function endOf(code: number | null, signal: string | null, isSilent: boolean, stderr: string): string {
  if (isSilent) return `it could not be read in ${silenceMsMax / 1000} s`;
  if (signal !== null) return `reading it ends the process with ${signal}`;
  return lastLine(stderr) ?? `reading it ended with exit code ${code}`;
}

/** The line of a stack trace that names the error. */
function lastLine(stderr: string): string | undefined {
  return stderr.split('\n').find((line) => /^\w*Error/.test(line));
}
