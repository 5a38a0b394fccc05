import { JoinedSignal } from './joined-signal.ts';

/**
 * What `begin` generates. One that is told to `return` ends at once, where a generator would first wait for what its last `next` waits for; that
 * `next` then says that it is done. `signal`: the caller's, which ends it with an error; `begin` gets one that does both.
 */
export function endable<T>(
  signal: AbortSignal | undefined,
  begin: (signal: AbortSignal) => AsyncGenerator<T, void, void>,
): AsyncGenerator<T, void, void> {
  return new Endable(signal, begin);
}

class Endable<T> implements AsyncGenerator<T, void, void> {
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal | undefined;
  readonly #begin: (signal: AbortSignal) => AsyncGenerator<T, void, void>;
  /** From the first `next` on: one that is never begun leaves nothing with the caller's signal. */
  #begun: { readonly joined: JoinedSignal; readonly inner: AsyncGenerator<T, void, void> } | undefined;

  constructor(signal: AbortSignal | undefined, begin: (signal: AbortSignal) => AsyncGenerator<T, void, void>) {
    this.#signal = signal;
    this.#begin = begin;
  }

  async next(): Promise<IteratorResult<T, void>> {
    if (this.#ended.signal.aborted) return ended;
    this.#begun ??= this.#start();
    const { joined, inner } = this.#begun;
    try {
      const result = await inner.next();
      if (result.done) joined.release();
      return result;
    } catch (error) {
      joined.release();
      if (!this.#ended.signal.aborted) throw error;
      return ended;
    }
  }

  async return(): Promise<IteratorResult<T, void>> {
    this.#end();
    return this.#begun?.inner.return() ?? ended;
  }

  async throw(error: unknown): Promise<IteratorResult<T, void>> {
    this.#end();
    if (this.#begun === undefined) throw error;
    return this.#begun.inner.throw(error);
  }

  #start() {
    const joined = new JoinedSignal([this.#ended.signal, this.#signal]);
    return { joined, inner: this.#begin(joined.signal) };
  }

  #end(): void {
    this.#ended.abort();
    this.#begun?.joined.release();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

const ended = { done: true, value: undefined } as const;
