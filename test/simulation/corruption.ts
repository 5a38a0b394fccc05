import type { Entry } from '../../src/omnipaxos/entry.ts';
import type { PeerMessage } from '../../src/wire/peer-message.ts';
import type { Random } from './random.ts';

/** The message with a bit changed in what it carries of state or of decided entries; undefined if it carries none of that. */
export function corrupted(message: PeerMessage, random: Random): PeerMessage | undefined {
  const { payload } = message;
  if (payload.type === 'StateChunk' && payload.chunk && payload.chunk.rows.bytes.length > 0) {
    const { rows } = payload.chunk;
    const chunk = { ...payload.chunk, rows: { ...rows, bytes: flipped(rows.bytes, random) } };
    return { ...message, payload: { ...payload, chunk } };
  }
  if (payload.type !== 'LogSegment' || payload.entries.length === 0) return undefined;
  const at = random.below(payload.entries.length);
  const entries = payload.entries.map((entry, position) => (position === at ? flippedEntry(entry, random) : entry));
  return { ...message, payload: { ...payload, entries } };
}

function flippedEntry(entry: Entry<Uint8Array>, random: Random): Entry<Uint8Array> {
  return entry.type === 'Normal' ? { ...entry, entry: flipped(entry.entry, random) } : entry;
}

function flipped(bytes: Uint8Array, random: Random): Uint8Array {
  const copy = bytes.slice();
  const at = random.below(copy.length);
  copy[at] = (copy[at] ?? 0) ^ (1 << random.below(8));
  return copy;
}
