/** What a snapshot sees beside a view of a table with numbers for keys. A change that the table already has does no harm. */
export class FrozenChanges<Row> {
  /** What the table has of a key once it is changed; undefined: the key goes. */
  readonly #changes: ReadonlyMap<number, Row | undefined>;
  #keys: readonly number[] | undefined;

  /** Of the rows of changes given layer by layer, the oldest first; of two changes of a key the later one counts. Undefined removes it. */
  constructor(layers: readonly Iterable<readonly [number, Row | undefined]>[]) {
    this.#changes = new Map(layers.flatMap((layer) => [...layer]));
  }

  get size(): number {
    return this.#changes.size;
  }

  /** `table` as changed: its entries behind `after`, in order, hidden or joined by the changes behind `after`. */
  *over(table: Iterable<readonly [number, Row]>, after: number | undefined): Generator<readonly [number, Row]> {
    // When they are first needed: to put many in order takes long.
    this.#keys ??= [...this.#changes.keys()].sort((a, b) => a - b);
    const keys = this.#keys;
    let at = positionAfter(keys, after);
    for (const entry of table) {
      for (; at < keys.length && (keys[at] as number) < entry[0]; at++) yield* this.#entry(keys[at] as number);
      if (at < keys.length && keys[at] === entry[0]) yield* this.#entry(keys[at++] as number);
      else yield entry;
    }
    for (; at < keys.length; at++) yield* this.#entry(keys[at] as number);
  }

  *#entry(key: number): Generator<readonly [number, Row]> {
    const row = this.#changes.get(key);
    if (row !== undefined) yield [key, row];
  }
}

/** Position of the first of `keys` behind `after`. */
function positionAfter(keys: readonly number[], after: number | undefined): number {
  if (after === undefined) return 0;
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as number) <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
