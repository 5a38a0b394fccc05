import { CommandError } from '../exit-codes.ts';
import { escapeBytes } from '../output.ts';

/** There is no such key: exit code 3. */
export function keyNotFound(key: Uint8Array): CommandError {
  return new CommandError('notFound', 'notFound', `key not found: ${escapeBytes(key)}`);
}
