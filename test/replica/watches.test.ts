import { describe, expect, it } from 'vitest';
import { fromByteString, toByteString } from '../../src/base/bytes.ts';
import { encodeCommand } from '../../src/kv/command.ts';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import { Reads } from '../../src/replica/clients/reads.ts';

import { Output } from '../../src/replica/output.ts';
import type { ClientResponse } from '../../src/wire/client-message.ts';
import { Client, Cluster } from './cluster.ts';
import { readsView } from './reads-view.ts';

const here = 1;
const session = 1;

/** Watches of a state machine whose log and clock the test makes, and a read index that is known at once. */
function begin(limits: { watchesMax?: number; rememberedChangesMax?: number } = {}) {
  const store = new MemoryStateStore();
  const machine = new KvStateMachine(store);
  machine.apply(0, encodeCommand({ kind: 'openSession', session: 0, number: 1, acknowledgedBelow: 0 }));
  const output = new Output();
  const { view, congested } = readsView();
  let readId = 0;
  view.voter = { paxos: { requestRead: () => ++readId } } as never;
  const sizes = { pendingReadsMax: 1000, watchesMax: 10, rememberedChangesMax: 100, ...limits };
  const reads = new Reads(machine, {} as never, sizes, output, view);
  let number = 0;
  const change = (key: string, value?: string) => {
    const origin = { session, number: ++number, acknowledgedBelow: 1, key: fromByteString(key) };
    const ifRevision = undefined;
    const index = machine.appliedIndex;
    if (value === undefined) machine.apply(index, encodeCommand({ kind: 'delete', ...origin, ifRevision }));
    else machine.apply(index, encodeCommand({ kind: 'put', ...origin, value: fromByteString(value), ifRevision }));
    return index + 1;
  };
  const transact = (values: Readonly<Record<string, string>>) => {
    const changes = Object.entries(values).map(([key, value]) => ({
      ...{ kind: 'put' as const, key: fromByteString(key), value: fromByteString(value) },
    }));
    const origin = { session, number: ++number, acknowledgedBelow: 1 };
    const transaction = { conditions: [], changes };
    machine.apply(machine.appliedIndex, encodeCommand({ kind: 'transact', ...origin, transaction }));
  };
  let lastId = 0;
  /** Asks, and has the index confirmed: the answer comes in this turn or a later one. */
  const ask = (key: string, since?: number, options: { isPrefix?: boolean; waitMs?: number; after?: string } = {}) => {
    const { isPrefix = false, waitMs = 1000, after } = options;
    const id = ++lastId;
    const bytes = { key: fromByteString(key), after: after === undefined ? undefined : fromByteString(after) };
    reads.receive(here, { type: 'watch', id, timeoutMs: 5000, ...bytes, isPrefix, since, waitMs });
    reads.pump();
    reads.onReady(readId, machine.appliedIndex);
    return id;
  };
  /** The answers of a turn in which this happens, in short. */
  const turn = (happens: () => unknown = () => {}) => {
    reads.beginTurn();
    happens();
    reads.serve();
    const { responses } = output.take(() => true, 0, false);
    return ((responses.get(here) ?? []) as ClientResponse[]).map(short);
  };
  const sweepAt = (nowMs: number, isLed = true) =>
    turn(() => {
      view.nowMs = nowMs;
      view.isLed = isLed;
      reads.sweep();
    });
  return { machine, reads, store, congested, change, transact, ask, turn, sweepAt };
}

function short(response: ClientResponse): unknown {
  const { id } = response;
  switch (response.type) {
    case 'changes': {
      const changes = response.changes.map(({ key, value, revision }) => [
        toByteString(key),
        value && toByteString(value),
        revision,
      ]);
      return { id, changes, ...(response.more && { more: true }), revision: response.revision };
    }
    case 'snapshot': {
      const pairs = response.pairs.map(({ key, value, revision }) => [
        toByteString(key),
        toByteString(value),
        revision,
      ]);
      return { id, pairs, more: response.more, revision: response.revision };
    }
    case 'failed':
      return { id, code: response.code, message: response.message };
    default:
      return response;
  }
}

