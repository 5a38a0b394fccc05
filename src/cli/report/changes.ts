import { escapeBytes, jsonBytes } from '../output.ts';

/** What a key is from now on. */
export type Change =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array; readonly revision: number }
  /** Without a revision where the key was not there before. */
  | { readonly type: 'delete'; readonly key: Uint8Array; readonly revision?: number };

/** One line: what happened, the key, and the value if there is one. `isTerminal`: make what could upset a terminal visible instead. */
export function formatChange(change: Change, isTerminal: boolean): Uint8Array {
  const bytes = (part: Uint8Array) => (isTerminal ? Buffer.from(escapeBytes(part), 'utf8') : part);
  const value = change.type === 'put' ? [tab, bytes(change.value)] : [];
  return Buffer.concat([Buffer.from(change.type), tab, bytes(change.key), ...value, newline]);
}

/** One line of `kv watch --json`. */
export function changeJson(change: Change): Record<string, string | number> {
  const { type, key, revision } = change;
  const value = type === 'put' ? jsonBytes('value', change.value) : {};
  return { type, ...jsonBytes('key', key), ...(revision !== undefined && { revision }), ...value };
}

const tab = Buffer.from('\t');
const newline = Buffer.from('\n');
