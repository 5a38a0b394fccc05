import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fillFile } from './filled-file.ts';

/** Name of the file in a data directory. */
const fileName = 'reserve';

/**
 * Room on the disk that is taken while space is low, and given up to the state when a checkpoint finds none: whoever else
 * fills the disk cannot take it. Its file means nothing, and may be removed at any time.
 */
export class DiskReserve {
  readonly #file: string;
  readonly bytes: number;
  /** A former life may have left it. */
  #isHeld: boolean;
  #isSpent = false;
  #isFilling = false;

  constructor(directory: string, bytes: number) {
    this.#file = join(directory, fileName);
    this.bytes = bytes;
    this.#isHeld = existsSync(this.#file);
  }

  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** True from when it was needed until it is held again, or {@link forget} says that there is room enough without. */
  get isSpent(): boolean {
    return this.#isSpent;
  }

  /** Takes the room. Rejects if the disk has none; nothing is taken then. */
  async hold(): Promise<void> {
    if (this.#isHeld || this.#isFilling) return;
    this.#isFilling = true;
    try {
      await fillFile(this.#file, this.bytes);
      this.#isHeld = true;
      this.#isSpent = false;
    } catch (error) {
      await rm(this.#file, { force: true });
      throw error;
    } finally {
      this.#isFilling = false;
    }
  }

  /** Gives it back, since there is room enough. */
  async release(): Promise<void> {
    this.#isHeld = false;
    await rm(this.#file, { force: true });
  }

  /** Gives it to a write that found no room. False: there is nothing to give. */
  async spend(): Promise<boolean> {
    if (!this.#isHeld) return false;
    this.#isSpent = true;
    await this.release();
    return true;
  }

  forget(): void {
    this.#isSpent = false;
  }
}