describe('a watch of a key', () => {
  it('without a revision gets what the key is', () => {
    const { ask, change, turn } = begin();
    const revision = change('k', 'v');
    expect(turn(() => ask('k'))).toEqual([{ id: 1, pairs: [['k', 'v', revision]], more: false, revision }]);
    expect(turn(() => ask('other'))).toEqual([{ id: 2, pairs: [], more: false, revision }]);
  });

  it('waits for the next change of this key, and of no other', () => {
    const { ask, change, turn, machine } = begin();
    turn(() => ask('k'));
    const since = machine.appliedIndex;
    expect(turn(() => ask('k', since))).toEqual([]);
    expect(turn(() => change('other', '1'))).toEqual([]);
    expect(turn(() => change('kk', '1'))).toEqual([]);
    expect(turn(() => change('k', 'new'))).toEqual([{ id: 2, changes: [['k', 'new', 4]], revision: 4 }]);
    expect(
      turn(() => change('k', 'newer')),
      'it was answered',
    ).toEqual([]);
  });

  it('is told the last of several values, once, and that a key is gone', () => {
    const { ask, change, turn, machine } = begin();
    turn(() => ask('k'));
    turn(() => ask('k', machine.appliedIndex));
    const first = turn(() => {
      change('k', '1');
      change('k', '2');
    });
    expect(first).toEqual([{ id: 2, changes: [['k', '2', 3]], revision: 3 }]);
    turn(() => ask('k', 3));
    expect(turn(() => change('k'))).toEqual([{ id: 3, changes: [['k', undefined, 4]], revision: 4 }]);
    turn(() => ask('k', 4));
    expect(
      turn(() => change('k')),
      'a delete of nothing is no change',
    ).toEqual([]);
  });

  it('is answered at once where something has changed since', () => {
    const { ask, change, turn, machine } = begin();
    turn(() => ask('k'));
    const since = machine.appliedIndex;
    change('k', '1');
    change('other', '1');
    expect(turn(() => ask('k', since))).toEqual([{ id: 2, changes: [['k', '1', 2]], revision: 3 }]);
  });

  it('is told that there was nothing once it has waited for long enough, if a leader is in reach', () => {
    const { ask, change, turn, sweepAt } = begin();
    turn(() => ask('k'));
    turn(() => ask('k', 1));
    turn(() => ask('k', 1, { waitMs: 2000 }));
    change('other', '1');
    expect(sweepAt(999)).toEqual([]);
    expect(sweepAt(1000)).toEqual([{ id: 2, changes: [], revision: 2 }]);
    expect(sweepAt(2000, false)).toEqual([{ id: 3, code: 'noMajority', message: 'nobody leads' }]);
  });

  it('gets the state where more changed than is remembered, and where the state is another', () => {
    const { ask, change, turn, machine } = begin({ rememberedChangesMax: 2 });
    turn(() => ask('k'));
    change('k', '1');
    change('a', '1');
    change('b', '1');
    expect(turn(() => ask('k', 1))).toEqual([{ id: 2, pairs: [['k', '1', 2]], more: false, revision: 4 }]);
    turn(() => ask('k', 4));
    // The store's own state is older here; what counts is that it is told anew.
    expect(turn(() => machine.reload())).toMatchObject([{ id: 3, more: false, revision: 0 }]);
    expect(
      turn(() => ask('k', 4)),
      'a revision that is not there yet',
    ).toMatchObject([{ id: 4, more: false }]);
  });

  it('that slept through more changes of others than are remembered is told of its own', () => {
    const { ask, change, turn } = begin({ rememberedChangesMax: 2 });
    turn(() => ask('k'));
    turn(() => ask('k', 1));
    for (let nth = 0; nth < 5; nth++) turn(() => change('other', '1'));
    expect(turn(() => change('k', '1'))).toEqual([{ id: 2, changes: [['k', '1', 7]], revision: 7 }]);
  });

  it('is told at once, and one of a prefix that has many changes of others to go through in its turn', () => {
    const { ask, change, turn } = begin({ rememberedChangesMax: 16_384 });
    ask('none');
    turn();
    const since = change('first', 'v');
    for (let at = 0; at < 4_000; at++) change(`k${at}`, 'v');
    const asked = (isPrefix: boolean) => () => {
      for (let at = 0; at < 20; at++) ask('none', since, { isPrefix, waitMs: 0 });
    };
    expect(turn(asked(false))).toHaveLength(20);
    expect(turn(asked(true))).toHaveLength(14);
    expect(turn()).toHaveLength(6);
  });

  it('waits while its client does not take what it has, and is then told what is true', () => {
    const { ask, change, turn, congested } = begin();
    const large = 'x'.repeat(200_000);
    turn(() => ask('k'));
    turn(() => ask('k', 1));
    turn(() => ask('big', 1));
    turn(() => ask('big', 1));
    congested.add(here);
    expect(
      turn(() => {
        change('big', large);
        change('k', '1');
      }),
    ).toHaveLength(2);
    change('k', '2');
    congested.clear();
    expect(turn()).toEqual([{ id: 2, changes: [['k', '2', 4]], revision: 4 }]);
  });

  it('is forgotten with its client, and refused with all when the node serves no more', () => {
    const { ask, change, turn, reads } = begin();
    turn(() => ask('k'));
    turn(() => ask('k', 1));
    reads.forget(here);
    expect(turn(() => change('k', '1'))).toEqual([]);
    turn(() => ask('k', 2));
    const refusal = { type: 'failed', code: 'shuttingDown', outcome: 'notApplied', message: 'bye' } as const;
    expect(turn(() => reads.failAll(refusal))).toEqual([{ id: 3, code: 'shuttingDown', message: 'bye' }]);
    expect(turn(() => change('k', '2'))).toEqual([]);
  });

  it('is refused where too many wait, and without a key', () => {
    const { ask, turn } = begin({ watchesMax: 2 });
    turn(() => ask('k'));
    // All of one turn, of which none waited when they came.
    const answers = turn(() => {
      ask('a', 1);
      ask('b', 1);
      ask('c', 1);
    });
    expect(answers).toMatchObject([{ id: 4, code: 'busy' }]);
    expect(turn(() => ask('d', 1))).toMatchObject([{ id: 5, code: 'busy' }]);
    expect(turn(() => ask(''))).toMatchObject([{ id: 6, code: 'invalid' }]);
  });

  it('leaves nothing behind a minute after the last one', () => {
    const { ask, change, turn, sweepAt, machine } = begin();
    turn(() => ask('k'));
    turn(() => ask('k', 1));
    sweepAt(1000);
    sweepAt(59_000);
    expect(machine.observer, 'its client may come back').toBeDefined();
    sweepAt(60_000);
    expect(machine.observer).toBeUndefined();
    change('k', '1');
    expect(turn(() => ask('k', 1))).toEqual([{ id: 3, pairs: [['k', '1', 2]], more: false, revision: 2 }]);
  });
});

