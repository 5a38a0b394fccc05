import { type Command, encodeCommand } from '../../kv/command.ts';
import type { Outcome } from '../../kv/outcome.ts';
import { bytesOfTransaction, type Transaction } from '../../kv/transaction.ts';
import { type Answer, Call, type CallLimits, outgoing, traits } from './call.ts';
import { conflictError, unmetError } from './call-errors.ts';
import type { KvError } from './errors.ts';
import type { SessionWindow } from './session-window.ts';

/** What a put gave. */
export interface PutResult {
  /** The key's revision now: the place of this change in the order of all changes. */
  readonly revision: number;
}

/** What a delete gave. */
export interface DeleteResult {
  /** False: there was no such key. */
  readonly existed: boolean;
  readonly revision: number;
}

/** What a renewal gave. */
export interface RenewResult {
  /** The key's, which has not changed. */
  readonly revision: number;
}

/** What a transaction gave. */
export interface TransactResult {
  /** That of all its changes. */
  readonly revision: number;
}

/** What each kind of change gives. */
export interface Results {
  readonly put: PutResult;
  readonly delete: DeleteResult;
  readonly renew: RenewResult;
  readonly transact: TransactResult;
}

/** Who is told when a write is answered, before its caller is. */
export interface WriteOwner {
  onWriteAnswer(call: WriteCall, answer: Answer): void;
  onWriteError(call: WriteCall, error: KvError): void;
}

/** The two ends of a promise. */
export interface Promised<Result> {
  readonly resolve: (result: Result) => void;
  readonly reject: (error: KvError) => void;
}

/** What is to be written, and where. */
export type Change = PutChange | DeleteChange | RenewChange | TransactionChanges;

/** One of this kind. */
export type ChangeOf<Kind extends Change['kind']> = Change & { readonly kind: Kind };

interface PutChange {
  readonly kind: 'put';
  readonly key: Uint8Array;
  readonly value: Uint8Array;
  /** `undefined`: whatever the key's revision is. */
  readonly ifRevision: number | undefined;
  /** `undefined`: it stays. */
  readonly ttlMs: number | undefined;
}

interface DeleteChange {
  readonly kind: 'delete';
  readonly key: Uint8Array;
  readonly ifRevision: number | undefined;
}

interface RenewChange {
  readonly kind: 'renew';
  readonly key: Uint8Array;
  readonly ifRevision: number;
}

interface TransactionChanges {
  readonly kind: 'transact';
  readonly transaction: Transaction;
}

/** A put, a delete, a renewal or a transaction: encoded when it gets its number, and again only if it has to move to a new session. */
export class WriteCall extends Call {
  readonly change: Change;
  /** Its place among all writes of the client, as they were called. */
  order = 0;
  /** The session that its number is of. */
  window: SessionWindow | undefined;
  readonly #owner: WriteOwner;
  readonly #promised: Promised<never>;
  #number = 0;

  /** The promise is of what this kind of change gives: see {@link Results}. */
  constructor(
    owner: WriteOwner,
    change: Change,
    limits: CallLimits,
    promised: Promised<never>,
    startedMs = performance.now(),
  ) {
    super(traits.command, limits, startedMs);
    this.#owner = owner;
    this.change = change;
    this.#promised = promised;
  }

  /** The same write once more, for another session. Not the same object: that one may still wait to be sent, and is passed over as done. */
  afresh(): WriteCall {
    const startedMs = this.deadlineMs - this.timeoutMs;
    const again = new WriteCall(this.#owner, this.change, this, this.#promised, startedMs);
    again.order = this.order;
    return again;
  }

  /** Bytes of keys and values. */
  get bytes(): number {
    const { change } = this;
    if (change.kind === 'transact') return bytesOfTransaction(change.transaction);
    return change.key.length + (change.kind === 'put' ? change.value.length : 0);
  }

  /** Takes the next number of a session. */
  enter(window: SessionWindow): void {
    this.window = window;
    this.#number = window.take(this.bytes);
    const { id: session, acknowledgedBelow } = window;
    const command = commandOf(this.change, session, this.#number, acknowledgedBelow);
    this.request = outgoing({ type: 'write', command: encodeCommand(command) });
  }

  /** Gives its number up: it will not be sent again under it. */
  leave(): void {
    this.window?.settle(this.#number, this.bytes);
    this.window = undefined;
    this.request = undefined;
  }

  override onAnswer(answer: Answer): void {
    this.#owner.onWriteAnswer(this, answer);
  }

  override onError(error: KvError): void {
    this.#owner.onWriteError(this, error);
  }

  /** Gives the caller the outcome; false if it is not one of this kind of command. */
  resolve(outcome: Outcome): boolean {
    const { resolve } = this.#promised as Promised<unknown>;
    const { change } = this;
    if (change.kind === 'transact') return this.#resolveTransaction(change.transaction, outcome);
    const { kind, ifRevision } = change;
    if (outcome.type === 'put' && kind === 'put') resolve({ revision: outcome.revision } satisfies PutResult);
    else if (outcome.type === 'deleted' && kind === 'delete') {
      resolve({ existed: outcome.existed, revision: outcome.revision } satisfies DeleteResult);
    } else if (outcome.type === 'renewed' && kind === 'renew') {
      resolve({ revision: outcome.revision } satisfies RenewResult);
    } else if (outcome.type === 'conflict' && ifRevision !== undefined) {
      this.reject(conflictError(ifRevision, outcome.revision));
    } else return false;
    return true;
  }

  #resolveTransaction({ conditions }: Transaction, outcome: Outcome): boolean {
    const { resolve } = this.#promised as Promised<unknown>;
    if (outcome.type === 'transacted') {
      resolve({ revision: outcome.revision } satisfies TransactResult);
      return true;
    }
    const condition = outcome.type === 'unmet' ? conditions[outcome.condition] : undefined;
    if (outcome.type !== 'unmet' || condition === undefined) return false;
    this.reject(unmetError(condition, outcome));
    return true;
  }

  reject(error: KvError): void {
    this.#promised.reject(error);
  }
}

/** Each by its name: to spread what they have in common takes several times as long. */
function commandOf(change: Change, session: number, number: number, acknowledgedBelow: number): Command {
  if (change.kind === 'transact') {
    return { kind: 'transact', session, number, acknowledgedBelow, transaction: change.transaction };
  }
  const { kind, key, ifRevision } = change;
  switch (kind) {
    case 'put':
      return { kind, session, number, acknowledgedBelow, key, value: change.value, ifRevision, ttlMs: change.ttlMs };
    case 'delete':
      return { kind, session, number, acknowledgedBelow, key, ifRevision };
    default:
      return { kind: 'renew', session, number, acknowledgedBelow, key, ifRevision: change.ifRevision as number };
  }
}
