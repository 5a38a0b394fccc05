import { describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Client, Cluster, type Sent } from './cluster.ts';

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
