import type { Database, Transaction } from 'lmdb';
import { takeCopy } from '../../base/buffer-pool.ts';
import type { ByteString } from '../../base/bytes.ts';
import { keyBytesMax } from '../../kv/command-limits.ts';
import type { KeyedChange } from '../../kv/overlay.ts';
import type { SnapshotSource } from '../../kv/snapshot-rows.ts';
import type { DurablePairs } from '../../kv/staged-changes.ts';
import type { KvPair, KvRecord, SessionRow } from '../../kv/state-store.ts';
import { DamagedError } from '../disk/storage-error.ts';
import { messageOf } from '../disk/system-error.ts';
import { firstByteString, type LmdbEnvironment, type PageCounts, pagesOf } from './lmdb-environment.ts';
import { decodePair, decodeSession } from './state-codec.ts';

/** What tables take of their file: pages that rows share, and pages of their own that values of about half a page and more have. */
export interface DiskUse {
  readonly treeBytes: number;
  readonly largeBytes: number;
}

/** The tables of one generation of the state. Two exist: the present one, and one to install another state into. */
export class LmdbStateTables implements DurablePairs {
  readonly pairs: Database<Uint8Array, ByteString>;
  readonly sessions: Database<Uint8Array, number>;
  readonly #passingPairs: Database<Uint8Array, ByteString>;
  readonly #passingSessions: Database<Uint8Array, number>;
  readonly #file: string;

  constructor(environment: LmdbEnvironment, generation: number) {
    this.#file = environment.file;
    this.pairs = environment.byteStringTable(`pairs${generation}`);
    this.sessions = environment.numberTable(`sessions${generation}`);
    this.#passingPairs = environment.passingByteStringTable(`pairs${generation}`);
    this.#passingSessions = environment.passingNumberTable(`sessions${generation}`);
  }

