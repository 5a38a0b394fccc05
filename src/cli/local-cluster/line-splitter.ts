/** Most characters of an unfinished line that are held back. */
const lineCharactersMax = 65_536;

/** Cuts text that comes in pieces into lines, each handed to `onLine` without its newline. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop() ?? '';
    for (const line of lines) this.#onLine(line);
    if (this.#rest.length > lineCharactersMax) this.end();
  }

  /** Hands out what has no newline yet. */
  end(): void {
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
  }
}
