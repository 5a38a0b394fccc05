import type { ByteString } from '../base/bytes.ts';
import { SortedKeys } from './sorted-keys.ts';
import type { KvPage, KvPair, KvRange, KvRecord } from './state-store.ts';

/** What a change costs in memory beside its key and value, bytes; a round guess. */
const changeOverheadBytes = 128;

/** A change of a key: its new record, or `null` where it was deleted. */
export type StagedChange = KvRecord | null;

/** A change and its key. */
export interface KeyedChange {
  readonly key: ByteString;
  readonly change: StagedChange;
}

/** One generation of changes above a table. */
export interface ChangeLayer {
  /** About how many bytes its changes come to. */
  readonly bytes: number;
  /** About how many bytes of memory it takes: more, if what was overwritten stays. */
  readonly memoryBytes: number;
  /** Of how many keys there is a change. */
  readonly size: number;
  /** The change of `key`: `undefined` means that there is none and the table below decides. */
  get(key: ByteString): StagedChange | undefined;
  set(key: ByteString, change: StagedChange): void;
  /** Changes at or above `from`, in byte order; ends when `prefix` no longer fits. Must not be changed meanwhile. */
  scan(from: ByteString, prefix: ByteString): Iterator<KeyedChange>;
}

/**
 * Changes that are not in the table below yet. They hide what the table has: a deletion stays as a `null`.
 */
export class Overlay implements ChangeLayer {
  readonly #changes = new Map<ByteString, StagedChange>();
  readonly #keys = new SortedKeys();
  #bytes = 0;

  /** About how many bytes the changes take in memory. */
  get bytes(): number {
    return this.#bytes;
  }

  /** What is overwritten is let go of. */
  get memoryBytes(): number {
    return this.#bytes;
  }

  get size(): number {
    return this.#changes.size;
  }

  get(key: ByteString): StagedChange | undefined {
    return this.#changes.get(key);
  }

  set(key: ByteString, change: StagedChange): void {
    const before = this.#changes.get(key);
    this.#changes.set(key, change);
    this.#bytes += valueBytes(change);
    if (before !== undefined) {
      this.#bytes -= valueBytes(before);
    } else {
      this.#keys.add(key);
      this.#bytes += key.length + changeOverheadBytes;
    }
  }

  /** All changes, in no particular order. */
  entries(): IterableIterator<[ByteString, StagedChange]> {
    return this.#changes.entries();
  }

  *scan(from: ByteString, prefix: ByteString): Generator<KeyedChange, void, undefined> {
    for (const key of this.#keys.from(from)) {
      if (!key.startsWith(prefix)) return;
      yield { key, change: this.#changes.get(key) as StagedChange };
    }
  }
}

/** The smallest key that `range` covers. */
export function rangeStart(range: KvRange): ByteString {
  // A key with a zero byte behind it is the very next one in byte order.
  if (range.after === undefined || range.after < range.prefix) return range.prefix;
  return `${range.after}\0`;
}

/**
 * Lists `range` over several ordered sources: where two have the same key, the earlier one in `sources` decides.
 * Each source begins at {@link rangeStart} and holds nothing outside the prefix. Sources are always closed.
 */
export function mergeRange(range: KvRange, sources: readonly Iterator<KeyedChange>[]): KvPage {
  return takePairs(range, mergeChanges(sources));
}

function takePairs(range: KvRange, changes: Iterable<KeyedChange>): KvPage {
  const pairs: KvPair[] = [];
  let bytes = 0;
  let skipped = 0;
  for (const { key, change } of changes) {
    if (change === null) {
      skipped++;
      continue;
    }
    bytes += key.length + change.value.length;
    const isFull = pairs.length >= range.limit || (pairs.length > 0 && bytes > range.bytesMax);
    if (isFull) return { pairs, more: true, skipped };
    pairs.push({ key, value: change.value, revision: change.revision });
  }
  return { pairs, more: false, skipped };
}

function* mergeChanges(sources: readonly Iterator<KeyedChange>[]): Generator<KeyedChange, void, undefined> {
  const heads: (KeyedChange | undefined)[] = [];
  try {
    for (const source of sources) heads.push(pull(source));
    for (let least = leastOf(heads); least !== undefined; least = leastOf(heads)) {
      yield least;
      for (let at = 0; at < heads.length; at++) {
        if (heads[at]?.key === least.key) heads[at] = pull(sources[at] as Iterator<KeyedChange>);
      }
    }
  } finally {
    for (const source of sources) source.return?.();
  }
}

/** The first among the smallest heads: the newest source wins a tie. */
function leastOf(heads: readonly (KeyedChange | undefined)[]): KeyedChange | undefined {
  let least: KeyedChange | undefined;
  for (const head of heads) {
    if (head !== undefined && (least === undefined || head.key < least.key)) least = head;
  }
  return least;
}

function pull(source: Iterator<KeyedChange>): KeyedChange | undefined {
  const next = source.next();
  return next.done === true ? undefined : next.value;
}

function valueBytes(change: StagedChange): number {
  return change === null ? 0 : change.value.length;
}
