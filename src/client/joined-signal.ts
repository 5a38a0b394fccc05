import { isSignal } from './input.ts';

/**
 * A signal that is aborted once one of several is. Unlike that of `AbortSignal.any` nothing of it stays with them once it is released: they may
 * live as long as the process.
 */
export class JoinedSignal {
  readonly #controller = new AbortController();
  readonly #joined: readonly AbortSignal[];

  /** What is no signal is passed over. */
  constructor(signals: readonly unknown[]) {
    this.#joined = signals.filter(isSignal);
    for (const signal of this.#joined) {
      if (signal.aborted) this.#controller.abort(signal.reason);
      else signal.addEventListener('abort', this.#onAbort);
    }
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** It follows the others no more. */
  release(): void {
    for (const signal of this.#joined) signal.removeEventListener('abort', this.#onAbort);
  }

  readonly #onAbort = ({ target }: Event): void => this.#controller.abort((target as AbortSignal).reason);
}
