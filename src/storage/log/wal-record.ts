import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import type { Configuration, Opening } from '../../cluster/configuration.ts';
import type { Entry } from '../../omnipaxos/entry.ts';
import type { BlockIndex } from './block-index.ts';
import { BlockDamage, blockCount, blockEnd, blocksBytesMax, decodeBlock, encodeBlock } from './log-block-codec.ts';
import { decodeHead, encodeHead, type LogHead } from './log-head.ts';

/*
 * A record of the write-ahead log: mostly all that one flush writes, see log-record-writer.ts; valid as a whole or not at all.
 *
 *   magic (4) · lineage (8) · segment (8) · number (8) · incarnation (4) · length of the body (4) · crc32 (4) · body
 *
 * The checksum covers everything but itself. Magic, lineage and segment are the *signature*: the same for all records of
 * a file, and for none of another. Lineage is drawn at random when the log is made, so bytes that a client chose never
 * pass as a record. Number counts the records of the whole log.
 *
 * Body of a mark (the log goes on in the next segment, whose first record has this record's number):
 *   2
 * Body of any other:
 *   1, or 0 · base, if 1 · head · operations up to the end, to be applied in this order
 *
 * A *base* lets replay begin here, without any record before: each segment's first record and each opening has one.
 *   base: bytes of the segment's file · end of the log before this record · configuration as JSON · cluster id (texts, empty: none)
 *
 * Operations:
 *   1 · index                          truncate the log at index
 *   2 · index                          reset the log to index
 *   3 · first index · length (4) · block   append
 *   4 · text, 5 · text                 configuration, cluster id (where there is no base)
 *   6 · text                           openings of the members' directories as JSON; with a base: all that are known
 */

const magic = 0x6f6b_7761;
/** Length of what stands before the body. */
export const recordHeaderBytes = 40;
const checksumAt = 36;
const lengthAt = 32;
/** Length of magic, lineage and segment. */
const signatureBytes = 20;
/** Most bytes of a mark: what every segment keeps free at its end. */
export const markBytesMax = recordHeaderBytes + 1;

const changeKind = 0;
const baseKind = 1;
const markKind = 2;

const truncateOperation = 1;
const resetOperation = 2;
const appendOperation = 3;
const configurationOperation = 4;
const clusterOperation = 5;
const openingsOperation = 6;

/** An entry of so many bytes goes to the disk from where it is. */
const sharedBytesMin = 16 * 1024;

/** At least what head, base and operations take beside entries and texts. */
const fixedBytesMax = recordHeaderBytes + 160;
/** At least what an append takes beside its block. */
const appendBytesMax = 16;

/** Which record it is: what its header says. */
export interface RecordId {
  /** 8 random bytes, the same in the whole log. */
  readonly lineage: Uint8Array;
  readonly segment: number;
  readonly number: number;
  readonly incarnation: number;
}

/** What a flush changes in the log. Entries are appended last, from `from` on. */
export interface LogChange {
  readonly cut: { readonly type: 'truncate' | 'reset'; readonly index: number } | undefined;
  readonly from: number;
  readonly entries: readonly Entry<Uint8Array>[];
}

/** What stands beside the log. Undefined: not known yet, or in a record without base: unchanged. */
export interface LogOwner {
  readonly configuration: Configuration | undefined;
  readonly clusterId: string | undefined;
  readonly openings: readonly Opening[] | undefined;
}

/** What replay may begin with. */
export interface RecordBase {
  readonly segmentBytes: number;
  readonly endBefore: number;
}

/** What a record says, without its entries. */
export interface RecordContent {
  readonly base: RecordBase | undefined;
  readonly head: LogHead;
  readonly owner: LogOwner;
  readonly cut: LogChange['cut'];
  readonly blocks: readonly BlockPlace[];
}

/** Where in a segment's file a block lies. */
export interface BlockPlace {
  readonly firstIndex: number;
  readonly count: number;
  readonly offset: number;
  readonly length: number;
}

/** A record found in a file. */
export interface FoundRecord {
  readonly number: number;
  readonly incarnation: number;
  /** Offset after it. */
  readonly end: number;
  /** Undefined: a mark. */
  readonly content: RecordContent | undefined;
}

/** At least as many bytes as the record of this change has, with `ownerBytes` for what stands beside the log. */
export function recordBytesMax(change: LogChange, ownerBytes: number): number {
  return fixedBytesMax + ownerBytes + blocksBytesMax(change.entries, appendBytesMax);
}

/** The same of its buffer, given that: what is not in large entries. */
export function bufferBytesMax({ entries }: LogChange, recordBytes: number): number {
  let bytes = recordBytes;
  for (const entry of entries) {
    if (entry.type === 'Normal' && entry.entry.length >= sharedBytesMin) bytes -= entry.entry.length;
  }
  return bytes;
}

