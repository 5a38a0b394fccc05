import { describe, expect, it } from 'vitest';
import type { Ballot, PaxosPayload } from '../../src/omnipaxos/index.ts';
import { bottomBallot, compareBallots, MemoryStore, majority, OmniPaxos } from '../../src/omnipaxos/index.ts';
import { Cluster, name } from './cluster.ts';

/** "Mistakes already made by others" (PROTOCOL), those that concern the core: each as a scenario that quotes its rule. */
describe('mistakes already made by others', () => {
  it('1. "the log with the highest (acceptedRound, acceptedIndex)": compared as a pair, round first', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.cut(1, 2, 3);
    cluster.propose(1, 'old-1', 'old-2', 'old-3');
    cluster.settle();
    cluster.lead(2);
    cluster.propose(2, 'new');
    cluster.settle();
    cluster.crash(2);
    cluster.healAll();
    cluster.lead(1);
    cluster.tick(4);
    expect(cluster.decidedOf(1), 'the longer log of the older round loses').toEqual(['new']);
    expect(cluster.decidedOf(3)).toEqual(['new']);
  });

  it('2. "the smaller of its accepted index and the adopted log\'s": AcceptSync never starts past a follower\'s end', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.cut(1, 3);
    cluster.propose(1, 'a', 'b', 'c');
    cluster.settle();
    cluster.crash(1);
    cluster.lead(2);
    cluster.tick(4);
    expect(cluster.decidedOf(3)).toEqual(['a', 'b', 'c']);
  });

  it('3. an old leader with a longer divergent suffix does not keep it', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.propose(1, 'shared');
    cluster.settle();
    cluster.cut(1, 2, 3);
    cluster.propose(1, 'lost-1', 'lost-2', 'lost-3');
    cluster.settle();
    cluster.lead(2);
    cluster.propose(2, 'kept');
    cluster.settle();
    cluster.healAll();
    cluster.tick(8);
    expect(cluster.paxos(1).acceptedIndex).toBe(2);
    cluster.expectDecided(['shared', 'kept']);
  });

  it('4. "a node that recovers a promise starts with n = 0": it never comes back as the leader it was', () => {
    const cluster = new Cluster();
    const first = cluster.elect();
    const before = cluster.paxos(first).promise;
    cluster.propose(first, 'a');
    cluster.settle();
    cluster.crash(first);
    cluster.restart(first);
    expect(cluster.paxos(first).isLeader).toBe(false);
    expect(cluster.node(first).election.ballot.n).toBe(0);
    expect(cluster.node(first).election.leader).toEqual(before);
    cluster.elect();
    const ballots = cluster.leaderships.filter((ballot) => compareBallots(ballot, before) === 0);
    expect(ballots, 'no ballot leads twice').toHaveLength(1);
    cluster.expectDecided(['a']);
  });

  it('5. only ballots of those who answer are followed: a chain of three does not change leaders', () => {
    const cluster = new Cluster();
    const leader = cluster.elect();
    const [end, middle] = cluster.ids.filter((pid) => pid !== leader) as [number, number];
    cluster.cut(leader, end);
    const before = cluster.leaderships.length;
    cluster.timeouts(40);
    expect(cluster.leaderships).toHaveLength(before);
    expect(cluster.node(middle).election.leader.pid).toBe(leader);
  });

  it('7. a StopSign counts in the accepted index, travels in promises, and may be the first entry', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.cut(1, 3);
    expect(cluster.paxos(1).proposeReconfiguration([1, 2, 4])).toEqual({ ok: true });
    cluster.settle();
    expect(cluster.paxos(2).acceptedIndex).toBe(1);
    cluster.crash(1);
    cluster.lead(3);
    cluster.tick(4);
    expect(cluster.decidedOf(3)).toEqual(['StopSign(1,2,4)']);
    expect(cluster.paxos(3).isReconfigured()).toEqual({ configId: 2, nodes: [1, 2, 4] });
    expect(cluster.propose(3, 'after')).toEqual({ ok: false, reason: 'stopped' });
  });

  it('7b. "a later leader may still replace it while undecided"', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.cut(1, 2, 3);
    cluster.paxos(1).proposeReconfiguration([1, 2, 4]);
    cluster.settle();
    expect(cluster.paxos(1).isStopped).toBe(true);
    cluster.lead(2);
    cluster.propose(2, 'instead');
    cluster.settle();
    cluster.healAll();
    cluster.tick(8);
    expect(cluster.paxos(1).isStopped).toBe(false);
    cluster.expectDecided(['instead']);
  });

  it('9. a batch is sent although no more comes', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.propose(2, 'alone');
    cluster.settle();
    cluster.expectDecided(['alone']);
  });

  it('10. "round, log and decided index change in one atomic write": a crash tears no transition', () => {
    // Node 3 takes the new leader's log; its disk stops after each count of transitions in turn.
    for (let writes = 0; writes < 12; writes++) {
      const cluster = new Cluster();
      cluster.lead(1);
      cluster.propose(1, 'a');
      cluster.settle();
      cluster.cut(1, 2, 3);
      cluster.propose(1, 'divergent-1', 'divergent-2');
      cluster.settle();
      cluster.lead(2);
      cluster.propose(2, 'b', 'c');
      cluster.settle();
      const { store } = cluster.node(1);
      const flush = store.flush.bind(store);
      const limit = store.lastWrite + writes;
      store.flush = (upTo = store.lastWrite) => flush(Math.min(upTo, limit));
      cluster.healAll();
      cluster.tick(4);
      cluster.crash(1);
      cluster.restart(1);
      const log = cluster.paxos(1).readEntries(0, cluster.paxos(1).acceptedIndex).map(name);
      expect(
        [
          ['a', 'divergent-1', 'divergent-2'],
          ['a', 'b', 'c'],
        ],
        `after ${writes} writes`,
      ).toContainEqual(log);
      cluster.tick(8);
      cluster.expectDecided(['a', 'b', 'c']);
    }
  });

  it('12. manual leadership with a ballot not above the promise is ignored', () => {
    const cluster = new Cluster();
    cluster.lead(2);
    const { promise } = cluster.paxos(1);
    cluster.paxos(1).handleLeader({ n: promise.n, priority: 0, pid: 1 });
    expect(cluster.paxos(1).isLeader).toBe(false);
    expect(cluster.paxos(1).promise).toEqual(promise);
  });

  it('13. sparse node ids leave no ghosts', () => {
    const cluster = new Cluster({ nodes: [2, 3, 9] });
    const leader = cluster.elect();
    cluster.propose(leader, 'a');
    cluster.settle();
    cluster.expectDecided(['a']);
    cluster.crash(leader);
    const next = cluster.elect();
    cluster.propose(next, 'b');
    cluster.settle();
    cluster.expectDecided(['a', 'b']);
  });

  it('14. a promise is made afresh for each Prepare', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    let isFirst = true;
    // The first answer of node 2 is lost; before it answers again, it learns more.
    cluster.fate = ({ payload, from }) => {
      if (payload.type !== 'Promise' || from !== 2 || !isFirst) return 'deliver';
      isFirst = false;
      return 'drop';
    };
    cluster.lead(3);
    cluster.propose(3, 'a');
    cluster.tick(6);
    cluster.expectDecided(['a']);
  });

  it('15. "sender and receiver": a message to another node, of another configuration or from a stranger is ignored', () => {
    const paxos = new OmniPaxos<string>({ configurationId: 1, pid: 2, peers: [1, 3] });
    const payload: PaxosPayload<string> = {
      type: 'Prepare',
      ballot: { n: 5, priority: 0, pid: 1 },
      decidedIndex: 0,
      acceptedRound: bottomBallot,
      acceptedIndex: 0,
    };
    paxos.handle({ from: 1, to: 3, configurationId: 1, payload });
    paxos.handle({ from: 1, to: 2, configurationId: 2, payload });
    paxos.handle({ from: 7, to: 2, configurationId: 1, payload });
    expect(paxos.promise).toEqual(bottomBallot);
    // A Prepare for a ballot that its sender does not own.
    paxos.handle({ from: 3, to: 2, configurationId: 1, payload });
    expect(paxos.promise).toEqual(bottomBallot);
    paxos.handle({ from: 1, to: 2, configurationId: 1, payload });
    expect(paxos.promise).toEqual(payload.ballot);
  });

  it('17. trim goes by the decided index, not by the accepted', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.propose(1, 'a');
    cluster.settle();
    cluster.cut(1, 2, 3);
    cluster.propose(1, 'undecided');
    cluster.settle();
    expect(() => cluster.paxos(1).trim(2)).toThrow(RangeError);
    cluster.paxos(1).trim(1);
    expect(cluster.paxos(1).trimmedIndex).toBe(1);
  });

  it('18. a duplicate Promise in the accept phase opens no new session', () => {
    const cluster = new Cluster();
    cluster.fate = ({ payload }) => (payload.type === 'Promise' ? 'duplicate' : 'deliver');
    cluster.lead(1);
    cluster.propose(1, 'a');
    cluster.resend(20);
    cluster.expectDecided(['a']);
    // One for each follower at the adoption or after it; a duplicate opened none.
    expect(cluster.trace.filter((line) => line.includes('AcceptSync'))).toHaveLength(2);
  });

  it('19. a StopSign proposed at a follower is forwarded; what it overtook goes back to whoever proposed it', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.paxos(2).proposeReconfiguration([1, 2, 4]);
    cluster.propose(2, 'overtaken at 2');
    cluster.propose(3, 'overtaken at 3');
    cluster.settle();
    cluster.tick(4);
    cluster.expectDecided(['StopSign(1,2,4)']);
    expect(cluster.node(2).returned.map(name)).toEqual(['overtaken at 2']);
    expect(cluster.node(3).returned.map(name)).toEqual(['overtaken at 3']);
  });

  it('22. no read by an old leader, none before catching up, none by a confirmation from before it began', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.propose(1, 'a');
    cluster.settle();
    cluster.cut(1, 2, 3);
    const stale = cluster.paxos(1).requestRead() as number;
    cluster.lead(2);
    cluster.propose(2, 'b');
    cluster.tick(6);
    expect(cluster.node(1).ready.has(stale), 'the old leader has nobody to confirm').toBe(false);
    cluster.healAll();
    cluster.tick(8);
    expect(cluster.node(1).ready.get(stale), 'asked again at the new leader').toBeGreaterThanOrEqual(2);
  });

  it('22b. a repeated ConfirmRequest is a new round: late answers to the old one confirm no read that came since', () => {
    const leader = new OmniPaxos<string>({ configurationId: 1, pid: 1, peers: [2, 3], resendTicks: 1 });
    const ballot: Ballot = { n: 1, priority: 0, pid: 1 };
    leader.handleLeader(ballot);
    const promise = { type: 'Promise', ballot, acceptedRound: bottomBallot, acceptedIndex: 0 } as const;
    const receive = (payload: PaxosPayload<string>) => leader.handle({ from: 2, to: 1, configurationId: 1, payload });
    receive({ ...promise, decidedIndex: 0, suffixFrom: 0, suffix: [] });
    leader.requestRead();
    const sent = leader
      .getOutgoingMsgs()
      .flatMap(({ payload }) => (payload.type === 'ConfirmRequest' ? [payload] : []));
    const round = sent[0]?.round as number;
    leader.tick();
    const late = leader.requestRead() as number;
    receive({ type: 'Confirm', ballot, round });
    expect(leader.takeReadyReads().map(({ readId }) => readId)).not.toContain(late);
  });
});

