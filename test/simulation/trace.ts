/** What happened, as a hash always and as lines of text on demand. The same seed gives the same hash on every machine. */
export class Trace {
  readonly #print: ((line: string) => void) | undefined;
  #low = 0x811c9dc5;
  #high = 0x1234567;

  constructor(print?: (line: string) => void) {
    this.#print = print;
  }

  /** Notes what happened at `timeUs`: a code and whole numbers go into the hash, `text` into the lines. */
  note(timeUs: number, code: string, a: number, b: number, text: () => string): void {
    this.#mix(timeUs);
    for (let at = 0; at < code.length; at++) this.#mix(code.charCodeAt(at));
    this.#mix(a);
    this.#mix(b);
    if (this.#print) this.#print(`${(timeUs / 1000).toFixed(3).padStart(11)} ms  ${text()}`);
  }

  /** 16 hexadecimal digits over everything noted. */
  get hash(): string {
    return (this.#high >>> 0).toString(16).padStart(8, '0') + (this.#low >>> 0).toString(16).padStart(8, '0');
  }

  #mix(value: number): void {
    this.#low = Math.imul(this.#low ^ value, 0x01000193);
    this.#high = Math.imul(this.#high ^ Math.floor(value / 65536) ^ this.#low, 0x85ebca6b) ^ (this.#high >>> 13);
  }
}
