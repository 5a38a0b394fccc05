import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { PeerMessage } from '../../src/wire/peer-message.ts';
import { Client, Cluster } from './cluster.ts';

/** Election timeouts after which the proposing node waits no longer for who is to be a member. */
const patience = 16;

const others = (cluster: Cluster, leader: NodeId) => cluster.running.filter((id) => id !== leader);

function stopSigns(cluster: Cluster, id: NodeId): number {
  const { sequence } = cluster.log(id);
  return sequence.read(sequence.trimmedIndex, sequence.endIndex).filter(({ type }) => type === 'StopSign').length;
}

describe('the node that proposes a reconfiguration looks for itself', () => {
  it('says so where it has not heard of the configuration that is to be changed: others know better', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const late = [1, 2, 3].find((id) => id !== leader) as NodeId;
    const others = [1, 2, 3].filter((id) => id !== late);
    cluster.start(4);
    cluster.isolate(late);
    cluster.reconfigureTo(leader, [...others, 4]);
    // Where node 4 is it cannot know.
    const nodes = [{ id: leader }, { id: 4 }];
    expect(cluster.askNow(late, { type: 'reconfigure', nodes, ifConfigurationId: 2 })).toEqual({
      ...{ type: 'failed', code: 'noMajority', outcome: 'notApplied' },
      message: `node ${late} has not heard of configuration 2 yet: it knows 1`,
    });
  });

  it('refuses at once a newcomer that one of the two will not have, and says why', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const ask = cluster.reconfigure(leader, [1, 2, 3, 4], 60_000);
    cluster.settle();
    expect(ask.answer).toBeUndefined();
    const reason = 'node 4 is of cluster "theirs", node 1 of "story"';
    cluster.replica(leader).receive({ type: 'peerUnreached', nodeId: 4, reason, isRefusal: true });
    cluster.tick();
    const message = `node 4 cannot be a member: ${reason}`;
    expect(ask.answer).toEqual({ type: 'failed', code: 'unreachable', outcome: 'notApplied', message });
    expect(stopSigns(cluster, leader)).toBe(0);
  });

  it('gives one that does not answer some time, not all of the time that the client has', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const ask = cluster.reconfigure(leader, [1, 2, 3, 4], 600_000);
    cluster.tick();
    cluster
      .replica(leader)
      .receive({ type: 'peerUnreached', nodeId: 4, reason: 'connection refused', isRefusal: false });
    cluster.timeouts(5);
    expect(ask.answer).toBeUndefined();
    cluster.timeouts(patience);
    expect(ask.answer).toMatchObject({ type: 'failed', code: 'unreachable', outcome: 'notApplied' });
    expect(ask.answer).toMatchObject({
      message: expect.stringMatching(/node 4 .* node-4:7000 \(connection refused\)/),
    });
    // It takes the next one.
    cluster.start(4);
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
  });

  it('one that comes up meanwhile is taken in', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const ask = cluster.reconfigure(leader, [1, 2, 3, 4], 600_000);
    cluster.timeouts(5);
    cluster.start(4);
    cluster.until('it is answered', () => ask.answer !== undefined);
    expect(ask.answer).toEqual({ type: 'reconfigured', configurationId: 2 });
  });

  it('takes no newcomer in with a directory that runs under its id elsewhere', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    cluster.start(4);
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    cluster.reconfigureTo(leader, [1, 2, 3]);
    // It was taken out and runs on. Another directory of its id is to be taken in, at another address.
    const former = cluster.replica(4).hello().storageId;
    const wanted = (storageId: string) => {
      const nodes = [{ id: 1 }, { id: 2 }, { id: 3 }, { id: 4, address: 'new-home:7000', storageId }];
      const ask = cluster.ask(leader, { type: 'reconfigure', nodes }, 600_000);
      cluster.until('there is an answer', () => ask.answer !== undefined);
      return ask.answer;
    };
    expect(wanted('0123')).toMatchObject({
      ...{ type: 'failed', code: 'unreachable', outcome: 'notApplied' },
      message: expect.stringMatching(
        new RegExp(
          `^at new-home:7000 node 4 runs with data directory 0123, and another one, ${former}, runs as node 4 at `,
        ),
      ),
    });
    expect(cluster.replica(leader).status().configurationId).toBe(3);
    expect(wanted(former)).toMatchObject({ type: 'reconfigured', configurationId: 4 });
  });

  it('leaves a member that stays where it is what it votes with, whatever answers there', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    cluster.start(4);
    const stays = { id: 3, address: 'node-3:7000', storageId: '0123' };
    const nodes = [{ id: 1 }, { id: 2 }, stays, { id: 4, address: 'node-4:7000' }];
    const ask = cluster.ask(leader, { type: 'reconfigure', nodes }, 600_000);
    cluster.until('there is an answer', () => ask.answer !== undefined);
    expect(ask.answer).toEqual({ type: 'reconfigured', configurationId: 2 });
  });

  it('does not take another directory for a member that moved', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const nodes = [{ id: 1 }, { id: 2 }, { id: 3, address: 'new-home:7000', storageId: '0123' }];
    const ask = cluster.ask(leader, { type: 'reconfigure', nodes }, 600_000);
    cluster.until('there is an answer', () => ask.answer !== undefined);
    expect(ask.answer).toMatchObject({ type: 'failed', code: 'unreachable', outcome: 'notApplied' });
    expect(ask.answer).toHaveProperty(
      'message',
      expect.stringMatching(/^at new-home:7000 node 3 runs with data directory 0123, and votes with /),
    );
  });

  it('proposes nothing of which no majority is in its reach', () => {
    const cluster = new Cluster([1, 2, 3, 4, 5]);
    const leader = cluster.elect();
    const [first, second, third, fourth] = others(cluster, leader) as [NodeId, NodeId, NodeId, NodeId];
    cluster.crash(third);
    cluster.crash(fourth);
    // The present majority stands; of the next one only the leader would.
    const ask = cluster.reconfigure(leader, [leader, third, fourth], 600_000);
    cluster.timeouts(patience);
    expect(ask.answer).toMatchObject({ type: 'failed', code: 'unreachable', outcome: 'notApplied' });
    expect(ask.answer).toMatchObject({ message: expect.stringContaining(`${third}, ${fourth}`) });
    expect(stopSigns(cluster, leader)).toBe(0);
    cluster.reconfigureTo(leader, [leader, first, second]);
  });

  it('says that another node had better be asked where it is cut off itself', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const [cutOff, other] = others(cluster, leader) as [NodeId, NodeId];
    cluster.cut([cutOff], [leader, other]);
    const ask = cluster.reconfigure(cutOff, [leader, other, 4], 600_000);
    cluster.start(4);
    cluster.timeouts(patience + 5);
    expect(ask.answer).toMatchObject({
      ...{ type: 'failed', code: 'noMajority', outcome: 'notApplied', message: expect.stringContaining('no link to') },
    });
    cluster.reconfigureTo(other, [leader, other, 4]);
  });

  it('leaves it to others where it has a majority within its reach, but not the leader', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const [first] = others(cluster, leader) as [NodeId];
    cluster.start(4);
    cluster.cut([leader], [first]);
    const ask = cluster.reconfigure(first, [1, 2, 3, 4], 600_000);
    cluster.timeouts(5);
    expect(ask.answer).toBeUndefined();
    cluster.timeouts(patience);
    expect(ask.answer).toMatchObject({ type: 'failed', code: 'noMajority', outcome: 'notApplied' });
    expect(ask.answer).toHaveProperty('message', expect.stringMatching(/within the reach of node \d$/));
  });

  it('refuses what was meant for a configuration that is over', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    cluster.start(4);
    cluster.reconfigureTo(leader, [1, 2, 3, 4]);
    const nodes = [1, 2, 3].map((id) => ({ id }));
    const stale = cluster.askNow(cluster.elect(), { type: 'reconfigure', nodes, ifConfigurationId: 1 });
    expect(stale).toMatchObject({ type: 'failed', code: 'reconfiguring', outcome: 'notApplied' });
    expect(stale).toMatchObject({ message: expect.stringContaining('configuration 2 has the members 1, 2, 3, 4') });
    const fresh = cluster.ask(cluster.elect(), { type: 'reconfigure', nodes, ifConfigurationId: 2 });
    cluster.until('it is answered', () => fresh.answer !== undefined);
    expect(fresh.answer).toEqual({ type: 'reconfigured', configurationId: 3 });
  });

  it('a second one is refused at once, by the node that has the first', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const first = cluster.reconfigure(leader, [1, 2, 3, 4], 60_000);
    const second = cluster.reconfigure(leader, [1, 2], 60_000);
    cluster.settle();
    expect(first.answer).toBeUndefined();
    expect(second.answer).toMatchObject({ type: 'failed', code: 'reconfiguring', outcome: 'notApplied' });
    expect(second.answer).toMatchObject({
      message: expect.stringContaining('while one to the members 1, 2, 3, 4 is under way'),
    });
  });

  it('a second one through another node is refused at once while the first is not decided', () => {
    const cluster = new Cluster([1, 2, 3, 4, 5]);
    const leader = cluster.elect();
    const [companion, ...rest] = others(cluster, leader) as [NodeId, ...NodeId[]];
    // The StopSign reaches the companion, and no majority.
    cluster.cut([leader, companion], rest);
    const first = cluster.reconfigure(leader, [leader, companion], 60_000);
    cluster.settle();
    expect(stopSigns(cluster, companion)).toBe(1);
    const second = cluster.reconfigure(companion, [1, 2, 3], 60_000);
    cluster.settle();
    expect(first.answer).toBeUndefined();
    expect(second.answer).toMatchObject({ type: 'failed', code: 'reconfiguring', outcome: 'notApplied' });
  });

  it.each([
    ['is refused at once and surely not applied', false],
    ['to the same members is not said to be not applied, as it may come about', true],
  ])('one that comes back from the leader, which has the first, %s', (_what, isSame) => {
    const cluster = new Cluster([1, 2, 3, 4, 5]);
    const leader = cluster.elect();
    const [companion, ...rest] = others(cluster, leader) as [NodeId, ...NodeId[]];
    cluster.cut([leader, companion], rest);
    // Both propose before they hear of each other.
    const pair = [leader, companion];
    const asks = [
      cluster.reconfigure(leader, pair, 60_000),
      cluster.reconfigure(companion, isSame ? pair : [...pair, rest[0] as NodeId], 60_000),
    ];
    cluster.settle();
    cluster.tick();
    const forwarded = cluster.sent.filter(
      ({ from, message }) => from === companion && message.payload.type === 'ForwardProposals',
    );
    expect(forwarded).toHaveLength(1);
    expect(asks[0]?.answer).toBeUndefined();
    if (isSame) expect(asks[1]?.answer).toBeUndefined();
    else expect(asks[1]?.answer).toMatchObject({ type: 'failed', code: 'reconfiguring', outcome: 'notApplied' });
  });

  it('goes on at once where a follower finds its Decide and the Prepare behind it in one turn', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const [, follower] = others(cluster, leader) as [NodeId, NodeId];
    // A slow follower: what the leader sends once the StopSign is decided waits in its socket.
    const late: PeerMessage[] = [];
    cluster.loses = ({ from, to, message }) => {
      const isLate = from === leader && to === follower && (late.length > 0 || message.payload.type === 'Decide');
      if (isLate) late.push(message);
      return isLate;
    };
    cluster.reconfigure(leader, [leader, follower], 60_000);
    cluster.settle();
    expect(late.map(({ payload }) => payload.type)).toEqual(expect.arrayContaining(['Decide', 'Prepare']));
    cluster.loses = () => false;
    cluster.replica(follower).receive({ type: 'peerMessages', from: leader, messages: late });
    cluster.tick();
    expect(cluster.replica(leader).voter).toMatchObject({ configurationId: 2 });
    expect(cluster.replica(leader).voter?.paxos.isLeaderInAcceptPhase).toBe(true);
  });

  it('goes on after a few round trips where the leader stays and newcomers are the majority', () => {
    // Nothing is waited for that is repeated, or that all have to say.
    const cluster = new Cluster([1, 2, 3], { electionTimeoutTicks: 200, resendTicks: 100, donorTimeoutTicks: 100 });
    const leader = cluster.elect();
    const client = new Client(cluster, leader);
    client.putAcknowledged(leader, 'k', 'v');
    for (const id of [4, 5]) cluster.start(id);
    cluster.tick(5);
    cluster.latencyTicks = 1;
    cluster.reconfigure(leader, [leader, 4, 5], 60_000);
    cluster.until('it is decided', () => cluster.replica(leader).configurationId === 2);
    const put = client.put(leader, 'k', 'w', 5000);
    cluster.tick(12);
    expect(put.answer).toMatchObject({ type: 'outcome' });
  });

  it.each([
    ['the leader is left out', [1, 2, 4]],
    ['all are replaced', [4, 5, 6]],
  ])('goes on after a few round trips, without an election, where %s', (_, next) => {
    const cluster = new Cluster([1, 2, 3], { electionTimeoutTicks: 200, resendTicks: 100, donorTimeoutTicks: 100 });
    const leader = cluster.elect();
    expect(leader).toBe(3);
    new Client(cluster, leader).putAcknowledged(leader, 'k', 'v');
    for (const id of [4, 5, 6]) cluster.start(id);
    cluster.tick(5);
    cluster.latencyTicks = 1;
    cluster.reconfigure(leader, next, 60_000);
    const [successor] = next as [NodeId];
    cluster.until('it votes there', () => cluster.replica(successor).voter?.configurationId === 2);
    cluster.tick(12);
    expect(cluster.replica(successor).voter?.paxos.isLeaderInAcceptPhase).toBe(true);
    const put = new Client(cluster, successor).put(successor, 'k', 'w', 5000);
    cluster.tick(8);
    expect(put.answer).toMatchObject({ type: 'outcome' });
  });

  it('elects a leader where the one that was left out has a successor that is gone', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const [successor, other] = others(cluster, leader) as [NodeId, NodeId];
    cluster.start(4);
    cluster.settle();
    cluster.isolate(successor);
    cluster.reconfigure(leader, [successor, other, 4], 60_000);
    const newLeader = () => [other, 4].find((id) => cluster.replica(id).voter?.paxos.isLeaderInAcceptPhase);
    cluster.until('one leads', () => newLeader() !== undefined);
    const led = newLeader();
    // However late it comes, it unseats nobody.
    cluster.heal();
    cluster.until('it is there', () => cluster.replica(successor).voter?.configurationId === 2);
    cluster.timeouts(10);
    expect(newLeader()).toBe(led);
    expect(cluster.replica(successor).voter?.leader).toEqual(cluster.replica(led as NodeId).voter?.leader);
  });

  it('one that comes late and would have been the successor follows whoever leads after a few round trips', () => {
    const cluster = new Cluster([1, 2, 3], { electionTimeoutTicks: 200, resendTicks: 100, donorTimeoutTicks: 100 });
    const leader = cluster.elect();
    cluster.start(4);
    cluster.settle();
    cluster.isolate(1);
    cluster.reconfigure(leader, [1, 2, 4], 60_000);
    const led = () => [2, 4].find((id) => cluster.replica(id).voter?.paxos.isLeaderInAcceptPhase);
    cluster.until('one leads', () => led() !== undefined);
    cluster.latencyTicks = 1;
    cluster.heal();
    cluster.until('it votes there', () => cluster.replica(1).voter?.configurationId === 2);
    cluster.tick(12);
    expect(cluster.replica(1).voter?.leader).toEqual(cluster.replica(led() as NodeId).voter?.leader);
    expect(cluster.replica(1).voter?.paxos.phase).toBe('accept');
  });

  it('a leader that has the StopSign of those before it decides it once more, though a newcomer tells of what it opens', () => {
    const cluster = new Cluster([1, 2, 3]);
    const former = cluster.elect();
    const [successor, companion] = others(cluster, former) as [NodeId, NodeId];
    new Client(cluster, former).putAcknowledged(former, 'k', 'v');
    cluster.tick();
    cluster.start(4);
    cluster.tick();
    // The former leader decides with its successor, tells the newcomer alone, gives it nothing of that, and is gone for good.
    const isNews = ({ payload }: PeerMessage) =>
      payload.type === 'LogSegment' && payload.entries.some(({ type }) => type === 'StopSign');
    cluster.cut([former], [companion]);
    cluster.loses = ({ from, to, message }) =>
      isNews(message) ||
      (from === former && to === successor && (message.payload.type === 'Decide' || message.configurationId > 1));
    cluster.reconfigure(former, [successor, companion, 4], 60_000);
    cluster.until('the newcomer knows', () => cluster.replica(4).status().configurationId === 2);
    cluster.crash(former);
    // One of the two leads next, and nothing that it sends on is accepted yet.
    cluster.loses = ({ message }) => isNews(message) || message.payload.type === 'AcceptSync';
    cluster.until('one leads', () => cluster.leaders.length === 1);
    const [leader] = cluster.leaders as [NodeId];
    cluster.timeouts(3);
    expect(cluster.sentTo(leader, 'Announce')).not.toHaveLength(0);
    expect(stopSigns(cluster, leader)).toBe(1);
    cluster.loses = () => false;
    const isOver = (id: NodeId) => cluster.replica(id).voter?.configurationId === 2;
    cluster.until('both vote in the next one', () => isOver(successor) && isOver(companion));
    expect(cluster.localValue(companion, 'k')).toBe('v');
  });

  it('one that came about is told as such, though the node that proposed it slept through that and what followed', () => {
    const cluster = new Cluster([1, 2, 3, 4]);
    const leader = cluster.elect();
    const [asked, ...rest] = others(cluster, leader) as [NodeId, ...NodeId[]];
    let isAsked = false;
    cluster.onArrival = ({ from, message }) => {
      // Once its proposal has reached the leader, it hears nothing more.
      if (from === asked && message.payload.type === 'ForwardProposals') isAsked = true;
      else if (isAsked) cluster.isolate(asked);
    };
    const target = [leader, ...rest].sort((a, b) => a - b);
    const ask = cluster.reconfigure(asked, target, 600_000);
    cluster.until('it is out', () => isAsked);
    cluster.until('it is decided', () => cluster.replica(leader).status().configurationId === 2);
    cluster.onArrival = () => {};
    cluster.reconfigureTo(cluster.elect(), [leader, rest[0] as NodeId]);
    cluster.heal();
    cluster.until('it is answered', () => ask.answer !== undefined);
    expect(ask.answer).toEqual({ type: 'reconfigured', configurationId: 2 });
  });

  it('of two through two nodes one comes about, and the other is told so long before its time is over', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const [one, other] = others(cluster, leader) as [NodeId, NodeId];
    cluster.start(4);
    cluster.start(5);
    cluster.tick();
    const asks = [cluster.reconfigure(one, [1, 2, 3, 4], 600_000), cluster.reconfigure(other, [1, 2, 3, 5], 600_000)];
    cluster.until('both are answered', () => asks.every(({ answer }) => answer !== undefined));
    const types = asks.map(({ answer }) => answer?.type).sort();
    expect(types).toEqual(['failed', 'reconfigured']);
    const refused = asks.find(({ answer }) => answer?.type === 'failed')?.answer;
    expect(refused).toMatchObject({ code: 'reconfiguring', outcome: 'notApplied' });
    expect(cluster.replica(leader).status().configurationId).toBe(2);
  });
});

