import { sortKeys } from './sort-keys.ts';

/** One change of a key; `undefined` removes it. */
export type Change<Key, Value> = readonly [Key, Value | undefined];

/**
 * Changes above a table that stay as they are while the owner goes on: what a snapshot sees beside a view of the table.
 * A change that the table already has does no harm.
 */
export class FrozenChanges<Key extends string | number, Value> {
  readonly #changes = new Map<Key, Value | undefined>();
  /** In order; made when it is first needed. */
  #keys: Key[] | undefined;

  /** `layers`: the oldest first; of two changes of a key the later one counts. */
  constructor(layers: readonly Iterable<Change<Key, Value>>[]) {
    for (const layer of layers) for (const [key, value] of layer) this.#changes.set(key, value);
  }

  get size(): number {
    return this.#changes.size;
  }

  /**
   * `table` as changed: its entries behind `after`, in order, hidden or joined by the changes behind `after`. `rowOf` makes of
   * a change what the table has, or undefined if the entry goes: only when its turn comes, since many changes take long.
   */
  *over<Row>(
    table: Iterable<readonly [Key, Row]>,
    after: Key | undefined,
    rowOf: (key: Key, value: Value) => Row | undefined,
  ): Generator<readonly [Key, Row]> {
    const keys = this.#keysInOrder();
    let at = positionAfter(keys, after);
    for (const entry of table) {
      for (; at < keys.length && (keys[at] as Key) < entry[0]; at++) yield* this.#entry(keys[at] as Key, rowOf);
      if (at < keys.length && keys[at] === entry[0]) yield* this.#entry(keys[at++] as Key, rowOf);
      else yield entry;
    }
    for (; at < keys.length; at++) yield* this.#entry(keys[at] as Key, rowOf);
  }

  *#entry<Row>(key: Key, rowOf: (key: Key, value: Value) => Row | undefined): Generator<readonly [Key, Row]> {
    const value = this.#changes.get(key);
    const row = value === undefined ? undefined : rowOf(key, value);
    if (row !== undefined) yield [key, row];
  }

  #keysInOrder(): readonly Key[] {
    this.#keys ??= inOrder([...this.#changes.keys()]);
    return this.#keys;
  }
}

function inOrder<Key extends string | number>(keys: Key[]): Key[] {
  if (typeof keys[0] === 'string') return sortKeys(keys as string[]) as Key[];
  return keys.sort((a, b) => Number(a) - Number(b));
}

/** Position of the first of `keys` behind `after`. */
function positionAfter<Key extends string | number>(keys: readonly Key[], after: Key | undefined): number {
  if (after === undefined) return 0;
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as Key) <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
