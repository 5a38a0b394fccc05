import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import type { ReplicaSettings } from '../../src/replica/settings.ts';
import { Client, Cluster, leaveBehind, littleLog, type Sent } from './cluster.ts';

const isRow = ({ message }: Sent) => message.payload.type === 'StateChunk';
const votesIn = (cluster: Cluster, id: NodeId) => cluster.replica(id).voter?.configurationId;

describe('a voter that lacks a StopSign and can get no more by the log', () => {
  it('votes until it has the state from behind it: others may need it to decide the StopSign once more', () => {
    const { cluster, leader, straggler, companion } = withStraggler();
    decideForItself(cluster, leader, companion, [1, 2, 3, 4]);
    tellStraggler(cluster, straggler, companion);
    expect(votesIn(cluster, straggler)).toBe(1);
    // What the others need is lost for good with the only node that has it.
    cluster.crash(leader);
    cluster.loses = () => false;
    cluster.heal();
    expectNext(cluster, [straggler, companion, 4]);
    expect(cluster.localValue(straggler, 'last')).toBe('decided');
  });

  it('takes it while it votes, and leaves with the last of it, though nothing is decided behind the StopSign', () => {
    const { cluster, leader, straggler, companion } = withStraggler();
    decideForItself(cluster, leader, companion, [1, 2, 3, 4]);
    let whileVoting = 0;
    cluster.onArrival = (sent) => {
      if (sent.to === straggler && isRow(sent) && votesIn(cluster, straggler) === 1) whileVoting++;
    };
    cluster.loses = ({ to, message }) => to === companion && message.configurationId > 1;
    cluster.heal();
    cluster.cut([straggler, 4], [companion]);
    cluster.until('it votes in the next one', () => votesIn(cluster, straggler) === 2);
    expect(whileVoting).toBeGreaterThan(1);
    expect(cluster.localValue(straggler, 'last')).toBe('decided');
  });

  it('goes on where it was after a crash, still voting', () => {
    const { cluster, leader, straggler, companion } = withStraggler();
    decideForItself(cluster, leader, companion, [1, 2, 3, 4]);
    let rows = 0;
    cluster.loses = (sent) =>
      (sent.to === companion && sent.message.configurationId > 1) ||
      (sent.to === straggler && isRow(sent) && ++rows > 3);
    cluster.heal();
    cluster.cut([straggler, 4], [companion]);
    cluster.until('some rows are there', () => rows > 3);
    cluster.crash(straggler);
    cluster.start(straggler);
    cluster.timeouts(3);
    expect(votesIn(cluster, straggler)).toBe(1);
    cluster.loses = () => false;
    cluster.heal();
    expectNext(cluster, [1, 2, 3, 4]);
  });

  it('votes until that is its own, also should it crash while it is being made so', () => {
    const { cluster, leader, straggler, companion } = withStraggler();
    decideForItself(cluster, leader, companion, [1, 2, 3, 4]);
    cluster.loses = ({ to, message }) => (to === companion && message.configurationId > 1) || to === 4;
    cluster.heal();
    cluster.cut([straggler, 4], [companion]);
    cluster.holdsJob.add(straggler);
    cluster.until('it has all rows', () => cluster.replica(straggler).status().catchUp?.stage === 'install');
    cluster.timeouts(2);
    cluster.crash(straggler);
    // What the others need is lost for good with the only node that has it.
    cluster.crash(leader);
    cluster.holdsJob.clear();
    cluster.loses = () => false;
    cluster.heal();
    cluster.start(straggler);
    expectNext(cluster, [straggler, companion, 4]);
    expect(cluster.localValue(straggler, 'last')).toBe('decided');
  });

  it.each([true, false])(
    'knows by that state where it belongs, should it crash before it has noted that, and can tell others (the newcomer knows: %s)',
    (isTold) => {
      const { cluster, leader, straggler, companion } = withStraggler();
      decideForItself(cluster, leader, companion, [1, 2, 3, 4], (sent) => !isTold && sent.to === 4);
      cluster.loses = ({ to, message }) => (to === companion && message.configurationId > 1) || to === 4;
      cluster.heal();
      cluster.cut([straggler, 4], [companion]);
      cluster.until('it has all rows', () => cluster.replica(straggler).status().catchUp?.stage === 'install');
      cluster.stallDisk(straggler);
      const { appliedIndex } = cluster.replica(leader);
      cluster.until('it is its own', () => cluster.replica(straggler).appliedIndex === appliedIndex);
      cluster.crash(straggler);
      expect(cluster.disk(straggler).log.configuration?.configurationId, 'on its disk').toBe(1);
      // The only other one who knows is lost for good.
      cluster.crash(leader);
      cluster.loses = () => false;
      cluster.heal();
      cluster.start(straggler);
      expectNext(cluster, [straggler, companion, 4]);
      expect(cluster.localValue(straggler, 'last')).toBe('decided');
    },
  );

  it('stands by without any of it where it is no member of the next one, once something is decided there', () => {
    const { cluster, leader, straggler, companion } = withStraggler();
    decideForItself(cluster, leader, companion, [leader, companion, 4]);
    tellStraggler(cluster, straggler, companion);
    expect(votesIn(cluster, straggler)).toBe(1);
    cluster.loses = isToStraggler(straggler);
    cluster.heal();
    cluster.cut([straggler], [companion]);
    new Client(cluster, leader).putAcknowledged(leader, 'behind', 'it');
    cluster.until('it stands by', () => cluster.replica(straggler).status().state === 'standby');
  });

  it('stands by as well once no quorum of its own is left', () => {
    const { cluster, leader, straggler, companion } = withStraggler();
    decideForItself(cluster, leader, companion, [leader, companion, 4]);
    cluster.loses = isToStraggler(straggler);
    cluster.heal();
    cluster.until('it stands by', () => cluster.replica(straggler).status().state === 'standby');
  });
});

