import type { SecureContext } from 'node:tls';
import { isUint8Array } from 'node:util/types';
import { shown } from '../base/shown.ts';
import { memberAddress } from '../cluster/address.ts';
import { InputError } from '../cluster/input-error.ts';
import { nodeIdMax } from '../cluster/node-list.ts';
import { keyBytesMax, keyProblem, ttlMsMax, ttlMsMin, ttlProblem, valueProblem } from '../kv/command-limits.ts';
import { checkTlsIdentity, clientContext, type TlsIdentity } from '../tls/identity.ts';
import type { Consistency, TargetNode } from '../wire/client-message.ts';
import { membersMax, storageIdBytesMax, timeoutMsMax } from '../wire/limits.ts';
import { abortedError } from './call/call-errors.ts';
import { KvError, type KvErrorCode } from './call/errors.ts';

/*
 * What callers give is checked before anything is sent. Each of these throws a KvError, `invalid` or `tooLarge` and not
 * applied, with one line that names what is wrong and what would be right.
 */

export { ttlMsMax, ttlMsMin };

/** Text stands for its UTF-8 bytes. */
export type Bytes = string | Uint8Array;

const encoder = new TextEncoder();
const consistencies: readonly unknown[] = ['linearizable', 'local'];

/** The names that options may have. */
export type OptionNames = Readonly<Record<string, true>>;

/** Those of a client: a name that is none of `known` is misspelt. */
export function checkedOptions<Options>(options: Options, known: OptionNames): Options {
  if (typeof options !== 'object' || options === null) {
    throw notApplied('invalid', `the options are ${shown(options)}: give { endpoints: ['127.0.0.1:7001'] }`);
  }
  const unknown = Object.keys(options).find((name) => known[name] !== true);
  if (unknown === undefined) return options;
  throw unknownOption(unknown, known);
}

/**
 * Those of a call. A name that is none of `known` is refused: who writes it means something by it, such as a condition on a write.
 * A bare number would be passed over in silence, too.
 */
export function checkCallOptions(options: object, known: OptionNames): void {
  if (typeof options !== 'object' || options === null) {
    throw notApplied('invalid', `the options are ${shown(options)}: give an object, such as { timeoutMs: 500 }`);
  }
  for (const name in options) {
    if (known[name] !== true) throw unknownOption(name, known);
  }
}

function unknownOption(name: string, known: OptionNames): KvError {
  return notApplied('invalid', `the options have ${name}: there are ${Object.keys(known).join(', ')}`);
}

/** Undefined: linearizable. */
export function checkedConsistency(consistency: Consistency | undefined): Consistency {
  if (consistency === undefined) return 'linearizable';
  if (consistencies.includes(consistency)) return consistency;
  throw notApplied('invalid', `consistency is ${shown(consistency)}: give 'linearizable' or 'local'`);
}

export function checkedKey(key: Bytes): Uint8Array {
  const bytes = bytesOf(key, 'key');
  const problem = keyProblem(bytes);
  if (problem !== undefined) throw notApplied(problem.code, problem.message);
  return bytes;
}

/** Where a list is to go on. */
export function checkedAfter(after: Bytes): Uint8Array {
  const bytes = bytesOf(after, 'key that is after');
  const problem = keyProblem(bytes);
  if (problem !== undefined) throw notApplied(problem.code, `after: ${problem.message}`);
  return bytes;
}

export function checkedValue(value: Bytes): Uint8Array {
  const bytes = bytesOf(value, 'value');
  const problem = valueProblem(bytes);
  if (problem !== undefined) throw notApplied(problem.code, problem.message);
  return bytes;
}

/**
 * That of a lock: any text but none, which a variable that is not set makes of all of a script's locks; of `bytesMax` at the most, which a key has left for it.
 * Throws for what only looks like one in a template, such as `undefined`.
 */
