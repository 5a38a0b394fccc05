import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Origin } from '../../cluster/origin.ts';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { writeFileDurably } from '../disk/durable-file.ts';
import { openSealedText, sealText } from '../disk/sealed-text.ts';

/*
 * The file that says what a data directory was made with, in those that were not made empty (sealed-text.ts):
 *
 *   omnikv data origin 1
 *   {"kind":"restored","clusterId":"…","index":…,"fingerprint":"…","madeAt":"…"}
 *   crc32 89abcdef
 */

const originFormat = 1;
const fileName = 'origin';
const formatLine = /^omnikv data origin (\d+)\n/;
const wholeBody = /^omnikv data origin \d+\n(\{.*\})\n$/;

/** Writes the origin of the directory at `path`, durably. */
export function writeOrigin(path: string, { kind, clusterId, index, fingerprint, madeAt }: Origin): void {
  const fields = JSON.stringify({ kind, clusterId, index, fingerprint, madeAt });
  const text = `omnikv data origin ${originFormat}\n${fields}\n`;
  writeFileDurably(path, fileName, sealText(text));
}

/** The origin of the directory at `path`; undefined if it was made empty. Throws a {@link DataDirectoryError}. */
export function readOrigin(path: string): Origin | undefined {
  const file = join(path, fileName);
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, 'utf8');
  const format = Number(formatLine.exec(text)?.[1]);
  if (format > originFormat) {
    const known = `this version knows formats up to ${originFormat}`;
    throw new DataDirectoryError(
      'newerFormat',
      `${file} has format ${format}, ${known}: use the version that wrote it, or a newer one`,
    );
  }
  const { body, isIntact } = openSealedText(text);
  const fields = wholeBody.exec(body)?.[1];
  if (isIntact && fields !== undefined) return JSON.parse(fields) as Origin;
  throw originDamage(path, 'is not as it was written');
}

/** The error for a directory that does not say what it was made with, though it was made with something. */
export function originDamage(path: string, problem: string): DataDirectoryError {
  return new DataDirectoryError(
    'damaged',
    `file '${fileName}' in ${path} ${problem}: make the directory anew, from its backup or with kv recover`,
  );
}
