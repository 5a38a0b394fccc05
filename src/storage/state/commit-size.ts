/** What a commit changes: so many keys, and bytes of keys and values as {@link entryBytes} counts them. */
export interface CommitSize {
  readonly changes: number;
  readonly bytes: number;
}

/** Usual size of a page of LMDB, and of its head. */
const pageBytes = 4096;
const pageHeadBytes = 16;

/** The most that a key and its value make the data file grow: small ones may leave pages half empty, large ones have their own. */
export function entryBytes(keyBytes: number, valueBytes: number): number {
  if (2 * valueBytes < pageBytes) return 2 * (keyBytes + valueBytes);
  return 2 * keyBytes + Math.ceil((valueBytes + pageHeadBytes) / pageBytes) * pageBytes;
}

/**
 * By how much a data file may have to grow to take `needed`, if so much is free in it, in pages or bytes alike. Of what is free half counts,
 * since pages that the last commit let go of are not to be had yet.
 */
export function fileGrowth(needed: number, free: number): number {
  return Math.min(needed, Math.max(0, 2 * needed - free));
}
