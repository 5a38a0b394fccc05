import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { DecisionWatch } from '../../src/replica/lead/decision-watch.ts';
import { Client, Cluster, type Sent } from './cluster.ts';

const pauseTicks = 200;
/** Over an election timeout, there alone. */
const slowTicks = 8;

const isTakeOver = ({ message }: Sent) => message.payload.type === 'TakeOver';
const isHeartbeat = ({ message: { payload } }: Sent) =>
  payload.type === 'HeartbeatRequest' || payload.type === 'HeartbeatReply';

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
    cluster.delayOf = (sent) => (ids.includes(sent.from) && !isHeartbeat(sent) ? slowTicks : 0);
  }

  /** Somebody writes through node `id` all the time. */
  function write(id: NodeId, ticks: number): void {
    const client = new Client(cluster, id);
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

  beforeEach(() => {
    watch = new DecisionWatch(200, 20);
    tick = 0;
    endIndex = 0;
  });

  /** Entries that take so many ticks each, one after the other, for `forTicks`. */
  function decide(ticks: number, forTicks: number, undecidedSize = 0): void {
    for (const endTick = tick + forTicks; tick < endTick; endIndex++) {
      for (let waited = 0; waited < ticks; waited++)
        watch.tick({ acceptedIndex: endIndex + 1, decidedIndex: endIndex, undecidedSize }, ++tick);
    }
  }

  it('takes long once three seconds of ten went into what took over an election timeout', () => {
    decide(12, 140);
    expect(watch.isSlow).toBe(false);
    decide(12, 30);
    expect(watch.isSlow).toBe(true);
    decide(1, 300);
    expect(watch.isSlow, 'over a second of the last ten did').toBe(true);
    decide(1, 300);
    expect(watch.isSlow).toBe(false);
  });

  it('does not take long at just under that, nor for its size', () => {
    decide(9, 3000);
    decide(20, 3000, 8_000_000);
    expect(watch.isSlow).toBe(false);
  });

  it('does not take long where nothing is decided at all: that is for the election', () => {
    for (; tick < 3000; tick++) watch.tick({ acceptedIndex: 1, decidedIndex: 0, undecidedSize: 0 }, tick);
    expect(watch.isSlow).toBe(false);
  });

  it('is forgotten by one that leads no more', () => {
    decide(1, 10);
    watch.tick({ acceptedIndex: 100, decidedIndex: 99, undecidedSize: 0 }, ++tick);
    for (let more = 0; more < 400; more++) watch.tick(undefined, ++tick);
    watch.tick({ acceptedIndex: 200, decidedIndex: 200, undecidedSize: 0 }, ++tick);
    expect(watch.isSlow).toBe(false);
  });
});
