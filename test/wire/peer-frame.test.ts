import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteWriter, DecodeError } from '../../src/base/bytes.ts';
import { entriesPerMessageMax, peerFrameBytesMax, protocolVersion } from '../../src/wire/limits.ts';
import { decodePeerFrame, encodePeerFrame, encodePeerFrames } from '../../src/wire/peer-frame.ts';
import type { PeerMessage, PeerPayload } from '../../src/wire/peer-message.ts';
import { clusterId, payloadFields, peerMessage } from './arbitraries.ts';
import { sealed } from './sealed.ts';
import { expectNoPrefixDecodes, expectTotal } from './total-decoder.ts';

const boundTo = '00112233445566ff';
const headerBytes = 13;

function heartbeat(round: number): PeerMessage {
  return { configurationId: 1, payload: { type: 'HeartbeatRequest', round } };
}

describe('a frame between nodes', () => {
  for (const [type, fields] of Object.entries(payloadFields)) {
    it(`brings ${type} back as it was sent, and no true prefix of it`, () => {
      const payload = (fields as fc.Arbitrary<object>).map((values) => ({ type, ...values }) as unknown as PeerPayload);
      fc.assert(
        fc.property(payload, fc.maxSafeNat(), (sent, configurationId) => {
          const frame = encodePeerFrame(boundTo, [{ configurationId, payload: sent }]);
          expect(decodePeerFrame(frame)).toEqual({
            clusterId: boundTo,
            messages: [{ configurationId, payload: sent }],
          });
        }),
      );
      const [sample] = fc.sample(payload, { numRuns: 1, seed: 7 });
      const frame = encodePeerFrame(boundTo, [{ configurationId: 3, payload: sample as PeerPayload }]);
      expectNoPrefixDecodes((bytes) => decodePeerFrame(bytes).messages, frame, headerBytes);
    });
  }

  it('keeps the order of messages and the cluster id, or none', () => {
    fc.assert(
      fc.property(
        fc.option(clusterId, { nil: undefined }),
        fc.array(peerMessage, { minLength: 1, maxLength: 10 }),
        (id, messages) => {
          expect(decodePeerFrame(encodePeerFrame(id, messages))).toEqual({ clusterId: id, messages });
        },
      ),
    );
  });

  it('never throws anything but a DecodeError', () => {
    const frames = fc
      .array(peerMessage, { minLength: 1, maxLength: 5 })
      .map((messages) => encodePeerFrame(boundTo, messages));
    expectTotal(decodePeerFrame, frames);
  });

  it('gives entries as views into the frame', () => {
    const entry = { type: 'Normal' as const, entry: new Uint8Array(100).fill(7) };
    const frame = encodePeerFrame(boundTo, [
      { configurationId: 1, payload: { type: 'ForwardProposals', entries: [entry] } },
    ]);
    const [message] = decodePeerFrame(frame).messages;
    const payload = message?.payload as Extract<PeerPayload, { type: 'ForwardProposals' }>;
    const [found] = payload.entries;
    expect(found?.type === 'Normal' && found.entry.buffer).toBe(frame.buffer);
  });

  it('makes no frame of no messages', () => {
    expect(encodePeerFrames(boundTo, [])).toEqual([]);
    expect(() => encodePeerFrame(boundTo, [])).toThrow(RangeError);
  });

  it('splits between messages where a frame would be over its limit of bytes', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 900 }), { minLength: 1, maxLength: 30 }),
        fc.integer({ min: 1000, max: 3000 }),
        (sizes, frameBytesMax) => {
          const messages = sizes.map((size): PeerMessage => {
            const entries = [{ type: 'Normal' as const, entry: new Uint8Array(size) }];
            return { configurationId: 1, payload: { type: 'ForwardProposals', entries } };
          });
          const frames = encodePeerFrames(boundTo, messages, frameBytesMax);
          for (const frame of frames) expect(frame.length).toBeLessThanOrEqual(frameBytesMax);
          expect(frames.flatMap((frame) => decodePeerFrame(frame).messages)).toEqual(messages);
        },
      ),
    );
  });

  it('splits what is over a MiB between messages', () => {
    const entry = { type: 'Normal' as const, entry: new Uint8Array(400 * 1024) };
    const payload: PeerPayload = { type: 'ForwardProposals', entries: [entry] };
    const messages = Array.from({ length: 9 }, (_, configurationId) => ({ configurationId, payload }));
    const frames = encodePeerFrames(boundTo, messages).map((frame) => decodePeerFrame(frame).messages);
    expect(frames.map(({ length }) => length)).toEqual([2, 2, 2, 2, 1]);
    expect(frames.flat().map(({ configurationId }) => configurationId)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('refuses to encode a message over the limits', () => {
    const entry = { type: 'Normal' as const, entry: new Uint8Array(2000) };
    const large: PeerMessage = { configurationId: 1, payload: { type: 'ForwardProposals', entries: [entry] } };
    expect(() => encodePeerFrames(boundTo, [heartbeat(1), large, heartbeat(2)], 1000)).toThrow(RangeError);
    const entries = new Array(entriesPerMessageMax + 1).fill({ type: 'Normal', entry: new Uint8Array(0) });
    const many: PeerMessage = { configurationId: 1, payload: { type: 'ForwardProposals', entries } };
    expect(() => encodePeerFrames(boundTo, [many])).toThrow(RangeError);
  });

  it.each(['', 'abc', '0000000000000000', '00112233445566FF', 'zz112233445566ff'])('has no cluster id %j', (id) => {
    expect(() => encodePeerFrame(id, [heartbeat(1)])).toThrow(RangeError);
  });

  it('refuses another protocol version by name', () => {
    const frame = encodePeerFrame(boundTo, [heartbeat(1)]);
    frame[0] = protocolVersion + 1;
    expect(() => decodePeerFrame(frame)).toThrow(`protocol version ${protocolVersion + 1}: ${protocolVersion} is due`);
  });

  it('refuses a frame over the limit without looking into it', () => {
    expect(() => decodePeerFrame(new Uint8Array(peerFrameBytesMax + 1))).toThrow(/at most 67108864/);
  });

  it('allocates nothing for a count that the bytes cannot hold', () => {
    // Type 13 is ForwardProposals; the count says a quarter of a million entries, and none follows.
    const frame = new ByteWriter()
      .u8(protocolVersion)
      .u32(0)
      .u32(0)
      .u32(1)
      .varuint(1)
      .u8(13)
      .varuint(entriesPerMessageMax);
    expect(() => decodePeerFrame(sealed(frame.finish()))).toThrow(/items where at most/);
  });

  it.each([
    ['ids out of order', [2, 1], undefined, /ascend/],
    ['one id twice', [1, 1], undefined, /ascend/],
    ['quorums that need not meet', [1, 2, 3], { prepare: 1, accept: 2 }, /must be over 3/],
  ])('refuses a configuration with %s', (_, ids, quorum, message) => {
    const members = ids.map((id) => ({ id, address: 'a:1', storageId: 's' }));
    const configuration = { configurationId: 2, startIndex: 5, members, ...(quorum && { quorum }) };
    const announce: PeerPayload = { type: 'Announce', clusterId: boundTo, configuration };
    const frame = encodePeerFrame(undefined, [{ configurationId: 2, payload: announce }]);
    expect(() => decodePeerFrame(frame)).toThrow(message);
    expect(() => decodePeerFrame(frame)).toThrow(DecodeError);
  });
});
