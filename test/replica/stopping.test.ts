import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Client, Cluster, type Sent } from './cluster.ts';

/** Election timeouts in which one that was asked to lead may take over. */
const patience = 2;

const isTakeOver = ({ message }: Sent) => message.payload.type === 'TakeOver';

describe('a leader that is asked to stop', () => {
  let cluster: Cluster;
  let leader: NodeId;
  let followers: NodeId[];

  beforeEach(() => {
    cluster = new Cluster([1, 2, 3, 4, 5]);
    leader = cluster.elect();
    followers = [1, 2, 3, 4, 5].filter((id) => id !== leader);
    new Client(cluster, leader).putAcknowledged(leader, 'k', 'v');
    cluster.converge(1, 2, 3, 4, 5);
  });

  const canStop = () => cluster.replica(leader).canStop;
  const asked = () => cluster.sent.filter(isTakeOver).map(({ to }) => to);

  it('stays until another leads, which it asked to', () => {
    cluster.askToStop(leader);
    cluster.until('another leads', () => cluster.leaders.some((id) => id !== leader));
    cluster.settle();
    expect(asked()).toEqual(cluster.leaders);
    expect(canStop()).toBe(true);
  });

  it('asks the next one where the first does not take over, as it stops, too', () => {
    // Of those that have as much the last ones are asked first.
    for (const id of followers.slice(2)) cluster.askToStop(id);
    cluster.askToStop(leader);
    const others = () => cluster.leaders.some((id) => followers.slice(0, 2).includes(id));
    for (let timeouts = 0; !others() && timeouts < 3 * patience; timeouts++) cluster.timeouts(1);
    expect(others()).toBe(true);
    expect(new Set(asked()).size, 'none twice').toBe(asked().length);
    expect(canStop()).toBe(true);
  });

  it('asks only those that it has links with', () => {
    cluster.cut([leader], followers.slice(2));
    cluster.askToStop(leader);
    expect(asked()).toHaveLength(1);
    expect(followers.slice(0, 2)).toContain(asked()[0]);
  });

  it('waits for nobody where too few are left to elect another', () => {
    for (const id of followers.slice(0, 2)) cluster.crash(id);
    // They hear it, but cannot take over yet.
    for (const id of followers.slice(2)) cluster.stallDisk(id);
    cluster.askToStop(leader);
    expect(canStop(), 'three of five are there').toBe(false);
    cluster.crash(followers[2] as NodeId);
    cluster.settle();
    expect(canStop(), 'two of five').toBe(true);
  });
});

it('a node that is asked to stop waits for its writes, unless too few are left to decide them', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const [first, second] = [1, 2, 3].filter((id) => id !== leader) as [NodeId, NodeId];
  const client = new Client(cluster, first);
  for (const id of [leader, second]) cluster.stallDisk(id);
  client.put(first, 'k', 'v');
  cluster.settle();
  cluster.askToStop(first);
  expect(cluster.replica(first).canStop).toBe(false);
  cluster.crash(leader);
  expect(cluster.replica(first).canStop, 'two can').toBe(false);
  cluster.crash(second);
  cluster.settle();
  expect(cluster.replica(first).canStop).toBe(true);
});

it('a follower that is asked to stop may do so at once', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const follower = [1, 2, 3].find((id) => id !== leader) as NodeId;
  cluster.askToStop(follower);
  expect(cluster.replica(follower).canStop).toBe(true);
});

it('one that is asked to stop before it is in office hands the lead over once it is', () => {
  const cluster = new Cluster([1, 2, 3]);
  cluster.elect();
  cluster.replica(1).voter?.takeOver();
  cluster.settle();
  cluster.until('1 leads', () => cluster.leaders.length === 1 && cluster.leaders[0] === 1);
  cluster.tick(20);
  cluster.stallDisk(3);
  cluster.askToStop(1);
  cluster.tick(1);
  expect(cluster.replica(3).voter?.paxos).toMatchObject({ isLeader: true, phase: 'prepare' });
  cluster.askToStop(3);
  cluster.tick(2);
  cluster.freeDisk(3);
  cluster.tick(20);
  expect(cluster.leaders).toEqual([2]);
  expect([1, 3].map((id) => cluster.replica(id).canStop)).toEqual([true, true]);
});
