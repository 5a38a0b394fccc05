import { ballotCodecs } from './ballot-codec.ts';
import { catchUpCodecs } from './catch-up-codec.ts';
import { decodeClusterId, encodeClusterId } from './cluster-id-codec.ts';
import { type Codec, unionCodec } from './codec.ts';
import { entriesBytesMax } from './entries-codec.ts';
import { decodeFrame, encodeFrames, type FrameShape } from './frame.ts';
import { leadershipCodecs } from './leadership-codec.ts';
import { messagesPerFrameMax, peerFrameBytesMax } from './limits.ts';
import { paxosCodecs } from './paxos-codec.ts';
import type { PeerMessage, PeerPayload, StateChunk } from './peer-message.ts';

/*
 * A frame between nodes:
 *
 *   version and checksum (5) · cluster id (8, zeros while the sender has none) · messages to the end
 *   message: configuration id (varuint) · type (1) · fields
 */

/** What a frame between nodes holds. */
export interface PeerFrame {
  /** The sender's; undefined while it belongs to none. */
  readonly clusterId: string | undefined;
  readonly messages: PeerMessage[];
}

const payloadCodec: Codec<PeerPayload> = unionCodec<PeerPayload>(
  {
    HeartbeatRequest: 1,
    HeartbeatReply: 2,
    Prepare: 3,
    Promise: 4,
    AcceptSync: 5,
    AcceptDecide: 6,
    Decide: 7,
    Probe: 8,
    Behind: 9,
    Accepted: 10,
    NotAccepted: 11,
    PrepareRequest: 12,
    ForwardProposals: 13,
    ReturnProposals: 14,
    ReadIndexRequest: 15,
    ConfirmRequest: 16,
    Confirm: 17,
    ReadIndexReply: 18,
    Announce: 19,
    LogRequest: 20,
    LogSegment: 21,
    StateRequest: 22,
    StateChunk: 23,
    TakeOver: 24,
    DonorQuery: 25,
    DonorStanding: 26,
    SnapshotRequest: 27,
    SnapshotOffer: 28,
    CutsRequest: 29,
    Cuts: 30,
    Fill: 31,
  },
  { ...ballotCodecs, ...paxosCodecs, ...catchUpCodecs, ...leadershipCodecs },
);

const shape: FrameShape<string | undefined, PeerMessage> = {
  header: {
    encode: (writer, clusterId) => encodeClusterId(writer, clusterId),
    decode: (reader) => decodeClusterId(reader),
  },
  item: {
    encode: (writer, message) => {
      writer.varuint(message.configurationId);
      payloadCodec.encode(writer, message.payload);
    },
    decode: (reader) => ({ configurationId: reader.varuint(), payload: payloadCodec.decode(reader) }),
  },
  itemsMax: messagesPerFrameMax,
  frameBytesMax: peerFrameBytesMax,
  itemBytesHint: (message) => messageBytesHint + bulkBytesHint(message.payload),
};

const messageBytesHint = 64;

function bulkBytesHint(payload: PeerPayload): number {
  if (payload.type === 'StateChunk') return chunkBytesHint(payload);
  if (payload.type === 'LogSegment') return entriesBytesMax(payload.entries);
  if (payload.type === 'AcceptDecide' || payload.type === 'ForwardProposals') return entriesBytesMax(payload.entries);
  if (payload.type === 'AcceptSync') return entriesBytesMax(payload.suffix);
  if (payload.type === 'Promise') return entriesBytesMax(payload.suffix ?? []);
  if (payload.type === 'ReturnProposals') return entriesBytesMax(payload.entries);
  return 0;
}

/** A hint that is a byte short has the buffer of a whole piece of state doubled and copied: keys of cursors count. */
function chunkBytesHint({ after, upTo, chunk }: StateChunk): number {
  const cursors = [after, upTo, chunk?.last];
  const keyBytes = cursors.reduce((sum, cursor) => sum + (cursor?.type === 'pair' ? cursor.key.length : 0), 0);
  return (chunk?.rows.bytes.length ?? 0) + keyBytes;
}

/**
 * The frames that hold `messages` in order: one, unless that were a large one; none for no messages.
 * `frameBytesMax` may lower that limit. Throws OverLimitError if one message alone is over it, and a RangeError for a `clusterId` that is none.
 */
export function encodePeerFrames(
  clusterId: string | undefined,
  messages: readonly PeerMessage[],
  frameBytesMax: number = peerFrameBytesMax,
): Uint8Array[] {
  const limited = frameBytesMax === shape.frameBytesMax ? shape : { ...shape, frameBytesMax };
  return encodeFrames(limited, clusterId, messages);
}

/** As {@link encodePeerFrames} where all must fit into one frame: a RangeError if they do not, or if there are none. */
export function encodePeerFrame(clusterId: string | undefined, messages: readonly PeerMessage[]): Uint8Array {
  const frames = encodePeerFrames(clusterId, messages);
  const [frame] = frames;
  if (frame === undefined || frames.length > 1) throw new RangeError(`${frames.length} frames where one was expected`);
  return frame;
}

/** Bytes in the messages are views into `bytes`. Throws DecodeError on anything but a whole valid frame. */
export function decodePeerFrame(bytes: Uint8Array): PeerFrame {
  const { header, items } = decodeFrame(shape, bytes);
  return { clusterId: header, messages: items };
}
