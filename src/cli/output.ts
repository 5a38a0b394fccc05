import { isUtf8 } from 'node:buffer';
import { exitCodes } from './exit-codes.ts';

/** False for a node: it goes on where nobody can read what it says. */
let mustBeWritten = true;

/** Resolves when the text or the bytes have been handed to standard output. Rejects where they cannot be, unless that is to be ignored. */
export function writeOut(chunk: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(chunk, (error) => (error && mustBeWritten ? reject(error) : resolve()));
  });
}

/** One line to standard output. */
export function printLine(line: string): Promise<void> {
  return writeOut(`${line}\n`);
}

/** One line to standard error, for people. */
export function printMessage(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** One JSON document: indented on a terminal, one line elsewhere. */
export function printJson(value: unknown): Promise<void> {
  return printLine(JSON.stringify(value, undefined, process.stdout.isTTY ? 2 : undefined));
}

/** One JSON document on one line, wherever it goes: for streams of them. */
export function printJsonLine(value: unknown): Promise<void> {
  return printLine(JSON.stringify(value));
}

/** True if a person sees what goes to standard output. */
export function isTerminalOutput(): boolean {
  return process.stdout.isTTY === true;
}

/**
 * What becomes of the process when its output cannot be written.
 *
 * `exit`: whoever reads it may leave before its end, as in `kv list | head -1`: that is no failure, and ends the command.
 * Anything else, such as a full disk, is one. `reject`: whatever it is, who writes hears of it. `ignore`: nobody does, as a node does not
 * stop for its log.
 */
export type OnOutputError = 'exit' | 'reject' | 'ignore';

/** Settles that; a failure is told with `hint`. Calling it again changes nothing. */
export function handleOutputErrors(mode: OnOutputError, hint = ''): void {
  mustBeWritten = mode !== 'ignore';
  const listener = mode === 'exit' ? (error: Error) => exitOnOutputError(error, hint) : ignoreOutputError;
  setErrorListener(process.stdout, listener);
  // Whatever becomes of the messages, the exit code still tells.
  setErrorListener(process.stderr, ignoreOutputError);
}

/** In the place of oclif's own, which throws at anything but EPIPE, such as EIO of a terminal that was closed. */
function setErrorListener(stream: NodeJS.WriteStream, listener: (error: Error) => void): void {
  stream.removeAllListeners('error');
  stream.on('error', listener);
}

/** A command that failed has failed, whether or not anybody can read why: it keeps its exit code, and made no change to hint at. */
function exitOnOutputError(error: Error, hint: string): void {
  const failed = Number(process.exitCode ?? exitCodes.done.code);
  if (isReaderGone(error)) process.exit(failed);
  printMessage(`kv: the output cannot be written: ${error.message}${failed === exitCodes.done.code ? hint : ''}`);
  process.exit(failed === exitCodes.done.code ? exitCodes.internal.code : failed);
}

function ignoreOutputError(): void {}

/** True for the error of a write to a pipe that nobody reads. */
export function isReaderGone(error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EPIPE';
}

/** `{[name]: text}`, or `{[name + 'Base64']: …}` where the bytes are no UTF-8: JSON has no other bytes. */
export function jsonBytes(name: string, bytes: Uint8Array): Record<string, string> {
  const buffer = asBuffer(bytes);
  return isUtf8(buffer) ? { [name]: buffer.toString('utf8') } : { [`${name}Base64`]: buffer.toString('base64') };
}

/**
 * Bytes on one line of a terminal: what would move the cursor, break the line or is no UTF-8 is written as `\n`, `\t`, `\r`,
 * `\\` or `\xHH`, byte by byte.
 */
export function escapeBytes(bytes: Uint8Array): string {
  const buffer = asBuffer(bytes);
  if (!isUtf8(buffer))
    return Array.from(buffer, (byte) => (byte < 0x80 ? escapeText(String.fromCharCode(byte)) : hex(byte))).join('');
  return escapeText(buffer.toString('utf8'));
}

// Controls, and what reorders or hides text: separators of lines, marks of direction.
const unsafe = /[\\\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;
const shortEscapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\t': '\\t', '\r': '\\r' };

function escapeText(text: string): string {
  return text.replace(
    unsafe,
    (character) => shortEscapes[character] ?? Array.from(Buffer.from(character), hex).join(''),
  );
}

function hex(byte: number): string {
  return `\\x${byte.toString(16).padStart(2, '0')}`;
}

/** Rows in columns, two spaces between; columns in `rightAligned` are numbers. */
export function formatTable(rows: readonly (readonly string[])[], rightAligned: readonly number[]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return rightAligned.includes(column) ? cell.padStart(width) : cell.padEnd(width);
    });
    return cells.join('  ').trimEnd();
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
