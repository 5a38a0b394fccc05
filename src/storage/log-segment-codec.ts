import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Entry } from '../omnipaxos/entry.ts';
import { decodeEntry, encodeEntry, entryBytesMax } from '../wire/entry-codec.ts';

/*
 * A segment: consecutive entries of the log in one LMDB value, under the index of the first.
 *
 *   count (varuint) · for each entry: entry (entry-codec) · crc32 (4)
 *
 * The checksum covers the entry's payload and the index it stands at: an entry at another's place does not pass.
 */

/** Most entries in one segment. */
const segmentEntriesMax = 1024;
/** A segment ends once it has so many bytes; one large entry may exceed it. Small enough for LMDB to find room in one piece. */
const segmentBytesMax = 256 * 1024;

/** Index after the last entry of the segment that begins at `from`. */
export function segmentEnd(entries: readonly Entry<Uint8Array>[], from: number): number {
  let bytes = 0;
  let at = from;
  while (at < entries.length && at - from < segmentEntriesMax) {
    bytes += entryBytesMax(entries[at] as Entry<Uint8Array>);
    if (at > from && bytes > segmentBytesMax) break;
    at++;
  }
  return at;
}

/** The bytes of `entries[from … to)`, the first of which has log index `firstIndex`. */
export function encodeSegment(
  entries: readonly Entry<Uint8Array>[],
  from: number,
  to: number,
  firstIndex: number,
): Uint8Array {
  let bytesMax = 8;
  for (let at = from; at < to; at++) bytesMax += entryBytesMax(entries[at] as Entry<Uint8Array>) + 4;
  const writer = new ByteWriter(bytesMax).varuint(to - from);
  for (let at = from; at < to; at++) {
    const entry = entries[at] as Entry<Uint8Array>;
    encodeEntry(writer, entry);
    writer.u32(entryChecksum(entry, firstIndex + at - from));
  }
  return writer.finish();
}

/**
 * The entries of a segment, as views into `bytes`. Throws a `DecodeError` that names the entry if anything does not fit:
 * the count, a checksum, the length.
 */
export function decodeSegment(bytes: Uint8Array, firstIndex: number, count: number): Entry<Uint8Array>[] {
  const reader = new ByteReader(bytes);
  const stored = reader.varuint();
  if (stored !== count) throw new SegmentDamage(firstIndex, `${stored} entries are there, ${count} are due`);
  const entries: Entry<Uint8Array>[] = [];
  for (let index = firstIndex; index < firstIndex + count; index++) entries.push(decodeChecked(reader, index));
  if (reader.remaining !== 0) throw new SegmentDamage(firstIndex, `${reader.remaining} bytes too many`);
  return entries;
}

/** What is wrong with a segment, and at which index of the log. */
export class SegmentDamage extends Error {
  override readonly name = 'SegmentDamage';
  readonly index: number;

  constructor(index: number, problem: string) {
    super(problem);
    this.index = index;
  }
}

function decodeChecked(reader: ByteReader, index: number): Entry<Uint8Array> {
  let entry: Entry<Uint8Array>;
  let checksum: number;
  try {
    entry = decodeEntry(reader);
    checksum = reader.u32();
  } catch (error) {
    throw new SegmentDamage(index, error instanceof Error ? error.message : String(error));
  }
  if (checksum !== entryChecksum(entry, index)) throw new SegmentDamage(index, 'the checksum does not fit');
  return entry;
}

function entryChecksum(entry: Entry<Uint8Array>, index: number): number {
  // An index is told from others by its lower 32 bits: the key and the order of the segments say the rest.
  if (entry.type === 'Normal') return crc32(entry.entry, index >>> 0);
  const writer = new ByteWriter();
  encodeEntry(writer, entry);
  return crc32(writer.finish(), index >>> 0);
}