/** How many of the entries from `start` on a record of `bytes` bytes can append for certain; maybe none. */
export function entriesThatFit(
  entries: readonly Entry<Uint8Array>[],
  start: number,
  bytes: number,
  ownerBytes: number,
): number {
  let left = bytes - fixedBytesMax - ownerBytes;
  let at = start;
  for (; at < entries.length; at++) {
    left -= blocksBytesMax([entries[at] as Entry<Uint8Array>], appendBytesMax);
    if (left < 0) break;
  }
  return at - start;
}

/** At least as many bytes as `owner` takes in a record. */
export function ownerBytesMax({ configuration, clusterId = '', openings = [] }: LogOwner): number {
  return 24 + 3 * (configurationText(configuration).length + clusterId.length + JSON.stringify(openings).length);
}

/** A configuration as it stands in a record; it is written rarely, and may get fields: hence JSON. */
function configurationText(configuration: Configuration | undefined): string {
  return configuration === undefined ? '' : JSON.stringify(configuration);
}

/**
 * The parts of the record that makes `change`, one behind the other: large entries as they are, all else in `buffer`, which has {@link bufferBytesMax} bytes.
 * With `base`, `owner` is all there is; without, what changed. `blocks` learns the places.
 */
export function encodeRecord(
  id: RecordId,
  record: {
    readonly buffer: Uint8Array;
    readonly base: RecordBase | undefined;
    readonly head: LogHead;
    readonly owner: LogOwner;
    readonly change: LogChange;
  },
  offset: number,
  blocks: BlockIndex,
): readonly Uint8Array[] {
  const { base, head, owner, change } = record;
  const writer = beginRecord(id, record.buffer);
  if (base === undefined) writer.u8(changeKind);
  else encodeBase(writer, base, owner);
  encodeHead(writer, head);
  if (change.cut !== undefined) {
    writer.u8(change.cut.type === 'reset' ? resetOperation : truncateOperation).varuint(change.cut.index);
  }
  encodeAppends(writer, change, (firstIndex, at, length) => blocks.push(firstIndex, id.segment, offset + at, length));
  if (base === undefined) {
    if (owner.configuration !== undefined) {
      writer.u8(configurationOperation).text(configurationText(owner.configuration));
    }
    if (owner.clusterId !== undefined) writer.u8(clusterOperation).text(owner.clusterId);
  }
  if (owner.openings !== undefined) writer.u8(openingsOperation).text(JSON.stringify(owner.openings));
  return finishRecord(writer).finishParts();
}

/** The record that says: the log goes on in the next segment. */
export function encodeMark(id: RecordId): Uint8Array {
  return finishRecord(beginRecord(id, new Uint8Array(markBytesMax)).u8(markKind)).finish();
}

function beginRecord({ lineage, segment, number, incarnation }: RecordId, buffer: Uint8Array): ByteWriter {
  const writer = new ByteWriter(buffer, sharedBytesMin).u32(magic).raw(lineage);
  encodeLong(writer, segment);
  encodeLong(writer, number);
  return writer.u32(incarnation).u32(0).u32(0);
}

function finishRecord(writer: ByteWriter): ByteWriter {
  writer.patchU32(lengthAt, writer.length - recordHeaderBytes);
  writer.patchU32(checksumAt, writer.crc32(writer.crc32(0, 0, checksumAt), recordHeaderBytes));
  return writer;
}

function recordChecksum(record: Uint8Array): number {
  return crc32(record.subarray(recordHeaderBytes), crc32(record.subarray(0, checksumAt)));
}

function encodeBase(writer: ByteWriter, base: RecordBase, { configuration, clusterId }: LogOwner): void {
  writer.u8(baseKind).varuint(base.segmentBytes).varuint(base.endBefore);
  writer.text(configurationText(configuration)).text(clusterId ?? '');
}

function encodeAppends(
  writer: ByteWriter,
  { from, entries }: LogChange,
  onBlock: (firstIndex: number, at: number, length: number) => void,
): void {
  for (let at = 0; at < entries.length; ) {
    const end = blockEnd(entries, at);
    writer
      .u8(appendOperation)
      .varuint(from + at)
      .u32(0);
    const start = writer.length;
    encodeBlock(writer, entries, at, end, from + at);
    writer.patchU32(start - 4, writer.length - start);
    onBlock(from + at, start, writer.length - start);
    at = end;
  }
}

function encodeLong(writer: ByteWriter, value: number): void {
  writer.u32(Math.floor(value / 2 ** 32)).u32(value >>> 0);
}

