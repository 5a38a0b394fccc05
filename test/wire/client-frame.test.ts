import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decodeRequests,
  decodeResponses,
  encodeRequestFrames,
  encodeRequests,
  encodeResponseFrames,
  encodeResponses,
} from '../../src/wire/client-frame.ts';
import type { ClientRequest, ClientResponse } from '../../src/wire/client-message.ts';
import { protocolVersion, requestsPerFrameMax } from '../../src/wire/limits.ts';
import { request, response } from './arbitraries.ts';
import { sealed } from './sealed.ts';
import { expectNoPrefixDecodes, expectTotal } from './total-decoder.ts';

function write(id: number, commandBytes: number): ClientRequest {
  return { id, timeoutMs: 1000, type: 'write', command: new Uint8Array(commandBytes).fill(id) };
}

describe('requests', () => {
  it('come back as they were sent, in order', () => {
    fc.assert(
      fc.property(fc.array(request, { minLength: 1, maxLength: 10 }), (requests) => {
        expect(decodeRequests(encodeRequests(requests))).toEqual(requests);
      }),
      { numRuns: 300 },
    );
  });

  it('never decode from a true prefix', () => {
    for (const sample of fc.sample(request, { numRuns: 30, seed: 5 })) {
      expectNoPrefixDecodes(decodeRequests, encodeRequests([sample]), 5);
    }
  });

  it('never make the decoder throw anything but a DecodeError', () => {
    expectTotal(decodeRequests, fc.array(request, { minLength: 1, maxLength: 5 }).map(encodeRequests));
  });

  it('carry the bytes of a command verbatim, as a view into the frame', () => {
    const frame = encodeRequests([write(7, 100)]);
    const [found] = decodeRequests(frame);
    expect(found?.type === 'write' && found.command).toEqual(new Uint8Array(100).fill(7));
    expect(found?.type === 'write' && found.command.buffer).toBe(frame.buffer);
  });

  it('go into as many frames as the limits ask for', () => {
    const large = Array.from({ length: 40 }, (_, id) => write(id, id % 3 === 0 ? 1024 * 1024 : 100 * 1024));
    const frames = encodeRequestFrames(large);
    expect(frames.length).toBe(27);
    expect(frames.every((frame) => frame.length < 1024 * 1024 || decodeRequests(frame).length === 1)).toBe(true);
    expect(frames.flatMap(decodeRequests).map(({ id }) => id)).toEqual(large.map(({ id }) => id));

    const many = Array.from({ length: requestsPerFrameMax + 1 }, (_, id) => write(id, 1));
    expect(encodeRequestFrames(many).map((frame) => decodeRequests(frame).length)).toEqual([requestsPerFrameMax, 1]);
    expect(() => encodeRequests(many)).toThrow(RangeError);
    expect(encodeRequestFrames([])).toEqual([]);
  });

  it('over the count of a frame are refused', () => {
    const one = encodeRequests([{ id: 0, timeoutMs: 0, type: 'status' }]);
    const frame = new Uint8Array(5 + (requestsPerFrameMax + 1) * 3);
    frame[0] = protocolVersion;
    for (let at = 5; at < frame.length; at += 3) frame.set(one.subarray(5), at);
    expect(decodeRequests(sealed(frame.slice(0, -3)))).toHaveLength(requestsPerFrameMax);
    expect(() => decodeRequests(sealed(frame))).toThrow(/over 16384 items/);
  });
});

describe('responses', () => {
  it('come back as they were sent, in order', () => {
    fc.assert(
      fc.property(fc.array(response, { minLength: 1, maxLength: 10 }), (responses) => {
        expect(decodeResponses(encodeResponses(responses))).toEqual(responses);
      }),
      { numRuns: 300 },
    );
  });

  it('never decode from a true prefix', () => {
    for (const sample of fc.sample(response, { numRuns: 30, seed: 5 })) {
      expectNoPrefixDecodes(decodeResponses, encodeResponses([sample]), 5);
    }
  });

  it('never make the decoder throw anything but a DecodeError', () => {
    expectTotal(decodeResponses, fc.array(response, { minLength: 1, maxLength: 5 }).map(encodeResponses));
  });

  it('go into as many frames as the limits ask for, and several of them into none of over a MiB', () => {
    const large = Array.from(
      { length: 40 },
      (_, id): ClientResponse => ({ id, type: 'record', record: { value: new Uint8Array(300 * 1024), revision: id } }),
    );
    const frames = encodeResponseFrames(large);
    expect(frames.map((frame) => decodeResponses(frame).length)).toEqual([...Array(13).fill(3), 1]);
    expect(frames.flatMap(decodeResponses).map(({ id }) => id)).toEqual(large.map(({ id }) => id));
  });
});