export function checkedLockName(name: string, bytesMax: number): string {
  if (typeof name !== 'string') throw notApplied('invalid', `the name of the lock is ${kindOf(name)}: give a text`);
  if (name === '') throw notApplied('invalid', 'the name of the lock is empty: give a text of at least one character');
  const { length } = encodedText(name, 'name of the lock');
  if (length <= bytesMax) return name;
  throw notApplied('tooLarge', `the name of the lock has ${length} bytes: at most ${bytesMax} are allowed`);
}

/** An empty prefix is that of every key. */
export function checkedPrefix(prefix: Bytes): Uint8Array {
  const bytes = bytesOf(prefix, 'prefix');
  if (bytes.length <= keyBytesMax) return bytes;
  throw notApplied('tooLarge', `the prefix has ${bytes.length} bytes: at most ${keyBytesMax} are allowed`);
}

/** The id of a configuration, if there is one. */
export function checkedConfigurationId(id: number | undefined): number | undefined {
  if (id === undefined || (Number.isSafeInteger(id) && id >= 0)) return id;
  throw notApplied('invalid', `ifConfigurationId is ${shown(id)}: give a whole number, as clusterStatus() tells it`);
}

/**
 * The revision that a write asks for, if it asks for one. One that is there and undefined, as of a key that was not found, is refused: the write
 * would be unconditional.
 */
export function ifRevisionIn(options: { readonly ifRevision?: number } | undefined): number | undefined {
  return options === undefined || options === null || !('ifRevision' in options)
    ? undefined
    : checkedRevision(options.ifRevision);
}

/** 0: that of a key that does not exist. */
export function checkedRevision(revision: number | undefined, what = 'ifRevision'): number {
  if (typeof revision === 'number' && Number.isSafeInteger(revision) && revision >= 0) return revision;
  const right = 'give the one that get() told, or 0 for a key that does not exist';
  throw notApplied('invalid', `${what} is ${shown(revision)}: ${right}`);
}

/** That of a key which exists. */
export function checkedPutRevision(revision: number): number {
  if (typeof revision === 'number' && Number.isSafeInteger(revision) && revision >= 1) return revision;
  throw notApplied('invalid', `revision is ${shown(revision)}: give the one that put() told`);
}

/** How long a key may stay without being renewed, if it may not for ever. */
export function checkedTtlMs(ttlMs: number | undefined): number | undefined {
  if (ttlMs === undefined) return undefined;
  const problem = ttlProblem(ttlMs);
  if (problem === undefined) return ttlMs;
  throw notApplied('invalid', `ttlMs is ${shown(ttlMs)}: give whole milliseconds from ${ttlMsMin} to ${ttlMsMax}`);
}

/** For connections with TLS; undefined: without. */
export function secureContextOf(tls: TlsIdentity | undefined): SecureContext | undefined {
  if (tls === undefined) return undefined;
  try {
    checkTlsIdentity(tls, 'client', (part) => `tls.${part}`);
  } catch (error) {
    throw error instanceof InputError ? notApplied('invalid', error.message) : error;
  }
  return clientContext(tls);
}

export function checkedClusterName(name: string | undefined): string | undefined {
  if (name === undefined || (typeof name === 'string' && name !== '')) return name;
  throw notApplied('invalid', `clusterName is ${shown(name)}: give the name of the cluster, as in kv.json`);
}

/** A whole number from 1 to `max`. */
export function checkedCount(count: number, max: number, what: string): number {
  if (Number.isInteger(count) && count >= 1 && count <= max) return count;
  throw notApplied('invalid', `${what} is ${shown(count)}: give a whole number from 1 to ${max}`);
}

export function checkedTimeoutMs(timeoutMs: number, what = 'timeoutMs'): number {
  // A text of digits would pass for a number, and be added as a text.
  if (typeof timeoutMs === 'number' && timeoutMs >= 1 && timeoutMs <= timeoutMsMax) return timeoutMs;
  throw notApplied('invalid', `${what} is ${shown(timeoutMs)}: give 1 to ${timeoutMsMax} milliseconds`);
}

