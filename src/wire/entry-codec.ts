import { type ByteReader, type ByteWriter, DecodeError } from '../base/bytes.ts';
import type { Entry, StopSign } from '../omnipaxos/entry.ts';
import { membersMax } from './limits.ts';

/*
 * An entry of the log in bytes, on the wire and on disk alike:
 *
 *   Normal:   0 · length (varuint) · bytes
 *   StopSign: 1 · configId · count of nodes · nodes (varuints) · 0, or 1 · metadata (length first)
 */

const normalKind = 0;
const stopSignKind = 1;

/** Most bytes of a StopSign's metadata. */
const stopSignMetadataBytesMax = 1024 * 1024;

/** Appends the bytes of `entry` to `writer`. Limits are the encoder's caller's business. */
export function encodeEntry(writer: ByteWriter, entry: Entry<Uint8Array>): void {
  if (entry.type === 'Normal') writer.u8(normalKind).bytes(entry.entry);
  else encodeStopSign(writer, entry.stopSign);
}

/**
 * The next entry of `reader`. Bytes in it are views into what the reader reads from: they keep all of that alive.
 * Throws {@link DecodeError} on anything that {@link encodeEntry} would not have written.
 */
export function decodeEntry(reader: ByteReader): Entry<Uint8Array> {
  const kind = reader.u8();
  if (kind === normalKind) return { type: 'Normal', entry: reader.bytes() };
  if (kind === stopSignKind) return { type: 'StopSign', stopSign: decodeStopSign(reader) };
  throw new DecodeError(`unknown kind of entry ${kind}`);
}

/** At least as many bytes as {@link encodeEntry} writes for `entry`: for sizing batches and buffers without encoding. */
export function entryBytesMax(entry: Entry<Uint8Array>): number {
  if (entry.type === 'Normal') return 9 + entry.entry.length;
  return 26 + 8 * entry.stopSign.nodes.length + (entry.stopSign.metadata?.length ?? 0);
}

function encodeStopSign(writer: ByteWriter, stopSign: StopSign): void {
  writer.u8(stopSignKind).varuint(stopSign.configId).varuint(stopSign.nodes.length);
  for (const node of stopSign.nodes) writer.varuint(node);
  if (stopSign.metadata === undefined) writer.u8(0);
  else writer.u8(1).bytes(stopSign.metadata);
}

function decodeStopSign(reader: ByteReader): StopSign {
  const configId = reader.varuint();
  const nodes: number[] = [];
  for (let left = reader.count(membersMax); left > 0; left--) nodes.push(reader.varuint());
  const hasMetadata = reader.u8();
  if (hasMetadata > 1) throw new DecodeError(`${hasMetadata} where 0 (no metadata) or 1 (metadata) is due`);
  if (hasMetadata === 0) return { configId, nodes };
  return { configId, nodes, metadata: reader.bytes(stopSignMetadataBytesMax) };
}
