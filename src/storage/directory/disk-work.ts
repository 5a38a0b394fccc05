import type { ReplicaEvent, StorageJob } from '../../replica/events.ts';
import { FlushTimer } from '../disk/flush-timer.ts';
import { isFullDisk } from '../disk/storage-error.ts';
import type { FileLogStore } from '../log/file-log-store.ts';

export interface DiskWorkOptions {
  readonly log: Pick<FileLogStore, 'flush' | 'flushBytes' | 'hasStagedWrites'>;
  /** Milliseconds between ticks. */
  readonly tickMs: number;
  /** Now, on the clock of `performance.now()`. */
  readonly nowMs: number;
  /** For the replica's inbox: a flush is done, or a job. */
  readonly onEvent: (event: ReplicaEvent) => void;
  /** A write failed: no more is to be begun, and nothing that depends on it may leave. */
  readonly onFailed: (error: unknown) => void;
}

/**
 * What a replica has its disk do: flushes of the log, one at a time, so that what is staged meanwhile goes with the next (the group commit), and
 * beside them the jobs that its turns ask for. Each is answered by an event.
 */
export class DiskWork {
  readonly #options: DiskWorkOptions;
  readonly #timer: FlushTimer;
  #isFlushing = false;
  #jobs = 0;
  #isStopping = false;
  #isFull = false;
  /** Called when nothing is left to do. */
  #onIdle: (() => void) | undefined;
  #isAbandoned = false;

  constructor(options: DiskWorkOptions) {
    this.#options = options;
    this.#timer = new FlushTimer(options.tickMs, options.nowMs);
  }

  /** A write found no room after {@link stopForFullDisk}: the stores take nothing any more. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Size of the flush that is under way, as far as it has come, or of the last; bytes. */
  get flushBytes(): number {
    return this.#options.log.flushBytes;
  }

  /** To be called on every tick; for how long the present flush has been under way, milliseconds, 0 if there is none. */
  tick(nowMs: number): number {
    return this.#timer.tick(nowMs);
  }

  /** To be called behind every turn: begins a flush of what it staged, unless one is under way. Where nothing is left to do, {@link idle} resolves. */
  proceed(): void {
    this.#flush();
    this.#noticeIdle();
  }

  run(job: StorageJob): void {
    this.#jobs++;
    job.run().then(
      () => {
        this.#jobs--;
        if (job.type === 'checkpoint') this.#options.onEvent({ type: 'checkpointed' });
        else this.#options.onEvent({ type: 'stateInstalled', index: job.index });
      },
      (error: unknown) => {
        this.#jobs--;
        this.#onWriteFailed(error);
      },
    );
  }

  /** A node that stops does not wait for a full disk: what finds no room from now on was acknowledged to nobody, and is no failure. */
  stopForFullDisk(): void {
    this.#isStopping = true;
  }

  /** Resolves once everything staged is on the disk, or the disk is full, and no job runs; never after {@link abandon}. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#onIdle = resolve;
      this.#noticeIdle();
    });
  }

  /** The node ends without waiting for what is under way. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  #flush(): void {
    const { log, onEvent } = this.#options;
    if (this.#isFlushing || this.#isFull || !log.hasStagedWrites) return;
    this.#isFlushing = true;
    this.#timer.begin(performance.now());
    log.flush().then(
      () => {
        this.#isFlushing = false;
        const durationMs = this.#timer.end(performance.now());
        onEvent({ type: 'flushed', durationMs, bytes: log.flushBytes });
      },
      (error: unknown) => {
        this.#isFlushing = false;
        this.#onWriteFailed(error);
      },
    );
  }

  #onWriteFailed(error: unknown): void {
    if (!this.#isStopping || !isFullDisk(error)) return this.#options.onFailed(error);
    this.#isFull = true;
    this.#noticeIdle();
  }

  #noticeIdle(): void {
    if (this.#isAbandoned || this.#isFlushing || this.#jobs > 0) return;
    if (this.#options.log.hasStagedWrites && !this.#isFull) return;
    this.#onIdle?.();
  }
}