  get(key: ByteString): KvRecord | undefined {
    try {
      // LMDB's own buffer, good until the next read: copied is only the value.
      const bytes = this.pairs.getBinaryFast(key);
      if (bytes === undefined) return undefined;
      const { value, revision } = decodePair(this.#file, key, bytes);
      return { value: takeCopy(value), revision };
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  *scan(from: ByteString, prefix: ByteString): Generator<KeyedChange, void, undefined> {
    try {
      for (const { key, value } of this.pairs.getRange({ start: from === '' ? firstByteString : from })) {
        if (!key.startsWith(prefix)) return;
        yield { key, change: decodePair(this.#file, key, value) };
      }
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  /** Records as they are stored, behind `after`. Each is good until the next is read: copy what is to be kept. */
  *pairRecordsAfter(
    after: ByteString | undefined,
    transaction: Transaction,
  ): Generator<readonly [ByteString, Uint8Array]> {
    const start = after === undefined ? firstByteString : `${after}\0`;
    try {
      for (const { key, value } of this.#passingPairs.getRange({ start, transaction })) yield [key, value];
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  *sessionRecordsAfter(after: number | undefined, transaction: Transaction): Generator<readonly [number, Uint8Array]> {
    const start = after === undefined ? 0 : after + 1;
    try {
      for (const { key, value } of this.#passingSessions.getRange({ start, transaction })) yield [key, value];
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  /** The key `rows` rows behind `after`, skipped to without looking at those between. */
  pairKeyBehind(after: ByteString | undefined, rows: number, transaction: Transaction): ByteString | undefined {
    const start = after === undefined ? firstByteString : `${after}\0`;
    try {
      for (const key of this.pairs.getKeys({ start, offset: rows - 1, limit: 1, transaction })) return key;
      return undefined;
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  /** Where to look into the pairs: at their beginning, and behind `count` - 1 keys that lie at equal distances between the first and the last. */
  placesIn(count: number, transaction: Transaction): (ByteString | undefined)[] {
    try {
      const [first] = this.pairs.getKeys({ start: firstByteString, limit: 1, transaction });
      const [last] = this.pairs.getKeys({ reverse: true, limit: 1, transaction });
      if (first === undefined || last === undefined) return [undefined];
      return [undefined, ...Array.from({ length: count - 1 }, (_, at) => keyBetween(first, last, (at + 1) / count))];
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  /** Rows in the newest commit. */
  get rowCount(): number {
    return entryCountOf(this.pairs) + entryCountOf(this.sessions);
  }

  /** Pages that hold pairs in the newest commit; values of a page and more have others of their own. */
  get leafPages(): number {
    return (this.pairs.getStats() as { readonly treeLeafPageCount: number }).treeLeafPageCount;
  }

  /** All pages of it, in the newest commit. */
  get pages(): number {
    return pagesOf(this.pairs.getStats() as PageCounts) + pagesOf(this.sessions.getStats() as PageCounts);
  }

  /** What it takes of the file, as of the newest commit. */
  get diskUse(): DiskUse {
    const pairs = diskUseOf(this.pairs);
    const sessions = diskUseOf(this.sessions);
    return { treeBytes: pairs.treeBytes + sessions.treeBytes, largeBytes: pairs.largeBytes + sessions.largeBytes };
  }

  /** All of it, as `transaction` sees it. */
  view(transaction?: Transaction): SnapshotSource {
    return {
      pairsAfter: (key) => this.#pairsAfter(key, transaction),
      sessionsAfter: (id) => this.#sessionsAfter(id, transaction),
    };
  }

  /** True if nothing is in it. */
  isEmpty(): boolean {
    for (const _ of this.pairs.getKeys({ start: firstByteString, limit: 1 })) return false;
    for (const _ of this.sessions.getKeys({ start: 0, limit: 1 })) return false;
    return true;
  }

  *#pairsAfter(after: ByteString | undefined, transaction?: Transaction): Generator<KvPair> {
    const start = after === undefined ? firstByteString : `${after}\0`;
    try {
      for (const { key, value } of this.pairs.getRange({ start, ...inView(transaction) })) {
        const record = decodePair(this.#file, key, value);
        yield { key, value: record.value, revision: record.revision };
      }
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  *#sessionsAfter(after: number | undefined, transaction?: Transaction): Generator<SessionRow> {
    const start = after === undefined ? 0 : after + 1;
    try {
      for (const { key, value } of this.sessions.getRange({ start, ...inView(transaction) })) {
        yield { id: key, bytes: decodeSession(this.#file, key, value) };
      }
    } catch (error) {
      throw this.#unreadable(error);
    }
  }

  /** What LMDB throws where its own pages make no sense does not name the file. */
  #unreadable(error: unknown): unknown {
    return error instanceof DamagedError ? error : new DamagedError(this.#file, 'its pages', messageOf(error));
  }
}

/** LMDB takes longer keys in part or not at all: refuse them where they come in. */
export function checkedKey(key: ByteString): ByteString {
  if (key.length < 1 || key.length > keyBytesMax) {
    throw new RangeError(`a key has ${key.length} bytes: it must have 1 to ${keyBytesMax}`);
  }
  return key;
}

function entryCountOf<K extends ByteString | number>(table: Database<Uint8Array, K>): number {
  return (table.getStats() as { readonly entryCount: number }).entryCount;
}

function diskUseOf<K extends ByteString | number>(table: Database<Uint8Array, K>): DiskUse {
  const counts = table.getStats() as PageCounts & { readonly pageSize: number };
  const largeBytes = counts.overflowPages * counts.pageSize;
  return { treeBytes: pagesOf(counts) * counts.pageSize - largeBytes, largeBytes };
}

/** What lies so far, 0 to 1, on the way from one key to another, as bytes go: no key need be there. */
function keyBetween(from: ByteString, to: ByteString, part: number): ByteString {
  let same = 0;
  while (same < from.length && from[same] === to[same]) same++;
  const [low, high] = [digitsAt(from, same), digitsAt(to, same)];
  const digits = Math.floor(low + (high - low) * part);
  return from.slice(0, same) + String.fromCharCode(digits >> 16, (digits >> 8) & 0xff, digits & 0xff);
}

function digitsAt(key: ByteString, at: number): number {
  const byte = (offset: number) => (at + offset < key.length ? key.charCodeAt(at + offset) : 0);
  return byte(0) * 65_536 + byte(1) * 256 + byte(2);
}

function inView(transaction: Transaction | undefined): { transaction?: Transaction } {
  return transaction === undefined ? {} : { transaction };
}