function decodeLong(reader: ByteReader): number {
  const high = reader.u32();
  return high * 2 ** 32 + reader.u32();
}

/** The lineage that the first record of a file claims, if it claims to be the first of segment `segment`. */
export function claimedLineage(file: Uint8Array, segment: number): Uint8Array | undefined {
  if (file.length < recordHeaderBytes) return undefined;
  const lineage = file.slice(4, 12);
  return startsWith(file, 0, signatureOf(lineage, segment)) ? lineage : undefined;
}

/** Where the record at the start of a file ends, as its header says. */
export function recordEnd(file: Uint8Array): number {
  return recordHeaderBytes + new ByteReader(file, lengthAt).u32();
}

/** What every record of the segment begins with. */
export function signatureOf(lineage: Uint8Array, segment: number): Uint8Array {
  const writer = new ByteWriter(signatureBytes).u32(magic).raw(lineage);
  encodeLong(writer, segment);
  return writer.finish();
}

/** The record at `offset` of a file, or `undefined` if none is there, whole and with this signature. */
export function findRecord(file: Uint8Array, offset: number, signature: Uint8Array): FoundRecord | undefined {
  const header = findHeader(file, offset, signature);
  if (header === undefined) return undefined;
  const { number, incarnation, end, checksum } = header;
  if (end > file.length || recordChecksum(file.subarray(offset, end)) !== checksum) return undefined;
  return { number, incarnation, end, content: decodeContent(file, offset + recordHeaderBytes, end) };
}

/** The header at `offset`, whatever its body is. */
function findHeader(file: Uint8Array, offset: number, signature: Uint8Array) {
  if (offset + recordHeaderBytes > file.length || !startsWith(file, offset, signature)) return undefined;
  const reader = new ByteReader(file, offset + signatureBytes);
  const number = decodeLong(reader);
  const incarnation = reader.u32();
  const end = offset + recordHeaderBytes + reader.u32();
  return { number, incarnation, end, checksum: reader.u32() };
}

function startsWith(file: Uint8Array, offset: number, signature: Uint8Array): boolean {
  for (let at = 0; at < signature.length; at++) if (file[offset + at] !== signature[at]) return false;
  return true;
}

// The checksum has said that this is what encodeRecord wrote.
function decodeContent(file: Uint8Array, start: number, end: number): RecordContent | undefined {
  const reader = new ByteReader(file.subarray(0, end), start);
  const kind = reader.u8();
  if (kind === markKind) return undefined;
  let base: RecordBase | undefined;
  let configuration = '';
  let clusterId = '';
  if (kind === baseKind) {
    base = { segmentBytes: reader.varuint(), endBefore: reader.varuint() };
    configuration = reader.text();
    clusterId = reader.text();
  }
  const head = decodeHead(reader);
  let cut: LogChange['cut'];
  let openings: readonly Opening[] | undefined;
  const blocks: BlockPlace[] = [];
  while (reader.remaining > 0) {
    const operation = reader.u8();
    if (operation === truncateOperation) cut = { type: 'truncate', index: reader.varuint() };
    else if (operation === resetOperation) cut = { type: 'reset', index: reader.varuint() };
    else if (operation === appendOperation) blocks.push(decodeAppend(reader));
    else if (operation === configurationOperation) configuration = reader.text();
    else if (operation === clusterOperation) clusterId = reader.text();
    else if (operation === openingsOperation) openings = JSON.parse(reader.text()) as Opening[];
    else throw new RangeError(`an unknown operation ${operation}: a newer version wrote it`);
  }
  const owner = {
    configuration: configuration === '' ? undefined : (JSON.parse(configuration) as Configuration),
    clusterId: clusterId === '' ? undefined : clusterId,
    openings,
  };
  return { base, head, owner, cut, blocks };
}

function decodeAppend(reader: ByteReader): BlockPlace {
  const firstIndex = reader.varuint();
  const length = reader.u32();
  const offset = reader.offset;
  return { firstIndex, count: blockCount(reader.raw(length)), offset, length };
}

/** The index of the damaged entry in a record that does not pass at `offset`, as far as it still can be told. */
export function damagedEntry(file: Uint8Array, offset: number, signature: Uint8Array): number | undefined {
  const header = findHeader(file, offset, signature);
  if (header === undefined || header.end > file.length) return undefined;
  try {
    for (const block of decodeContent(file, offset + recordHeaderBytes, header.end)?.blocks ?? []) {
      decodeBlock(file.subarray(block.offset, block.offset + block.length), block.firstIndex, block.count);
    }
  } catch (error) {
    // Whatever else does not decode is the damage too, but says nothing of an entry.
    if (error instanceof BlockDamage) return error.index;
  }
  return undefined;
}
