import { describe, expect, it } from 'vitest';
import { encodePeerFrame } from '../../src/wire/peer-frame.ts';
import type { PeerPayload } from '../../src/wire/peer-message.ts';

/** A key as long as it may be in three cursors, so that a hint that leaves them out is short. */
const cursor = (key: string) => ({ type: 'pair', key }) as const;

/** Pieces are larger here than the buffers that are used again, which have few sizes. */
describe('the buffer of a frame', () => {
  it.each([8, 16, 100, 1000])('of a piece of state is of the right size at once, with keys of %i bytes', (keyBytes) => {
    const [after, upTo] = [cursor('a'.repeat(keyBytes)), cursor('b'.repeat(keyBytes))] as const;
    const rows = { bytes: new Uint8Array(2 * 1024 * 1024), checksum: 1 };
    const chunk = { rows, last: upTo, done: true };
    const payload: PeerPayload = { type: 'StateChunk', index: Number.MAX_SAFE_INTEGER, after, upTo, chunk };
    const frame = encodePeerFrame('0123456789abcdef', [{ configurationId: 1_000_000, payload }]);
    expect(frame.buffer.byteLength - frame.length).toBeLessThan(256);
  });
});
