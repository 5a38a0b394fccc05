import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DecodeError } from '../../src/base/bytes.ts';
import { crc32 } from '../../src/base/crc32.ts';
import { decodeClientHello, decodePeerHello, encodeClientHello, encodePeerHello } from '../../src/wire/handshake.ts';
import { protocolVersion } from '../../src/wire/limits.ts';
import { clusterId, peerHello } from './arbitraries.ts';

const hello = {
  protocolVersion,
  clusterName: 'default',
  clusterId: '00112233445566ff',
  nodeId: 2,
  address: '127.0.0.1:7002',
  storageId: 'aabbccddeeff0011',
  initialMembers: [1, 2, 3],
  opened: {
    incarnation: 0,
    nonce: '0123456789abcdef',
    configurationId: 0,
    promise: { n: 0, priority: 0, pid: 0 },
    acceptedRound: { n: 0, priority: 0, pid: 0 },
    endIndex: 0,
    isSealed: false,
  },
  openings: [],
};

/** As {@link encodePeerHello} makes it of what need be none. */
function sealed(value: object): string {
  const covered = JSON.stringify(value).slice(0, -1);
  return `${covered},"checksum":${crc32(new TextEncoder().encode(covered))}}`;
}

describe('the hello of a node', () => {
  it('comes back as it was sent', () => {
    fc.assert(
      fc.property(peerHello, (sent) => {
        expect(decodePeerHello(encodePeerHello(sent))).toEqual(sent);
      }),
    );
  });

  it('of another protocol version is refused with what to do, whatever else it holds', () => {
    const text = JSON.stringify({ protocolVersion: protocolVersion + 1, other: true });
    expect(() => decodePeerHello(text)).toThrow(
      `the other side speaks protocol version ${protocolVersion + 1}, this one ${protocolVersion}: run the same release of kv on both`,
    );
  });

  it.each([
    ['no JSON', 'hello', /is no JSON/],
    ['no object', '[]', /is no object/],
    ['null', 'null', /is no object/],
    ['too long', sealed({ ...hello, address: 'a'.repeat(20_000) }), /has over 16384 characters/],
    ['without a version', '{}', /lacks protocolVersion/],
    ['with an unknown field', sealed({ ...hello, extra: 1 }), /unknown field "extra"/],
    ['with node id 0', sealed({ ...hello, nodeId: 0 }), /nodeId of the hello of a node is 0/],
    ['with a text as node id', sealed({ ...hello, nodeId: '2' }), /nodeId .* is "2"/],
    ['with a cluster id of zeros', sealed({ ...hello, clusterId: '0'.repeat(16) }), /clusterId/],
    ['with a member twice', sealed({ ...hello, initialMembers: [2, 1, 2] }), /each once/],
    ['with a member 0', sealed({ ...hello, initialMembers: [0, 1] }), /initialMembers/],
    ['without what it opened', sealed({ ...hello, opened: undefined }), /lacks opened/],
    ['with a negative count', sealed({ ...hello, opened: { ...hello.opened, incarnation: -1 } }), /incarnation/],
    ['with a nonce that is none', sealed({ ...hello, opened: { ...hello.opened, nonce: 'x' } }), /nonce/],
    ['with too many members', sealed({ ...hello, initialMembers: [...Array(32).keys()] }), /at most 31/],
  ])('%s is refused', (_, text, message) => {
    expect(() => decodePeerHello(text)).toThrow(message);
    expect(() => decodePeerHello(text)).toThrow(DecodeError);
  });

  it('is refused with any one bit of it wrong', () => {
    const bytes = new TextEncoder().encode(encodePeerHello(hello));
    for (let bit = 0; bit < 8 * bytes.length; bit++) {
      const damaged = bytes.slice();
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      expect(() => decodePeerHello(Buffer.from(damaged).toString())).toThrow(DecodeError);
    }
  });

  it('never makes the parser throw anything but a DecodeError', () => {
    const texts = fc.oneof(
      fc.string(),
      fc.json(),
      fc.object().map((value) => sealed({ ...hello, ...value })),
    );
    fc.assert(
      fc.property(texts, (text) => {
        for (const decode of [decodePeerHello, decodeClientHello]) {
          try {
            decode(text);
          } catch (error) {
            expect(error).toBeInstanceOf(DecodeError);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});

describe('the hello to a client', () => {
  it('comes back as it was sent', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1 }), fc.option(clusterId, { nil: undefined }), (nodeId, id) => {
        const sent = { protocolVersion, kv: true as const, nodeId, clusterName: 'n', clusterId: id };
        expect(decodeClientHello(encodeClientHello(sent))).toEqual(sent);
      }),
    );
  });

  it('must say that it is from a kv node', () => {
    expect(() => decodeClientHello('{"protocolVersion":4,"nodeId":1}')).toThrow(/lacks kv/);
  });

  it('of another protocol version is refused', () => {
    expect(() => decodeClientHello('{"kv":true,"protocolVersion":9,"nodeId":1}')).toThrow(/protocol version 9/);
  });
});
