import { readFileSync } from 'node:fs';
import type { Bytes } from '../../client/input.ts';
import { InputError } from '../../cluster/input-error.ts';

/** What Node puts in the place of bytes of an argument that are no UTF-8. */
const replacement = '\u{fffd}';

/**
 * An argument as its caller gave it. Node makes text of arguments, in which all bytes that are no UTF-8 look alike: two keys would be one.
 * Linux still has the bytes. Throws {@link InputError} where they cannot be told; `what` names the argument.
 */
export function argumentBytes(argument: string, what: string, commandLine: () => Buffer = ownCommandLine): Bytes {
  if (!argument.includes(replacement)) return argument;
  const [found, ...others] = argumentsLike(argument, what, commandLine());
  if (found !== undefined && others.every((other) => other.equals(found))) return found;
  const why = found === undefined ? 'this system does not tell them' : 'another argument looks like it';
  throw new InputError(`the ${what} has bytes that are no UTF-8, and ${why}: use the client library for it`);
}

/** A flag's may stand in one word with it: `--put=KEY=VALUE`. */
function argumentsLike(argument: string, what: string, commandLine: Buffer): Buffer[] {
  const found: Buffer[] = [];
  const joined = `${what}=`;
  for (let from = 0; from < commandLine.length; ) {
    const end = commandLine.indexOf(0, from);
    const part = commandLine.subarray(from, end < 0 ? commandLine.length : end);
    const word = part.toString('utf8');
    if (word === argument) found.push(part);
    else if (word === joined + argument) found.push(part.subarray(Buffer.byteLength(joined)));
    from += part.length + 1;
  }
  return found;
}

function ownCommandLine(): Buffer {
  try {
    return readFileSync('/proc/self/cmdline');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return Buffer.alloc(0);
    throw error;
  }
}
