import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { isSea } from 'node:sea';
import type { Readable } from 'node:stream';
import { clearReaders, dataFileName } from './lmdb-environment.ts';
import { findLmdb } from './lmdb-path.ts';

/** Something in the state that is not as it was written. */
export interface StateProblem {
  /** Names the record or table, such as `key "a"`. */
  readonly where: string;
  readonly problem: string;
}

/** What a check of the state found. */
export interface StateContents {
  /** Undefined: no checkpoint was ever made. */
  readonly appliedIndex: number | undefined;
  readonly keys: number;
  readonly sessions: number;
  /** Of keys and values. */
  readonly bytes: number;
  /** False: the time was over before all was read. */
  readonly isWhole: boolean;
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

/*
 * Opens an environment as a reader and checks every record in it: its checksum; that the keys ascend; that each key is
 * found where a search for it looks, since a bit that changed in a branch of the tree hides keys whose own bytes are
 * sound; that there are as many as the tree says. A data file that was cut or overwritten ends the process that does this
 * by a signal: hence one of its own. Its program is a text, so that it runs the same from source, from the compiled files
 * and from a bundle. What it knows of the records stands in state-codec.ts and sealed-record.ts; row 0 of the sessions is
 * none (cluster-register.ts), nor are those from 2^52 on (expiry-table.ts).
 */
const program = `
const [lmdbPath, readMs, path] = process.argv.slice(1);
const { writeSync } = require('node:fs');
const say = (line) => writeSync(1, JSON.stringify(line) + '\\n');
say({ type: 'begin' });
const { open } = require(lmdbPath);
const { crc32 } = require('node:zlib');
const binary = { keyEncoding: 'binary', encoding: 'binary' };
const registerRow = Buffer.alloc(8);
const expiryRows = Buffer.from('0010000000000000', 'hex');
const until = Date.now() + Number(readMs);
const found = { keys: 0, sessions: 0, bytes: 0, appliedIndex: undefined, isWhole: true };
let problems = 0, records = 0, highest = 0, said = Date.now();
const report = (where, problem) => { if (++problems <= 100) say({ type: 'problem', where, problem }); };
const isSealed = (value, seed) => value.length >= 4 && value.readUInt32BE(0) === crc32(value.subarray(4), seed);
const varuint = (bytes, at) => {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) return NaN;
    value += (byte & 0x7f) * factor;
    if (byte < 0x80) return value;
  }
};
const root = open({ path, readOnly: true, ...binary });
const names = [...root.getKeys()].map((name) => String(name).replace(/\\0+$/, ''));
const known = ['heads', 'pairs0', 'pairs1', 'sessions0', 'sessions1'];
for (const name of names) if (!known.includes(name)) report('table ' + JSON.stringify(name), 'no such table was made');
for (const name of known) if (!names.includes(name)) report('table ' + JSON.stringify(name), 'it is missing');
const heads = names.includes('heads') ? root.openDB('heads', binary) : undefined;
const head = heads && heads.get(Buffer.from('head'));
let generation = 0;
if (head !== undefined) {
  if (isSealed(head, 0)) {
    generation = head[4];
    found.appliedIndex = varuint(head, 5);
  } else report("the record 'head'", 'the checksum does not fit');
}
function checkTable(name) {
  const table = root.openDB(name, binary);
  const isPairs = name.startsWith('pairs');
  const isPresent = name.endsWith(String(generation));
  let last, count = 0;
  for (const { key, value } of table.getRange({ start: Buffer.from([0]) })) {
    const where = isPairs ? 'key ' + JSON.stringify(key.toString('latin1'))
      : 'session ' + (key.length === 8 ? Number(key.readBigUInt64BE(0)) : key.toString('hex'));
    // As everywhere: over the key as a text of one character a byte, which is not the bytes unless they are all ASCII.
    const seed = isPairs ? crc32(key.latin1Slice()) : key.length === 8 ? key.readUInt32BE(4) : 0;
    if (!isSealed(value, seed)) report(where, 'the checksum does not fit');
    else if (isPairs && isPresent && found.appliedIndex !== undefined) highest = Math.max(highest, varuint(value, 4));
    if (last !== undefined && Buffer.compare(last, key) >= 0) report(where, 'it is out of order');
    const checksum = value.length < 4 ? undefined : value.readUInt32BE(0);
    const again = table.getBinaryFast(key);
    if (again === undefined || (checksum !== undefined && again.readUInt32BE(0) !== checksum)) {
      report(where, 'a search does not find it');
    }
    last = Buffer.from(key);
    count++;
    if (isPresent && isPairs) {
      found.keys++;
      found.bytes += key.length + value.length;
    } else if (isPresent && !key.equals(registerRow) && Buffer.compare(key, expiryRows) < 0) found.sessions++;
    if (++records % 1024 !== 0) continue;
    const now = Date.now();
    if (now > until) { found.isWhole = false; return; }
    if (now - said > 500) { said = now; say({ type: 'progress', records }); }
  }
  const { entryCount } = table.getStats();
  if (entryCount !== count) report('table ' + JSON.stringify(name), entryCount + ' records are due, ' + count + ' are there');
}
for (const name of names) {
  if (!/^(pairs|sessions)[01]$/.test(name)) continue;
  try {
    checkTable(name);
  } catch (error) {
    report('table ' + JSON.stringify(name), error.message);
  }
}
if (highest > (found.appliedIndex ?? 0)) {
  report("the record 'head'", 'a key has revision ' + highest + ', the state ends at ' + found.appliedIndex);
}
say({ type: 'end', ...found });
process.exit(0);
`;

/** What the program says first: whatever else is run in its place does not. */
const beginLine = JSON.stringify({ type: 'begin' });

type Line =
  | { readonly type: 'begin' }
  | { readonly type: 'progress'; readonly records: number }
  | ({ readonly type: 'problem' } & StateProblem)
  | ({ readonly type: 'end' } & Omit<StateContents, 'problems'>);

/** How long to read at most, and who is told how far it is. */
export interface StateCheckOptions {
  /** Milliseconds; all of it if not given. */
  readonly readMsMax?: number;
  readonly onProgress?: (records: number) => void;
}

/**
 * Checks the state in directory `path`, which nobody may have open, in a child process; changes nothing there. About 0.15 s, and
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
  const args = ['-e', program, findLmdb(), String(readMsMax ?? Number.MAX_SAFE_INTEGER), path];
  return new CheckRun(spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'], env: {} }), onProgress)
    .contents;
}

/** What the program says, up to its end, whatever that is. */
class CheckRun {
  readonly contents: Promise<StateContents>;
  readonly #child: ChildProcessByStdio<null, Readable, Readable>;
  readonly #onProgress: ((records: number) => void) | undefined;
  readonly #problems: StateProblem[] = [];
  #found = { appliedIndex: undefined, keys: 0, sessions: 0, bytes: 0, isWhole: false } as Omit<
    StateContents,
    'problems'
  >;
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
    const { type, ...rest } = JSON.parse(text) as Line;
    if (type === 'progress') this.#onProgress?.((rest as { records: number }).records);
    else if (type === 'problem') this.#problems.push(rest as StateProblem);
    else if (type === 'end') {
      this.#found = { ...this.#found, ...(rest as Omit<StateContents, 'problems'>) };
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
