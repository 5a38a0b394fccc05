import { expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Client, Cluster } from './cluster.ts';

const openingOf = (cluster: Cluster, by: NodeId, of: NodeId) =>
  cluster.log(by).openings.find(({ storageId }) => storageId === cluster.disk(of).storageId);

it('an older copy that is linked already is dropped by who then hears of the later opening: else what was acknowledged is decided anew', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const [victim, absent] = cluster.running.filter((id) => id !== leader) as [NodeId, NodeId];
  const client = new Client(cluster, leader);
  client.putAcknowledged(leader, 'first', 'decided');
  cluster.converge(1, 2, 3);
  cluster.crash(victim);
  const image = cluster.disk(victim).image();
  cluster.crash(absent);
  // Opened twice more, each of which the leader sees.
  cluster.start(victim);
  cluster.tick(5);
  cluster.crash(victim);
  cluster.start(victim);
  cluster.tick(5);
  client.putAcknowledged(leader, 'last', 'decided');
  cluster.crash(victim);
  cluster.rollBack(victim, image);
  // The copy and the absent one meet first. No time passes for them, so nobody is elected before the leader is heard.
  cluster.cut([leader], [victim, absent]);
  cluster.start(victim);
  cluster.start(absent);
  cluster.stopTimer(victim);
  cluster.stopTimer(absent);
  cluster.tick(2);
  // All that it says but its hello.
  cluster.loses = ({ from }) => from === leader;
  cluster.healLink(leader, absent);
  cluster.tick(3);
  expect(openingOf(cluster, absent, victim)?.incarnation, 'the absent one knows, on its disk').toBe(2);
  cluster.cut([leader], [absent]);
  cluster.startTimer(victim);
  cluster.startTimer(absent);
  cluster.timeouts(20);
  // With the copy's vote the absent one would lead, and decide the index of "last" anew.
  const leaders = cluster.leaders.filter((id) => id !== leader);
  expect(leaders).toEqual([]);
});

it('a newcomer that met the copy before it knew of the cluster refuses it once it knows', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const [victim] = cluster.running.filter((id) => id !== leader) as [NodeId];
  const client = new Client(cluster, leader);
  client.putAcknowledged(leader, 'first', 'decided');
  cluster.converge(1, 2, 3);
  cluster.crash(victim);
  const image = cluster.disk(victim).image();
  for (let times = 0; times < 2; times++) {
    cluster.start(victim);
    cluster.tick(5);
    cluster.crash(victim);
  }
  cluster.rollBack(victim, image);
  cluster.cut([victim], [1, 2, 3]);
  cluster.start(victim);
  cluster.start(4);
  cluster.tick(3);
  const ask = cluster.reconfigure(leader, [1, 2, 3, 4], 60_000);
  cluster.until('node 4 is a member', () => ask.answer !== undefined && cluster.replica(4).voter !== undefined);
  cluster.timeouts(10);
  expect(openingOf(cluster, 4, victim)?.incarnation).toBe(2);
  expect(cluster.refusals.filter(({ by, kind }) => by === 4 && kind === 'olderCopy').map(({ of }) => of)).toContain(
    victim,
  );
});
