import { describe, expect, it } from 'vitest';
import { Candidacy } from '../../src/omnipaxos/candidacy.ts';
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
    rounds(1, up, all);
    expect(up.map(({ isHappy }) => isHappy)).toEqual([true, true]);
    rounds(1, up, all);
    expect(up.map(({ leader }) => leader)).toEqual([two.ballot, two.ballot]);
    expect(two.ballot.n, 'one of them took over, once').toBe(before + 1);
    expect(one.ballot.n).toBeLessThan(before + 1);
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

  it('so followers are unhappy as soon as their leader is, and one takes over without waiting for the end of a round', () => {
    const all = makeElections(3);
    rounds(4, all, all);
    const [one, two, three] = all as [BallotLeaderElection, BallotLeaderElection, BallotLeaderElection];
    expect(three.leader).toEqual(three.ballot);
    // What the leader asks in this round is lost. The others' rounds go on.
    three.tick();
    three.getOutgoingMsgs();
    for (const node of [one, two]) node.tick();
    deliver(all, all);
    expect([one, two, three].map(({ isHappy }) => isHappy)).toEqual([true, true, true]);
    three.tick();
    expect(three.isHappy).toBe(false);
    deliver(all, all);
    expect([one.leader, three.leader]).toEqual([two.ballot, two.ballot]);
  });

  it('nobody is content with a first ballot: nobody leads with one', () => {
    const [fresh] = makeElections(3) as [BallotLeaderElection];
    const ballot = { n: 1, priority: 0, pid: 2 };
    for (let round = 0; round < 3; round++) {
      const request = fresh
        .getOutgoingMsgs()
        .findLast(({ to, payload }) => to === 2 && payload.type === 'HeartbeatRequest');
      const payload = {
        type: 'HeartbeatReply',
        round: request?.payload.round as number,
        happy: true,
        ballot,
        leader: ballot,
      } as const;
      fresh.handle({ from: 2, to: 1, configurationId: 1, payload });
      fresh.tick();
    }
    expect(fresh.leader).toEqual(ballot);
    expect(fresh.isHappy).toBe(false);
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

describe('messages within a round', () => {
  const start = (electionTimeoutTicks: number) =>
    new BallotLeaderElection({ configurationId: 1, pid: 1, peers: [2, 3], electionTimeoutTicks });
  const requests = (election: BallotLeaderElection) =>
    election.getOutgoingMsgs().filter(({ payload }) => payload.type === 'HeartbeatRequest');
  const answer = (election: BallotLeaderElection, from: number, round: number, happy: boolean) => {
    const ballot = { n: 1, priority: 0, pid: from };
    const payload = { type: 'HeartbeatReply', round, happy, ballot, leader: { n: 0, priority: 0, pid: 0 } } as const;
    return election.handle({ from, to: 1, configurationId: 1, payload });
  };

  it('in the middle those who have not answered are asked once more', () => {
    const election = start(4);
    const [first] = requests(election);
    answer(election, 2, first?.payload.round as number, false);
    election.tick();
    expect(requests(election)).toEqual([]);
    election.tick();
    expect(requests(election)).toMatchObject([{ to: 3, payload: { round: first?.payload.round } }]);
    election.tick();
    expect(requests(election)).toEqual([]);
  });

  it('who stands, and hears that someone is happy, says at once that it stands no more', () => {
    const election = start(1);
    for (const from of [2, 3]) answer(election, from, 1, false);
    requests(election);
    election.tick();
    expect(requests(election).map(({ payload }) => 'stands' in payload)).toEqual([true, true]);
    answer(election, 2, 2, true);
    expect(requests(election).map(({ payload }) => 'stands' in payload)).toEqual([false, false]);
  });
});

describe('one takes over at a time', () => {
  /** Two hubs, 1 and 2, that do not see each other; the others see both, and nobody else: the leader, 7, has no quorum. */
  const spokes = [3, 4, 5, 6, 7];
  const isCut = (a: number, b: number) => Math.max(a, b) === 2 || Math.min(a, b) > 2;

  function transfer(all: readonly BallotLeaderElection[], pids: readonly number[]): void {
    for (const pid of pids) {
      for (const message of all[pid - 1]?.getOutgoingMsgs() ?? []) {
        if (!isCut(message.from, message.to)) all[message.to - 1]?.handle(message);
      }
    }
  }

  function settle(all: readonly BallotLeaderElection[]): void {
    for (let left = 20; left > 0; left--) transfer(all, [1, 2, ...spokes]);
  }

  it.each([
    ['the lower stands first', [1, 2]],
    ['the higher stands first', [2, 1]],
  ])('two hubs that do not see each other: %s', (_, order) => {
    const all = makeElections(7);
    rounds(4, all, all);
    const before = Math.max(...all.map(({ leader }) => leader.n));
    // The hubs end their rounds last, and both ask before either is heard.
    for (let round = 0; round < 4; round++) {
      for (const pid of spokes) all[pid - 1]?.tick();
      transfer(all, spokes);
      for (const pid of order) all[pid - 1]?.tick();
      transfer(all, order);
      settle(all);
    }
    const taken = [1, 2].filter((pid) => all[pid - 1]?.leader.pid === pid);
    expect(taken, 'exactly one of the hubs took over').toHaveLength(1);
    const [leader] = taken;
    expect(all.slice(2).map((election) => election.leader.pid)).toEqual(spokes.map(() => leader));
    expect(Math.max(...all.map((election) => election.leader.n))).toBe(before + 1);
  });

  const ballot = (pid: number) => ({ n: 2, priority: 0, pid });

  it('a node yields to one in a timeout, and of two that stand the lower withdraws', () => {
    const voter = new Candidacy(10);
    expect(voter.yields(1, ballot(1))).toBe(true);
    expect(voter.yields(1, ballot(1)), 'asked again').toBe(true);
    expect(voter.yields(2, ballot(2))).toBe(false);
    const standing = new Candidacy(10);
    standing.stand(ballot(2));
    expect(standing.yields(1, ballot(1))).toBe(false);
    expect(standing.onYield(4, ballot(1)), 'a yield to another ballot is none').toBe(0);
    expect(standing.onYield(4, ballot(2))).toBe(2);
    expect(standing.onYield(4, ballot(2)), 'each counts once').toBe(2);
    expect(standing.yields(3, ballot(3))).toBe(true);
    expect(standing.onYield(5, ballot(2)), 'it stands no more').toBe(0);
  });

  it('who came too late is first when the yield has run out, so halves of the yields do not go on for ever', () => {
    const voter = new Candidacy(10);
    expect(voter.yields(1, ballot(1))).toBe(true);
    expect(voter.yields(2, ballot(2))).toBe(false);
    for (let tick = 0; tick < 10; tick++) voter.tick();
    expect(voter.yields(1, ballot(1)), 'node 2 asked meanwhile, and is higher').toBe(false);
    expect(voter.yields(2, ballot(2))).toBe(true);
  });

  it('who yielded to a higher one yields to no lower one until that had the time to ask again: else it would find the yields of others run out', () => {
    const voter = new Candidacy(10);
    expect(voter.yields(2, ballot(2))).toBe(true);
    for (let tick = 0; tick < 10; tick++) voter.tick();
    expect(voter.hasYielded).toBe(false);
    for (let tick = 0; tick < 2; tick++) voter.tick();
    expect(voter.yields(1, ballot(1))).toBe(false);
    expect(voter.yields(2, ballot(2)), 'it asks again').toBe(true);
    for (let tick = 0; tick < 13; tick++) voter.tick();
    expect(voter.yields(1, ballot(1)), 'it does not ask again').toBe(true);
  });

  it('who stands gives way to a higher one that it hears of, and may yield to one that is higher still', () => {
    const voter = new Candidacy(10);
    expect(voter.yields(1, ballot(1))).toBe(true);
    expect(voter.yieldedBelow(ballot(1))).toBeUndefined();
    expect(voter.yieldedBelow(ballot(4))).toBe(1);
    const standing = new Candidacy(10);
    expect(standing.giveWay(ballot(4)), 'it does not stand').toBe(false);
    standing.stand(ballot(2));
    expect(standing.giveWay(ballot(1)), 'a lower one').toBe(false);
    expect(standing.giveWay(ballot(2)), 'its own').toBe(false);
    expect(standing.giveWay(ballot(4))).toBe(true);
    expect({ stands: standing.ballot, hasYielded: standing.hasYielded }).toEqual({
      stands: undefined,
      hasYielded: true,
    });
    expect(standing.yields(3, ballot(3))).toBe(false);
    expect(standing.yields(5, ballot(5))).toBe(true);
    const free = new Candidacy(10);
    free.stand(ballot(2));
    free.giveWay(ballot(4));
    for (let tick = 0; tick < 10; tick++) free.tick();
    expect(free.hasYielded, 'not for longer than a timeout').toBe(false);
  });

  it('who yielded to one that withdraws is free at once, for the one that came too late', () => {
    const voter = new Candidacy(10);
    expect(voter.yields(1, ballot(1))).toBe(true);
    expect(voter.yields(2, ballot(2))).toBe(false);
    expect(voter.release(3)).toBeUndefined();
    expect(voter.release(1)).toMatchObject({ pid: 2, ballot: ballot(2) });
    expect(voter.release(1)).toBeUndefined();
  });
});

describe('a node that is asked to take over', () => {
  it('does so if it reached a quorum in the last round, and else leaves the lead where it is', () => {
    const all = makeElections(3);
    rounds(4, all, all);
    const [one, two, three] = all as [BallotLeaderElection, BallotLeaderElection, BallotLeaderElection];
    expect(three.leader).toEqual(three.ballot);
    expect(two.takeOver()).toEqual({ n: three.ballot.n + 1, priority: 0, pid: 2 });
    rounds(2, [one], all);
    expect(one.takeOver()).toBeUndefined();
  });
});

describe('a successor of a leader that does not go on', () => {
  const ids = [1, 2, 3];
  const make = (pid: number, isSuccessor: boolean) =>
    new BallotLeaderElection({ configurationId: 2, pid, peers: ids.filter((id) => id !== pid), isSuccessor });

  it('is in office from the start, above the first ballot of every other', () => {
    const all = [make(1, true), make(2, false), make(3, false)];
    const [{ ballot }] = all as [BallotLeaderElection];
    rounds(3, all, all);
    expect(all.map((election) => election.leader)).toEqual([ballot, ballot, ballot]);
  });

  it('follows whoever was elected before it came', () => {
    const late = make(3, true);
    const others = [make(1, false), make(2, false)];
    const all = [...others, late];
    rounds(4, others, all);
    const [{ leader }] = others as [BallotLeaderElection];
    expect(leader.pid).toBeLessThan(3);
    for (let round = 0; round < 4; round++) {
      rounds(1, all, all);
      for (const election of others) expect(election.leader).toEqual(leader);
    }
    expect(late.leader).toEqual(leader);
  });
});

describe('a successor whose followers come later than its first round', () => {
  const start = (electionTimeoutTicks: number) => {
    const paxos = { promise: { n: 0, priority: 0, pid: 0 }, isLeaderInAcceptPhase: false };
    const options = { configurationId: 2, pid: 1, peers: [2, 3], isSuccessor: true, electionTimeoutTicks, paxos };
    return { paxos, election: new BallotLeaderElection(options) };
  };

  it('is happy if it came into office in that round, though no heartbeat of theirs was answered in it', () => {
    const { paxos, election } = start(1);
    paxos.isLeaderInAcceptPhase = true;
    election.tick();
    expect(election.isHappy).toBe(true);
    election.tick();
    expect(election.isHappy, 'still nobody answers').toBe(false);
  });

  it('is happy as soon as it comes into office', () => {
    const { paxos, election } = start(3);
    for (let tick = 0; tick < 3; tick++) election.tick();
    expect(election.isHappy).toBe(false);
    paxos.isLeaderInAcceptPhase = true;
    election.tick();
    expect(election.isHappy).toBe(true);
  });
});

describe('a leader that goes on in a new configuration', () => {
  it('asks again who was not there yet when it asked, and so keeps its office', () => {
    const ids = [1, 2, 3];
    const make = (pid: number, isIncumbent: boolean) =>
      new BallotLeaderElection({ configurationId: 2, pid, peers: ids.filter((id) => id !== pid), isIncumbent });
    const leader = make(3, true);
    // The others apply the StopSign a little later: what the leader asked meanwhile is lost.
    leader.getOutgoingMsgs();
    const all = [make(1, false), make(2, false), leader];
    const { ballot } = leader;
    deliver(all, all);
    for (let round = 0; round < 4; round++) {
      // The leader's rounds end first.
      for (const election of [...all].reverse()) {
        election.tick();
        deliver(all, all);
      }
      expect(all.map((election) => election.leader)).toEqual([ballot, ballot, ballot]);
      expect(leader.isHappy).toBe(true);
    }
  });
});
