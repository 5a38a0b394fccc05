import { createReadStream } from 'node:fs';
import { KvError } from '../../client/call/errors.ts';
import { type Bytes, checkedValue } from '../../client/input.ts';
import { InputError } from '../../cluster/input-error.ts';
import { fileProblem } from './file-problem.ts';

/** Where a value comes from: an argument or a file; `-` for either is standard input. */
export interface ValueSource {
  readonly argument: Bytes | undefined;
  readonly file: string | undefined;
  readonly stdin: AsyncIterable<Uint8Array>;
}

/** What is read of a value at the most: over the limit of a value, which the client checks, and far below all memory. */
const valueLimit = { bytesMax: 2 * 1024 * 1024, message: 'has over 2 MiB: a value has at most 1 MiB' };
const decoder = new TextDecoder('utf-8', { fatal: true });

/** The bytes to put, checked before anybody is asked. Throws {@link InputError} or {@link KvError}. */
export async function readValue({ argument, file, stdin }: ValueSource): Promise<Uint8Array> {
  if (argument !== undefined && file !== undefined) {
    throw new InputError('there is a VALUE and a --file: give one of them');
  }
  if (file !== undefined && file !== '-') return readFile(file);
  if (argument === undefined && file === undefined) {
    throw new InputError('the VALUE is missing: kv put KEY VALUE, or - for standard input, or --file FILE');
  }
  return checkedValue(
    argument === undefined || argument === '-' ? await readAll(stdin, 'standard input', valueLimit) : argument,
  );
}

/** Most bytes of a document: a transaction of the largest size, every byte of it as \uXXXX. */
const documentBytesMax = 8 * 1024 * 1024;

/** The text of a document; `-` is standard input. Throws {@link InputError} or {@link KvError}. */
export async function readDocument(path: string, stdin: AsyncIterable<Uint8Array>): Promise<string> {
  const [source, name] = path === '-' ? [stdin, 'standard input'] : [createReadStream(path), path];
  const limit = { bytesMax: documentBytesMax, message: 'has over 8 MiB: a transaction has at most 1 MiB' };
  try {
    return decoder.decode(await readAll(source, name, limit));
  } catch (error) {
    if (error instanceof TypeError) throw new InputError(`${name} is no UTF-8`, { cause: error });
    throw fileProblem(path, error);
  }
}

async function readFile(path: string): Promise<Uint8Array> {
  try {
    return checkedValue(await readAll(createReadStream(path), path, valueLimit));
  } catch (error) {
    if (error instanceof KvError) throw error;
    throw new InputError(`--file ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

interface Limit {
  readonly bytesMax: number;
  /** Behind the name of what is over it. */
  readonly message: string;
}

async function readAll(source: AsyncIterable<Uint8Array>, name: string, limit: Limit): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let byteCount = 0;
  for await (const chunk of source) {
    chunks.push(chunk);
    byteCount += chunk.length;
    if (byteCount > limit.bytesMax) throw new KvError('tooLarge', `${name} ${limit.message}`, 'notApplied');
  }
  return Buffer.concat(chunks, byteCount);
}
