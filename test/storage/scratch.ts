import { cpSync, lstatSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Copies a directory, but for the socket that shows that somebody has it: Node's own copy stumbles over one. */
export function copyFiles(directory: string, copy: string): void {
  cpSync(directory, copy, { recursive: true, filter: (path) => !lstatSync(path).isSocket() });
}

/** Directories of one test, removed together. */
export class Scratch {
  readonly path = mkdtempSync(join(tmpdir(), 'omnikv-storage-'));
  #count = 0;

  /** A path where nothing is yet. */
  fresh(): string {
    return join(this.path, String(++this.#count));
  }

  /** A copy of a directory as it is now: what a crash at this moment leaves, if no write is under way. */
  copyOf(directory: string): string {
    const copy = this.fresh();
    try {
      copyFiles(directory, copy);
      return copy;
    } catch (error) {
      // A file that its store renamed meanwhile: the next attempt sees it under its new name.
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error;
      return this.copyOf(directory);
    }
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
  }
}
