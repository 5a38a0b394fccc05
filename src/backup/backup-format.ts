import { crc32 } from 'node:zlib';
import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts';
import { keyBytesMax, valueBytesMax } from '../kv/command-limits.ts';
import type { WirePair } from '../wire/client-message.ts';
import { clusterIdPattern } from '../wire/cluster-id-codec.ts';
import { JsonFields } from '../wire/json-fields.ts';

/*
 * The format of a backup: all keys with values and revisions, as they were at one index of the log.
 *
 *   magic "omnikvbk" (8) · format (4) · header · chunks · trailer, and nothing behind it
 *
 * Each of these parts is a frame:
 *
 *   kind (1) · length of the body (4) · crc32 of kind, length and body (4) · body
 *
 *   header  (kind 1)  JSON text: whose data it is, at which index, when it was made; fields may be added
 *   chunk   (kind 2)  count (varuint) · for each pair: key, value (each length first) · revision (varuint); keys ascend over all chunks
 *   trailer (kind 3)  count of chunks, of pairs, bytes of keys and values (varuints) · sha-256 of all bytes before this frame (32)
 *
 * A file without a trailer is one that was cut off. The checksum of a frame says where damage is; the sha-256 that there is none, and
 * names what is in the file: its first 16 hexadecimal digits are the backup's *fingerprint*.
 *
 * Sessions of clients are left out. A restored cluster is a new one: its session ids begin above all of the old cluster's, so a command
 * under an old session is refused as expired, and can neither be applied twice nor be taken for another client's. Were the old sessions
 * kept, a client that still talks to the old cluster could be answered by the new one for what only the old one did.
 */

/** Format of the files written here. A change that older versions cannot read adds one. */
export const backupFormat = 1;

/** What comes before the first frame. */
export const preambleBytes = 12;
/** What comes before the body of a frame. */
export const frameHeadBytes = 9;
/** Most bytes of a frame's body: a page from a node and what goes with it. */
const bodyBytesMax = 16 * 1024 * 1024;
const headerTextMax = 16_384;
const clusterNameTextMax = 200;
const sha256Bytes = 32;

const magic = new Uint8Array([0x6f, 0x6d, 0x6e, 0x69, 0x6b, 0x76, 0x62, 0x6b]);

export type FrameKind = 'header' | 'chunk' | 'trailer';
const kindCodes = { header: 1, chunk: 2, trailer: 3 } as const satisfies Record<FrameKind, number>;

/** Whose data a backup is, and of when. */
export interface BackupHeader {
  readonly clusterId: string;
  readonly clusterName: string;
  /** The node that it was read from. */
  readonly nodeId: number;
  /** Count of log entries whose effects are in it: no revision in it is higher. */
  readonly index: number;
  /** ISO 8601. */
  readonly madeAt: string;
}

export interface BackupTrailer {
  readonly chunks: number;
  readonly pairs: number;
  /** Bytes of keys and values. */
  readonly bytes: number;
  /** 64 hexadecimal digits. */
  readonly sha256: string;
}

/** All that can be said of a backup but what the pairs are. */
export interface BackupSummary extends BackupHeader, BackupTrailer {
  readonly format: number;
  /** Size of the file. */
  readonly fileBytes: number;
}

/**
 * Why a file is not to be restored:
 *
 * - `noBackup`: it is no backup at all.
 * - `damagedBackup`: it was cut off or altered.
 * - `newerFormat`: a newer version of the software wrote it.
 */
export type BackupFileErrorCode = 'noBackup' | 'damagedBackup' | 'newerFormat';

/** A backup that is refused. The message is one line that says what is wrong and what would be right. */
export class BackupFileError extends Error {
  override readonly name = 'BackupFileError';
  readonly code: BackupFileErrorCode;

