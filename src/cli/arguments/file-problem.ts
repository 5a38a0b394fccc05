import { InputError } from '../../cluster/input-error.ts';

const wordsOfCodes: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'this user may not read it',
};

/** Throws an InputError if `path` means standard input: a backup is read from its file, and more than once. */
export function refuseStandardInput(path: string): void {
  if (path !== '-') return;
  throw new InputError('a backup is not read from standard input: save that to a file, and give the name of it');
}

/** What to throw for an error at reading `path`: an InputError if the system refused it, else the error itself. */
export function fileProblem(path: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('syscall' in error)) return error;
  const { code = '', message } = error as NodeJS.ErrnoException;
  return new InputError(`${path} cannot be read: ${wordsOfCodes[code] ?? message}`);
}