it('a leader that lacks a StopSign follows one that has it, as long as both may be needed to decide it', () => {
  const cluster = new Cluster([1, 2, 3]);
  const past = cluster.elect();
  cluster.start(4);
  cluster.tick();
  // The others go on without the leader; then the one that decided the StopSign tells it, and is gone for good.
  cluster.isolate(past);
  cluster.stopTimer(past);
  cluster.until('another one leads', () => cluster.leaders.some((id) => id !== past));
  const decider = cluster.leaders.find((id) => id !== past) as NodeId;
  const companion = [1, 2, 3].find((id) => id !== past && id !== decider) as NodeId;
  new Client(cluster, decider).putAcknowledged(decider, 'last', 'decided');
  decideForItself(cluster, decider, companion, [1, 2, 3, 4]);
  cluster.heal();
  cluster.cut([past, decider], [companion, 4]);
  cluster.until('the leader of the past knows', () => isTold(cluster, past));
  expect(votesIn(cluster, past)).toBe(1);
  cluster.crash(decider);
  cluster.startTimer(past);
  cluster.loses = () => false;
  cluster.heal();
  expectNext(cluster, [past, companion, 4]);
  expect(cluster.localValue(past, 'last')).toBe('decided');
});

it('a member that lacks nothing but the StopSign is told of it by newcomers that wait for what it has', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const sleeper = cluster.running.find((id) => id !== leader) as NodeId;
  for (const id of [4, 5]) cluster.start(id);
  cluster.tick();
  new Client(cluster, leader).putAcknowledged(leader, 'last', 'decided');
  cluster.converge(1, 2, 3);
  cluster.isolate(sleeper);
  // The newcomers get nothing before all former members are gone.
  cluster.loses = isGift;
  cluster.reconfigure(leader, [sleeper, 4, 5], 60_000);
  cluster.until('they know', () => [4, 5].every((id) => cluster.replica(id).configurationId === 2));
  for (const id of cluster.running) if (id !== sleeper) cluster.crash(id);
  cluster.loses = () => false;
  // They open their directories as members: nobody takes them for strangers who are to be told of configuration 1.
  for (const id of [4, 5]) cluster.start(id);
  cluster.heal();
  expectNext(cluster, [sleeper, 4, 5]);
  expect(cluster.localValue(5, 'last')).toBe('decided');
});

