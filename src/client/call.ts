import type { ClientRequest, Failure, RequestBody, ResponseBody } from '../wire/client-message.ts';
import type { KvError } from './errors.ts';

/** The answer to a request that did not fail. */
export type Answer = Exclude<ResponseBody, Failure>;

type Writable<T> = T extends unknown ? { -readonly [K in keyof T]: T[K] } : never;
/** A request whose id and time are filled in each time it is sent. */
export type OutgoingRequest = Writable<ClientRequest>;

export interface CallTraits {
  /** False: it never has an effect, whatever becomes of it. */
  readonly isChange: boolean;
  /** True: it may be sent again while the fate of an earlier attempt is open. */
  readonly isRepeatable: boolean;
  /** True: only a node that reaches a majority can answer. */
  readonly needsMajority: boolean;
}

export const traits = {
  /** Retried under one session number, it is applied once. */
  command: { isChange: true, isRepeatable: true, needsMajority: true },
  reconfiguration: { isChange: true, isRepeatable: false, needsMajority: true },
  linearizableRead: { isChange: false, isRepeatable: true, needsMajority: true },
  localRead: { isChange: false, isRepeatable: true, needsMajority: false },
} as const satisfies Record<string, CallTraits>;

/** A call of the API from its start to its one result, over however many attempts on however many nodes. */
export abstract class Call {
  /** Given when it is first handed over for sending. */
  id = 0;
  /** `undefined`: nothing is sent, it only waits for a connection. */
  request: OutgoingRequest | undefined;
  readonly traits: CallTraits;
  readonly timeoutMs: number;
  /** On the clock of `performance.now()`. */
  readonly deadlineMs: number;
  isDone = false;
  /** Attempts that have no answer yet, on connections that stand. */
  openAttempts = 0;
  /** An attempt was lost, or a node said that it does not know: the command may have been applied, or may yet be. */
  isFateUnknown = false;
  lastFailure: Failure | undefined;
  lastSentMs = 0;

  constructor(callTraits: CallTraits, timeoutMs: number, nowMs: number) {
    this.traits = callTraits;
    this.timeoutMs = timeoutMs;
    this.deadlineMs = nowMs + timeoutMs;
  }

  /** What is true of the command if we stop now. */
  get outcome(): 'notApplied' | 'unknown' {
    return this.traits.isChange && (this.isFateUnknown || this.openAttempts > 0) ? 'unknown' : 'notApplied';
  }

  /** How long a node may be silent before another one is tried: a third of the time that the call has, at most a second. */
  get hedgeMs(): number {
    return Math.min(this.timeoutMs / 3, 1000);
  }

  /** Called once, with what the node answered. */
  abstract onAnswer(answer: Answer): void;
  /** Called once, if there will be no answer. */
  abstract onError(error: KvError): void;
}

/** A request with room for what is filled in when it is sent. */
export function outgoing(body: RequestBody): OutgoingRequest {
  return { id: 0, timeoutMs: 0, ...body };
}
