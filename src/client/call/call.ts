import {
  type ClientRequest,
  type Consistency,
  type Failure,
  type MembersNews,
  type RequestBody,
  type ResponseBody,
  requestOf,
} from '../../wire/client-message.ts';
import { KvError } from './errors.ts';

/** The answer to a request that did not fail. */
export type Answer = Exclude<ResponseBody, Failure | MembersNews>;

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

/** Of a read: a local one is answered by any node, from what that one has applied. */
export function readTraits(consistency: Consistency): CallTraits {
  return consistency === 'local' ? traits.localRead : traits.linearizableRead;
}

/** When a call ends without an answer. */
export interface CallLimits {
  /** How long it may take, milliseconds. */
  readonly timeoutMs: number;
  /** The caller's: once it is aborted the call ends as if its time were over. */
  readonly signal: AbortSignal | undefined;
  /** What the caller gave, where `timeoutMs` is only a part of it, as of one request of several: its error tells this. */
  readonly toldTimeoutMs?: number | undefined;
}

/** A call of the API from its start to its one result, over however many attempts on however many nodes. */
export abstract class Call implements CallLimits {
  /** Given when it is first handed over for sending. */
  id = 0;
  /** `undefined`: nothing is sent, it only waits for a connection. */
  request: OutgoingRequest | undefined;
  readonly traits: CallTraits;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** How long there was no answer if it is over now, as its error tells it. */
  readonly toldTimeoutMs: number;
  /** On the clock of `performance.now()`. */
  readonly deadlineMs: number;
  isDone = false;
  /** True while it waits to be sent. */
  isQueued = false;
  /** Attempts that have no answer yet, on connections that stand. */
  openAttempts = 0;
  /** An attempt was lost, or a node said that it does not know: the command may have been applied, or may yet be. */
  isFateUnknown = false;
  lastFailure: Failure | undefined;
  lastSentMs = 0;
  /** When a node was last seen to have all of it, where that is seen: it may take long to get there. */
  takenMs = 0;
  /** How long others of its kind took of late. */
  usualMs = 0;
  /** Where the answer came from. */
  answeredBy: string | undefined;

  /** Its time begins at `nowMs`. */
  constructor(callTraits: CallTraits, { timeoutMs, signal, toldTimeoutMs = timeoutMs }: CallLimits, nowMs: number) {
    this.traits = callTraits;
    this.timeoutMs = timeoutMs;
    this.signal = signal;
    this.toldTimeoutMs = toldTimeoutMs;
    this.deadlineMs = nowMs + timeoutMs;
  }

  /** True for what is proposed to the cluster as it is: it may go to the leader straight. */
  get isWrite(): boolean {
    return this.request?.type === 'write';
  }

  /** True: the caller waits no longer. */
  isOver(nowMs: number): boolean {
    return nowMs >= this.deadlineMs || this.signal?.aborted === true;
  }

  /** How much longer than its time it may take while a large answer is on its way: that would be thrown away, and asked for again. */
  get overtimeMs(): number {
    return 0;
  }

  /** True of one that is over: it is waited for all the same if its answer is on its way. */
  mayTakeLonger(nowMs: number): boolean {
    return nowMs < this.deadlineMs + this.overtimeMs && this.signal?.aborted !== true;
  }

  /** What is true of the command if we stop now. */
  get outcome(): 'notApplied' | 'unknown' {
    return this.traits.isChange && (this.isFateUnknown || this.openAttempts > 0) ? 'unknown' : 'notApplied';
  }

  /** False: another attempt could apply it twice. */
  get mayRepeat(): boolean {
    return this.traits.isRepeatable || !this.isFateUnknown;
  }

  /**
   * With less time left than this a refused call is not tried again: the node's word stands, instead of one more attempt
   * that would end without an answer. More than a node is told to come early by.
   */
  get retryMinMs(): number {
    return Math.min(this.timeoutMs / 5, 500);
  }

  /**
   * How long a node may be silent before another one is tried: a third of the time that the call has, at most a second; or twice as long as
   * is usual, at most half of that time: a second attempt at what is only slow makes it slower.
   */
  get hedgeMs(): number {
    return Math.max(Math.min(this.timeoutMs / 3, 1000), Math.min(this.timeoutMs / 2, 2 * this.usualMs));
  }

  /**
   * The same while it is on its way, or its answer, where a piece may take `pieceMs`. Longer with each attempt: they may share a way that is slower than that, and would all
   * get slower and slower.
   */
  hedgeMsUnderWay(pieceMs: number): number {
    const { hedgeMs } = this;
    const longerMs = (hedgeMs + Math.min(hedgeMs, pieceMs)) * 2 ** (this.openAttempts - 1);
    return Math.max(hedgeMs, Math.min(longerMs, (2 * this.timeoutMs) / 3));
  }

  /** Called once, where there is nothing to send: there is a connection. */
  onConnected(): void {
    this.onError(new KvError('internal', 'the call has no request', this.outcome));
  }

  /** Called once, with what the node answered. */
  abstract onAnswer(answer: Answer): void;
  /** Called once, if there will be no answer. */
  abstract onError(error: KvError): void;
}

/** A request with room for what is filled in when it is sent. */
export function outgoing(body: RequestBody): OutgoingRequest {
  return requestOf(0, 0, body);
}

/** What a call's promise is settled with. */
export interface Settlement<Result> {
  /** The result in an answer of the node at `endpoint`; `undefined` if the answer is of another kind. */
  read(answer: Answer, endpoint: string): Result | undefined;
  resolve(result: Result): void;
  reject(error: KvError): void;
}

/** A call whose answer is its result. */
export class PromiseCall<Result> extends Call {
  readonly #settlement: Settlement<Result>;

  constructor(
    callTraits: CallTraits,
    limits: CallLimits,
    nowMs: number,
    request: OutgoingRequest,
    settlement: Settlement<Result>,
  ) {
    super(callTraits, limits, nowMs);
    this.request = request;
    this.#settlement = settlement;
  }

  override onAnswer(answer: Answer): void {
    const result = this.#settlement.read(answer, this.answeredBy ?? '');
    if (result !== undefined) this.#settlement.resolve(result);
    else this.onError(unexpectedAnswer(this, answer));
  }

  override onError(error: KvError): void {
    this.#settlement.reject(error);
  }
}

export function unexpectedAnswer(call: Call, answer: Answer): KvError {
  const what = answer.type === 'outcome' ? JSON.stringify(answer.outcome) : answer.type;
  const fate = call.traits.isChange ? 'unknown' : 'notApplied';
  return new KvError('internal', `a node gave an answer that does not fit the request: ${what}`, fate);
}