it('a voter that was told of a later configuration finds its members by itself, should whoever told it be gone', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const [companion] = cluster.running.filter((id) => id !== leader) as [NodeId];
  for (const id of [4, 5, 6, 7]) cluster.start(id);
  cluster.tick();
  // No file names it.
  cluster.reconfigureTo(leader, [leader, companion, 4]);
  cluster.isolate(4);
  new Client(cluster, leader).putAcknowledged(leader, 'last', 'decided');
  cluster.reconfigure(leader, [5, 6, 7], 60_000);
  for (const id of [5, 6, 7]) cluster.until('it votes in the third', () => votesIn(cluster, id) === 3);
  cluster.loses = (sent) => sent.to === 4 && isGift(sent);
  cluster.healLink(4, leader);
  cluster.until('it is told', () => isTold(cluster, 4, 3));
  cluster.tick();
  expect(votesIn(cluster, 4)).toBe(2);
  for (const id of [1, 2, 3]) cluster.crash(id);
  cluster.loses = () => false;
  cluster.heal();
  cluster.until('it stands by', () => cluster.replica(4).status().state === 'standby');
});

it('a voter that was told of the one after the next goes on to that, where it is none of the next', () => {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  for (const id of [4, 5, 6, 7]) cluster.start(id);
  cluster.tick();
  // No file names it.
  cluster.reconfigureTo(leader, [leader, 4, 5]);
  cluster.isolate(4);
  new Client(cluster, leader).putAcknowledged(leader, 'last', 'decided');
  cluster.reconfigureTo(leader, [leader, 5]);
  const isNews = decideFourthWithoutFive(cluster, leader);
  cluster.loses = (sent) => isNews(sent) || (sent.to === 4 && isGift(sent));
  cluster.healLink(4, leader);
  cluster.until('it is told of the fourth', () => isTold(cluster, 4, 4));
  for (const id of [1, 2, 3]) cluster.crash(id);
  cluster.loses = () => false;
  cluster.healLink(4, 5);
  cluster.until('it has left', () => cluster.replica(4).status().state === 'standby');
  expect(cluster.replica(4).configurationId).toBe(4);
  expect(cluster.replica(5).configurationId).toBe(3);
});

describe('a newcomer that has nothing of its configuration yet and is told of the next one', () => {
  it.each([
    { next: [4, 5, 6], whether: 'and is a member of it' },
    { next: [5, 6, 7], whether: 'and is none of it' },
  ])('votes in its own, if it is needed to decide that StopSign once more, $whether', ({ next }) => {
    const { cluster, leader, companion, client } = withNewcomer();
    // Only the leader knows what is decided: with the StopSign something before it.
    const isNews = ({ to, message: { configurationId, payload } }: Sent) =>
      to === companion && (configurationId > 2 || payload.type === 'Decide');
    cluster.loses = (sent) => isGift(sent) || isNews(sent);
    cluster.stallDisk(companion);
    client.put(leader, 'last', 'decided');
    cluster.tick();
    cluster.reconfigure(leader, next, 60_000);
    cluster.tick();
    cluster.freeDisk(companion);
    const others = next.filter((id) => id !== 4);
    cluster.until('they know', () => others.every((id) => cluster.replica(id).configurationId === 3));
    cluster.until('the newcomer is told', () => isTold(cluster, 4, 3));
    const queries = () =>
      cluster.sent.filter(({ from, message }) => from === 4 && message.payload.type === 'DonorQuery');
    const before = queries().length;
    cluster.timeouts(2);
    expect(queries().length - before, 'whoever is asked tells it again').toBeLessThan(20);
    // It is lost for good.
    cluster.crash(leader);
    cluster.loses = () => false;
    cluster.heal();
    expectNext(cluster, next, 3);
    expect(cluster.localValue(5, 'last')).toBe('decided');
    cluster.until('all know', () => cluster.replica(4).configurationId === 3);
  });

  it('leaves it with nothing where nobody needs its vote', () => {
    const { cluster, leader } = withNewcomer();
    cluster.loses = (sent) => sent.to === 4 && isGift(sent);
    cluster.reconfigure(leader, [5, 6, 7], 60_000);
    cluster.until('it stands by', () => cluster.replica(4).status().state === 'standby');
    expect(cluster.replica(4).appliedIndex).toBe(0);
  });

  it('finds its members by itself, should the only one that it was linked with be gone', () => {
    const { cluster, leader, companion } = withNewcomer();
    cluster.cut([4], [companion]);
    cluster.loses = (sent) => sent.to === 4 && isGift(sent);
    cluster.reconfigure(leader, [5, 6, 7], 60_000);
    for (const id of [5, 6, 7]) cluster.until('it votes in the third', () => votesIn(cluster, id) === 3);
    cluster.timeouts(2);
    expect(cluster.replica(4).configurationId).toBe(2);
    for (const id of [1, 2, 3]) cluster.crash(id);
    cluster.loses = () => false;
    cluster.until('it stands by', () => cluster.replica(4).status().state === 'standby');
  });
});

