import type { KvError } from '../../client/call/errors.ts';
import type { Consistency } from '../../wire/client-message.ts';
import type { KeySpace } from './key-space.ts';
import type { Meter } from './meter.ts';

/** What the generator needs of a client: `KvClient` has it. */
export interface BenchClient {
  put(key: Uint8Array, value: Uint8Array): Promise<unknown>;
  get(key: Uint8Array, options: { readonly consistency: Consistency }): Promise<unknown>;
  close(): Promise<void>;
}

export interface LoadOptions {
  readonly clients: readonly BenchClient[];
  readonly outstanding: number;
  readonly keySpace: KeySpace;
  readonly value: Uint8Array;
  readonly readShare: number;
  readonly consistency: Consistency;
  readonly ratePerSecond: number | undefined;
  readonly meter: Meter;
  /** Called with an error that is no answer of a client: a defect. */
  readonly onDefect: (error: unknown) => void;
}

/** How long an operation that failed keeps its place free: a cluster that refuses at once must not be asked in a tight loop. */
const restMs = 10;
/** How often an open loop looks whether operations are due: the finest that timers offer. */
const paceMs = 1;

/**
 * Keeps operations in flight. Each of the `outstanding` slots has one at a time, over the same buffers and callbacks, so that
 * an operation costs no more than the client itself makes of it.
 *
 * A closed loop begins the next operation when one ends. An open loop begins them at a rate; where no slot is free they
 * queue up, and their latency counts from the moment at which they should have begun.
 */
export class Load {
  readonly options: LoadOptions;
  readonly #idle: Slot[] = [];
  #resting: Slot[] = [];
  #restTimer: NodeJS.Timeout | undefined;
  #pacer: NodeJS.Timeout | undefined;
  #startedMs = 0;
  #begun = 0;
  #inFlight = 0;
  #isStopping = false;
  #onDrained: (() => void) | undefined;

  constructor(options: LoadOptions) {
    this.options = options;
    for (let number = 0; number < options.outstanding; number++) {
      const client = options.clients[number % options.clients.length] as BenchClient;
      this.#idle.push(new Slot(this, client));
    }
  }

  start(): void {
    this.#startedMs = performance.now();
    if (this.options.ratePerSecond === undefined) {
      for (const slot of this.#idle.splice(0)) this.#begin(slot, this.#startedMs);
    } else this.#pacer = setInterval(() => this.#pace(), paceMs);
  }

  /** Operations of an open loop that should have begun by now and could not, as none was free. */
  get overdue(): number {
    if (this.#idle.length > 0) return 0;
    return Math.max(0, this.#due(performance.now()) - this.#begun);
  }

  /** Begins no more, and resolves when nothing is in flight. */
  stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#pacer);
    clearTimeout(this.#restTimer);
    return new Promise((resolve) => {
      this.#onDrained = resolve;
      this.#noticeDrained();
    });
  }

  /** An operation succeeded. */
  onDone(slot: Slot): void {
    const nowMs = performance.now();
    this.options.meter.succeeded(slot.isGet ? 'get' : 'put', nowMs - slot.startMs);
    this.#inFlight--;
    this.#next(slot, nowMs);
  }

  onFailed(slot: Slot, error: unknown): void {
    if (isKvError(error)) this.options.meter.failed(error.code, error);
    else this.options.onDefect(error);
    this.#inFlight--;
    this.#rest(slot);
  }

  #next(slot: Slot, nowMs: number): void {
    if (this.#isStopping) this.#noticeDrained();
    else if (this.options.ratePerSecond === undefined) this.#begin(slot, nowMs);
    else if (this.#begun < this.#due(nowMs)) this.#begin(slot, this.#intendedMs());
    else this.#idle.push(slot);
  }

  #begin(slot: Slot, startMs: number): void {
    this.#begun++;
    this.#inFlight++;
    slot.begin(startMs);
  }

  #pace(): void {
    const due = this.#due(performance.now());
    while (this.#begun < due) {
      const slot = this.#idle.pop();
      if (slot === undefined) return;
      this.#begin(slot, this.#intendedMs());
    }
  }

  /** How many operations should have begun: the first one at once. */
  #due(nowMs: number): number {
    const { ratePerSecond } = this.options;
    return ratePerSecond === undefined ? 0 : 1 + Math.floor(((nowMs - this.#startedMs) * ratePerSecond) / 1000);
  }

  /** When the next operation should begin. */
  #intendedMs(): number {
    return this.#startedMs + (this.#begun * 1000) / (this.options.ratePerSecond ?? 1);
  }

  #rest(slot: Slot): void {
    if (this.#isStopping) {
      this.#noticeDrained();
      return;
    }
    this.#resting.push(slot);
    this.#restTimer ??= setTimeout(() => this.#wakeUp(), restMs);
  }

  #wakeUp(): void {
    this.#restTimer = undefined;
    const slots = this.#resting;
    this.#resting = [];
    const nowMs = performance.now();
    for (const slot of slots) this.#next(slot, nowMs);
  }

  #noticeDrained(): void {
    if (this.#inFlight === 0) this.#onDrained?.();
  }
}

/** The place of one operation in flight. */
class Slot {
  startMs = 0;
  isGet = false;
  readonly #load: Load;
  readonly #client: BenchClient;
  readonly #key: Uint8Array;
  readonly #readOptions: { readonly consistency: Consistency };
  readonly #onPut = (): void => this.#load.onDone(this);
  readonly #onGot = (found: unknown): void => {
    this.#load.options.meter.found(found !== undefined);
    this.#load.onDone(this);
  };
  readonly #onFailed = (error: unknown): void => this.#load.onFailed(this, error);

  constructor(load: Load, client: BenchClient) {
    this.#load = load;
    this.#client = client;
    this.#key = load.options.keySpace.newKey();
    this.#readOptions = { consistency: load.options.consistency };
  }

  begin(startMs: number): void {
    const { keySpace, readShare, value } = this.#load.options;
    this.startMs = startMs;
    this.isGet = keySpace.chance(readShare);
    keySpace.write(this.#key, keySpace.pick());
    if (this.isGet) void this.#client.get(this.#key, this.#readOptions).then(this.#onGot, this.#onFailed);
    else void this.#client.put(this.#key, value).then(this.#onPut, this.#onFailed);
  }
}

/** By its name: the client may be of another build, as where two commits are compared. */
function isKvError(error: unknown): error is KvError {
  return error instanceof Error && error.name === 'KvError';
}
