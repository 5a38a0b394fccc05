import { InputError } from './input-error.ts';

/** A value as JSON has it; objects are maps, so that no name in a file can touch a prototype. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
export type JsonObject = ReadonlyMap<string, JsonValue>;

const depthMax = 16;

/**
 * Reads JSON as RFC 8259 has it. `JSON.parse` does not always say where it failed, and takes the last of two equal names
 * without a word; this says line and column, and refuses the second name. Throws {@link InputError} that starts with `path`.
 */
export function parseJsonText(text: string, path: string): JsonValue {
  return new JsonText(text, path).document();
}

class JsonText {
  readonly #text: string;
  readonly #path: string;
  #at = 0;

  constructor(text: string, path: string) {
    this.#text = text.startsWith('\uFEFF') ? text.slice(1) : text;
    this.#path = path;
  }

  document(): JsonValue {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#fail('nothing more was expected');
    return value;
  }

  #value(depth: number): JsonValue {
    if (depth > depthMax) this.#fail(`more than ${depthMax} levels of nesting`);
    this.#space();
    const next = this.#text[this.#at];
    if (next === '{') return this.#object(depth);
    if (next === '[') return this.#array(depth);
    if (next === '"') return this.#string();
    return this.#scalar();
  }

  #object(depth: number): JsonObject {
    const object = new Map<string, JsonValue>();
    this.#at++;
    if (this.#skip('}')) return object;
    do {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#fail('a name in double quotes was expected');
      const nameAt = this.#at;
      const name = this.#string();
      if (object.has(name)) this.#fail(`the name "${name}" is there twice`, nameAt);
      if (!this.#skip(':')) this.#fail('":" was expected');
      object.set(name, this.#value(depth + 1));
    } while (this.#skip(','));
    if (!this.#skip('}')) this.#fail('"," or "}" was expected');
    return object;
  }

  #array(depth: number): readonly JsonValue[] {
    const array: JsonValue[] = [];
    this.#at++;
    if (this.#skip(']')) return array;
    do array.push(this.#value(depth + 1));
    while (this.#skip(','));
    if (!this.#skip(']')) this.#fail('"," or "]" was expected');
    return array;
  }

  #string(): string {
    // A run of ordinary characters, or an escape that JSON knows; no bare control characters.
    const literal = this.#take(/"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/uy);
    if (literal === undefined) this.#fail('this string does not end, or has a bad escape in it');
    return JSON.parse(literal) as string;
  }

  #scalar(): number | boolean | null {
    const literal = this.#take(/(?:-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?|true|false|null)(?![\w.+-])/y);
    if (literal === undefined) this.#fail('a value was expected');
    return JSON.parse(literal) as number | boolean | null;
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at;
    const taken = pattern.exec(this.#text)?.[0];
    this.#at += taken?.length ?? 0;
    return taken;
  }

  #skip(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    this.#take(/[ \t\r\n]*/y);
  }

  #fail(reason: string, at = this.#at): never {
    const before = this.#text.slice(0, at).split('\n');
    const place = `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}`;
    const found =
      at < this.#text.length ? ` at "${this.#text.slice(at, at + 12).split('\n')[0]}"` : ', the end of the file';
    throw new InputError(`${this.#path} is not valid JSON: ${place}${found}: ${reason}`);
  }
}
