import { Worker } from 'node:worker_threads';
import { findLmdb } from './lmdb-path.ts';
import { writeBatchesText } from './programs/texts.ts';
import type { WriterAnswer, WriterData, WriterTask } from './programs/write-batches.ts';
import { batchFormat, type StateBatch, stateTableNames } from './state-batch.ts';

interface Waiting {
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/** The thread makes little garbage that lives, and keeps nothing. */
const resourceLimits = { maxYoungGenerationSizeMb: 4, maxOldGenerationSizeMb: 256 };

const places = { endsAt: 0, busyAt: 1, hurryAt: 2 };
const { endsAt, busyAt, hurryAt } = places;
const signalsBytes = 12;
/** How long the end of the process waits for a transaction, which is aborted but for its last step: the flush, milliseconds. */
const exitPatienceMs = 5_000;

/** Those whose threads run. */
const running = new Set<Int32Array>();

/** A thread that is ended in the middle of a transaction would wait for its own lock, and the process for it, for ever. */
function abortTransactions(): void {
  for (const signals of running) {
    Atomics.store(signals, endsAt, 1);
    wake(signals);
    if (Atomics.load(signals, busyAt) === 1) Atomics.wait(signals, busyAt, 1, exitPatienceMs);
  }
}

/** Ends a pause that the thread makes, and any other in what it writes now. */
function wake(signals: Int32Array): void {
  Atomics.store(signals, hurryAt, 1);
  Atomics.notify(signals, hurryAt);
}

/** Where processors are scarce, the thread gets about a third of the share that one of those has which serve clients. */
const niceness = 5;

/**
 * Writes to the LMDB environment in a directory from a thread of its own: a large batch takes up to seconds, in which the node's own thread
 * must answer heartbeats and clients. All or nothing of a batch, durable when its promise resolves, in the order of the calls. The
 * thread starts with the first batch; without any under way it keeps no process alive.
 */
export class StateWriter {
  readonly #path: string;
  readonly #lmdbPath = findLmdb();
  readonly #signals = new Int32Array(new SharedArrayBuffer(signalsBytes));
  #thread: Worker | undefined;
  #waiting: Waiting[] = [];
  #failure: Error | undefined;

  /** The environment's tables must exist, see {@link stateTableNames}. */
  constructor(path: string) {
    this.#path = path;
  }

  /**
   * `batch` must not change until it is done. `spreadMs`: what it takes of a processor may be spread over so many milliseconds, unless
   * {@link hurry} is called meanwhile. Rejects as LMDB does: then nothing of it is written.
   */
  write(batch: StateBatch, spreadMs: number): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#thread ??= this.#start();
    const thread = this.#thread;
    if (this.#waiting.length > 0) this.hurry();
    else Atomics.store(this.#signals, hurryAt, 0);
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      thread.ref();
      const chunks = batch.chunks.map(({ memory, used }) => ({ memory, used }));
      thread.postMessage({ chunks, spreadMs } satisfies WriterTask);
    });
  }

  /** Somebody waits for what is under way. */
  hurry(): void {
    wake(this.#signals);
  }

  /** Waits for what was given, then ends the thread. */
  async close(): Promise<void> {
    const thread = this.#thread;
    if (!thread || this.#failure) return;
    this.#failure = new Error('the writer of the state is closed');
    this.hurry();
    thread.ref();
    const ended = new Promise((resolve) => thread.once('exit', resolve));
    thread.postMessage(null);
    await ended;
  }

  #start(): Worker {
    const workerData: WriterData = {
      ...{ lmdbPath: this.#lmdbPath, path: this.#path, tables: stateTableNames, format: batchFormat },
      ...{ niceness, signals: this.#signals.buffer, places },
    };
    // No flags of the process: a loader or a profiler is none of the thread's business.
    const thread = new Worker(writeBatchesText, { eval: true, workerData, execArgv: [], env: {}, resourceLimits });
    if (running.size === 0) process.on('exit', abortTransactions);
    running.add(this.#signals);
    thread.on('message', (answer: WriterAnswer) => this.#onAnswer(thread, answer));
    thread.on('error', (error) => this.#onEnd(error));
    thread.on('exit', () => this.#onEnd(new Error('the thread that writes the state ended')));
    return thread;
  }

  #onAnswer(thread: Worker, { problem }: WriterAnswer): void {
    const waiting = this.#waiting.shift();
    if (this.#waiting.length === 0) thread.unref();
    if (problem) waiting?.reject(Object.assign(new Error(problem.message), { code: problem.code }));
    else waiting?.resolve();
  }

  #onEnd(error: unknown): void {
    running.delete(this.#signals);
    if (running.size === 0) process.off('exit', abortTransactions);
    this.#failure ??= error instanceof Error ? error : new Error(String(error));
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(this.#failure);
  }
}
