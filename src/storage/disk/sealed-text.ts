import { crc32 } from 'node:zlib';

/*
 * A small text file of a data directory: lines, the last of which checks those before it.
 *
 *   crc32 89abcdef
 */

const lastLine = /^crc32 ([0-9a-f]{8})\n$/;
const lastLineBytes = 'crc32 89abcdef\n'.length;

/** The text of a file that says `body`, whole lines. */
export function sealText(body: string): string {
  return `${body}crc32 ${checksumText(crc32(body))}\n`;
}

/** What the text of a file says; `isIntact`: it is what {@link sealText} made of that. */
export function openSealedText(text: string): { readonly body: string; readonly isIntact: boolean } {
  const body = text.slice(0, -lastLineBytes);
  const checksum = lastLine.exec(text.slice(-lastLineBytes))?.[1];
  return { body, isIntact: checksum === checksumText(crc32(body)) };
}

/** A checksum as these files write it. */
export function checksumText(checksum: number): string {
  return checksum.toString(16).padStart(8, '0');
}
