import { createReadStream } from 'node:fs';
import { KvError } from '../client/errors.ts';
import { InputError } from '../cluster/input-error.ts';
import { keyProblem, valueBytesMax, valueProblem } from '../kv/command.ts';

/** Where a value comes from: an argument (`-` is standard input), or a file. */
export interface ValueSource {
  readonly argument: string | undefined;
  readonly file: string | undefined;
  readonly stdin: AsyncIterable<Uint8Array>;
}

/** The bytes of a key given as an argument. Throws {@link KvError}, so that nobody has to be asked. */
export function parseKey(text: string): Uint8Array {
  const key = Buffer.from(text, 'utf8');
  const problem = keyProblem(key);
  if (problem !== undefined) throw new KvError(key.length === 0 ? 'invalid' : 'tooLarge', problem, 'notApplied');
  return key;
}

/** The bytes to put. At most one more than a value may have are read. Throws {@link InputError} or {@link KvError}. */
export async function readValue({ argument, file, stdin }: ValueSource): Promise<Uint8Array> {
  if (argument !== undefined && file !== undefined) {
    throw new InputError('there is a VALUE and a --file: give one of them');
  }
  if (file !== undefined) return readFile(file);
  if (argument === undefined) {
    throw new InputError('the VALUE is missing: kv put KEY VALUE, or - for standard input, or --file FILE');
  }
  return argument === '-' ? readAll(stdin, 'standard input') : checked(Buffer.from(argument, 'utf8'));
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
    if (byteCount > valueBytesMax) {
      throw new KvError(
        'tooLarge',
        `${name} has more than the ${valueBytesMax} bytes (1 MiB) of a value`,
        'notApplied',
      );
    }
  }
  return Buffer.concat(chunks, byteCount);
}

function checked(value: Uint8Array): Uint8Array {
  const problem = valueProblem(value);
  if (problem !== undefined) throw new KvError('tooLarge', problem, 'notApplied');
  return value;
}
