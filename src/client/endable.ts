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
  readonly #joined: JoinedSignal;
  readonly #inner: AsyncGenerator<T, void, void>;

  constructor(signal: AbortSignal | undefined, begin: (signal: AbortSignal) => AsyncGenerator<T, void, void>) {
    this.#joined = new JoinedSignal([this.#ended.signal, signal]);
    this.#inner = begin(this.#joined.signal);
  }

  async next(): Promise<IteratorResult<T, void>> {
    try {
      const result = await this.#inner.next();
      if (result.done) this.#joined.release();
      return result;
    } catch (error) {
      this.#joined.release();
      if (!this.#ended.signal.aborted) throw error;
      return { done: true, value: undefined };
    }
  }

  async return(): Promise<IteratorResult<T, void>> {
    this.#ended.abort();
    this.#joined.release();
    return this.#inner.return();
  }

  async throw(error: unknown): Promise<IteratorResult<T, void>> {
    this.#ended.abort();
    this.#joined.release();
    return this.#inner.throw(error);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}
