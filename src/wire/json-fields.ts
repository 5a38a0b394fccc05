import { DecodeError } from '../base/bytes.ts';

/** Reads the fields of a JSON object that someone else wrote. Every method throws {@link DecodeError} naming the field. */
export class JsonFields {
  readonly #what: string;
  readonly #fields: ReadonlyMap<string, unknown>;
  readonly #read = new Set<string>();

  private constructor(what: string, value: unknown) {
    if (typeof value !== 'object' || value === null || Array.isArray(value))
      throw new DecodeError(`${what} is no object`);
    this.#what = what;
    this.#fields = new Map(Object.entries(value));
  }

  /** `what` names the object in errors; `lengthMax` bounds the text, in UTF-16 units. */
  static parse(what: string, text: string, lengthMax: number): JsonFields {
    if (text.length > lengthMax) throw new DecodeError(`${what} has over ${lengthMax} characters`);
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new DecodeError(`${what} is no JSON: ${(error as SyntaxError).message}`);
    }
    return new JsonFields(what, value);
  }

  has(name: string): boolean {
    return this.#fields.has(name);
  }

  /** A whole number of at least `min`. */
  integer(name: string, min = 0, max = Number.MAX_SAFE_INTEGER): number {
    const value = this.#take(name);
    if (!Number.isSafeInteger(value) || (value as number) < min || (value as number) > max)
      throw this.#wrong(name, `a whole number from ${min} ${max < Number.MAX_SAFE_INTEGER ? `to ${max}` : 'on'}`);
    return value as number;
  }

  optionalInteger(name: string, min = 0): number | undefined {
    return this.has(name) ? this.integer(name, min) : undefined;
  }

  /** A time span, of any fraction of its unit. */
  optionalDuration(name: string): number | undefined {
    if (!this.has(name)) return undefined;
    const value = this.#take(name);
    if (typeof value !== 'number' || value < 0) throw this.#wrong(name, 'a number from 0 on');
    return value;
  }

  /** A text of at most `lengthMax` UTF-16 units that fits `pattern`. */
  text(name: string, lengthMax: number, pattern = /^/): string {
    const value = this.#take(name);
    if (typeof value !== 'string' || value.length > lengthMax || !pattern.test(value)) {
      throw this.#wrong(name, `a text of at most ${lengthMax} characters that fits ${pattern}`);
    }
    return value;
  }

  optionalText(name: string, lengthMax: number, pattern = /^/): string | undefined {
    return this.has(name) ? this.text(name, lengthMax, pattern) : undefined;
  }

  word<Word extends string>(name: string, words: readonly Word[]): Word {
    const value = this.#take(name);
    const word = words.find((candidate) => candidate === value);
    if (word === undefined) throw this.#wrong(name, `one of ${words.join(', ')}`);
    return word;
  }

  true(name: string): true {
    if (this.#take(name) !== true) throw this.#wrong(name, 'true');
    return true;
  }

  flag(name: string): boolean {
    const value = this.#take(name);
    if (typeof value !== 'boolean') throw this.#wrong(name, 'true or false');
    return value;
  }

  object(name: string): JsonFields {
    const value = this.#take(name);
    if (!this.has(name)) throw this.#wrong(name, 'an object');
    return new JsonFields(`${name} of ${this.#what}`, value);
  }

  /** Ids of nodes, each once, in any order. */
  nodeIds(name: string, countMax: number): number[] {
    const ids = this.#list(name, countMax);
    const areIds = ids.every((id) => Number.isSafeInteger(id) && (id as number) > 0);
    if (!areIds || new Set(ids).size < ids.length) throw this.#wrong(name, 'positive whole numbers, each once');
    return ids as number[];
  }

  objects(name: string, countMax: number): JsonFields[] {
    return this.#list(name, countMax).map((value) => new JsonFields(`an item of ${name} of ${this.#what}`, value));
  }

  /** An object in this one; undefined if there is none. */
  optionalObject(name: string): JsonFields | undefined {
    return this.has(name) ? new JsonFields(`${name} of ${this.#what}`, this.#take(name)) : undefined;
  }

  /** Call when all should have been read: refuses what was not. */
  end(): void {
    for (const name of this.#fields.keys()) {
      if (!this.#read.has(name)) throw new DecodeError(`${this.#what} has an unknown field ${JSON.stringify(name)}`);
    }
  }

  #list(name: string, countMax: number): readonly unknown[] {
    const value = this.#take(name);
    if (!Array.isArray(value) || value.length > countMax) throw this.#wrong(name, `a list of at most ${countMax}`);
    return value;
  }

  #take(name: string): unknown {
    this.#read.add(name);
    return this.#fields.get(name);
  }

  #wrong(name: string, due: string): DecodeError {
    if (!this.has(name)) return new DecodeError(`${this.#what} lacks ${name}: ${due}`);
    const found = JSON.stringify(this.#fields.get(name)).slice(0, 80);
    return new DecodeError(`${name} of ${this.#what} is ${found}: it must be ${due}`);
  }
}
