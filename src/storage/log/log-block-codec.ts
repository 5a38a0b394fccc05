import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { crc32, crc32OfFixed } from '../../base/crc32.ts';
import type { Entry } from '../../omnipaxos/entry.ts';
import { decodeEntry, encodeEntry, entryBytesMax } from '../../wire/entry-codec.ts';

/*
 * A block: consecutive entries of the log, read and kept as one.
 *
 *   count (varuint) · for each entry: entry (entry-codec) · crc32 (4)
 *
 * The checksum covers the entry's payload and the index it stands at: an entry at another's place does not pass.
 */

/** Most entries in one block. */
const blockEntriesMax = 1024;
/** A block ends once it has so many bytes; one large entry may exceed it. What one read from disk takes at most, otherwise. */
const blockBytesMax = 256 * 1024;

/** Index after the last entry of the block that begins at `from`. */
export function blockEnd(entries: readonly Entry<Uint8Array>[], from: number): number {
  let bytes = 0;
  let at = from;
  while (at < entries.length && at - from < blockEntriesMax) {
    bytes += entryBytesMax(entries[at] as Entry<Uint8Array>);
    if (at > from && bytes > blockBytesMax) break;
    at++;
  }
  return at;
}

/** At least as many bytes as the entries take in blocks, with `blockOverheadBytes` for each block. */
export function blocksBytesMax(entries: readonly Entry<Uint8Array>[], blockOverheadBytes: number): number {
  // A block holds at least one entry: for one-entry blocks the overhead is counted once an entry, else far less often.
  let bytes = 0;
  for (const entry of entries) bytes += entryBytesMax(entry) + 4;
  const blocks = Math.min(entries.length, entries.length / blockEntriesMax + (2 * bytes) / blockBytesMax + 2);
  return bytes + Math.ceil(blocks) * (blockOverheadBytes + 8);
}

/** Appends the block of `entries[from … to)`, the first of which has log index `firstIndex`. */
export function encodeBlock(
  writer: ByteWriter,
  entries: readonly Entry<Uint8Array>[],
  from: number,
  to: number,
  firstIndex: number,
): void {
  writer.varuint(to - from);
  for (let at = from; at < to; at++) {
    const entry = entries[at] as Entry<Uint8Array>;
    // First, so that it is remembered where the checksum of the whole record is made.
    const checksum = entryChecksum(entry, firstIndex + at - from);
    encodeEntry(writer, entry);
    writer.u32(checksum);
  }
}

/**
 * The first `count` entries of a block, as views into `bytes`; what follows them was truncated later. Throws a
 * {@link BlockDamage} that names the entry if anything does not fit: the count, a checksum, the length.
 */
export function decodeBlock(bytes: Uint8Array, firstIndex: number, count: number): Entry<Uint8Array>[] {
  const reader = new ByteReader(bytes);
  const stored = reader.varuint();
  if (stored < count) throw new BlockDamage(firstIndex, `${stored} entries are there, ${count} are due`);
  const entries: Entry<Uint8Array>[] = [];
  for (let index = firstIndex; index < firstIndex + count; index++) entries.push(decodeChecked(reader, index));
  return entries;
}

/** How many entries a block says it has. */
export function blockCount(bytes: Uint8Array): number {
  return new ByteReader(bytes).varuint();
}

/** What is wrong with a block, and at which index of the log. */
export class BlockDamage extends Error {
  override readonly name = 'BlockDamage';
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
    throw new BlockDamage(index, error instanceof Error ? error.message : String(error));
  }
  if (checksum !== entryChecksum(entry, index)) throw new BlockDamage(index, 'the checksum does not fit');
  return entry;
}

function entryChecksum(entry: Entry<Uint8Array>, index: number): number {
  // An index is told from others by its lower 32 bits: the record and the order of the blocks say the rest.
  if (entry.type === 'Normal') return crc32OfFixed(entry.entry, index >>> 0);
  const writer = new ByteWriter();
  encodeEntry(writer, entry);
  return crc32(writer.finish(), index >>> 0);
}