describe('durable before it is sent', () => {
  it('"the promise before Prepare and Promise"', () => {
    const cluster = new Cluster({ flushes: false });
    cluster.paxos(1).handleLeader({ n: 1, priority: 0, pid: 1 });
    cluster.settle();
    expect(cluster.trace.filter((line) => line.includes('Prepare '))).toHaveLength(0);
    cluster.node(1).store.flush();
    cluster.settle();
    expect(cluster.trace.filter((line) => line.includes('Prepare '))).toHaveLength(2);
    expect(cluster.trace.filter((line) => line.includes('Promise'))).toHaveLength(0);
    cluster.node(2).store.flush();
    cluster.settle();
    expect(cluster.trace.filter((line) => line.includes('Promise'))).toHaveLength(1);
  });

  it('"log and accepted round before Accepted and before the leader counts itself"', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    const flushes = cluster.ids.map((pid) => {
      const { store } = cluster.node(pid);
      const flush = store.flush.bind(store);
      store.flush = () => undefined;
      return flush;
    });
    cluster.propose(1, 'a');
    cluster.settle();
    expect(cluster.paxos(3).acceptedIndex, 'AcceptDecide leaves while the disk of the leader writes').toBe(1);
    flushes[0]?.();
    cluster.settle();
    expect(cluster.paxos(1).decidedIndex, 'the leader alone is no accept quorum').toBe(0);
    flushes[2]?.();
    cluster.settle();
    expect(cluster.paxos(1).decidedIndex).toBe(1);
  });

  it('a crash that forgets a promise which nobody was told of leaves nobody stuck', () => {
    const cluster = new Cluster({ nodes: 5 });
    cluster.cut(3, 1, 2, 4, 5);
    cluster.lead(1);
    const { store } = cluster.node(3);
    store.flush = () => undefined;
    cluster.healAll(true);
    cluster.cut(2, 3);
    // Node 3 promises node 4's ballot in memory, says so to node 1, and forgets it.
    cluster.paxos(3).handle({
      from: 4,
      to: 3,
      configurationId: 1,
      payload: {
        type: 'Prepare',
        ballot: { n: 9, priority: 0, pid: 4 },
        decidedIndex: 0,
        acceptedRound: bottomBallot,
        acceptedIndex: 0,
      },
    });
    for (let ticks = 0; ticks < 4; ticks++) {
      cluster.paxos(1).tick();
      cluster.settle();
    }
    cluster.crash(3);
    cluster.restart(3, true);
    cluster.propose(1, 'a');
    cluster.resend(8);
    expect(cluster.decidedOf(3)).toEqual(['a']);
  });
});

