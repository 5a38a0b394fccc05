/** First in, first out, with a way to put some back in front. Taking is cheap however long it is. */
export class CallQueue<T> {
  #items: T[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.#items[this.#head];
    if (item === undefined) return undefined;
    this.#items[this.#head++] = undefined as T;
    if (this.#head === this.#items.length || this.#head >= 4096) this.#compact();
    return item;
  }

  /** Puts an item before the first that `isBehind` it: cheap where that is near the front. */
  insert(item: T, isBehind: (other: T) => boolean): void {
    let at = this.#head;
    while (at < this.#items.length && !isBehind(this.#items[at] as T)) at++;
    this.#items.splice(at, 0, item);
  }

  /** Lets go of all but those that are `wanted`. */
  keep(wanted: (item: T) => boolean): void {
    this.#compact();
    this.#items = this.#items.filter(wanted);
  }

  /** All items, which stay. */
  *[Symbol.iterator](): Generator<T> {
    for (let at = this.#head; at < this.#items.length; at++) yield this.#items[at] as T;
  }

  #compact(): void {
    this.#items = this.#items.slice(this.#head);
    this.#head = 0;
  }
}
