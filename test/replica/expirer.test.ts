import { describe, expect, it } from 'vitest';
import { fromByteString } from '../../src/base/bytes.ts';
import { decodeCommand, encodeCommand } from '../../src/kv/command.ts';
import { ttlMsMin } from '../../src/kv/command-limits.ts';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import type { NodeId } from '../../src/omnipaxos/ballot.ts';
import { Expirer } from '../../src/replica/state/expirer.ts';
import { Cluster } from './cluster.ts';

const tickMs = 10;
const ttlTicks = ttlMsMin / tickMs;
const k = fromByteString('k');

/** Expiring puts and renewals of one key, by commands that are numbered. */
class Holder {
  readonly #cluster: Cluster;
  #number = 0;

  constructor(cluster: Cluster, node: NodeId) {
    this.#cluster = cluster;
    this.#ask(node, encodeCommand({ kind: 'openSession', session: 0, number: 1, acknowledgedBelow: 0 }));
  }

  put(node: NodeId): number {
    return this.#ask(node, encodeCommand({ kind: 'put', ...this.#origin(), key: k, value: k, ttlMs: ttlMsMin }));
  }

  renew(node: NodeId, ifRevision: number): void {
    this.#ask(node, encodeCommand({ kind: 'renew', ...this.#origin(), key: k, ifRevision }));
  }

  #origin() {
    const number = this.#number++;
    return { session: 1, number, acknowledgedBelow: number };
  }

  #ask(node: NodeId, command: Uint8Array): number {
    const ask = this.#cluster.ask(node, { type: 'write', command }, 60_000);
    this.#cluster.until('it is answered', () => ask.answer !== undefined);
    const { answer } = ask;
    if (answer?.type !== 'outcome' || answer.outcome.type === 'refused') throw new Error(JSON.stringify(answer));
    return 'revision' in answer.outcome ? answer.outcome.revision : 0;
  }
}

function start() {
  const cluster = new Cluster([1, 2, 3]);
  const leader = cluster.elect();
  const others = cluster.running.filter((id) => id !== leader);
  const isThere = (node: NodeId) => cluster.localValue(node, 'k') !== undefined;
  /** Ticks until it is gone everywhere. */
  const ticksUntilGone = (): number => {
    for (let ticks = 0; ticks < 10 * ttlTicks; ticks++) {
      if (cluster.running.every((id) => !isThere(id))) return ticks;
      cluster.tick();
    }
    throw new Error('it stays');
  };
  return { cluster, leader, others, holder: new Holder(cluster, leader), isThere, ticksUntilGone };
}

describe('a key that expires', () => {
  it('goes from all nodes after its time, and not before', () => {
    const { holder, leader, ticksUntilGone } = start();
    holder.put(leader);
    const ticks = ticksUntilGone();
    expect(ticks).toBeGreaterThanOrEqual(ttlTicks - 1);
    expect(ticks).toBeLessThan(ttlTicks + 25);
  });

  it('stays as long as it is renewed, through whichever node', () => {
    const { cluster, holder, leader, others, isThere, ticksUntilGone } = start();
    const revision = holder.put(leader);
    for (let renewals = 0; renewals < 6; renewals++) {
      cluster.tick(Math.floor(ttlTicks / 2));
      holder.renew(others[0] as NodeId, revision);
    }
    expect([leader, ...others].every(isThere)).toBe(true);
    expect(ticksUntilGone()).toBeGreaterThanOrEqual(ttlTicks - 1);
  });

  it('stays no longer than once more under the next leader', () => {
    const { cluster, holder, leader, others, ticksUntilGone } = start();
    holder.put(leader);
    cluster.tick(Math.floor(ttlTicks * 0.8));
    cluster.crash(leader);
    cluster.elect();
    const ticks = ticksUntilGone();
    expect(ticks).toBeGreaterThanOrEqual(ttlTicks - 10);
    expect(ticks).toBeLessThan(ttlTicks + 40);
    expect(cluster.leaders.every((id) => others.includes(id))).toBe(true);
  });

  it('does not go where no majority is', () => {
    const { cluster, holder, leader, others, isThere } = start();
    holder.put(leader);
    cluster.isolate(leader);
    for (const id of others) cluster.crash(id);
    cluster.tick(3 * ttlTicks);
    expect(isThere(leader)).toBe(true);
    cluster.heal();
    for (const id of others) cluster.start(id);
    cluster.elect();
    cluster.until('it goes', () => !isThere(leader));
  });

  it('goes after a restart of all, too', () => {
    const { cluster, holder, leader, ticksUntilGone } = start();
    holder.put(leader);
    cluster.tick(20);
    for (const id of [1, 2, 3]) cluster.crash(id);
    for (const id of [1, 2, 3]) cluster.start(id);
    cluster.elect();
    expect(ticksUntilGone()).toBeGreaterThan(ttlTicks - 10);
  });
});

