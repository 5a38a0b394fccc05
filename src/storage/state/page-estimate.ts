/** Usual size of a page of LMDB. */
const pageBytes = 4096;

/**
 * About how many pages a checkpoint of `changes` changes of keys writes, which take `bytes` bytes, in a tree of `leaves` leaves: those of
 * them that random keys meet (n balls into m urns leave m·e^(−n/m) of them empty), and what the changes fill by themselves.
 */
export function pagesTouched(leaves: number, changes: number, bytes: number): number {
  const met = leaves === 0 ? 0 : leaves * (1 - Math.exp(-changes / leaves));
  return met + bytes / pageBytes;
}
