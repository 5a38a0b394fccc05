import type { ByteString } from '../base/bytes.ts';
import type { KvPair, RowCuts, SessionRow, SnapshotCursor, SnapshotRow } from './state-store.ts';

/** What a snapshot is read from: both in order, and both begin right after what is given. */
export interface SnapshotSource {
  pairsAfter(key: ByteString | undefined): Iterable<KvPair>;
  sessionsAfter(id: number | undefined): Iterable<SessionRow>;
}

/**
 * One chunk of a snapshot: rows after `cursor` until they come to about `bytesMax`, one at least.
 * Where a chunk ends depends on the rows alone, so every replica cuts the same snapshot the same way.
 */
export function readSnapshotRows(
  source: SnapshotSource,
  cursor: SnapshotCursor | undefined,
  bytesMax: number,
): { readonly rows: SnapshotRow[]; readonly done: boolean } {
  const rows: SnapshotRow[] = [];
  let bytes = 0;
  for (const row of rowsAfter(source, cursor)) {
    bytes += rowBytes(row);
    if (rows.length > 0 && bytes > bytesMax) return { rows, done: false };
    rows.push(row);
  }
  return { rows, done: true };
}

function* rowsAfter(source: SnapshotSource, cursor: SnapshotCursor | undefined): Generator<SnapshotRow> {
  if (cursor?.type !== 'session') {
    for (const pair of source.pairsAfter(cursor?.key)) yield { type: 'pair', ...pair };
  }
  for (const session of source.sessionsAfter(cursor?.type === 'session' ? cursor.id : undefined)) {
    yield { type: 'session', ...session };
  }
}

/** What a row weighs: its bytes and a round number for what goes with it. */
function rowBytes(row: SnapshotRow): number {
  return row.type === 'pair' ? row.key.length + row.value.length + 16 : row.bytes.length + 16;
}

/** Every `rowsPerCut`-th of the rows that `cursors` point at, of which at most `rowsMax` are looked at. */
export function cutRows(cursors: Iterable<SnapshotCursor>, rowsPerCut: number, rowsMax: number): RowCuts {
  const cuts: SnapshotCursor[] = [];
  let rows = 0;
  for (const cursor of cursors) {
    if (rows === rowsMax) return { cursors: cuts, done: false };
    rows++;
    if (rows % rowsPerCut === 0) cuts.push(cursor);
  }
  return { cursors: cuts, done: true };
}
