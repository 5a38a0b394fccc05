import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Client, Cluster, leaveBehind, littleLog, type Sent } from './cluster.ts';

const configurationIn = (cluster: Cluster, id: NodeId) => cluster.replica(id).status().configurationId;
const isSegment = ({ message }: Sent) => message.payload.type === 'LogSegment';

describe('a leader of a configuration that is over, which has on its disk what was decided last and does not know it', () => {
  it('keeps that while others may need it, and gives it to them when the only one who knows is lost', () => {
    const { cluster, decider, leader, companion, decidedEnd } = withLeaderOfThePast();
    cluster.crash(companion);
    cluster.startTimer(companion);
    cluster.loses = isSegment;
    cluster.heal();
    cluster.until('it is told', () => isTold(cluster, leader));
    cluster.timeouts(40);
    expect(cluster.log(leader).sequence.endIndex, 'it has all of it').toBe(decidedEnd);
    expectWithout(cluster, [decider], [leader, companion]);
  });

  it('takes over what is decided elsewhere though it leads, and goes on there', () => {
    const { cluster, decider, leader, companion } = withLeaderOfThePast();
    cluster.crash(companion);
    cluster.loses = () => false;
    cluster.heal();
    cluster.until('it goes over', () => configurationIn(cluster, leader) === 2);
    expect(cluster.localValue(leader, 'last')).toBe('decided');
    cluster.start(4);
    cluster.converge(decider, leader, 4);
  });

  it('does not take one for gone whose disk does not know yet that it is', () => {
    const { cluster, decider, leader, companion, decidedEnd } = withLeaderOfThePast();
    cluster.startTimer(companion);
    cluster.stallDisk(companion);
    let lost = ['AcceptSync', 'LogSegment', 'Announce'];
    cluster.loses = ({ to, message: { payload } }) =>
      payload.type === 'AcceptSync' || (to === leader && lost.includes(payload.type));
    cluster.healLink(decider, companion);
    cluster.until('its companion is in the next one', () => configurationIn(cluster, companion) === 2);
    expect(cluster.disk(companion).log.configuration?.configurationId, 'on its disk').toBe(1);
    lost = ['LogSegment'];
    cluster.healLink(decider, leader);
    cluster.timeouts(40);
    expect(cluster.log(leader).sequence.endIndex, 'it has all of it').toBe(decidedEnd);
    expectWithout(cluster, [decider, companion], [leader, companion]);
  });
});

it('the only member of the past, on an older copy that nobody has found out, goes over', () => {
  const cluster = new Cluster([1]);
  cluster.elect();
  const client = new Client(cluster, 1);
  client.putAcknowledged(1, 'first', 'decided');
  const image = cluster.disk(1).image();
  cluster.start(2);
  cluster.tick(3);
  cluster.reconfigureTo(1, [1, 2]);
  client.putAcknowledged(1, 'last', 'decided');
  cluster.converge(1, 2);
  for (const id of [1, 2]) cluster.crash(id);
  cluster.rollBack(1, image);
  for (const id of [2, 1]) cluster.start(id);
  cluster.until('it goes over', () => cluster.localValue(1, 'last') === 'decided');
  expect(configurationIn(cluster, 1)).toBe(2);
});

it.each([true, false])(
  'a leader of the past whose only companion promises, and has no room to accept, comes to the next one, which needs it (a node hangs: %s)',
  (hangs) => {
    const { cluster, client, decider, past, full } = withFullCompanion();
    const isOfHanging = ({ from, to }: Sent) => from === 4 || to === 4;
    if (hangs) cluster.cut([4], [decider]);
    else cluster.crash(4);
    cluster.loses = (sent) => hangs && isOfHanging(sent);
    cluster.healLink(past, full);
    cluster.until('it leads', () => cluster.leaders.includes(past));
    cluster.heal();
    for (let tick = 0; tick < 1000 && configurationIn(cluster, past) === 1; tick++) {
      cluster.tick();
      // Flushes take a tick.
      if (hangs) for (const id of [past, full]) cluster.freeDisk(id);
      if (hangs) for (const id of [past, full]) cluster.stallDisk(id);
    }
    for (const id of [past, full]) cluster.freeDisk(id);
    expect(configurationIn(cluster, past)).toBe(2);
    client.putAcknowledged(decider, 'goes', 'on');
  },
);

