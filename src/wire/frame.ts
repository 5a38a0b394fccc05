import { takeBuffer } from '../base/buffer-pool.ts';
import { ByteReader, ByteWriter, DecodeError } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { type Codec, OverLimitError } from './codec.ts';
import { protocolVersion } from './limits.ts';

/*
 * Every frame begins with
 *
 *   protocol version (1) · CRC-32 of all behind it (4)
 *
 * TCP's own checksum has 16 bits, and is made anew by every box on the way: what it lets pass must not be written to a majority's disks.
 */

/** What all frames of one kind have in common. */
export interface FrameShape<Header, Item> {
  /** What stands once at the beginning of a frame, behind version and checksum. */
  readonly header: Codec<Header>;
  /** One item; items follow one another to the end of the frame. */
  readonly item: Codec<Item>;
  readonly itemsMax: number;
  readonly frameBytesMax: number;
  /** About how many bytes an item will take: a buffer of the right size at once is twice as fast as one that grows. */
  readonly itemBytesHint: (item: Item) => number;
}

/** Where a frame's checksum stands, and what it covers begins. */
const checksumAt = 1;
const checkedFrom = checksumAt + 4;
const headerBytesHint = 16;
/** What more than one item should take at the most: its reader does other things between two frames, and their buffers serve again. */
const frameBytesWanted = 1024 * 1024;

/**
 * As few frames as hold `items` in order, split between items; none for no items. Several items are over a MiB only where one is larger than was
 * said of it. Each frame has a buffer of its own, which may be given back (base/buffer-pool.ts) once it is sent.
 * Throws {@link OverLimitError} if a single item is over the limit of a frame.
 */
export function encodeFrames<Header, Item>(
  shape: FrameShape<Header, Item>,
  header: Header,
  items: readonly Item[],
): Uint8Array[] {
  const bytesHint = itemsBytesHint(shape, items);
  if (bytesHint <= frameBytesWanted) return encodeWithin(shape, header, items, bytesHint);
  const frames: Uint8Array[] = [];
  for (let from = 0, end = 0; from < items.length; from = end) {
    end = wantedEnd(shape, items, from);
    const part = items.slice(from, end);
    frames.push(...encodeWithin(shape, header, part, itemsBytesHint(shape, part)));
  }
  return frames;
}

/** Where a frame that begins with the item at `from` should end. */
function wantedEnd<Header, Item>(shape: FrameShape<Header, Item>, items: readonly Item[], from: number): number {
  let bytes = 0;
  let end = from;
  for (; end < items.length; end++) {
    bytes += shape.itemBytesHint(items[end] as Item);
    if (end > from && bytes > frameBytesWanted) break;
  }
  return end;
}

/** All `items`, in more than one frame only where the limits ask for that. */
function encodeWithin<Header, Item>(
  shape: FrameShape<Header, Item>,
  header: Header,
  items: readonly Item[],
  bytesHint: number,
): Uint8Array[] {
  const frames: Uint8Array[] = [];
  let writer = startFrame(shape, header, bytesHint);
  let count = 0;
  for (const item of items) {
    const start = writer.length;
    shape.item.encode(writer, item);
    count++;
    if (writer.length <= shape.frameBytesMax && count <= shape.itemsMax) continue;
    if (count > 1) frames.push(seal(writer, start));
    const written = writer.finish();
    writer = moveToNextFrame(shape, header, written.subarray(start));
    count = 1;
  }
  if (count > 0) frames.push(seal(writer, writer.length));
  return frames;
}

function itemsBytesHint<Header, Item>(shape: FrameShape<Header, Item>, items: readonly Item[]): number {
  let bytes = 0;
  for (const item of items) bytes += shape.itemBytesHint(item);
  return bytes;
}

/** With room for items of about so many bytes. */
function startFrame<Header, Item>(shape: FrameShape<Header, Item>, header: Header, bytesHint: number): ByteWriter {
  const buffer = takeBuffer(headerBytesHint + Math.min(bytesHint, shape.frameBytesMax));
  const writer = new ByteWriter(buffer).u8(protocolVersion).u32(0);
  shape.header.encode(writer, header);
  return writer;
}

/** The frame that ends at `end`, with the checksum that fits what is in it. */
function seal(writer: ByteWriter, end: number): Uint8Array {
  writer.patchU32(checksumAt, writer.crc32(0, checkedFrom, end));
  return writer.finish().subarray(0, end);
}

function moveToNextFrame<Header, Item>(shape: FrameShape<Header, Item>, header: Header, item: Uint8Array): ByteWriter {
  const writer = startFrame(shape, header, item.length).raw(item);
  if (writer.length <= shape.frameBytesMax) return writer;
  throw new OverLimitError(`an item of ${item.length} bytes does not fit into a frame of ${shape.frameBytesMax}`);
}

/** A frame taken apart. */
export interface Frame<Header, Item> {
  readonly header: Header;
  readonly items: Item[];
}

/** Reads a whole frame; byte arrays in it are views into `bytes`. Throws {@link DecodeError}. */
export function decodeFrame<Header, Item>(shape: FrameShape<Header, Item>, bytes: Uint8Array): Frame<Header, Item> {
  if (bytes.length > shape.frameBytesMax) {
    throw new DecodeError(`a frame of ${bytes.length} bytes: at most ${shape.frameBytesMax} are allowed`);
  }
  const reader = new ByteReader(bytes);
  checkHead(reader, bytes);
  const header = shape.header.decode(reader);
  const items: Item[] = [];
  while (reader.remaining > 0) {
    if (items.length === shape.itemsMax) throw new DecodeError(`over ${shape.itemsMax} items in one frame`);
    items.push(shape.item.decode(reader));
  }
  return { header, items };
}

/** The version first: what another one puts behind it is not known. */
function checkHead(reader: ByteReader, bytes: Uint8Array): void {
  const version = reader.u8();
  if (version !== protocolVersion) {
    throw new DecodeError(`a frame of protocol version ${version}: ${protocolVersion} is due`);
  }
  if (reader.u32() !== crc32(bytes, 0, checkedFrom)) {
    throw new DecodeError('a frame was damaged on its way: its checksum does not fit');
  }
}
