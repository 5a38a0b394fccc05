import { describe, expect, it } from 'vitest';
import { Output } from '../../src/replica/output.ts';
import type { PeerPayload } from '../../src/wire/peer-message.ts';

const isLinked = () => true;
const segmentFrom = (from: number): PeerPayload => ({ type: 'LogRequest', from, to: from + 1 });
/** What leaves to node 2, while configuration `durableId` is on the disk. */
const given = (output: Output, durableId: number) =>
  output.take(isLinked, durableId, false).messages.flatMap(({ messages }) => messages);

describe('messages of a configuration that is not on the disk yet', () => {
  it('wait until it is, in their order, and those of the one before do not', () => {
    const output = new Output();
    output.send(2, 1, segmentFrom(1));
    output.send(2, 2, segmentFrom(2));
    expect(given(output, 1)).toEqual([{ configurationId: 1, payload: segmentFrom(1) }]);
    output.send(2, 2, segmentFrom(3));
    expect(given(output, 1)).toEqual([]);
    output.send(2, 2, segmentFrom(4));
    expect(given(output, 2).map(({ payload }) => payload)).toEqual([2, 3, 4].map(segmentFrom));
    expect(given(output, 2)).toEqual([]);
  });

  it('are the last 64 to a node at the most', () => {
    const output = new Output();
    for (let at = 0; at < 100; at++) output.send(2, 2, segmentFrom(at));
    expect(given(output, 1)).toEqual([]);
    expect(given(output, 2).map(({ payload }) => payload)).toEqual(
      Array.from({ length: 64 }, (_, at) => segmentFrom(36 + at)),
    );
  });

  it('go with the link of their node', () => {
    const output = new Output();
    output.send(2, 2, segmentFrom(1));
    expect(output.take(() => false, 1, false).messages).toEqual([]);
    expect(given(output, 2)).toEqual([]);
  });

  it('are no request to take the lead over, which would come when it is not meant any more (seed 975)', () => {
    const output = new Output();
    output.send(2, 2, { type: 'TakeOver' });
    expect(given(output, 1)).toEqual([]);
    expect(given(output, 2)).toEqual([]);
  });
});