/**
 * Node `full` lacks what others have trimmed, and has no room for a state. Nodes `decider` and `past` have put "last" and the StopSign on their
 * disks, which makes `decider`, `past` and 4 the members, and only `decider` knows.
 */
function withFullCompanion() {
  const cluster = new Cluster([1, 2, 3], littleLog);
  const decider = cluster.elect();
  const [past, full] = cluster.running.filter((id) => id !== decider) as [NodeId, NodeId];
  const client = new Client(cluster, decider);
  cluster.start(4);
  cluster.tick();
  cluster.isolate(full);
  leaveBehind(cluster, client, full, decider, past);
  cluster.converge(decider, past);
  cluster.loses = (sent) => sent.to === past && isNews(sent);
  const put = client.put(decider, 'last', 'decided', 60_000);
  cluster.reconfigure(decider, [decider, past, 4], 60_000);
  cluster.until('the StopSign is decided', () => configurationIn(cluster, decider) === 2);
  expect(put.answer).toMatchObject({ type: 'outcome', outcome: { type: 'put' } });
  cluster.isolate(decider);
  const log = { isWaiting: false, logSurplusIndex: 0, logAmpleIndex: 0, stateRoomBytes: 0 } as const;
  cluster.measureSpace(full, { level: 'ok', usedBytes: 90, capacityBytes: 100, ...log });
  return { cluster, client, decider, past, full };
}

/**
 * Nodes `decider` and `leader` have put "last" and the StopSign on their disks, which only `decider` knows. Then `leader` leads, with
 * the promise of `companion`, to which the log does not get.
 */
function withLeaderOfThePast() {
  const cluster = new Cluster([1, 2, 3], { voteLagEntries: 0 });
  const decider = cluster.elect();
  const [leader, companion] = cluster.running.filter((id) => id !== decider) as [NodeId, NodeId];
  const client = new Client(cluster, decider);
  client.putAcknowledged(decider, 'first', 'decided');
  cluster.converge(1, 2, 3);
  cluster.isolate(companion);
  cluster.loses = (sent) => (sent.to === leader && isNews(sent)) || isSegment(sent);
  cluster.start(4);
  cluster.cut([4], [leader, companion]);
  cluster.tick(3);
  const put = client.put(decider, 'last', 'decided', 60_000);
  cluster.reconfigure(decider, [1, 2, 3, 4], 60_000);
  cluster.until('the StopSign is decided', () => configurationIn(cluster, decider) === 2);
  expect(put.answer, 'acknowledged').toMatchObject({ type: 'outcome', outcome: { type: 'put' } });
  const { decidedIndex: decidedEnd } = cluster.log(decider).state;
  cluster.timeouts(4);
  cluster.stopTimer(companion);
  cluster.crash(4);
  cluster.loses = ({ to, message }) => to === companion && message.payload.type === 'AcceptSync';
  cluster.heal();
  cluster.cut([decider], [leader, companion]);
  cluster.until('it leads', () => cluster.leaders.includes(leader));
  expect(cluster.log(leader).sequence.endIndex).toBe(decidedEnd);
  return { cluster, decider, leader, companion, decidedEnd };
}

function isNews({ message: { configurationId, payload } }: Sent): boolean {
  return configurationId > 1 || payload.type === 'Decide' || payload.type === 'LogSegment';
}

const isTold = (cluster: Cluster, id: NodeId) =>
  cluster.sentTo(id, 'Announce').some(({ configuration }) => configuration.configurationId === 2);

/** Those who crash are lost for good, but for those who are `left`: a majority, which loses nothing. */
function expectWithout(cluster: Cluster, crashing: readonly NodeId[], left: readonly NodeId[]): void {
  for (const id of crashing) cluster.crash(id);
  cluster.loses = () => false;
  for (const id of [...left, 4]) if (!cluster.running.includes(id)) cluster.start(id);
  cluster.heal();
  for (const id of left) cluster.until(`node ${id} goes on`, () => configurationIn(cluster, id) === 2);
  cluster.converge(...left, 4);
  for (const id of left) expect(cluster.localValue(id, 'last')).toBe('decided');
}
