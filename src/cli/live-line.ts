/** One line on standard error that is written over again and again; nothing where that is no terminal. */
export class LiveLine {
  /** True if a person sees it. */
  readonly isSeen = process.stderr.isTTY === true;

  /** Shows `text`, cut where the terminal ends. */
  show(text: string): void {
    if (this.isSeen) process.stderr.write(`\r\x1b[K${text.slice(0, (process.stderr.columns || 80) - 1)}`);
  }

  clear(): void {
    if (this.isSeen) process.stderr.write('\r\x1b[K');
  }
}