describe('a newcomer that is told of a configuration further on', () => {
  it.each([
    { what: 'the log, and is slow to apply it', settings: { appliedPerTurnMax: 1 }, rounds: 1 },
    { what: 'a state', settings: littleLog, rounds: 60 },
  ])('votes in the one between, if it is needed there, with $what', ({ settings, rounds }) => {
    const { cluster, leader, client } = withNewcomer(settings);
    for (let at = 0; at < 60; at++) client.putAcknowledged(leader, `k${at}`, 'in the second');
    cluster.isolate(4);
    cluster.loses = () => false;
    cluster.reconfigure(leader, [leader, 4, 5], 60_000);
    for (const id of [leader, 5]) cluster.until('it votes in the third', () => votesIn(cluster, id) === 3);
    for (let at = 0; at < rounds; at++) client.putAcknowledged(leader, `k${at}`, 'in the third');
    cluster.converge(leader, 5);
    for (const id of [1, 2, 3]) if (id !== leader) cluster.crash(id);
    decideFourthForItself(cluster, client, leader);
    cluster.loses = ({ from, to }) => from === 5 && to === 4;
    cluster.heal();
    cluster.until('the first one is told of the fourth', () => isTold(cluster, 4, 4));
    cluster.tick();
    expect(cluster.replica(4).configurationId).toBe(2);
    cluster.loses = () => false;
    expectNext(cluster, [4, 5, 6], 4);
    expect(cluster.localValue(4, 'last')).toBe('decided');
  });

  it('votes in the one between, if it is needed there, also once no quorum of its own is left', () => {
    const { cluster, leader, companions, client } = withNewcomer({}, [1, 2, 3, 8, 9]);
    cluster.isolate(4);
    cluster.loses = () => false;
    cluster.reconfigure(leader, [leader, 4, 5], 60_000);
    for (const id of [leader, 5]) cluster.until('it votes in the third', () => votesIn(cluster, id) === 3);
    for (const id of companions) cluster.until('it has left', () => cluster.replica(id).configurationId === 3);
    decideFourthForItself(cluster, client, leader);
    // It is told of the fourth before it hears of those who left.
    cluster.loses = () => false;
    cluster.healLink(4, 6);
    cluster.until('it is told of the fourth', () => isTold(cluster, 4, 4));
    cluster.tick();
    expect(cluster.replica(4).configurationId).toBe(2);
    for (const id of companions) cluster.healLink(4, id);
    cluster.until('none is left', () => cluster.replica(4).configurationId > 2);
    cluster.heal();
    expectNext(cluster, [4, 5, 6], 4);
    expect(cluster.localValue(4, 'last')).toBe('decided');
  });

  it('keeps in mind what it was told when it goes to the one between with a state of that: all of its members may be gone', () => {
    const { cluster, leader, client } = withNewcomer(littleLog);
    for (let at = 0; at < 60; at++) client.putAcknowledged(leader, `k${at}`, 'in the second');
    cluster.isolate(4);
    cluster.loses = () => false;
    cluster.reconfigure(leader, [leader, 4, 5], 60_000);
    for (const id of [leader, 5]) cluster.until('it votes in the third', () => votesIn(cluster, id) === 3);
    for (let at = 0; at < 60; at++) client.putAcknowledged(leader, `k${at}`, 'in the third');
    cluster.converge(leader, 5);
    for (const id of [1, 2, 3]) if (id !== leader) cluster.crash(id);
    const isNews = decideFourthWithoutFive(cluster, leader);
    cluster.loses = (sent) => isNews(sent) || (sent.to === 4 && sent.from === leader && isGift(sent));
    cluster.healLink(4, leader);
    cluster.until('it is told of the fourth', () => isTold(cluster, 4, 4));
    cluster.crash(leader);
    cluster.healLink(4, 5);
    cluster.until('it has the state of the third', () => cluster.replica(4).configurationId > 2);
    expect(cluster.replica(4).configurationId).toBe(3);
    cluster.crash(5);
    cluster.heal();
    cluster.until('it stands by', () => cluster.replica(4).status().state === 'standby');
    expect(cluster.replica(4).configurationId).toBe(4);
  });

  it('keeps it in mind also when it goes there as no quorum of its own is left', () => {
    const { cluster, leader, companions } = withNewcomer({}, [1, 2, 3, 8, 9]);
    cluster.isolate(4);
    cluster.loses = () => false;
    cluster.reconfigure(leader, [leader, 4, 5], 60_000);
    for (const id of [leader, 5]) cluster.until('it votes in the third', () => votesIn(cluster, id) === 3);
    for (const id of companions) cluster.until('it has left', () => cluster.replica(id).configurationId === 3);
    const others = cluster.nodes.filter((id) => !companions.includes(id));
    cluster.cut(companions, others);
    cluster.reconfigure(leader, [6, 7], 60_000);
    for (const id of [6, 7]) cluster.until('it votes in the fourth', () => votesIn(cluster, id) === 4);
    cluster.loses = (sent) => sent.to === 4 && isGift(sent);
    cluster.healLink(4, leader);
    cluster.until('it is told of the fourth', () => isTold(cluster, 4, 4));
    for (const id of [leader, 5]) cluster.crash(id);
    for (const id of companions) cluster.healLink(4, id);
    cluster.until('none is left', () => cluster.replica(4).configurationId > 2);
    expect(cluster.replica(4).configurationId).toBe(3);
    for (const id of companions) cluster.crash(id);
    cluster.loses = () => false;
    cluster.heal();
    cluster.until('it stands by', () => cluster.replica(4).status().state === 'standby');
    expect(cluster.replica(4).configurationId).toBe(4);
  });
});

