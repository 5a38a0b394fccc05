import { createReadStream } from 'node:fs';
import { KvError } from '../client/errors.ts';
import { type Bytes, checkedValue } from '../client/input.ts';
import { InputError } from '../cluster/input-error.ts';

/** Where a value comes from: an argument or a file; `-` for either is standard input. */
export interface ValueSource {
  readonly argument: Bytes | undefined;
  readonly file: string | undefined;
  readonly stdin: AsyncIterable<Uint8Array>;
}

/** What is read of a value at the most: over the limit of a value, which the client checks, and far below all memory. */
const readBytesMax = 2 * 1024 * 1024;

/** The bytes to put, checked before anybody is asked. Throws {@link InputError} or {@link KvError}. */
export async function readValue({ argument, file, stdin }: ValueSource): Promise<Uint8Array> {
  if (argument !== undefined && file !== undefined) {
    throw new InputError('there is a VALUE and a --file: give one of them');
  }
  if (file !== undefined && file !== '-') return readFile(file);
  if (argument === undefined && file === undefined) {
    throw new InputError('the VALUE is missing: kv put KEY VALUE, or - for standard input, or --file FILE');
  }
  return argument === undefined || argument === '-' ? readAll(stdin, 'standard input') : checkedValue(argument);
}

async function readFile(path: string): Promise<Uint8Array> {
  try {
    return await readAll(createReadStream(path), path);
  } catch (error) {
    if (error instanceof KvError) throw error;
    throw new InputError(`--file ${path} cannot be read: ${(error as Error).message}`, { cause: error });
  }
}

async function readAll(source: AsyncIterable<Uint8Array>, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let byteCount = 0;
  for await (const chunk of source) {
    chunks.push(chunk);
    byteCount += chunk.length;
    if (byteCount > readBytesMax) {
      throw new KvError('tooLarge', `${name} has over 2 MiB: a value has at most 1 MiB`, 'notApplied');
    }
  }
  return checkedValue(Buffer.concat(chunks, byteCount));
}
