import { encodeCommand } from '../kv/command.ts';
import { expiringKeysMax } from '../kv/expiry-table.ts';
import type { RefusalReason } from '../kv/outcome.ts';
import { type Answer, type CallLimits, outgoing, PromiseCall, traits, unexpectedAnswer } from './call/call.ts';
import { abortedError } from './call/call-errors.ts';
import { CallQueue } from './call/call-queue.ts';
import { KvError, type KvErrorCode } from './call/errors.ts';
import { SessionWindow } from './call/session-window.ts';
import {
  type Change,
  type ChangeOf,
  type Promised,
  type Results,
  WriteCall,
  type WriteOwner,
} from './call/write-call.ts';
import type { Requests } from './requests.ts';
import type { Sweepable } from './sweeper.ts';

/** Most bytes of keys and values that wait for their turn. */
const queuedBytesMax = 256 * 1024 * 1024;

/** Where no session could be opened another try would not help. */
const finalCodes: readonly KvErrorCode[] = ['internal', 'notKvNode', 'untrusted', 'closed'];

const noSpaceMessage =
  'a node has no space, kv status says which: delete keys, give it a larger disk or quota, or replace it with kv member replace';

const tooManyExpiringMessage = `${expiringKeysMax} keys expire already: let some go first`;

export interface WritesOptions {
  /** Most writes without an answer. */
  readonly outstandingMax: number;
  /** Most writes that wait beyond those. */
  readonly queuedMax: number;
}

/**
 * Gives each write its session number and lets so many go at a time. The session is opened when the first write comes, and
 * anew when the cluster has dropped it.
 */
export class Writes implements WriteOwner, Sweepable {
  readonly #requests: Requests;
  readonly #options: WritesOptions;
  /** Writes without a number, in order. Those that are done, until the next sweep, are passed over. */
  readonly #queue = new CallQueue<WriteCall>();
  #nextOrder = 0;
  #queuedBytes = 0;
  #queuedCount = 0;
  #window: SessionWindow | undefined;
  /** The call that opens a session. */
  #opening: PromiseCall<number> | undefined;
  #isPumping = false;
  #isClosed = false;

  constructor(requests: Requests, options: WritesOptions) {
    this.#requests = requests;
    this.#options = options;
  }

  /** Takes a write over until it has its result. The caller sees that sweeps go on. */
  submit<Kind extends Change['kind']>(
    change: ChangeOf<Kind>,
    limits: CallLimits,
    promised: Promised<Results[Kind]>,
  ): void {
    const call = new WriteCall(this, change, limits, promised);
    const problem = this.#refusal(call);
    if (problem !== undefined) {
      call.reject(problem);
      return;
    }
    call.order = this.#nextOrder++;
    this.#count(call, 1);
    this.#queue.push(call);
    this.#pump();
  }

  /** Fails what waits. Close this before the requests. */
  close(): void {
    this.#isClosed = true;
    for (const call of this.#queue) {
      this.#rejectQueued(call, new KvError('closed', 'the client was closed before the write was sent', 'notApplied'));
    }
    this.#dropDone();
  }

  sweep(nowMs: number): boolean {
    for (const call of this.#queue) {
      if (call.isDone || !call.isOver(nowMs)) continue;
      if (call.signal?.aborted) {
        this.#rejectQueued(call, abortedError(call.signal, 'notApplied'));
        continue;
      }
      this.#rejectQueued(call, this.#notBegunError(call));
    }
    this.#dropDone();
    return this.#queuedCount > 0;
  }

  /** Those behind one that has more time would else stay as long as that, with their values. */
  #dropDone(): void {
    if (this.#queue.length > this.#queuedCount) this.#queue.keep((call) => !call.isDone);
  }