const isGift = ({ message: { payload } }: Sent) => payload.type === 'LogSegment' || payload.type === 'StateChunk';

/** Nodes 6 and 7 become the fourth configuration, and node 5 of the third hears nothing of it. What it would hear it by. */
function decideFourthWithoutFive(cluster: Cluster, leader: NodeId): (sent: Sent) => boolean {
  cluster.cut([5], [6, 7]);
  const isNews = ({ to, message: { configurationId, payload } }: Sent) =>
    to === 5 && (configurationId > 3 || payload.type === 'Decide');
  cluster.loses = isNews;
  cluster.reconfigure(leader, [6, 7], 60_000);
  for (const id of [6, 7]) cluster.until('it votes in the fourth', () => votesIn(cluster, id) === 4);
  return isNews;
}

/** Only the leader of the third configuration, of which nodes 4 and 5 are the others, knows that the fourth is decided, and something before it; and is lost for good. */
function decideFourthForItself(cluster: Cluster, client: Client, leader: NodeId): void {
  cluster.loses = (sent) => {
    const { configurationId, payload } = sent.message;
    const isNews = configurationId > 3 || payload.type === 'Decide';
    return isGift(sent) || (sent.to === 5 && isNews) || (sent.to !== 6 && configurationId > 3);
  };
  cluster.stallDisk(5);
  client.put(leader, 'last', 'decided');
  cluster.tick();
  cluster.reconfigure(leader, [4, 5, 6], 60_000);
  cluster.tick();
  cluster.freeDisk(5);
  cluster.until('another newcomer knows', () => cluster.replica(6).configurationId === 4);
  cluster.crash(leader);
}