describe('a watch of a prefix', () => {
  it('is told of all keys that begin with it', () => {
    const { ask, change, turn } = begin();
    change('s/a', '1');
    change('t', '1');
    const all = turn(() => ask('s/', undefined, { isPrefix: true }));
    expect(all).toEqual([{ id: 1, pairs: [['s/a', '1', 2]], more: false, revision: 3 }]);
    turn(() => ask('s/', 3, { isPrefix: true }));
    expect(turn(() => change('s', '1'))).toEqual([]);
    const changed = turn(() => {
      change('s/b', '1');
      change('t', '2');
      change('s/a');
      change('s/', 'x');
    });
    const changes = [
      ['s/b', '1', 5],
      ['s/a', undefined, 7],
      ['s/', 'x', 8],
    ];
    expect(changed).toEqual([{ id: 2, changes, revision: 8 }]);
  });

  it('of nothing is one of every key; several lengths wait beside each other', () => {
    const { ask, change, turn } = begin();
    turn(() => ask('', undefined, { isPrefix: true }));
    for (const prefix of ['', 'a', 'ab', 'abc', 'b']) turn(() => ask(prefix, 1, { isPrefix: true }));
    turn(() => ask('ab', 1));
    expect(turn(() => change('ab', '1'))).toHaveLength(4);
    expect(turn(() => change('b', '1'))).toHaveLength(1);
    expect(turn(() => change('abcd', '1'))).toHaveLength(1);
    expect(turn(() => change('ab', '2'))).toHaveLength(0);
  });

  it('is told many changes in several answers, none of them lost', () => {
    const { ask, change, turn } = begin();
    const large = 'x'.repeat(1024 * 1024);
    turn(() => ask('', undefined, { isPrefix: true }));
    for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) change(key, large);
    change('a', 'small');
    const told: unknown[] = [];
    let since = 1;
    for (let asked = 0; asked < 3; asked++) {
      const [answer] = turn(() => ask('', since, { isPrefix: true, waitMs: 0 })) as {
        changes: [string][];
        more?: true;
        revision: number;
      }[];
      told.push([...(answer?.changes.map(([key]) => key) ?? []), ...(answer?.more ? ['more'] : [])]);
      since = answer?.revision ?? 0;
    }
    expect(told).toEqual([['b', 'c', 'd', 'more'], ['e', 'f', 'a'], []]);
    expect(since).toBe(8);
  });

  it('is told all that one transaction changed in one answer', () => {
    const { ask, change, transact, turn } = begin();
    const large = 'x'.repeat(1024 * 1024);
    const quarter = 'x'.repeat(256 * 1024 - 16);
    turn(() => ask('', undefined, { isPrefix: true }));
    for (const key of ['a', 'b', 'c']) change(key, large);
    change('d', quarter);
    change('e', quarter);
    // Of these the third would be one too many.
    transact({ t1: quarter, t2: quarter, t3: quarter, t4: quarter });
    change('f', quarter);
    const [first] = turn(() => ask('', 1, { isPrefix: true })) as { changes: [string][]; revision: number }[];
    expect(first?.changes.map(([key]) => key)).toEqual(['a', 'b', 'c', 'd', 'e', 't1', 't2', 't3', 't4']);
    expect(first?.revision).toBe(7);
    const [second] = turn(() => ask('', 7, { isPrefix: true })) as { changes: [string][] }[];
    expect(second?.changes.map(([key]) => key)).toEqual(['f']);
  });

  it('that waits is told all that one transaction changed, once', () => {
    const { ask, transact, turn, machine } = begin();
    turn(() => ask('', undefined, { isPrefix: true }));
    turn(() => ask('t', machine.appliedIndex, { isPrefix: true }));
    const told = turn(() => transact({ t1: '1', other: 'x', t2: '2' }));
    const changes = [
      ['t1', '1', 2],
      ['t2', '2', 2],
    ];
    expect(told).toEqual([{ id: 2, changes, revision: 2 }]);
  });

  it('gets its state in pages, each as of its own revision', () => {
    const { ask, change, turn } = begin();
    const large = 'x'.repeat(1024 * 1024);
    for (const key of ['a', 'b', 'c', 'd', 'e']) change(key, large);
    const [first] = turn(() => ask('', undefined, { isPrefix: true })) as {
      pairs: [string][];
      more: boolean;
      revision: number;
    }[];
    expect([first?.pairs.map(([key]) => key), first?.more, first?.revision]).toEqual([['a', 'b', 'c'], true, 6]);
    change('e', 'small');
    const second = turn(() => ask('', undefined, { isPrefix: true, after: 'c' }));
    const pairs = [
      ['d', large, 5],
      ['e', 'small', 7],
    ];
    expect(second).toEqual([{ id: 2, pairs, more: false, revision: 7 }]);
  });
});