describe('trim, catch-up and the StopSign', () => {
  it('"the decided index need not be durable": a store that lost it starts at what is trimmed, which was decided', () => {
    const store = new MemoryStore<string>();
    store.sequence.reset(5);
    store.sequence.append([{ type: 'Normal', entry: 'undecided, as far as is known' }]);
    const ballot = { n: 1, priority: 0, pid: 1 };
    Object.assign(store.state, { promise: ballot, acceptedRound: ballot });
    const paxos = new OmniPaxos<string>({ configurationId: 1, pid: 2, peers: [1, 3], store });
    expect([paxos.trimmedIndex, paxos.decidedIndex, paxos.acceptedIndex]).toEqual([5, 5, 6]);
  });

  it('a node that lacks what is trimmed gets it by catch-up, then the log from there', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.cut(3, 1, 2);
    cluster.propose(1, 'a', 'b', 'c');
    cluster.settle();
    for (const pid of [1, 2]) cluster.paxos(pid).trim(2);
    cluster.healAll();
    cluster.propose(1, 'd');
    cluster.tick(8);
    expect(cluster.paxos(3).trimmedIndex).toBe(2);
    expect(cluster.decidedOf(3)).toEqual(['c', 'd']);
  });

  it('a leader that lacks what others trimmed catches up before it adopts', () => {
    const cluster = new Cluster();
    cluster.lead(1);
    cluster.cut(3, 1, 2);
    cluster.propose(1, 'a', 'b', 'c');
    cluster.settle();
    for (const pid of [1, 2]) cluster.paxos(pid).trim(2);
    cluster.healAll();
    cluster.lead(3);
    cluster.propose(3, 'd');
    cluster.tick(4);
    for (const pid of cluster.ids) expect(cluster.paxos(pid).decidedIndex).toBe(4);
  });

  it('a leader that caught up over an old accepted round asks nobody for more than there is', () => {
    const cluster = new Cluster({ nodes: 5 });
    cluster.lead(1);
    cluster.propose(1, 'a');
    cluster.settle();
    cluster.cut(5, 1, 2, 3, 4);
    cluster.lead(2);
    cluster.cut(4, 2);
    cluster.propose(2, 'b', 'c');
    cluster.settle();
    cluster.install(cluster.node(5), cluster.node(2));
    expect(cluster.paxos(4).acceptedIndex).toBe(1);
    cluster.healAll(true);
    cluster.cut(2, 1, 3, 4, 5);
    cluster.lead(5);
    cluster.propose(5, 'd');
    cluster.tick(4);
    expect(cluster.decidedOf(4)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('a decided StopSign that comes by catch-up ends the log there: what was behind it goes', () => {
    const cluster = new Cluster();
    cluster.lead(3);
    cluster.cut(3, 1, 2);
    cluster.propose(3, 'old-1', 'old-2', 'old-3');
    cluster.settle();
    cluster.lead(1);
    cluster.paxos(1).proposeReconfiguration([1, 2]);
    cluster.settle();
    const store = new MemoryStore<string>();
    store.sequence.append(cluster.paxos(3).readEntries(0, 3));
    const behind = new OmniPaxos<string>({ configurationId: 1, pid: 3, peers: [1, 2], store });
    behind.installDecided(0, cluster.paxos(1).getDecidedEntries());
    expect(behind.isReconfigured()?.nodes).toEqual([1, 2]);
    expect(behind.acceptedIndex).toBe(1);
    behind.trim(1);
    expect(behind.isReconfigured()?.nodes, 'the StopSign is never trimmed').toEqual([1, 2]);
  });

  it('decided entries of the next configuration, which a donor may send along, do not enter this one', () => {
    const behind = new OmniPaxos<string>({ configurationId: 1, pid: 3, peers: [1, 2] });
    const entries = [
      { type: 'Normal', entry: 'a' },
      { type: 'StopSign', stopSign: { configId: 2, nodes: [1, 2] } },
      { type: 'Normal', entry: 'of configuration 2' },
    ] as const;
    behind.installDecided(0, entries);
    expect(behind.decidedIndex).toBe(2);
    expect(behind.isReconfigured()?.nodes).toEqual([1, 2]);
    behind.installDecided(2, entries.slice(2));
    expect(behind.acceptedIndex).toBe(2);
  });

  it('a leader of the past that meets decisions of a higher ballot does not fail, and decides nothing', () => {
    const cluster = new Cluster({ nodes: 5 });
    cluster.lead(1);
    cluster.cutAllBut([2, 3], [2, 4], [3, 4]);
    cluster.lead(2);
    cluster.propose(2, 'a', 'b', 'c');
    cluster.settle();
    cluster.install(cluster.node(5), cluster.node(2));
    cluster.heal(1, 5);
    cluster.propose(1, 'x');
    for (let ticks = 0; ticks < 8; ticks++) {
      for (const pid of [1, 5]) cluster.paxos(pid).tick();
      cluster.settle();
    }
    expect(cluster.paxos(1).decidedIndex).toBe(0);
    cluster.healAll();
    cluster.tick(16);
    cluster.expectDecided(['a', 'b', 'c']);
  });

  it('a promise or Accepted that goes past the log shows a leader that it is of the past; it does not fail', () => {
    const leader = new OmniPaxos<string>({ configurationId: 1, pid: 1, peers: [2, 3] });
    const ballot: Ballot = { n: 1, priority: 0, pid: 1 };
    leader.handleLeader(ballot);
    const receive = (from: number, payload: PaxosPayload<string>) =>
      leader.handle({ from, to: 1, configurationId: 1, payload });
    const promise = { type: 'Promise', ballot, acceptedRound: bottomBallot, suffix: [] } as const;
    receive(2, { ...promise, decidedIndex: 0, acceptedIndex: 0, suffixFrom: 0 });
    receive(3, { ...promise, decidedIndex: 3, acceptedIndex: 3, suffixFrom: 3 });
    receive(2, { type: 'Accepted', ballot, acceptedIndex: 3, decidedIndex: 3 });
    expect(leader.decidedIndex).toBe(0);
  });

  it('entries of one round are never trusted below what the other decided by catch-up from a later round', () => {
    // F (5) has 'y' of round 1 undecided; N (4) has caught up on 'x', decided in round 3 of which its own ballot knows nothing.
    const follower = { acceptedRound: { n: 1, priority: 0, pid: 3 }, acceptedIndex: 1, decidedIndex: 0 };
    const store = new MemoryStore<string>();
    store.sequence.append([{ type: 'Normal', entry: 'y' }]);
    Object.assign(store.state, { promise: follower.acceptedRound, acceptedRound: follower.acceptedRound });
    const leader = new OmniPaxos<string>({ configurationId: 1, pid: 5, peers: [1, 2, 3, 4], store });
    const ballot = { n: 2, priority: 0, pid: 5 };
    leader.handleLeader(ballot);
    const [prepare] = leader.getOutgoingMsgs().flatMap(({ payload }) => (payload.type === 'Prepare' ? [payload] : []));
    const other = new MemoryStore<string>();
    Object.assign(other.state, { promise: follower.acceptedRound, acceptedRound: follower.acceptedRound });
    const peer = new OmniPaxos<string>({ configurationId: 1, pid: 4, peers: [1, 2, 3, 5], store: other });
    peer.installDecided(
      0,
      ['x', 'z'].map((entry) => ({ type: 'Normal', entry }) as const),
    );
    peer.handle({ from: 5, to: 4, configurationId: 1, payload: prepare as PaxosPayload<string> });
    for (const message of peer.getOutgoingMsgs()) leader.handle(message);
    const promise = { type: 'Promise', ballot, ...follower, acceptedIndex: 0, suffixFrom: 0, suffix: [] } as const;
    leader.handle({ from: 1, to: 5, configurationId: 1, payload: promise });
    expect(leader.isLeaderInAcceptPhase).toBe(true);
    expect(leader.getDecidedEntries().map(name)).toEqual(['x', 'z']);
  });
});

describe('nobody stays stuck', () => {
  it.each([
    { who: 'a follower whose ballot died with its owner is', quorum: majority(5), strandedCount: 1 },
    // No majority follows the leader, and not everyone is in reach: it goes on with one follower.
    { who: 'two of four that are left, where two accept, are', quorum: { prepare: 4, accept: 2 }, strandedCount: 2 },
  ])('$who taken in by the leader in office, which stays', ({ quorum, strandedCount }) => {
    const cluster = new Cluster({ nodes: 5, quorum });
    const leader = cluster.elect();
    const [dying, ...others] = cluster.ids.filter((pid) => pid !== leader) as [number, ...number[]];
    const stranded = others.slice(0, strandedCount);
    cluster.cutAllBut(...stranded.map((pid) => [dying, pid] as const));
    const { promise } = cluster.paxos(leader);
    cluster.paxos(dying).handleLeader({ n: promise.n + 3, priority: 0, pid: dying });
    cluster.settle();
    cluster.crash(dying);
    cluster.healAll();
    cluster.timeouts(8);
    expect(cluster.leader).toBe(leader);
    const count = cluster.leaderships.length;
    cluster.propose(stranded[0] as number, 'from the stranded');
    cluster.timeouts(30);
    expect(cluster.leaderships, 'no further change').toHaveLength(count);
    cluster.expectDecided(['from the stranded']);
  });

  it('a gap, the lost PrepareRequest, and an old duplicate of Prepare: the Probe mends it', () => {
    const cluster = new Cluster();
    cluster.fate = (message) => {
      if (message.payload.type === 'Prepare' && message.to === 3) cluster.held.push(message);
      return 'deliver';
    };
    cluster.lead(1);
    cluster.fate = ({ payload, to }) =>
      (payload.type === 'AcceptDecide' && to === 3) || payload.type === 'PrepareRequest' ? 'drop' : 'deliver';
    cluster.propose(1, 'a', 'b');
    cluster.settle();
    expect(cluster.paxos(3).phase).toBe('recover');
    cluster.release();
    cluster.settle();
    expect(cluster.paxos(3).phase).toBe('promised');
    cluster.fate = () => 'deliver';
    cluster.resend(6);
    cluster.expectDecided(['a', 'b']);
  });

  it('a follower still in session that its leader has given up as behind is told, and catches up', () => {
    const cluster = new Cluster({ replica: { undecidedSizeMax: 4, syncSizeMax: 5 } });
    cluster.lead(1);
    cluster.propose(1, 'a');
    cluster.settle();
    cluster.cut(3, 1);
    for (const entry of 'bcdefghijk') {
      cluster.propose(1, entry);
      cluster.settle();
    }
    // Only the leader sees that the link is new: the follower goes on in its old session.
    cluster.heal(1, 3, true);
    cluster.paxos(1).reconnected(3);
    cluster.resend(12);
    expect(cluster.decidedOf(3)).toEqual([...'abcdefghijk']);
  });

  it('one node alone is its own quorum, before and after a crash', () => {
    const cluster = new Cluster({ nodes: 1 });
    cluster.elect();
    cluster.propose(1, 'a');
    cluster.settle();
    cluster.crash(1);
    cluster.restart(1);
    cluster.elect();
    cluster.propose(1, 'b');
    const read = cluster.paxos(1).requestRead() as number;
    cluster.tick();
    cluster.expectDecided(['a', 'b']);
    expect(cluster.node(1).ready.get(read)).toBeGreaterThanOrEqual(1);
  });
});