/** The signal among these options, if there is one. Throws `aborted` if that is what it is already. */
export function signalIn({ signal }: { readonly signal?: AbortSignal | undefined }): AbortSignal | undefined {
  if (signal === undefined) return undefined;
  if (!isSignal(signal)) {
    throw notApplied('invalid', `signal is ${shown(signal)}: give the signal of an AbortController`);
  }
  if (signal.aborted) throw abortedError(signal, 'notApplied');
  return signal;
}

/** True for what does what an AbortSignal does, whosever class it is of. */
export function isSignal(value: unknown): value is AbortSignal {
  if (typeof value !== 'object' || value === null) return false;
  return 'aborted' in value && 'addEventListener' in value && typeof value.addEventListener === 'function';
}

/** The members of a next configuration, each once, ascending. */
export function checkedNodes(nodes: readonly (number | TargetNode)[]): TargetNode[] {
  if (!Array.isArray(nodes))
    throw notApplied('invalid', `the nodes are ${shown(nodes)}: give a list, such as [1, 2, 3]`);
  if (nodes.length === 0) throw notApplied('invalid', 'no node is named: name at least one, such as 1, 2, 3');
  if (nodes.length > membersMax) {
    throw notApplied('invalid', `${nodes.length} nodes are named: a cluster has at most ${membersMax}`);
  }
  const checked = nodes.map((node) => checkedNode(typeof node === 'number' ? { id: node } : node));
  checked.sort((a, b) => a.id - b.id);
  for (const [at, { id }] of checked.entries()) {
    if (checked[at + 1]?.id === id) throw notApplied('invalid', `node ${id} is named twice: name each node once`);
  }
  return checked;
}

function checkedNode(target: TargetNode): TargetNode {
  if (typeof target !== 'object' || target === null) {
    throw notApplied('invalid', `a node is ${shown(target)}: give its id, or { id, address }`);
  }
  const { id, address, isRebuilt, storageId } = target;
  const unknown = Object.keys(target).find((name) => !['id', 'address', 'isRebuilt', 'storageId'].includes(name));
  if (unknown !== undefined) throw notApplied('invalid', `a node has ${unknown}: there are id and address`);
  checkedCount(id, nodeIdMax, 'node id');
  if (storageId !== undefined && !isStorageId(storageId)) {
    throw notApplied('invalid', `the storageId of node ${id} is ${shown(storageId)}: give what its status tells`);
  }
  const node = { id, ...(isRebuilt === true && { isRebuilt }), ...(storageId !== undefined && { storageId }) };
  if (address === undefined) return node;
  if (typeof address !== 'string') {
    throw notApplied('invalid', `the address of node ${id} is ${shown(address)}: give host:port`);
  }
  try {
    return { ...node, address: memberAddress(address, `the address of node ${id},`) };
  } catch (error) {
    if (error instanceof InputError) throw notApplied('invalid', error.message);
    throw error;
  }
}

function isStorageId(text: string): boolean {
  return typeof text === 'string' && text !== '' && encoder.encode(text).length <= storageIdBytesMax;
}

function bytesOf(bytes: Bytes, what: string): Uint8Array {
  if (typeof bytes === 'string') return encodedText(bytes, what);
  // One of another realm, as of a plugin's host, is as good.
  if (isUint8Array(bytes)) return bytes;
  throw notApplied('invalid', `the ${what} is ${kindOf(bytes)}: give a string or a Uint8Array`);
}

function kindOf(value: unknown): string {
  return typeof value === 'object' && value !== null ? `an object (${value.constructor?.name})` : shown(value);
}

/** The platform would put the same character for each half of a pair that lacks the other: two keys would be one. */
function encodedText(text: string, what: string): Uint8Array {
  if (text.isWellFormed()) return encoder.encode(text);
  throw notApplied(
    'invalid',
    `the ${what} has half of a surrogate pair, which is no character: give whole text, or a Uint8Array`,
  );
}

export function notApplied(code: KvErrorCode, message: string): KvError {
  return new KvError(code, message, 'notApplied');
}
