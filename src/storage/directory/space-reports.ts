import type { SpaceMeasured } from '../../replica/events.ts';
import { isOutOfFiles, messageOf } from '../disk/system-error.ts';
import type { DataDirectory } from './data-directory.ts';

/** When space is measured again that could not be, milliseconds. */
const measureAgainMs = 500;

export interface SpaceReportsOptions {
  readonly directory: Pick<DataDirectory, 'measureSpace'>;
  readonly onMeasured: (space: SpaceMeasured) => void;
  /** A file of the log could not be made or removed ahead of time. */
  readonly onProblem: (reason: string) => void;
  /** It could not be measured for want of open files, and will be soon. */
  readonly onSkipped: (reason: string) => void;
  readonly onFailed: (error: unknown) => void;
}

/** Measures the space of a directory, whenever it may have changed much, and tells its owner. */
export class SpaceReports {
  readonly #options: SpaceReportsOptions;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(options: SpaceReportsOptions) {
    this.#options = options;
  }

  /** Measures once; resolves to the milliseconds after which it is due again. Rejects if the disk cannot be asked. */
  async measure(): Promise<number> {
    const { directory, onMeasured, onProblem, onSkipped } = this.#options;
    try {
      const { againMs, logProblem, ...space } = await directory.measureSpace();
      if (logProblem !== undefined) onProblem(logProblem);
      if (!this.#isStopped) onMeasured(space);
      return againMs;
    } catch (error) {
      if (!isOutOfFiles(error)) throw error;
      onSkipped(messageOf(error));
      return measureAgainMs;
    }
  }

  /** Measures after `inMs` milliseconds and from then on, until it is stopped or fails. */
  repeat(inMs: number): void {
    this.#timer = setTimeout(() => this.#again().catch(this.#options.onFailed), inMs);
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  async #again(): Promise<void> {
    const againMs = await this.measure();
    if (!this.#isStopped) this.repeat(againMs);
  }
}
