import { type Answer, Call, type CallLimits, type CallTraits, type OutgoingRequest, unexpectedAnswer } from './call.ts';
import type { KvError } from './errors.ts';

/** Bytes in memory of their own, which web interfaces ask for: from TypeScript 5.7 on `Uint8Array<ArrayBuffer>`. */
export type OwnBytes = ReturnType<Uint8Array['slice']>;

/** A key's value and the revision of its last change. */
export interface KvValue {
  readonly value: OwnBytes;
  readonly revision: number;
}

/** A read of one key: there are too many of these for a closure each. */
export class GetCall extends Call {
  readonly #resolve: (found: KvValue | undefined) => void;
  readonly #reject: (error: KvError) => void;

  constructor(
    callTraits: CallTraits,
    limits: CallLimits,
    request: OutgoingRequest,
    resolve: (found: KvValue | undefined) => void,
    reject: (error: KvError) => void,
  ) {
    super(callTraits, limits, performance.now());
    this.request = request;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  override onAnswer(answer: Answer): void {
    if (answer.type !== 'record') this.#reject(unexpectedAnswer(this, answer));
    else if (answer.record === undefined) this.#resolve(undefined);
    // A copy, since what the frame's view points to is the whole frame.
    else this.#resolve({ value: new Uint8Array(answer.record.value), revision: answer.record.revision });
  }

  override onError(error: KvError): void {
    this.#reject(error);
  }
}