describe('the end of keys', () => {
  /** A leader whose proposals the test sees. */
  function begin() {
    const machine = new KvStateMachine(new MemoryStateStore());
    machine.apply(0, encodeCommand({ kind: 'openSession', session: 0, number: 1, acknowledgedBelow: 0 }));
    const proposed: unknown[] = [];
    const voter = {
      paxos: { isLeaderInAcceptPhase: true },
      propose: (command: Uint8Array) => {
        if (voter.isBusy) return { ok: false };
        proposed.push(decodeCommand(command));
        return { ok: true };
      },
      isBusy: false,
    };
    const view = { voter: voter as never, tick: 0, tickMs };
    const expirer = new Expirer(machine, view, 20);
    let number = 0;
    const put = (key: string) => {
      const origin = { session: 1, number, acknowledgedBelow: number++ };
      const command = { kind: 'put', ...origin, key: fromByteString(key), value: k, ttlMs: ttlMsMin } as const;
      machine.apply(machine.appliedIndex, encodeCommand(command));
    };
    const tick = (count: number, elapsedMs = tickMs) => {
      for (let passed = 0; passed < count; passed++) {
        view.tick++;
        expirer.tick(elapsedMs);
      }
    };
    return { machine, proposed, voter, put, tick };
  }

  it('is not proposed for the time in which the leader stood still', () => {
    const { put, tick, proposed } = begin();
    put('k');
    tick(5);
    tick(1, 60_000);
    tick(10);
    expect(proposed, 'those who would have renewed it may be served now').toEqual([]);
    tick(ttlTicks);
    expect(proposed).toHaveLength(1);
  });

  it('is proposed again only after a while, and a thousand at a time', () => {
    const { put, tick, proposed } = begin();
    for (let nth = 0; nth < 1500; nth++) put(`k${nth}`);
    tick(ttlTicks + 10);
    expect(proposed).toHaveLength(1000);
    tick(10);
    expect(proposed).toHaveLength(1500);
    tick(5);
    expect(proposed).toHaveLength(1500);
    tick(20);
    expect(proposed.length).toBeGreaterThan(1500);
  });

  it('is proposed at the next look where there was no room for it', () => {
    const { put, tick, proposed, voter } = begin();
    put('k');
    voter.isBusy = true;
    tick(ttlTicks + 10);
    voter.isBusy = false;
    tick(10);
    expect(proposed).toHaveLength(1);
  });

  it('is not proposed by one that leads no more, and counts anew when it leads again', () => {
    const { put, tick, proposed, voter } = begin();
    put('k');
    tick(ttlTicks - 10);
    voter.paxos.isLeaderInAcceptPhase = false;
    tick(50);
    voter.paxos.isLeaderInAcceptPhase = true;
    tick(ttlTicks - 10);
    expect(proposed).toEqual([]);
    tick(20);
    expect(proposed).toMatchObject([{ kind: 'expire', ifRevision: 2, renewedAt: 2 }]);
  });
});
