/** Most bytes of a key. */
export const keyBytesMax = 1024;
/** Most bytes of a value. */
export const valueBytesMax = 1024 * 1024;
/** How long a key may stay without being renewed, milliseconds: less is not to be told from a pause, and more need not expire. */
export const ttlMsMin = 1000;
export const ttlMsMax = 366 * 86_400_000;
/** Most conditions of a transaction, and most changes. */
export const transactionPartsMax = 128;
/** Most bytes of all keys and values of a transaction together. */
export const transactionBytesMax = 1024 * 1024;
/** Most bytes of a whole command: key and value, or a transaction, and what is in front of them. */
export const commandBytesMax = keyBytesMax + valueBytesMax + 8 * 1024;

/** What is wrong with a key or a value. */
export interface CommandProblem {
  readonly code: 'invalid' | 'tooLarge';
  readonly message: string;
}

/** Says what is wrong with a key, or `undefined`. */
export function keyProblem(key: Uint8Array): CommandProblem | undefined {
  if (key.length === 0) return { code: 'invalid', message: 'the key is empty: give a key of 1 to 1024 bytes' };
  if (key.length <= keyBytesMax) return undefined;
  return { code: 'tooLarge', message: `the key has ${key.length} bytes: at most ${keyBytesMax} are allowed` };
}

/** Says what is wrong with a value, or `undefined`. */
export function valueProblem(value: Uint8Array): CommandProblem | undefined {
  if (value.length <= valueBytesMax) return undefined;
  const message = `the value has ${value.length} bytes: at most ${valueBytesMax} (1 MiB) are allowed`;
  return { code: 'tooLarge', message };
}

/** Says what is wrong with a time to live, or `undefined`. */
export function ttlProblem(ttlMs: number): CommandProblem | undefined {
  if (typeof ttlMs === 'number' && Number.isInteger(ttlMs) && ttlMs >= ttlMsMin && ttlMs <= ttlMsMax) return undefined;
  return {
    code: 'invalid',
    message: `the time to live is ${ttlMs} ms: give a whole number from ${ttlMsMin} to ${ttlMsMax}`,
  };
}
