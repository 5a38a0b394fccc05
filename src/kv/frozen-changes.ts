/** Where changes come from: they stay as they are while their owner goes on. */
interface FrozenSource<Key extends string | number, Row> {
  readonly size: number;
  /** In order. Called once, when they are first needed: to put many in order takes long. */
  keysInOrder(): readonly Key[];
  /** What the table has of a key once it is changed; undefined: the key goes. */
  rowOf(key: Key): Row | undefined;
}

/** What a snapshot sees beside a view of a table. A change that the table already has does no harm. */
export class FrozenChanges<Key extends string | number, Row> {
  readonly #source: FrozenSource<Key, Row>;
  #keys: readonly Key[] | undefined;

  constructor(source: FrozenSource<Key, Row>) {
    this.#source = source;
  }

  /** Of the rows of changes given layer by layer, the oldest first; of two changes of a key the later one counts. Undefined removes it. */
  static of<Row>(layers: readonly Iterable<readonly [number, Row | undefined]>[]): FrozenChanges<number, Row> {
    const changes = new Map(layers.flatMap((layer) => [...layer]));
    return new FrozenChanges({
      size: changes.size,
      keysInOrder: () => [...changes.keys()].sort((a, b) => a - b),
      rowOf: (key) => changes.get(key),
    });
  }

  get size(): number {
    return this.#source.size;
  }

  /** `table` as changed: its entries behind `after`, in order, hidden or joined by the changes behind `after`. */
  *over(table: Iterable<readonly [Key, Row]>, after: Key | undefined): Generator<readonly [Key, Row]> {
    const keys = this.#keysInOrder();
    let at = positionAfter(keys, after);
    for (const entry of table) {
      for (; at < keys.length && (keys[at] as Key) < entry[0]; at++) yield* this.#entry(keys[at] as Key);
      if (at < keys.length && keys[at] === entry[0]) yield* this.#entry(keys[at++] as Key);
      else yield entry;
    }
    for (; at < keys.length; at++) yield* this.#entry(keys[at] as Key);
  }

  /** The key `count` keys behind `after`, if so many are changed. */
  keyBehind(after: Key | undefined, count: number): Key | undefined {
    const keys = this.#keysInOrder();
    return keys[positionAfter(keys, after) + count - 1];
  }

  #keysInOrder(): readonly Key[] {
    this.#keys ??= this.#source.keysInOrder();
    return this.#keys;
  }

  *#entry(key: Key): Generator<readonly [Key, Row]> {
    const row = this.#source.rowOf(key);
    if (row !== undefined) yield [key, row];
  }
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
