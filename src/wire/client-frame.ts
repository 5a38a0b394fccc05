import type { ClientRequest, ClientResponse, WireChange } from './client-message.ts';
import type { Codec } from './codec.ts';
import { decodeFrame, encodeFrames, type FrameShape } from './frame.ts';
import { clientFrameBytesMax, requestsPerFrameMax } from './limits.ts';
import { requestCodec } from './request-codec.ts';
import { responseCodec } from './response-codec.ts';

/*
 * A frame between a client and a node:
 *
 *   version and checksum (5) · requests, or responses, to the end
 */

const itemBytesHint = 32;
/** What a pair takes at the most beside key and value. */
const pairBytesHint = 16;

const noHeader: Codec<void> = { encode: () => {}, decode: () => {} };

const requestShape: FrameShape<void, ClientRequest> = {
  header: noHeader,
  item: requestCodec,
  itemsMax: requestsPerFrameMax,
  frameBytesMax: clientFrameBytesMax,
  itemBytesHint: (request) => itemBytesHint + (request.type === 'write' ? request.command.length : 0),
};

const responseShape: FrameShape<void, ClientResponse> = {
  header: noHeader,
  item: responseCodec,
  itemsMax: requestsPerFrameMax,
  frameBytesMax: clientFrameBytesMax,
  itemBytesHint: (response) => itemBytesHint + bulkBytesHint(response),
};

function bulkBytesHint(response: ClientResponse): number {
  switch (response.type) {
    case 'record':
      return response.record?.value.length ?? 0;
    case 'pairs':
    case 'snapshot':
    case 'backupPairs':
      return pairsBytesHint(response.pairs);
    case 'changes':
      return pairsBytesHint(response.changes);
    default:
      return 0;
  }
}

function pairsBytesHint(pairs: readonly WireChange[]): number {
  let bytes = 0;
  for (const { key, value } of pairs) bytes += pairBytesHint + key.length + (value?.length ?? 0);
  return bytes;
}

/**
 * The frames that hold `requests` in order: one, unless that were a large one; none for no requests.
 * Throws OverLimitError if one alone is over it.
 */
export function encodeRequestFrames(requests: readonly ClientRequest[]): Uint8Array[] {
  return encodeFrames(requestShape, undefined, requests);
}

/** As {@link encodeRequestFrames} where all must fit into one frame: a RangeError if they do not, or if there are none. */
export function encodeRequests(requests: readonly ClientRequest[]): Uint8Array {
  return onlyFrame(encodeRequestFrames(requests));
}

/** Keys and commands are views into `bytes`. Throws DecodeError on anything but a whole valid frame. */
export function decodeRequests(bytes: Uint8Array): ClientRequest[] {
  return decodeFrame(requestShape, bytes).items;
}

/**
 * The frames that hold `responses` in order: one, unless that were a large one; none for no responses.
 * Throws OverLimitError if one alone is over it.
 */
export function encodeResponseFrames(responses: readonly ClientResponse[]): Uint8Array[] {
  return encodeFrames(responseShape, undefined, responses);
}

/** As {@link encodeResponseFrames} where all must fit into one frame: a RangeError if they do not, or if there are none. */
export function encodeResponses(responses: readonly ClientResponse[]): Uint8Array {
  return onlyFrame(encodeResponseFrames(responses));
}

/** Keys and values are views into `bytes`. Throws DecodeError on anything but a whole valid frame. */
export function decodeResponses(bytes: Uint8Array): ClientResponse[] {
  return decodeFrame(responseShape, bytes).items;
}

function onlyFrame(frames: readonly Uint8Array[]): Uint8Array {
  const [frame] = frames;
  if (frame === undefined || frames.length > 1) throw new RangeError(`${frames.length} frames where one was expected`);
  return frame;
}
