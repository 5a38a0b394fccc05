import { existsSync, readdirSync, realpathSync, rmSync, statSync } from 'node:fs';
import { type FileHandle, open, rename } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InputError } from '../cluster/input-error.ts';
import { isPidTaken } from '../storage/directory/process-identity.ts';

/** A part that was not written to for so long, and whose process is gone, was cut off: a process of another machine that shares the disk writes. */
const cutOffMs = 60_000;

/** Files that this process began. */
let begun = 0;

/**
 * A file that comes into being whole or not at all: it is written beside its name, made durable, and only then given that name. Each process
 * writes a part of its own, so that what one leaves that was killed is in nobody's way; the next to write that file removes it.
 */
export class NewFile {
  readonly path: string;
  readonly #part: string;
  readonly #mayReplace: boolean;
  readonly #file: FileHandle;

  private constructor(path: string, part: string, mayReplace: boolean, file: FileHandle) {
    this.path = path;
    this.#part = part;
    this.#mayReplace = mayReplace;
    this.#file = file;
  }

  /** Begins it beside `path`. Throws {@link InputError} if `path` is there and may not be replaced, or cannot be made. */
  static async begin(path: string, mayReplace: boolean): Promise<NewFile> {
    const full = targetOf(resolve(path));
    const part = `${full}.${process.pid}-${begun++}.part`;
    if (!mayReplace) refuseTaken(full);
    if (!existsSync(dirname(full)))
      throw new InputError(`${full} cannot be written: there is no folder ${dirname(full)}`);
    try {
      removeCutOff(full);
      return new NewFile(full, part, mayReplace, await open(part, 'w', 0o600));
    } catch (error) {
      const { message } = error as Error;
      throw new InputError(`${part} cannot be written (${message}): give a file in a directory that may be written to`);
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#attempt(() => this.#file.writeFile(bytes));
  }

  /** Makes it durable and gives it its name. */
  async finish(): Promise<void> {
    await this.#attempt(() => this.#file.sync());
    await this.#file.close();
    if (!this.#mayReplace) refuseTaken(this.path);
    await this.#attempt(async () => {
      await rename(this.#part, this.path);
      await syncFolder(dirname(this.path));
    });
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    try {
      await step();
    } catch (error) {
      throw this.#failed(error as Error);
    }
  }

  #failed({ message }: Error): InputError {
    return new InputError(
      `${this.path} could not be written (${message}): free some space, or give a file on another disk`,
    );
  }

  /** Removes what was written so far. To be called also after a `finish` that failed; harmless after one that did not. */
  async discard(): Promise<void> {
    await this.#file.close();
    rmSync(this.#part, { force: true });
  }

  /** As {@link discard}, at once, for a process that is about to end. */
  discardNow(): void {
    rmSync(this.#part, { force: true });
  }
}

/** What a link leads to is replaced, not the link, unless it leads nowhere; and only files are, no devices, pipes or folders. */
function targetOf(path: string): string {
  if (!existsSync(path)) return path;
  const real = realpathSync(path);
  if (statSync(real).isFile()) return real;
  throw new InputError(`${path} is no file that can be replaced: give the name of a file, or - for standard output`);
}

function refuseTaken(path: string): void {
  if (existsSync(path)) throw new InputError(`${path} is there already: give another name, or --force to replace it`);
}

/** Removes what processes left that were killed while they wrote `path`. */
function removeCutOff(path: string): void {
  const folder = dirname(path);
  const start = `${basename(path)}.`;
  for (const name of readdirSync(folder)) {
    if (!name.startsWith(start)) continue;
    const pid = /^(\d+)-\d+\.part$/.exec(name.slice(start.length))?.[1];
    if (pid === undefined || isPidTaken(Number(pid))) continue;
    const part = join(folder, name);
    if (Date.now() - (statSync(part, { throwIfNoEntry: false })?.mtimeMs ?? 0) > cutOffMs)
      rmSync(part, { force: true });
  }
}

/** Makes the name durable. */
async function syncFolder(path: string): Promise<void> {
  // Windows cannot open directories, and needs no such step.
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