/** Members, of which one was replaced by node 4, which was given nothing yet; and newcomers. */
function withNewcomer(settings: Partial<ReplicaSettings> = {}, members: readonly NodeId[] = [1, 2, 3]) {
  const cluster = new Cluster(members, settings);
  const leader = cluster.elect();
  const companions = cluster.running.filter((id) => id !== leader).slice(0, -1);
  const [companion] = companions as [NodeId];
  for (const id of [4, 5, 6, 7]) cluster.start(id);
  cluster.tick();
  const client = new Client(cluster, leader);
  client.putAcknowledged(leader, 'first', 'decided');
  cluster.loses = isGift;
  cluster.reconfigure(leader, [leader, ...companions, 4], 60_000);
  for (const id of [leader, ...companions]) cluster.until('it votes in the second', () => votesIn(cluster, id) === 2);
  cluster.until('it is joining', () => cluster.replica(4).status().state === 'joining');
  return { cluster, leader, companion, companions, client };
}

/** Three members, one of which is cut off since long, and a newcomer. */
function withStraggler() {
  const cluster = new Cluster([1, 2, 3], littleLog);
  const leader = cluster.elect();
  const [straggler, companion] = cluster.running.filter((id) => id !== leader) as [NodeId, NodeId];
  const client = new Client(cluster, leader);
  cluster.start(4);
  cluster.tick();
  cluster.isolate(straggler);
  leaveBehind(cluster, client, straggler, leader, companion);
  client.putAcknowledged(leader, 'last', 'decided');
  return { cluster, leader, straggler, companion };
}

/** The companion has accepted the StopSign of a reconfiguration, and only the leader knows that it is decided. */
function decideForItself(
  cluster: Cluster,
  leader: NodeId,
  companion: NodeId,
  members: readonly NodeId[],
  losesToo: (sent: Sent) => boolean = () => false,
): void {
  const isNews = ({ message: { configurationId, payload } }: Sent) =>
    configurationId > 1 || payload.type === 'Decide' || payload.type === 'LogSegment';
  cluster.loses = (sent) =>
    isRow(sent) ||
    sent.message.payload.type === 'LogSegment' ||
    (sent.to === companion && isNews(sent)) ||
    (sent.message.configurationId > 1 && losesToo(sent));
  cluster.reconfigure(leader, members, 60_000);
  cluster.until('it is decided', () => cluster.replica(leader).status().configurationId === 2);
}

/** The straggler, which has no link with its companion, is told of what is decided, and gets no row of it. */
function tellStraggler(cluster: Cluster, straggler: NodeId, companion: NodeId): void {
  cluster.heal();
  cluster.cut([straggler], [companion]);
  cluster.until('the straggler knows', () => isTold(cluster, straggler));
  cluster.timeouts(30);
}

const isTold = (cluster: Cluster, id: NodeId, configurationId = 2) =>
  cluster.sentTo(id, 'Announce').some(({ configuration }) => configuration.configurationId === configurationId);

const isToStraggler = (straggler: NodeId) => (sent: Sent) => sent.to === straggler && isRow(sent);

function expectNext(cluster: Cluster, ids: readonly NodeId[], configurationId = 2): void {
  for (const id of ids)
    cluster.until(`node ${id} votes in the next one`, () => votesIn(cluster, id) === configurationId);
  cluster.converge(...ids);
}
