import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Client, Cluster } from './cluster.ts';

/** "Mistakes already made by others" (PROTOCOL), those that concern the replica: what `transcripts/` does not show in words. */
describe('mistakes already made by others', () => {
  it.each([1, 7, 23, 101])(
    '21. "catches up from all of them": a newcomer gets the last of %i entries, too',
    (count) => {
      const cluster = new Cluster([1, 2, 3], { catchUpBytesMax: 100 });
      const leader = cluster.elect();
      const client = new Client(cluster, leader);
      for (let at = 0; at < count; at++) client.putAcknowledged(leader, `k${at}`, `v${at}`);
      cluster.start(4);
      const segments = () => cluster.sentTo(4, 'LogSegment').filter(({ entries }) => entries.length > 0);
      // One donor goes away in the middle.
      const [donor] = others(cluster, leader);
      cluster.onArrival = ({ from, to, message }) => {
        const isHalf = segments().flatMap(({ entries }) => entries).length > count / 2;
        if (to === 4 && message.payload.type === 'LogSegment' && from === donor && isHalf) cluster.cut([4], [donor]);
      };
      cluster.reconfigureTo(leader, [1, 2, 3, 4]);
      cluster.converge(1, 2, 3, 4);
      if (count > 20) expect(segments().length, 'in many pieces').toBeGreaterThan(5);
      for (let at = 0; at < count; at++) expect(cluster.localValue(4, `k${at}`)).toBe(`v${at}`);
      const { sequence } = cluster.log(leader);
      expect(cluster.log(4).sequence.read(0, sequence.endIndex)).toEqual(sequence.read(0, sequence.endIndex));
    },
  );
});

function others(cluster: Cluster, leader: NodeId): [NodeId, NodeId, ...NodeId[]] {
  return cluster.running.filter((id) => id !== leader) as [NodeId, NodeId, ...NodeId[]];
}
