import { beforeEach, describe, expect, it } from 'vitest';
import type { Call } from '../../src/client/call/call.ts';
import { ClusterNews } from '../../src/client/connection/cluster-news.ts';
import type { Connection } from '../../src/client/connection/connection.ts';
import { Endpoints } from '../../src/client/connection/endpoints.ts';
import type { KnownLeader } from '../../src/client/connection/leader-route.ts';
import type { MembersNews, NodeStatus } from '../../src/wire/client-message.ts';

const given = ['127.0.0.1:1', '127.0.0.1:2'];
const others = ['127.0.0.1:3', '127.0.0.1:4'];
const leftOut: MembersNews = { type: 'members', addresses: others, isMember: false };
const members = [...given, ...others].map((address, at) => ({ id: at + 1, address }));

/** What of a connection counts here. It was made ten seconds ago and has answered since. */
function connectionTo(nodeId: number): Connection {
  const nowMs = performance.now();
  const times = { startedMs: nowMs - 10_000, agreedMs: nowMs, answeredMs: nowMs };
  return { ...times, hello: { nodeId }, askedClusterMs: Number.NEGATIVE_INFINITY } as Partial<Connection> as Connection;
}

/** All that is around the news of a client, which writes down what it is told to do. */
class Surroundings {
  readonly endpoints = new Endpoints(given, undefined);
  readonly calls: Call[] = [];
  readonly done: string[] = [];
  current: Connection | undefined = connectionTo(1);
  clusterId: string | undefined = 'c1';
  isProven = true;

  newsOf(isPinned: boolean): ClusterNews {
    return new ClusterNews({
      ...{ endpoints: this.endpoints, router: this, leaderRoute: this, isPinned },
      submit: (call) => this.calls.push(call),
      wake: () => this.done.push('wake'),
      onLeader: () => this.done.push('onLeader'),
    });
  }

  connect(): void {
    this.done.push('connect');
  }

  leave(connection: Connection): void {
    this.done.push(`leave ${connection.hello?.nodeId}`);
    this.current = undefined;
  }

  learnClusterId(_connection: Connection, clusterId: string): void {
    this.clusterId = clusterId;
  }

  aim({ nodeId }: KnownLeader, isCurrent: boolean): void {
    this.done.push(`aim at ${nodeId}${isCurrent ? ', the current one' : ''}`);
  }

  /** Answers what was asked last. */
  answer(status: Partial<NodeStatus>): void {
    const whole = { clusterId: undefined, leader: undefined, members, state: 'member', ...status };
    this.calls.at(-1)?.onAnswer({ type: 'status', status: whole as NodeStatus });
  }
}

let around: Surroundings;
let news: ClusterNews;

beforeEach(() => {
  around = new Surroundings();
  news = around.newsOf(false);
});

describe('the news of a cluster', () => {
  it('is asked for at once and, once there were writes, every two seconds, else every thirty', () => {
    const nowMs = performance.now();
    const askedAt = (ms: number): number => {
      news.ask(nowMs + ms);
      return around.calls.length;
    };
    expect([0, 2_100, 29_900].map(askedAt)).toEqual([1, 1, 1]);
    expect(askedAt(30_100)).toBe(2);
    news.onWrites();
    expect([32_000, 32_200].map(askedAt)).toEqual([2, 3]);
  });

  it('is asked for anew once a node has done what it was asked, or a cluster has formed', () => {
    const nowMs = performance.now();
    news.ask(nowMs);
    news.onProved();
    news.ask(nowMs + 1);
    expect(around.calls.length).toBe(2);
    around.clusterId = undefined;
    (around.current as Connection).agreedMs = nowMs + 2;
    news.ask(nowMs + 3);
    expect(around.calls.length).toBe(3);
    around.answer({ clusterId: 'c2' });
    expect(around.clusterId).toBe('c2');
  });

  it('tells where members are, and to whom writes go once there were some', () => {
    news.ask(performance.now());
    around.answer({ leader: 3 });
    expect(around.endpoints.addresses).toEqual([...given, ...others]);
    expect(around.done).toEqual([]);
    news.onWrites();
    around.answer({ leader: 3 });
    around.answer({ leader: 1 });
    around.answer({ leader: 9 });
    expect(around.done).toEqual(['aim at 3', 'onLeader', 'aim at 1, the current one', 'onLeader']);
  });

  it('says nothing of a leader while the cluster may turn out to be another one', () => {
    news.onWrites();
    news.ask(performance.now());
    around.isProven = false;
    around.answer({ leader: 3 });
    expect(around.done).toEqual([]);
  });

  it('is of no account to a client of given endpoints alone', () => {
    news = around.newsOf(true);
    news.onWrites();
    news.ask(performance.now());
    news.learn(others);
    news.onMembers(connectionTo(1), leftOut);
    news.onLost(connectionTo(1));
    expect([around.calls.length, around.endpoints.addresses, around.done]).toEqual([0, given, []]);
    expect(news.seekMember(performance.now())).toBe(false);
  });
});

describe('a member', () => {
  it('is sought for ten seconds once a connection that lasted is lost', () => {
    const nowMs = performance.now();
    expect(news.seekMember(nowMs)).toBe(false);
    news.onLost({ ...connectionTo(1), startedMs: nowMs - 100 } as Connection);
    news.onLost({ ...connectionTo(1), answeredMs: 0 } as Connection);
    expect(around.done).toEqual([]);
    news.onLost(connectionTo(1));
    around.current = undefined;
    expect(news.seekMember(nowMs + 1)).toBe(true);
    expect(around.done).toEqual(['wake', 'connect']);
    around.current = connectionTo(2);
    expect(news.seekMember(nowMs + 2)).toBe(false);
    around.current = undefined;
    expect(news.seekMember(nowMs + 11_000)).toBe(false);
  });

  it('is sought once the node in use says that it is none, and one that stands by is left for it', () => {
    const { current } = around;
    news.onMembers(connectionTo(2), leftOut);
    expect(around.done).toEqual([]);
    news.onMembers(current as Connection, leftOut);
    expect(around.done).toEqual(['leave 1', 'wake']);
    expect(around.endpoints.next(new Set())).toBe(others[0]);
    around.current = connectionTo(2);
    news.ask(performance.now());
    around.answer({ state: 'standby' });
    expect(news.seekMember(performance.now())).toBe(true);
    expect(around.done).toEqual(['leave 1', 'wake', 'leave 2']);
  });
});