describe('a status tells', () => {
  it('of the last 16 configurations, to a newcomer too, and after a restart', () => {
    const cluster = new Cluster([1, 2, 3]);
    cluster.elect();
    cluster.start(4);
    for (let round = 0; round < 18; round++) {
      const members = round % 2 === 0 ? [1, 2, 3, 4] : [1, 2, 3];
      cluster.reconfigureTo(cluster.elect(), members);
    }
    cluster.start(5);
    cluster.reconfigureTo(cluster.elect(), [1, 2, 3, 5]);
    cluster.converge(1, 2, 3, 5);
    const { history } = cluster.replica(5).status();
    expect(history).toHaveLength(16);
    expect(history?.map(({ configurationId }) => configurationId)).toEqual(
      Array.from({ length: 16 }, (_, at) => at + 5),
    );
    expect(history?.at(-1)).toMatchObject({ configurationId: 20, members: [1, 2, 3, 5] });
    expect(history?.at(-2)).toMatchObject({ configurationId: 19, members: [1, 2, 3] });
    for (const id of [1, 2, 3]) expect(cluster.replica(id).status().history).toEqual(history);
    cluster.crash(5);
    cluster.start(5);
    expect(cluster.replica(5).status().history).toEqual(history);
  });

  it('how far a newcomer is, from whom, and who holds the log for it', () => {
    const cluster = new Cluster([1, 2, 3], { checkpointTicks: 5, logTailEntries: 1, catchUpBytesMax: 200 });
    const leader = cluster.elect();
    const client = new Client(cluster, leader);
    for (let at = 0; at < 100; at++) {
      client.putAcknowledged(leader, `k${at}`, 'v'.repeat(50));
      cluster.tick();
    }
    cluster.start(4);
    const ask = cluster.reconfigure(leader, [1, 2, 3, 4], 60_000);
    const stages = new Set<string>();
    let held = 0;
    let received = 0;
    cluster.onArrival = () => {
      const { catchUp } = cluster.replica(4).status();
      if (catchUp === undefined) return;
      stages.add(catchUp.stage);
      expect(catchUp.bytesReceived).toBeGreaterThanOrEqual(received);
      received = catchUp.bytesReceived;
      expect(catchUp.donors.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(received);
      for (const id of [1, 2, 3]) if (cluster.replica(id).status().logHeld?.readers.includes(4)) held++;
    };
    cluster.until('it votes', () => cluster.replica(4).voter !== undefined && ask.answer !== undefined);
    expect(stages).toContain('state');
    expect(received).toBeGreaterThan(100 * 50);
    expect(held).toBeGreaterThan(0);
    expect(cluster.replica(4).status().catchUp).toBeUndefined();
  });
});

it('a node that was replaced is not dialled where its successor is, though the cluster file names it there', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const removed = others(cluster, leader)[0] as NodeId;
  cluster.crash(removed);
  cluster.start(4);
  const nodes = [1, 2, 3].filter((id) => id !== removed).map((id) => ({ id, address: `node-${id}:7000` }));
  const at = { id: 4, address: `node-${removed}:7000` };
  const ask = cluster.ask(leader, { type: 'reconfigure', nodes: [...nodes, at] }, 60_000);
  cluster.until('it is replaced', () => ask.answer !== undefined);
  expect(ask.answer).toMatchObject({ type: 'reconfigured', configurationId: 2 });
  const dialled = cluster.replica(leader).peersToDial();
  expect(dialled.get(4)).toBe(at.address);
  expect(dialled.has(removed)).toBe(false);
});
