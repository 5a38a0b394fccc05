/**
 * Something a person wrote (a flag, a variable, a file, a list) is wrong. The message is one line that names the bad
 * part and says what would be right.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
  readonly code = 'badInput';
}
