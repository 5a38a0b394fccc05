import { describe, expect, it } from 'vitest';
import { BallotLeaderElection } from '../../src/omnipaxos/index.ts';

/** Elections alone, each a round a tick; those that are up deliver at once. */
function makeElections(count: number): BallotLeaderElection[] {
  const ids = Array.from({ length: count }, (_, at) => at + 1);
  return ids.map((pid) => {
    const peers = ids.filter((id) => id !== pid);
    return new BallotLeaderElection({ configurationId: 1, pid, peers });
  });
}

function deliver(up: readonly BallotLeaderElection[], all: readonly BallotLeaderElection[]): void {
  for (let isBusy = true; isBusy; ) {
    isBusy = false;
    for (const election of up) {
      for (const message of election.getOutgoingMsgs()) {
        isBusy = true;
        const to = all[message.to - 1];
        if (to && up.includes(to)) to.handle(message);
      }
    }
  }
}

function rounds(count: number, up: readonly BallotLeaderElection[], all: readonly BallotLeaderElection[]): void {
  for (let round = 0; round < count; round++) {
    for (const election of up) election.tick();
    deliver(up, all);
  }
}

describe('what was answered in a round is answered again when it has changed', () => {
  it('so two that lost their leader do not both take over, one after the other, on the same old answers', () => {
    const all = makeElections(3);
    rounds(4, all, all);
    const [one, two, three] = all as [BallotLeaderElection, BallotLeaderElection, BallotLeaderElection];
    expect(all.map(({ leader }) => leader.pid)).toEqual([3, 3, 3]);
    const before = three.ballot.n;
    // Node 3 is gone: its last answer counts in this round, and in the next both are unhappy.
    const up = [one, two];
    rounds(2, up, all);
    expect(up.map(({ isHappy }) => isHappy)).toEqual([false, false]);
    one.tick();
    expect(one.ballot.n, 'node 1 takes over').toBe(before + 1);
    deliver(up, all);
    // The round of node 2, in which node 1 had said that it is unhappy, ends only now.
    two.tick();
    expect(two.leader).toEqual(one.ballot);
    expect(two.isHappy).toBe(true);
  });

  it('so unhappiness reaches the hub in the round in which it comes up, not in the next', () => {
    const all = makeElections(5);
    rounds(4, all, all);
    const [hub, , , , leader] = all as [BallotLeaderElection, never, never, never, BallotLeaderElection];
    expect(leader.leader).toEqual(leader.ballot);
    // The leader reaches the hub only, and ends its round after the hub has asked.
    const up = [hub, leader];
    hub.tick();
    deliver(up, all);
    leader.tick();
    leader.tick();
    deliver(up, all);
    expect(leader.isHappy).toBe(false);
    hub.tick();
    expect(hub.isHappy).toBe(false);
  });

  it('a happy follower is not mistaken for a leader', () => {
    const [fresh] = makeElections(3) as [BallotLeaderElection];
    const [request] = fresh.getOutgoingMsgs();
    const round = request?.payload.round as number;
    const happy = { type: 'HeartbeatReply', round, happy: true } as const;
    const ballot = { n: 1, priority: 0, pid: 2 };
    const leader = { n: 4, priority: 0, pid: 3 };
    fresh.handle({ from: 2, to: 1, configurationId: 1, payload: { ...happy, ballot, leader } });
    expect(fresh.leader.pid).toBe(0);
    fresh.handle({ from: 3, to: 1, configurationId: 1, payload: { ...happy, ballot: leader, leader } });
    expect(fresh.leader).toEqual(leader);
  });
});
