import type { Bytes } from '../../client/input.ts';
import type { KvCondition, KvTransaction, KvTransactionChange } from '../../client/keys/transaction.ts';
import { InputError } from '../../cluster/input-error.ts';
import { argumentBytes } from './argument-bytes.ts';
import { parseRevision } from './condition.ts';

/** A transaction as it was written: by flags, in a document, or both. */
export interface WrittenTransaction {
  /** `KEY=REVISION`, split at the last `=`. */
  readonly if: readonly string[];
  /** `KEY=VALUE`, split at the first `=`. */
  readonly put: readonly string[];
  readonly delete: readonly string[];
  /** JSON: `{"if": [{"key", "revision"}], "do": [{"put", "value"}, {"delete"}]}`. */
  readonly document: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

const example = '{"if": [{"key": "k", "revision": 7}], "do": [{"put": "k", "value": "v"}, {"delete": "l"}]}';

/** What is to be done. Throws {@link InputError}, or a KvError, for what is none. Limits are for the client to check. */
export function parseTransaction(written: WrittenTransaction): KvTransaction {
  const document = written.document === undefined ? { if: [], do: [] } : parseDocument(written.document);
  const puts = written.put.map((text): KvTransactionChange => {
    const [key, value] = halves(text, '--put', 'KEY=VALUE', (bytes) => bytes.indexOf('='));
    return { put: key, value };
  });
  const deletes = written.delete.map((text): KvTransactionChange => ({ delete: argumentBytes(text, '--delete') }));
  return { if: [...written.if.map(parseCondition), ...document.if], do: [...puts, ...deletes, ...document.do] };
}

function parseCondition(text: string): KvCondition {
  const [key, revision] = halves(text, '--if', 'KEY=REVISION', (bytes) => bytes.lastIndexOf('='));
  return { key, revision: parseRevision(revision.toString(), `the revision in --if ${text}`) as number };
}

function halves(text: string, flag: string, shape: string, find: (bytes: Buffer) => number): [Buffer, Buffer] {
  const given = argumentBytes(text, flag);
  const bytes = typeof given === 'string' ? Buffer.from(given) : Buffer.from(given);
  const at = find(bytes);
  if (at < 0) throw new InputError(`${flag} is "${text}": give ${shape}`);
  return [bytes.subarray(0, at), bytes.subarray(at + 1)];
}

function parseDocument(text: string): { readonly if: KvCondition[]; readonly do: KvTransactionChange[] } {
  const document = fieldsOf(parseJson(text), 'the document', ['if', 'do']);
  return {
    if: listOf(document['if'], 'if').map((part, at) => conditionOf(part, `if[${at}]`)),
    do: listOf(document['do'], 'do').map((part, at) => changeOf(part, `do[${at}]`)),
  };
}

function conditionOf(part: unknown, where: string): KvCondition {
  const fields = fieldsOf(part, where, ['key', 'keyBase64', 'revision']);
  const { revision } = fields;
  if (typeof revision !== 'number') throw new InputError(`${where} has no number as its "revision": give ${example}`);
  return { key: bytesOf(fields, 'key', where), revision };
}

function changeOf(part: unknown, where: string): KvTransactionChange {
  const names = ['put', 'putBase64', 'value', 'valueBase64', 'delete', 'deleteBase64'];
  const fields = fieldsOf(part, where, names);
  const isDelete = 'delete' in fields || 'deleteBase64' in fields;
  if (!isDelete) return { put: bytesOf(fields, 'put', where), value: bytesOf(fields, 'value', where) };
  if (Object.keys(fields).length > 1) throw new InputError(`${where} deletes, and more: give each change by itself`);
  return { delete: bytesOf(fields, 'delete', where) };
}

/** The text `name`, or what `nameBase64` stands for. */
function bytesOf(fields: Fields, name: string, where: string): Bytes {
  const text = fields[name];
  const base64 = fields[`${name}Base64`];
  if (typeof text === 'string' && base64 === undefined) return text;
  if (typeof base64 === 'string' && text === undefined) return fromBase64(base64, `${where}.${name}Base64`);
  throw new InputError(`${where} needs one of "${name}" and "${name}Base64", a text: give ${example}`);
}

function fromBase64(text: string, where: string): Buffer {
  const bytes = Buffer.from(text, 'base64');
  // Node passes over what is none.
  if (bytes.toString('base64') === text) return bytes;
  throw new InputError(`${where} is not valid base64 (with = padding)`);
}

function fieldsOf(value: unknown, where: string, names: readonly string[]): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InputError(`${where} is no object: give ${example}`);
  }
  const unknown = Object.keys(value).find((name) => !names.includes(name));
  if (unknown === undefined) return value as Fields;
  throw new InputError(`${where} has "${unknown}": there are ${names.map((name) => `"${name}"`).join(', ')}`);
}

function listOf(value: unknown, name: string): readonly unknown[] {
  if (value === undefined) return [];
  if (Array.isArray(value)) return value;
  throw new InputError(`"${name}" of the document is no list: give ${example}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InputError(`the document is no JSON: ${(error as Error).message}`, { cause: error });
  }
}
