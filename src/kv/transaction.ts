import { ByteReader, ByteWriter, DecodeError, toByteString } from '../base/bytes.ts';
import { type CommandProblem, keyProblem, transactionBytesMax, transactionPartsMax } from './command-limits.ts';

/** What must hold of a key, which need not be one that is changed. */
export interface Condition {
  readonly key: Uint8Array;
  /** The key has this revision; 0: there is no such key. */
  readonly ifRevision: number;
}

export type TransactionChange =
  | { readonly kind: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly kind: 'delete'; readonly key: Uint8Array };

/** Changes of several keys, all of them or none. */
export interface Transaction {
  /** All must hold when it is applied. */
  readonly conditions: readonly Condition[];
  /** Each of another key: so their order is of no account, and all have one revision. */
  readonly changes: readonly TransactionChange[];
}

/*
 * count of conditions · of each: key (length first), ifRevision · count of changes · of each: 0 and the key, or 1, key and value (length first)
 */
const changeCodes = { delete: 0, put: 1 } as const;
/** What is written of a condition or a change beside key and value takes less. */
const partHeadBytesMax = 16;

/** The bytes of a transaction. Limits are not checked here: see {@link transactionProblem}. */
export function encodeTransaction({ conditions, changes }: Transaction): Uint8Array {
  const parts = conditions.length + changes.length;
  const writer = new ByteWriter(bytesOfTransaction({ conditions, changes }) + partHeadBytesMax * (parts + 1));
  writer.varuint(conditions.length);
  for (const { key, ifRevision } of conditions) writer.bytes(key).varuint(ifRevision);
  writer.varuint(changes.length);
  for (const change of changes) {
    writer.u8(changeCodes[change.kind]).bytes(change.key);
    if (change.kind === 'put') writer.bytes(change.value);
  }
  return writer.finish();
}

/** Reads what {@link encodeTransaction} wrote; keys and values are views into `bytes`. Throws {@link DecodeError}. */
export function decodeTransaction(bytes: Uint8Array): Transaction {
  const reader = new ByteReader(bytes);
  const conditions: Condition[] = [];
  for (let left = reader.count(transactionPartsMax); left > 0; left--) {
    conditions.push({ key: reader.bytes(), ifRevision: reader.varuint() });
  }
  const changes: TransactionChange[] = [];
  for (let left = reader.count(transactionPartsMax); left > 0; left--) changes.push(decodeChange(reader));
  reader.end();
  return { conditions, changes };
}

function decodeChange(reader: ByteReader): TransactionChange {
  const code = reader.u8();
  const key = reader.bytes();
  if (code === changeCodes.delete) return { kind: 'delete', key };
  if (code === changeCodes.put) return { kind: 'put', key, value: reader.bytes() };
  throw new DecodeError(`unknown change ${code} in a transaction`);
}

/** Says what is wrong with a transaction, or `undefined`. */
export function transactionProblem(transaction: Transaction): CommandProblem | undefined {
  const { conditions, changes } = transaction;
  if (changes.length === 0)
    return { code: 'invalid', message: 'the transaction changes nothing: give a put or a delete' };
  return (
    countProblem(conditions.length, 'conditions') ??
    countProblem(changes.length, 'changes') ??
    keysProblem(conditions, 'conditions') ??
    keysProblem(changes, 'changes') ??
    sizeProblem(bytesOfTransaction(transaction))
  );
}

function countProblem(count: number, what: string): CommandProblem | undefined {
  if (count <= transactionPartsMax) return undefined;
  return {
    code: 'tooLarge',
    message: `the transaction has ${count} ${what}: at most ${transactionPartsMax} are allowed`,
  };
}

function keysProblem(parts: readonly { readonly key: Uint8Array }[], what: string): CommandProblem | undefined {
  const seen = new Set<string>();
  for (const [at, { key }] of parts.entries()) {
    const problem = keyProblem(key);
    if (problem) return { ...problem, message: `number ${at + 1} of the ${what}: ${problem.message}` };
    const name = toByteString(key);
    if (seen.has(name)) {
      return {
        code: 'invalid',
        message: `number ${at + 1} of the ${what} is of a key that is there already: name each key once`,
      };
    }
    seen.add(name);
  }
  return undefined;
}

function sizeProblem(bytes: number): CommandProblem | undefined {
  if (bytes <= transactionBytesMax) return undefined;
  const message = `the transaction has ${bytes} bytes of keys and values: at most ${transactionBytesMax} (1 MiB) are allowed`;
  return { code: 'tooLarge', message };
}

/** Bytes of all keys and values. */
export function bytesOfTransaction({ conditions, changes }: Transaction): number {
  let bytes = 0;
  for (const { key } of conditions) bytes += key.length;
  for (const change of changes) bytes += change.key.length + (change.kind === 'put' ? change.value.length : 0);
  return bytes;
}