describe('a watch in a cluster', () => {
  const watch = (key: string, since: number | undefined) => ({
    ...({ type: 'watch', key: fromByteString(key), isPrefix: false, since, after: undefined, waitMs: 2000 } as const),
  });

  it('asked of a follower is told what is written at the leader', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    const follower = cluster.running.find((id) => id !== leader) as number;
    const client = new Client(cluster, leader);
    client.putAcknowledged(leader, 'k', 'v1');
    const first = cluster.ask(follower, watch('k', undefined));
    cluster.tick();
    expect(first.answer).toMatchObject({ type: 'snapshot', pairs: [{ revision: 2 }] });
    const second = cluster.ask(follower, watch('k', 2));
    cluster.tick(3);
    expect(second.answer).toBeUndefined();
    client.putAcknowledged(leader, 'k', 'v2');
    cluster.tick();
    expect(second.answer).toMatchObject({ type: 'changes', changes: [{ value: fromByteString('v2') }] });
  });

  it('at a node that is cut off ends with "no majority" and not with "nothing has changed"', () => {
    const cluster = new Cluster([1, 2, 3]);
    const leader = cluster.elect();
    new Client(cluster, leader).putAcknowledged(leader, 'k', 'v1');
    const first = cluster.ask(leader, watch('k', undefined));
    cluster.tick();
    const { revision } = first.answer as { revision: number };
    const waiting = cluster.ask(leader, watch('k', revision));
    cluster.tick();
    cluster.isolate(leader);
    cluster.until('it is answered', () => waiting.answer !== undefined);
    expect(waiting.answer).toMatchObject({ type: 'failed', code: 'noMajority' });
  });
});