  #notBegunError(call: WriteCall): KvError {
    const why = this.#opening && this.#requests.problemWith(this.#opening);
    const because = why === undefined ? '' : `: ${why}`;
    const message = `no session could be opened within ${Math.ceil(call.toldTimeoutMs)} ms${because}`;
    return new KvError('noMajority', message, 'notApplied');
  }

  onWriteAnswer(call: WriteCall, answer: Answer): void {
    if (answer.type !== 'outcome') this.#reject(call, unexpectedAnswer(call, answer));
    else if (answer.outcome.type === 'refused') this.#onRefused(call, answer.outcome.reason);
    else {
      call.leave();
      if (!call.resolve(answer.outcome)) call.reject(unexpectedAnswer(call, answer));
    }
    this.#pump();
  }

  onWriteError(call: WriteCall, error: KvError): void {
    this.#reject(call, error);
    this.#pump();
  }

  #reject(call: WriteCall, error: KvError): void {
    call.leave();
    call.reject(error);
  }

  #onRefused(call: WriteCall, reason: RefusalReason): void {
    if (reason === 'sessionExpired' && this.#window === call.window) this.#window = undefined;
    if (reason === 'noSpace') {
      // Decided: whatever became of other attempts under this number, it has no effect and never will.
      this.#reject(call, new KvError('noSpace', noSpaceMessage, 'notApplied'));
    } else if (reason === 'tooManyExpiring') {
      this.#reject(call, new KvError('busy', tooManyExpiringMessage, 'notApplied'));
    } else if (reason !== 'sessionExpired') {
      // A defect, here or there: we keep to the window, the limits and our acknowledgements.
      this.#reject(call, new KvError('internal', `the write was refused: ${reason}`, call.outcome));
    } else if (call.outcome === 'unknown') {
      const message = 'the session was dropped while the write was retried: it may have been applied before';
      this.#reject(call, new KvError('sessionExpired', message, 'unknown'));
    } else this.#startAfresh(call);
  }

  /** The session is gone, and no earlier attempt can have been applied: a new session, a new number. */
  #startAfresh(call: WriteCall): void {
    call.leave();
    const again = call.afresh();
    this.#count(again, 1);
    this.#queue.insert(again, (other) => other.order > again.order);
  }

  /** Sends what has room. */
  #pump(): void {
    // A write that is refused at once calls this again: the loop that runs goes on then.
    if (this.#isPumping || this.#isClosed) return;
    this.#isPumping = true;
    while (this.#queuedCount > 0 && this.#sendFirst());
    this.#isPumping = false;
  }

  /** False: the first in line has to wait. */
  #sendFirst(): boolean {
    const call = this.#queue.first as WriteCall;
    if (call.signal?.aborted) this.#rejectQueued(call, abortedError(call.signal, 'notApplied'));
    if (call.isDone) {
      this.#queue.shift();
      return true;
    }
    if (this.#window === undefined) {
      this.#open();
      return this.#window !== undefined;
    }
    if (!this.#window.hasRoom(call.bytes)) return false;
    this.#queue.shift();
    this.#count(call, -1);
    call.enter(this.#window);
    this.#requests.submit(call);
    return true;
  }

  #open(): void {
    if (this.#opening !== undefined) return;
    const nowMs = performance.now();
    let deadlineMs = nowMs + 1;
    let toldTimeoutMs: number | undefined;
    for (const call of this.#queue) {
      if (call.isDone || call.deadlineMs <= deadlineMs) continue;
      ({ deadlineMs, toldTimeoutMs } = call);
    }
    const command = encodeCommand({
      kind: 'openSession',
      session: 0,
      number: Math.floor(Math.random() * 2 ** 48),
      acknowledgedBelow: 0,
    });
    const request = outgoing({ type: 'write', command });
    const limits = { timeoutMs: Math.ceil(deadlineMs - nowMs), signal: undefined, toldTimeoutMs };
    this.#opening = new PromiseCall(traits.command, limits, nowMs, request, {
      read: sessionOf,
      resolve: (session: number) => this.#onOpened(session),
      reject: (error) => this.#onNotOpened(error, deadlineMs),
    });
    this.#requests.submit(this.#opening);
  }

  #onOpened(session: number): void {
    this.#opening = undefined;
    this.#window = new SessionWindow(session, this.#options.outstandingMax);
    this.#pump();
  }

  /** None of the writes that waited has begun. Those with time left try again. */
  #onNotOpened(error: KvError, deadlineMs: number): void {
    const said = this.#opening?.lastFailure;
    this.#opening = undefined;
    const isFinal = finalCodes.includes(error.code);
    const code = error.code === 'timeout' ? 'noMajority' : error.code;
    // What became of the opening is not what became of the writes. A node's own words on that may name the cause.
    const late = said?.code === 'timeout' ? said.message : 'no majority decided that in time';
    const why = error.outcome === 'unknown' ? late : error.message;
    for (const call of this.#queue) {
      if (call.isDone || (!isFinal && call.deadlineMs > deadlineMs)) continue;
      this.#rejectQueued(call, new KvError(code, `no session could be opened: ${why}`, 'notApplied'));
    }
    this.#pump();
  }

  #rejectQueued(call: WriteCall, error: KvError): void {
    if (call.isDone) return;
    call.isDone = true;
    this.#count(call, -1);
    call.reject(error);
  }

  #count(call: WriteCall, by: 1 | -1): void {
    this.#queuedCount += by;
    this.#queuedBytes += by * call.bytes;
  }

  #refusal(call: WriteCall): KvError | undefined {
    if (this.#isClosed) return new KvError('closed', 'the client is closed', 'notApplied');
    const { queuedMax } = this.#options;
    if (this.#queuedCount < queuedMax && this.#queuedBytes + call.bytes <= queuedBytesMax) return undefined;
    const waiting = `${this.#queuedCount} writes of ${this.#queuedBytes} bytes`;
    return new KvError('busy', `${waiting} wait already: let some finish first`, 'notApplied');
  }
}

function sessionOf(answer: Answer): number | undefined {
  return answer.type === 'outcome' && answer.outcome.type === 'sessionOpened' ? answer.outcome.session : undefined;
}
