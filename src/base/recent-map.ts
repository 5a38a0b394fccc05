const placesMin = 8;
/** Fewer are not worth the work to make them less. */
const placesKept = 64;
/** Places are made fewer only after so many deletions, as a part of them, while few were in use: what comes in waves needs them again. */
const partDeleted = 1 / 4;
/** No key of {@link RecentMap}. */
const nobody = -1;

/**
 * A map whose keys, whole numbers from 0, count up, and whose entries mostly go in about the order in which they came. Keys in use at
 * a time are then close to each other and have each a place of its own in a ring; one that was overtaken by a whole round of it is kept
 * aside. Goes through its entries in the order of their keys.
 *
 * For what comes and goes with each request, instead of `Map`. That makes itself anew for every few dozen entries, and what it was before
 * points to what it became: once one of those has grown old, V8 takes all after it to be in use, with the entries that were in them. A
 * client copied half of what it made for that, at each collection of garbage.
 */
export class RecentMap<Value> {
  /** By the key's remainder. At least twice as many as there are entries, and for long at most sixteen times if they are many. */
  #values: (Value | undefined)[] = new Array<Value | undefined>(placesMin).fill(undefined);
  #keys = new Float64Array(placesMin).fill(nobody);
  readonly #overtaken = new Map<number, Value>();
  #size = 0;
  /** Since there were many entries for so many places. */
  #deletionsWhileFew = 0;

  get size(): number {
    return this.#size;
  }

  get(key: number): Value | undefined {
    const at = key % this.#keys.length;
    if (this.#keys[at] === key) return this.#values[at];
    return this.#overtaken.size > 0 ? this.#overtaken.get(key) : undefined;
  }

  set(key: number, value: Value): void {
    const at = key % this.#keys.length;
    if (this.#keys[at] === key) this.#values[at] = value;
    else if (this.#overtaken.size > 0 && this.#overtaken.has(key)) this.#overtaken.set(key, value);
    else {
      if (2 * (this.#size + 1) > this.#keys.length) this.#resize(2 * this.#keys.length);
      this.#put(key, value);
      this.#size++;
      if (!this.#areFew) this.#deletionsWhileFew = 0;
    }
  }

  /** False if there is no such entry. */
  delete(key: number): boolean {
    const at = key % this.#keys.length;
    if (this.#keys[at] === key) {
      this.#keys[at] = nobody;
      this.#values[at] = undefined;
    } else if (!this.#overtaken.delete(key)) return false;
    this.#size--;
    if (this.#areFew && ++this.#deletionsWhileFew > partDeleted * this.#keys.length) {
      this.#resize(Math.max(placesKept, this.#keys.length / 2));
    }
    return true;
  }

  clear(): void {
    this.#size = 0;
    this.#overtaken.clear();
    this.#empty(placesMin);
  }

  /** Those that are there now, in order. */
  keys(): Float64Array {
    const keys = new Float64Array(this.#size);
    let count = 0;
    for (const key of this.#overtaken.keys()) keys[count++] = key;
    for (const key of this.#keys) if (key !== nobody) keys[count++] = key;
    return count > 1 ? keys.sort() : keys;
  }

  *values(): Generator<Value> {
    for (const [, value] of this) yield value;
  }

  /** What is deleted meanwhile is left out, and so is what is added. */
  *[Symbol.iterator](): Generator<[number, Value]> {
    for (const key of this.keys()) {
      const value = this.get(key);
      if (value !== undefined) yield [key, value];
    }
  }

  get #areFew(): boolean {
    return 16 * this.#size < this.#keys.length && this.#keys.length > placesKept;
  }

  #put(key: number, value: Value): void {
    const at = key % this.#keys.length;
    const other = this.#keys[at] as number;
    if (other !== nobody) this.#overtaken.set(other, this.#values[at] as Value);
    this.#keys[at] = key;
    this.#values[at] = value;
  }

  #resize(places: number): void {
    const entries = [...this];
    this.#overtaken.clear();
    this.#empty(places);
    for (const [key, value] of entries) this.#put(key, value);
  }

  #empty(places: number): void {
    this.#deletionsWhileFew = 0;
    // What is left of an old array must not point to what is in use: V8 would take all of that to be old as well.
    this.#values.fill(undefined);
    this.#keys = new Float64Array(places).fill(nobody);
    this.#values = new Array<Value | undefined>(places).fill(undefined);
  }
}
