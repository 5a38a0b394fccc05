import { expect, it } from 'vitest';
import { Cluster, type Message } from './cluster.ts';

/** Messages of a kind to a node get a fate of their own. */
function hold(cluster: Cluster, type: Message['payload']['type'], to: number): void {
  cluster.fate = (message) => (message.payload.type === type && message.to === to ? 'hold' : 'deliver');
}

it('an AcceptSync that comes after a Behind opens no session that the leader knows nothing of', () => {
  const cluster = new Cluster({ nodes: 3, catchesUp: false, replica: { syncEntriesMax: 6 } });
  cluster.lead(1);
  cluster.cut(2, 1, 3);
  cluster.propose(1, 'a1', 'a2', 'a3', 'a4', 'a5');
  cluster.tick(2);
  expect(cluster.paxos(1).decidedIndex).toBe(5);
  // Node 3 is gone for good, and what opens the session with node 2 is late.
  cluster.crash(3);
  hold(cluster, 'AcceptSync', 2);
  cluster.heal(1, 2);
  cluster.settle();
  expect(cluster.held).toHaveLength(1);
  cluster.fate = () => 'deliver';
  cluster.propose(1, 'b1', 'b2', 'b3', 'b4');
  cluster.settle();
  cluster.release();
  cluster.resend(100);
  expect(cluster.paxos(1).decidedIndex).toBe(9);
  expect(cluster.paxos(2).acceptedIndex).toBe(9);
});

it('a NotAccepted of a promise that a crash undid does not write its sender off', () => {
  const cluster = new Cluster({ nodes: 3 });
  cluster.lead(1);
  cluster.propose(1, 'a');
  cluster.tick(2);
  // Node 2 promises node 3 more, says so to node 1, and crashes before its disk has it.
  cluster.cut(1, 3);
  hold(cluster, 'NotAccepted', 1);
  cluster.flushes = false;
  cluster.node(3).store.flush();
  cluster.paxos(3).handleLeader({ n: cluster.paxos(1).promise.n + 1, priority: 0, pid: 3 });
  cluster.turn(cluster.node(3));
  cluster.node(3).store.flush();
  cluster.settle();
  cluster.propose(1, 'b');
  cluster.settle();
  expect(cluster.held.length).toBeGreaterThan(0);
  cluster.crash(3);
  cluster.crash(2);
  cluster.flushes = true;
  cluster.fate = () => 'deliver';
  cluster.restart(2);
  cluster.settle();
  expect(cluster.paxos(2).promise.pid, 'it forgot').toBe(1);
  cluster.release();
  cluster.settle();
  cluster.propose(1, 'c');
  cluster.resend(100);
  expect(cluster.decidedOf(2)).toEqual(['a', 'b', 'c']);
});

it('a follower that is behind keeps its goal while more is decided, and asks as soon as it is there', () => {
  const cluster = new Cluster({ nodes: 3, catchesUp: false, replica: { syncEntriesMax: 6 } });
  cluster.lead(1);
  cluster.cut(2, 1, 3);
  const more = (count: number) => cluster.propose(1, ...Array.from({ length: count }, (_, at) => `e${at}`));
  more(20);
  cluster.settle();
  cluster.heal(1, 2);
  cluster.settle();
  expect(cluster.paxos(2).catchUpTarget?.index).toBe(20);
  more(4);
  cluster.resend(4);
  expect(cluster.paxos(2).catchUpTarget?.index).toBe(20);
  cluster.paxos(2).installDecided(0, cluster.paxos(1).getDecidedEntries().slice(0, 20));
  cluster.resend(1);
  expect(cluster.paxos(2).acceptedIndex).toBe(24);
});
