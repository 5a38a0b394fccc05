import { shown } from '../../base/shown.ts';
import type { Condition, Transaction, TransactionChange } from '../../kv/transaction.ts';
import { transactionProblem } from '../../kv/transaction.ts';
import { KvError } from '../call/errors.ts';
import { type Bytes, checkedKey, checkedRevision, checkedValue, notApplied } from '../input.ts';

export { transactionPartsMax } from '../../kv/command-limits.ts';

/** What must hold of a key. What `keep`, `lock`, and `list` give is one, too: that it is still the same. */
export interface KvCondition {
  readonly key: Bytes;
  /** The key has this revision when the transaction is decided; 0: there is no such key. */
  readonly revision: number;
}

/** A change of a key. */
export type KvTransactionChange =
  | { readonly put: Bytes; readonly value: Bytes; readonly delete?: never }
  /** It need not exist. */
  | { readonly delete: Bytes; readonly put?: never; readonly value?: never };

/** Changes of several keys that are made together, or not at all. */
export interface KvTransaction {
  /** All must hold, else nothing is changed: at most 128. Their keys need not be among those that are changed. */
  readonly if?: readonly KvCondition[] | undefined;
  /** 1 to 128, each of another key. All keys and values together: at most 1 MiB. */
  readonly do: readonly KvTransactionChange[];
}

const example = 'give { if: [{ key, revision }], do: [{ put: key, value }, { delete: key }] }';

/** The transaction as it is sent. Throws a KvError, `invalid` or `tooLarge`, which names the part that is wrong. */
export function checkedTransaction(given: KvTransaction): Transaction {
  if (!isObject(given)) throw notApplied('invalid', `the transaction is ${shown(given)}: ${example}`);
  const unknown = Object.keys(given).find((name) => name !== 'if' && name !== 'do');
  if (unknown !== undefined) throw notApplied('invalid', `the transaction has ${unknown}: ${example}`);
  const conditions = Array.from(listOf(given.if ?? [], 'if'), conditionOf);
  const changes = Array.from(listOf(given.do, 'do'), changeOf);
  const transaction = { conditions, changes };
  const problem = transactionProblem(transaction);
  if (problem === undefined) return transaction;
  throw notApplied(problem.code, problem.message);
}

function listOf<Part>(parts: readonly Part[], name: string): readonly Part[] {
  if (Array.isArray(parts)) return parts;
  throw notApplied('invalid', `${name} of the transaction is ${shown(parts)}: ${example}`);
}

function conditionOf(condition: KvCondition, at: number): Condition {
  const where = `if[${at}]`;
  if (!isObject(condition)) throw notApplied('invalid', `${where} is ${shown(condition)}: give { key, revision }`);
  return {
    key: part(`${where}.key`, () => checkedKey(condition.key)),
    ifRevision: checkedRevision(condition.revision, `the revision of ${where}`),
  };
}

function changeOf(change: KvTransactionChange, at: number): TransactionChange {
  const where = `do[${at}]`;
  const names = isObject(change) ? Object.keys(change).sort().join(', ') : shown(change);
  if (names === 'put, value') {
    const { put, value } = change as KvTransactionChange & { readonly put: Bytes };
    const key = part(`${where}.put`, () => checkedKey(put));
    return { kind: 'put', key, value: part(`${where}.value`, () => checkedValue(value)) };
  }
  if (names === 'delete') {
    const { delete: key } = change as KvTransactionChange & { readonly delete: Bytes };
    return { kind: 'delete', key: part(`${where}.delete`, () => checkedKey(key)) };
  }
  const what = isObject(change) ? `{ ${names} }` : names;
  throw notApplied('invalid', `${where} is ${what}: give { put: key, value } or { delete: key }`);
}

/** Of many, a problem names the one that it is of. */
function part(where: string, check: () => Uint8Array): Uint8Array {
  try {
    return check();
  } catch (error) {
    throw error instanceof KvError ? notApplied(error.code, `${where}: ${error.message}`) : error;
  }
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