  constructor(code: BackupFileErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The first 16 digits of the sha-256: what people compare, and what the members of a restored cluster agree on. */
export function fingerprintOf(sha256: string): string {
  return sha256.slice(0, 16);
}

export function encodePreamble(): Uint8Array {
  return new ByteWriter(preambleBytes).raw(magic).u32(backupFormat).finish();
}

/** The format that a file claims; undefined if it is no backup. */
export function formatIn(preamble: Uint8Array): number | undefined {
  if (preamble.length < preambleBytes || magic.some((byte, at) => preamble[at] !== byte)) return undefined;
  return new ByteReader(preamble, magic.length).u32();
}

/** A frame around `body`, which is at most {@link bodyBytesMax} bytes. */
export function encodeFrame(kind: FrameKind, body: Uint8Array): Uint8Array {
  if (body.length > bodyBytesMax) throw new RangeError(`a frame of ${body.length} bytes: at most ${bodyBytesMax} fit`);
  const writer = new ByteWriter(frameHeadBytes + body.length).u8(kindCodes[kind]).u32(body.length);
  writer.u32(checksumOf(writer.finish().subarray(0, frameHeadBytes - 4), body)).raw(body);
  return writer.finish();
}

/** What the first bytes of a frame say. Throws {@link DecodeError}. */
export function decodeFrameHead(head: Uint8Array): { readonly kind: FrameKind; readonly bodyBytes: number } {
  const reader = new ByteReader(head);
  const code = reader.u8();
  const kind = (Object.keys(kindCodes) as FrameKind[]).find((name) => kindCodes[name] === code);
  if (kind === undefined) throw new DecodeError(`a part of kind ${code}, which there is not`);
  const bodyBytes = reader.u32();
  if (bodyBytes > bodyBytesMax) throw new DecodeError(`a part of ${bodyBytes} bytes where at most ${bodyBytesMax} fit`);
  return { kind, bodyBytes };
}

/** True if head and body of a frame are as they were written. */
export function isFrameIntact(head: Uint8Array, body: Uint8Array): boolean {
  return new ByteReader(head, frameHeadBytes - 4).u32() === checksumOf(head.subarray(0, frameHeadBytes - 4), body);
}

function checksumOf(kindAndLength: Uint8Array, body: Uint8Array): number {
  return crc32(body, crc32(kindAndLength));
}

export function encodeHeader({ clusterId, clusterName, nodeId, index, madeAt }: BackupHeader): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ clusterId, clusterName, nodeId, index, madeAt }));
}

/** Fields that are not known are passed over. Throws {@link DecodeError}. */
export function decodeHeader(body: Uint8Array): BackupHeader {
  const fields = JsonFields.parse('the header', new TextDecoder().decode(body), headerTextMax);
  return {
    clusterId: fields.text('clusterId', 16, clusterIdPattern),
    clusterName: fields.text('clusterName', clusterNameTextMax),
    nodeId: fields.integer('nodeId', 1),
    index: fields.integer('index'),
    madeAt: fields.text('madeAt', 24, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
  };
}

export function encodeChunk(pairs: readonly WirePair[]): Uint8Array {
  const writer = new ByteWriter(1024).varuint(pairs.length);
  for (const { key, value, revision } of pairs) writer.bytes(key).bytes(value).varuint(revision);
  return writer.finish();
}

/** Keys and values are views into `body`. Throws {@link DecodeError}. */
export function decodeChunk(body: Uint8Array): WirePair[] {
  const reader = new ByteReader(body);
  const pairs: WirePair[] = [];
  for (let left = reader.count(body.length); left > 0; left--) {
    pairs.push({ key: reader.bytes(keyBytesMax), value: reader.bytes(valueBytesMax), revision: reader.varuint() });
  }
  reader.end();
  return pairs;
}

export function encodeTrailer({ chunks, pairs, bytes, sha256 }: BackupTrailer): Uint8Array {
  const digest = Uint8Array.from(sha256.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16));
  return new ByteWriter().varuint(chunks).varuint(pairs).varuint(bytes).raw(digest).finish();
}

/** Throws {@link DecodeError}. */
export function decodeTrailer(body: Uint8Array): BackupTrailer {
  const reader = new ByteReader(body);
  const counts = { chunks: reader.varuint(), pairs: reader.varuint(), bytes: reader.varuint() };
  const digest = reader.raw(sha256Bytes);
  reader.end();
  return { ...counts, sha256: Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') };
}
