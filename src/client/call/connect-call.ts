import { type Answer, Call, type CallLimits, traits, unexpectedAnswer } from './call.ts';
import type { KvError } from './errors.ts';

/** Sends nothing: it waits for a connection. */
export class ConnectCall extends Call {
  readonly #resolve: () => void;
  readonly #reject: (error: KvError) => void;

  constructor(limits: CallLimits, resolve: () => void, reject: (error: KvError) => void) {
    super(traits.localRead, limits, performance.now());
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override onConnected(): void {
    this.#resolve();
  }

  override onAnswer(answer: Answer): void {
    this.onError(unexpectedAnswer(this, answer));
  }

  override onError(error: KvError): void {
    this.#reject(error);
  }
}
