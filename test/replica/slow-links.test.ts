import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { DecisionWatch } from '../../src/replica/lead/decision-watch.ts';
import { isAhead } from '../../src/wire/peer-message.ts';
import { Client, Cluster, isTakeOver } from './cluster.ts';

const pauseTicks = 200;
/** Over an election timeout, there alone. */
const slowTicks = 8;

describe('a leader over whose links all but heartbeats is slow', () => {
  let cluster: Cluster;
  let leader: NodeId;

  beforeEach(() => {
    cluster = new Cluster([1, 2, 3], { handoverPauseTicks: pauseTicks });
    leader = cluster.elect();
    cluster.converge(1, 2, 3);
  });

  /** What any of `ids` sends is slow from now on. */
  function slowDown(...ids: NodeId[]): void {
    cluster.delayOf = (sent) => (ids.includes(sent.from) && !isAhead(sent.message) ? slowTicks : 0);
  }

  /** Somebody writes through node `id` all the time. */
  function write(id: NodeId, ticks: number, client = new Client(cluster, id)): void {
    for (let tick = 0; tick < ticks; tick++) {
      client.put(id, 'k', String(tick));
      cluster.tick();
    }
  }

  const asked = () => cluster.sent.filter(isTakeOver);

  it('hands the lead over, once', () => {
    slowDown(leader);
    write(leader, 500);
    expect(asked().map(({ from }) => from)).toEqual([leader]);
    const [successor] = cluster.leaders as [NodeId];
    expect(successor).not.toBe(leader);
    write(successor, 3000);
    expect(asked()).toHaveLength(1);
    expect(cluster.leaders).toEqual([successor]);
    expect(cluster.notices(leader).join('\n')).toContain('takes long to be decided, though its disk is quick');
  });

  it('lets it go round once where all are as slow, and then again only after a long pause', () => {
    slowDown(1, 2, 3);
    for (let round = 0; round < 8; round++) write(cluster.leaders[0] ?? leader, 200);
    const first = asked().length;
    expect(first).toBeGreaterThanOrEqual(2);
    expect(new Set(asked().map(({ from }) => from)).size, 'each once').toBe(first);
    const ballots = cluster.leaders;
    write(ballots[0] as NodeId, 200);
    expect(cluster.leaders).toEqual(ballots);
    expect(asked()).toHaveLength(first);
  });

  it('keeps it where it has no choice of whom to ask for a decision', () => {
    const [gone, other] = [1, 2, 3].filter((id) => id !== leader) as [NodeId, NodeId];
    cluster.crash(gone);
    slowDown(leader, other);
    write(leader, 1500);
    expect(cluster.leaders).toEqual([leader]);
    expect(asked()).toEqual([]);
  });

  it('hands it over where nothing else comes through at all', () => {
    const client = new Client(cluster, leader);
    cluster.loses = (sent) => sent.from === leader && !isAhead(sent.message);
    write(leader, 400, client);
    const [successor] = cluster.leaders as [NodeId];
    expect(asked().map(({ from }) => from)).toEqual([leader]);
    expect(successor).not.toBe(leader);
  });

  it('asks the next one where the first does not take it, though a decision is not waited for all the time', () => {
    const [deaf, other] = [1, 2, 3].filter((id) => id !== leader) as [NodeId, NodeId];
    slowDown(leader);
    cluster.loses = (sent) => isTakeOver(sent) && sent.to === asked()[0]?.to;
    const client = new Client(cluster, leader);
    for (let round = 0; round < 200 && cluster.leaders[0] === leader; round++) {
      const put = client.put(leader, 'k', String(round));
      cluster.until('it is acknowledged', () => put.answer !== undefined);
      cluster.tick(3);
    }
    expect(new Set(asked().map(({ to }) => to))).toEqual(new Set([deaf, other]));
    expect(cluster.leaders).toEqual([asked().at(-1)?.to]);
  });

  it('keeps it where nobody writes', () => {
    slowDown(leader);
    cluster.tick(2000);
    expect(cluster.leaders).toEqual([leader]);
    expect(asked()).toEqual([]);
  });
});

describe('what is decided', () => {
  let watch: DecisionWatch;
  let tick: number;
  let endIndex: number;
  const office = { acceptedIndex: 0, decidedIndex: 0, undecidedSize: 0, promise: { n: 1, priority: 0, pid: 1 } };

  /** A tick in which the log of the leader is so. */
  function look(acceptedIndex: number, decidedIndex: number, undecidedSize = 0): void {
    watch.tick(Object.assign(office, { acceptedIndex, decidedIndex, undecidedSize }), ++tick);
  }

  beforeEach(() => {
    watch = new DecisionWatch(200, 20);
    tick = 0;
    endIndex = 0;
  });

  /** Entries that take so many ticks each, one after the other, for `forTicks`. */
  function decide(ticks: number, forTicks: number, undecidedSize = 0): void {
    for (const endTick = tick + forTicks; tick < endTick; endIndex++) {
      for (let waited = 0; waited < ticks; waited++) look(endIndex + 1, endIndex, undecidedSize);
    }
  }

  it('takes long once a second and a half of ten went into what took over an election timeout', () => {
    decide(12, 60);
    expect(watch.isSlow).toBe(false);
    decide(12, 24);
    expect(watch.isSlow).toBe(true);
    decide(1, 420);
    expect(watch.isSlow, 'over half a second of the last ten did').toBe(true);
    decide(1, 100);
    expect(watch.isSlow).toBe(false);
  });

  it('does not take long at just under that, nor for its size', () => {
    decide(9, 3000);
    decide(20, 3000, 8_000_000);
    expect(watch.isSlow).toBe(false);
  });

  it('takes long where nothing is decided at all', () => {
    while (tick < 80) look(1, 0);
    expect([watch.isSlow, watch.isWaiting]).toEqual([true, true]);
    look(1, 1);
    expect([watch.isSlow, watch.isWaiting]).toEqual([true, false]);
  });

  it.each([
    ['leads no more', () => watch.tick(undefined, ++tick)],
    ['leads anew', () => Object.assign(office, { promise: { n: office.promise.n + 1, priority: 0, pid: 1 } })],
  ])('is forgotten by one that %s', (_, change) => {
    while (tick < 80) look(1, 0);
    change();
    look(1, 0);
    expect(watch.isSlow).toBe(false);
    while (tick < 150) look(1, 0);
    expect(watch.isSlow).toBe(false);
    while (tick < 160) look(1, 0);
    expect(watch.isSlow).toBe(true);
  });
});
