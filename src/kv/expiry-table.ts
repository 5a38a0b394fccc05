import { ByteReader, type ByteString, ByteWriter, fromByteString, toByteString } from '../base/bytes.ts';
import { keyBytesMax } from './command-limits.ts';
import type { SessionChange, SessionRow } from './state-store.ts';

/** Most keys that expire: a leader looks at all of them some times a second. All replicas must have the same figure. */
export const expiringKeysMax = 10_000;

/** Rows of expiring keys stand among the sessions, behind all of these: an id of a session is a revision, and those are far below. */
export const expiryRowsFrom = 2 ** 52;

/** A key that expires. */
export interface Expiry {
  readonly key: ByteString;
  /** Of the put that it expires with: another change of the key ends that. */
  readonly revision: number;
  readonly ttlMs: number;
  /** Count of log entries when it was put or renewed last. */
  readonly renewedAt: number;
}

/**
 * The keys that expire. Replicated state, and without a clock: it says how long a key may stay without being renewed; a leader measures that, and
 * says by an entry of the log that it is over, which counts only if the key was not renewed, or changed, before that entry.
 */
export class ExpiryTable {
  readonly #expiries = new Map<ByteString, Expiry>();
  /** By row: what a checkpoint has to write. */
  readonly #changed = new Map<number, Expiry | undefined>();

  get size(): number {
    return this.#expiries.size;
  }

  get(key: ByteString): Expiry | undefined {
    return this.#expiries.get(key);
  }

  all(): Iterable<Expiry> {
    return this.#expiries.values();
  }

  /** True if one more key cannot expire. */
  isFullFor(key: ByteString): boolean {
    return this.#expiries.size >= expiringKeysMax && !this.#expiries.has(key);
  }

  /** Takes the place of what was known of the key. */
  set(expiry: Expiry): void {
    this.drop(expiry.key);
    this.#expiries.set(expiry.key, expiry);
    this.#changed.set(expiry.revision, expiry);
  }

  renew(key: ByteString, renewedAt: number): void {
    const expiry = this.#expiries.get(key);
    if (expiry) this.set({ ...expiry, renewedAt });
  }

  /** The key is gone, or stays from now on. */
  drop(key: ByteString): void {
    const expiry = this.#expiries.get(key);
    if (expiry === undefined) return;
    this.#expiries.delete(key);
    this.#changed.set(expiry.revision, undefined);
  }

  /** What a checkpoint has to write since the last one, in the order of the rows. */
  takeChanges(): SessionChange[] {
    const changes = this.changes();
    this.#changed.clear();
    return changes;
  }

  /** The same, which the next checkpoint has to write all the same. */
  changes(): SessionChange[] {
    const rows = [...this.#changed].sort(([a], [b]) => a - b);
    return rows.map(([revision, expiry]) => ({ id: expiryRowsFrom + revision, bytes: expiry && encode(expiry) }));
  }

  /** Becomes exactly what was stored as these rows. */
  load(rows: Iterable<SessionRow>): void {
    this.#expiries.clear();
    this.#changed.clear();
    for (const row of rows) {
      const expiry = decodeExpiry(row);
      this.#expiries.set(expiry.key, expiry);
    }
  }

  /** The same on every replica at the same applied index. */
  rows(): SessionRow[] {
    const expiries = [...this.#expiries.values()].sort((a, b) => a.revision - b.revision);
    return expiries.map((expiry) => ({ id: expiryRowsFrom + expiry.revision, bytes: encode(expiry) }));
  }
}

export function isExpiryRow({ id }: { readonly id: number }): boolean {
  return id >= expiryRowsFrom;
}

/** Reads a row of the table. Throws a DecodeError. */
export function decodeExpiry({ id, bytes }: SessionRow): Expiry {
  const reader = new ByteReader(bytes);
  const ttlMs = reader.varuint();
  const renewedAt = reader.varuint();
  const key = toByteString(reader.bytes(keyBytesMax));
  reader.end();
  return { key, revision: id - expiryRowsFrom, ttlMs, renewedAt };
}

function encode({ ttlMs, renewedAt, key }: Expiry): Uint8Array {
  return new ByteWriter(16 + key.length).varuint(ttlMs).varuint(renewedAt).bytes(fromByteString(key)).finish();
}
