import * as Errors from '@oclif/core/errors';
import { InputError } from '../../cluster/input-error.ts';

/**
 * oclif's parse errors, several lines each, as one line that says what would be right; `undefined` for any other error.
 * `takesArguments`: the command does. They carry the arguments (`args`) or flags (`flags`) that are wrong, and are told apart by that.
 */
export function usageProblem(error: unknown, command: string, takesArguments = true): InputError | undefined {
  if (!(error instanceof Errors.CLIError) || error instanceof Errors.ExitError) return undefined;
  const { args, flags } = error as { args?: unknown; flags?: unknown };
  const see = `see kv ${command} --help`;
  if (Array.isArray(flags))
    return new InputError(`${unknownFlags(flags.map(String), takesArguments ? command : undefined)}; ${see}`);
  if (Array.isArray(args)) return new InputError(`${wrongArguments(args)}; ${see}`);
  return new InputError(`${firstLine(error.message)}; ${see}`);
}

/** `command`: one that takes what may begin with a dash. */
function unknownFlags(flags: readonly string[], command: string | undefined): string {
  const [first = ''] = flags;
  const hint =
    first.startsWith('--no-') || command === undefined
      ? ''
      : ` (if it is no flag but a key or a value: kv ${command} -- ${first} ...)`;
  return `there is no flag ${flags.join(', ')}${hint}`;
}

function wrongArguments(args: readonly unknown[]): string {
  const missing = args.flatMap((arg) => (isDefinition(arg) ? [arg.name.toUpperCase()] : []));
  if (missing.length > 0) return `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} missing`;
  return `too many arguments, from "${String(args[0])}" on (quote what has spaces in it)`;
}

function isDefinition(arg: unknown): arg is { name: string } {
  return typeof arg === 'object' && arg !== null && 'name' in arg && typeof arg.name === 'string';
}

function firstLine(message: string): string {
  const lines = message.split('\n').map((line) => line.trim());
  const line = lines.filter((part) => part !== '' && !part.startsWith('See more help')).join(' ');
  return line
    .replace(/^The following errors? occurred: /, '')
    .replace(/Missing required flag (\S+)/g, '--$1 is missing')
    .replace(/Parsing (--\S+) Expected an integer but received: (.*)/, '$1 "$2" is no whole number')
    .replace(
      /Parsing (--\S+) Expected an integer (greater|less) than or equal to (\S+) but received: (.*)/,
      (_, flag, which, limit, said) => `${flag} ${said}: ${limit} is the ${which === 'less' ? 'most' : 'least'}`,
    );
}
