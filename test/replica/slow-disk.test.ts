import { beforeEach, describe, expect, it } from 'vitest';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { FlushTimes } from '../../src/replica/lead/flush-times.ts';
import { LeadHandover } from '../../src/replica/lead/lead-handover.ts';
import { SlownessWatch } from '../../src/replica/lead/slowness-watch.ts';
import { FlushTimer } from '../../src/storage/disk/flush-timer.ts';
import { Client, Cluster, isTakeOver } from './cluster.ts';

/** Ticks of the cluster that are well over what makes a disk slow. */
const longTicks = 200;
const pauseTicks = 1000;

describe('a leader whose disk hangs', () => {
  let cluster: Cluster;
  let leader: NodeId;
  let followers: [NodeId, NodeId];
  let client: Client;

  beforeEach(() => {
    cluster = new Cluster([1, 2, 3], { handoverPauseTicks: pauseTicks });
    leader = cluster.elect();
    followers = [1, 2, 3].filter((id) => id !== leader) as [NodeId, NodeId];
    client = new Client(cluster, leader);
    cluster.converge(1, 2, 3);
  });

  /** Its disk, and those of `slow`, take no write from now on, and there is one to make. */
  function hang(...slow: NodeId[]): void {
    for (const id of slow) cluster.stallDisk(id);
    client.put(leader, 'k', 'v');
    cluster.settle();
  }

  it('goes on answering, and hands the lead over, once', () => {
    hang(leader);
    expect(cluster.localValue(leader, 'k'), 'two others have it on disk').toBe('v');
    cluster.tick(longTicks);
    expect(cluster.sent.filter(isTakeOver).map(({ from }) => from)).toEqual([leader]);
    const [successor] = cluster.leaders;
    expect(followers).toContain(successor);
    cluster.tick(2 * pauseTicks);
    expect(cluster.sent.filter(isTakeOver)).toHaveLength(1);
    expect(cluster.leaders).toEqual([successor]);
  });

  it('keeps the lead if all disks are slow, and asks each of the others once in a pause', () => {
    hang(leader, ...followers);
    cluster.tick(longTicks);
    expect(cluster.sentTo(followers[0], 'TakeOver')).toHaveLength(1);
    expect(cluster.sentTo(followers[1], 'TakeOver')).toHaveLength(1);
    expect(cluster.leaders).toEqual([leader]);
    cluster.tick(pauseTicks);
    expect(cluster.sentTo(followers[0], 'TakeOver')).toHaveLength(2);
    expect(cluster.leaders).toEqual([leader]);
  });

  it('takes no lead while it is slow, and does once it is quick again', () => {
    hang(leader);
    cluster.tick(longTicks);
    const [second] = cluster.leaders as [NodeId];
    const third = followers.find((id) => id !== second) as NodeId;
    cluster.freeDisk(leader);
    cluster.settle();
    expect(cluster.replica(leader).status().disk?.flushP99Ms, 'what its flush took').toBeGreaterThan(1500);
    hang(second);
    cluster.tick(longTicks);
    expect(cluster.leaders, 'ten seconds are not over').toEqual([third]);
    cluster.tick(pauseTicks);
    cluster.freeDisk(second);
    hang(third);
    cluster.tick(longTicks);
    expect(cluster.leaders, 'now the second one is too slow').toEqual([leader]);
  });
});

