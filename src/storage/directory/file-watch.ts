import type { DataDirectory } from './data-directory.ts';

/** Timers between two looks: one takes a third as long as all else that a tick does. */
const timersPerLook = 5;

/**
 * Looks at the files of a directory that is in use: are they there, and this process's own? Not in every turn, where it would cost too much; a read
 * that comes before it may end the process by a signal.
 */
export class FileWatch {
  readonly #directory: Pick<DataDirectory, 'checkFiles'>;
  readonly #onFailed: (error: unknown) => void;
  #timersLeft = 0;

  /** `onFailed` is told what {@link DataDirectory.checkFiles} throws. */
  constructor(directory: Pick<DataDirectory, 'checkFiles'>, onFailed: (error: unknown) => void) {
    this.#directory = directory;
    this.#onFailed = onFailed;
  }

  /** To be called on every timer: looks now and then, and at once behind a standstill, in which another process may have taken the directory. False as {@link look}. */
  onTimer(stoodStill: boolean): boolean {
    this.#timersLeft--;
    if (this.#timersLeft > 0 && !stoodStill) return true;
    this.#timersLeft = timersPerLook;
    return this.look();
  }

  /** False if nothing more may be read or written there: `onFailed` was told. */
  look(): boolean {
    try {
      this.#directory.checkFiles();
      return true;
    } catch (error) {
      this.#onFailed(error);
      return false;
    }
  }
}
