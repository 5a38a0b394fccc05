import { expect, it } from 'vitest';
import { Cluster } from './cluster.ts';

it('an Accepted of an earlier life of a follower does not hide for good that its AcceptSync was lost', () => {
  const cluster = new Cluster({ nodes: 3 });
  const leader = cluster.elect();
  const follower = cluster.ids.find((id) => id !== leader) as number;
  cluster.propose(leader, 'a');
  cluster.tick(8);
  const before = cluster.paxos(follower).decidedIndex;
  // The next one is decided. The follower knows, its disk does not get to it; and it says so in answer to a Probe, which comes late.
  let isLate = false;
  cluster.fate = ({ to, from, payload }) => {
    if (to === follower && payload.type === 'Decide') cluster.flushes = false;
    return isLate && from === follower && payload.type === 'Accepted' ? 'hold' : 'deliver';
  };
  cluster.propose(leader, 'b');
  cluster.settle();
  expect(cluster.paxos(follower).decidedIndex).toBe(before + 1);
  isLate = true;
  cluster.resend(4);
  expect(cluster.held.length).toBeGreaterThan(0);
  cluster.fate = ({ to, payload }) => (to === follower && payload.type === 'AcceptSync' ? 'drop' : 'deliver');
  cluster.crash(follower);
  cluster.restart(follower);
  expect(cluster.paxos(follower).decidedIndex).toBe(before);
  cluster.flushes = true;
  cluster.settle();
  cluster.fate = () => 'deliver';
  cluster.release();
  cluster.settle();
  cluster.tick(200);
  expect(cluster.paxos(follower).decidedIndex).toBe(before + 1);
});
