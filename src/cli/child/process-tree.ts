import { readdirSync, readFileSync } from 'node:fs';

/** A process, told from a later one of the same number by when it started. */
interface Seen {
  readonly pid: number;
  readonly parent: number;
  readonly startTicks: number;
  readonly hasEnded: boolean;
}

/**
 * A process with all that it started, and what those started, as /proc shows it: a script's programs go on where only the script is ended. What
 * was seen once belongs to it also when its parent has gone, and so does what has the mark of it in its environment, which whatever it starts gets from it.
 * Where there is no /proc it is the process alone.
 */
export class ProcessTree {
  readonly #root: number;
  readonly #mark: Buffer;
  readonly #seen = new Map<number, Seen>();

  /** `mark`: a variable, as `NAME=value`, that nothing else has in its environment. */
  constructor(root: number, mark: string) {
    this.#root = root;
    this.#mark = Buffer.from(`\0${mark}\0`);
  }

  /** Looks for what belongs to it by its mark, too. Returns how many of all run. */
  find(): number {
    for (const one of listProcesses()) if (!one.hasEnded && this.#isMarked(one.pid)) this.#seen.set(one.pid, one);
    return this.#running().length;
  }

  #isMarked(pid: number): boolean {
    // One that cannot be read is somebody else's. A zero goes in front, so that there is one before the first variable, too.
    const environment = readOf(pid, 'environ');
    return environment !== undefined && Buffer.concat([Buffer.alloc(1), environment]).includes(this.#mark);
  }

  /** Sends it to all that run. One that runs as somebody else is passed over. False: none is to be seen. */
  signal(signal: NodeJS.Signals): boolean {
    this.find();
    const running = this.#running();
    for (const { pid } of running) {
      try {
        process.kill(pid, signal);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // It has ended by itself, or may not be signalled.
        if (code !== 'ESRCH' && code !== 'EPERM') throw error;
      }
    }
    return running.length > 0;
  }

  /** True while any of them runs. */
  get isRunning(): boolean {
    return this.#running().length > 0;
  }

  #running(): Seen[] {
    const all = listProcesses();
    const [root] = all.filter(({ pid }) => pid === this.#root);
    if (root !== undefined && !this.#seen.has(root.pid)) this.#seen.set(root.pid, root);
    const isOurs = (one: Seen) => this.#seen.get(one.pid)?.startTicks === one.startTicks;
    for (let before = -1; before !== this.#seen.size; ) {
      before = this.#seen.size;
      const parents = new Set(all.filter(isOurs).map(({ pid }) => pid));
      for (const one of all) if (parents.has(one.parent)) this.#seen.set(one.pid, one);
    }
    return all.filter((one) => isOurs(one) && !one.hasEnded);
  }
}

function listProcesses(): Seen[] {
  return namesIn('/proc').flatMap((name) => {
    const stat = /^\d+$/.test(name) ? readOf(Number(name), 'stat')?.toString('latin1') : undefined;
    if (stat === undefined) return [];
    // The name in parentheses may hold anything; what follows is: state, parent, …, and the start time as the 20th.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const hasEnded = fields[0] === 'Z' || fields[0] === 'X';
    return [{ pid: Number(name), parent: Number(fields[1]), startTicks: Number(fields[19]), hasEnded }];
  });
}

function namesIn(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'EPERM' || code === 'EACCES') return [];
    throw error;
  }
}

/** Undefined: it has ended, or is somebody else's and hidden. */
function readOf(pid: number, what: 'stat' | 'environ'): Buffer | undefined {
  try {
    return readFileSync(`/proc/${pid}/${what}`);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EPERM' || code === 'EACCES') return undefined;
    throw error;
  }
}
