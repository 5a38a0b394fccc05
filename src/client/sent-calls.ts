import type { Call } from './call.ts';

const placesMin = 64;
/** No request has this id. */
const nobody = -1;

/**
 * Calls on their way, by the ids of their requests, which count up. Those in flight have ids close to each other, so that mostly each
 * has a place of its own in a ring; one that was overtaken by a whole round of it is kept aside.
 *
 * No `Map`, which would make itself anew for every few calls: V8 keeps what such a predecessor held, calls that ended long ago
 * with all that they hold, once one of them has grown old. Half of what a client made had to be copied for that, again and again.
 */
export class SentCalls {
  /** By the id's remainder. A power of two, and at least twice as many as there are calls. */
  #calls: (Call | undefined)[] = emptyPlaces(placesMin);
  #ids = noIds(placesMin);
  readonly #overtaken = new Map<number, Call>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Call | undefined {
    const at = id % this.#ids.length;
    if (this.#ids[at] === id) return this.#calls[at];
    return this.#overtaken.size > 0 ? this.#overtaken.get(id) : undefined;
  }

  /** A call that is there under its id already stays. */
  set(id: number, call: Call): void {
    if (this.get(id) === call) return;
    this.#size++;
    if (2 * this.#size > this.#ids.length) this.#grow();
    this.#put(id, call);
  }

  delete(id: number): void {
    const at = id % this.#ids.length;
    if (this.#ids[at] === id) {
      this.#ids[at] = nobody;
      this.#calls[at] = undefined;
    } else if (!this.#overtaken.delete(id)) return;
    this.#size--;
  }

  clear(): void {
    this.#ids.fill(nobody);
    this.#calls.fill(undefined);
    this.#overtaken.clear();
    this.#size = 0;
  }

  *values(): Generator<Call> {
    for (const [, call] of this) yield call;
  }

  /** All with their ids; the one given last may be deleted meanwhile. */
  *[Symbol.iterator](): Generator<[number, Call]> {
    yield* this.#overtaken;
    for (let at = 0; at < this.#calls.length; at++) {
      const call = this.#calls[at];
      if (call !== undefined) yield [this.#ids[at] as number, call];
    }
  }

  #put(id: number, call: Call): void {
    const at = id % this.#ids.length;
    const other = this.#calls[at];
    if (other !== undefined) this.#overtaken.set(this.#ids[at] as number, other);
    this.#ids[at] = id;
    this.#calls[at] = call;
  }

  #grow(): void {
    const entries = [...this];
    const places = 2 * this.#ids.length;
    this.#ids = noIds(places);
    this.#calls = emptyPlaces(places);
    this.#overtaken.clear();
    for (const [id, call] of entries) this.#put(id, call);
  }
}

function emptyPlaces(count: number): (Call | undefined)[] {
  return new Array<Call | undefined>(count).fill(undefined);
}

function noIds(count: number): Float64Array {
  return new Float64Array(count).fill(nobody);
}