describe('a disk', () => {
  let watch: SlownessWatch;
  let nowMs: number;

  beforeEach(() => {
    watch = new SlownessWatch({ slowMs: 100, slowFromMs: 1500, quickBelowMs: 500 });
    nowMs = 0;
  });

  /** Flushes of so many milliseconds, one after the other, for `forMs`. */
  function flush(durationMs: number, forMs: number, bytes = 0): void {
    for (const endMs = nowMs + forMs; nowMs < endMs; ) {
      nowMs += durationMs;
      watch.took(durationMs, bytes);
      watch.tick(nowMs, 0, 0);
    }
  }

  function rest(forMs: number): void {
    for (const endMs = nowMs + forMs; nowMs < endMs; nowMs += 20) watch.tick(nowMs, 0, 0);
  }

  it('is slow after a second and a half of slow flushes, and quick again when they are long ago', () => {
    flush(200, 1400);
    expect(watch.isSlow).toBe(false);
    flush(200, 200);
    expect(watch.isSlow).toBe(true);
    rest(8000);
    expect(watch.isSlow).toBe(true);
    rest(2000);
    expect(watch.isSlow).toBe(false);
  });

  it('stays slow as long as it is seldom quick', () => {
    flush(200, 30_000);
    expect(watch.isSlow).toBe(true);
    flush(1, 8000);
    expect(watch.isSlow, 'over a second of the last ten was').toBe(true);
    flush(1, 2000);
    expect(watch.isSlow).toBe(false);
  });

  it('is not slow for a hiccup now and then, however many, nor for flushes just under the bound', () => {
    for (let round = 0; round < 30; round++) {
      flush(400, 400);
      flush(1, 800);
      expect(watch.isSlow).toBe(false);
    }
    flush(99, 20_000);
    expect(watch.isSlow).toBe(false);
  });

  it('is not slow because flushes are large', () => {
    flush(300, 20_000, 5_000_000);
    expect(watch.isSlow).toBe(false);
    flush(400, 6000, 5_000_000);
    expect(watch.isSlow).toBe(true);
  });

  it('is slow while a flush hangs, and after it', () => {
    watch.tick(1490, 1490, 100);
    expect(watch.isSlow).toBe(false);
    watch.tick(1510, 1510, 100);
    expect(watch.isSlow).toBe(true);
    watch.tick(59_990, 59_990, 0);
    watch.took(60_000, 0);
    watch.tick(60_010, 0, 0);
    expect(watch.isSlow).toBe(true);
    watch.tick(71_000, 0, 0);
    expect(watch.isSlow).toBe(false);
  });
});

it('a handover asks each once, then pauses, whatever comes of it', () => {
  const handover = new LeadHandover(10, 100);
  const pick = (asked: ReadonlySet<NodeId>) => [7, 8].find((id) => !asked.has(id));
  const asked: [number, NodeId][] = [];
  for (let tick = 0; tick < 250; tick++) {
    const id = handover.next(tick, pick);
    if (id !== undefined) asked.push([tick, id]);
  }
  expect(asked).toEqual([
    [0, 7],
    [10, 8],
    [110, 7],
    [120, 8],
    [220, 7],
    [230, 8],
  ]);
  handover.rest();
  handover.rest();
  expect(handover.next(329, pick)).toBeUndefined();
  expect(handover.next(330, pick)).toBe(7);
});

it('flush times are the percentiles of the last 1,024, and a count of all', () => {
  const times = new FlushTimes();
  expect(times.status()).toEqual({ flushP50Ms: undefined, flushP99Ms: undefined, flushes: 0 });
  times.add(1.23456);
  expect(times.status()).toEqual({ flushP50Ms: 1.235, flushP99Ms: 1.235, flushes: 1 });
  for (let count = 0; count < 5000; count++) times.add(900);
  for (let ms = 1024; ms >= 1; ms--) times.add(ms);
  expect(times.status()).toEqual({ flushP50Ms: 512, flushP99Ms: 1014, flushes: 6025 });
});

describe('the timer of flushes', () => {
  it('measures a flush, and how long one has been under way', () => {
    const timer = new FlushTimer(20, 0);
    expect(timer.tick(20)).toBe(0);
    timer.begin(25);
    expect(timer.tick(40)).toBe(15);
    expect(timer.end(45)).toBe(20);
    expect(timer.tick(60)).toBe(0);
  });

  it('leaves out the time in which the process stood still', () => {
    const timer = new FlushTimer(20, 0);
    timer.begin(10);
    // Nothing ran until 5000: the flush may have ended at any time.
    expect(timer.end(5000)).toBe(30);
    timer.begin(5000);
    expect(timer.tick(5000)).toBe(0);
    expect(timer.tick(5020)).toBe(20);
    expect(timer.tick(9000)).toBe(60);
    expect(timer.end(9010)).toBe(70);
  });
});
