import { describe, expect, it } from 'vitest';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import { type ReadRequest, Reads } from '../../src/replica/clients/reads.ts';
import type { ConnectionId } from '../../src/replica/events.ts';
import { Output } from '../../src/replica/output.ts';
import type { ClientResponse } from '../../src/wire/client-message.ts';
import { readsView } from './reads-view.ts';

const mebibyte = 1024 * 1024;
const key = new TextEncoder().encode('big');
const one = 1;
const other = 2;

/** Reads of a state with one large value, and a clock and clients as the test says. */
function begin(countMax = 1000) {
  const state = new MemoryStateStore();
  state.put('big', new Uint8Array(mebibyte), 1);
  state.put('small', new Uint8Array(1), 2);
  const output = new Output();
  const { view, congested } = readsView();
  const reads = new Reads(
    new KvStateMachine(state),
    {} as never,
    { pendingReadsMax: countMax, watchesMax: 10, rememberedChangesMax: 10 },
    output,
    view,
  );
  const ask = (connection: ConnectionId, ids: readonly number[], wanted = key) => {
    for (const id of ids) {
      reads.receive(connection, { type: 'get', id, timeoutMs: 1000, consistency: 'local', key: wanted });
    }
  };
  /** The answers of a turn in which `requests` arrive. */
  const turn = (requests: () => void = () => {}) => {
    reads.beginTurn();
    requests();
    const hasMore = reads.serve();
    const { responses } = output.take(() => true, 0, hasMore);
    return { hasMore, answers: new Map([...responses].map(([id, list]) => [id, list as ClientResponse[]])) };
  };
  return { reads, state, view, congested, ask, turn };
}

function ids(answers: ReadonlyMap<ConnectionId, ClientResponse[]>, connection: ConnectionId): number[] {
  return (answers.get(connection) ?? []).map(({ id }) => id);
}

const numbers = (count: number, from = 0) => Array.from({ length: count }, (_, at) => from + at);

describe('answers that take much room', () => {
  it('are given some mebibytes a turn, in order, until all are', () => {
    const { ask, turn } = begin();
    const first = turn(() => ask(one, numbers(10)));
    expect([ids(first.answers, one), first.hasMore]).toEqual([[0, 1, 2, 3], true]);
    const second = turn();
    expect([ids(second.answers, one), second.hasMore]).toEqual([[4, 5, 6, 7], true]);
    const third = turn();
    expect([ids(third.answers, one), third.hasMore]).toEqual([[8, 9], false]);
    expect(turn()).toMatchObject({ hasMore: false, answers: new Map() });
  });

  it('wait while their client does not take what it has, and nobody else waits for it', () => {
    const { ask, turn, congested } = begin();
    turn(() => ask(one, numbers(6)));
    congested.add(one);
    const meanwhile = turn(() => ask(other, numbers(2)));
    expect(meanwhile.answers.has(one)).toBe(false);
    expect(ids(meanwhile.answers, other)).toEqual([0, 1]);
    expect(meanwhile.hasMore, 'time brings more, not another turn').toBe(false);
    congested.clear();
    expect(ids(turn().answers, one)).toEqual([4, 5]);
  });

  it('wait where the turn has gone through many deletions that the table does not know of', async () => {
    const { reads, state, turn } = begin();
    const name = (at: number) => `d${`${at}`.padStart(4, '0')}`;
    for (const at of numbers(600)) state.put(name(at), new Uint8Array(1), 3);
    state.seal(1, []);
    await state.checkpoint();
    for (const at of numbers(600)) state.delete(name(at));
    const first = turn(() => {
      for (const id of numbers(4)) reads.receive(one, { ...list(new TextEncoder().encode('d'), undefined), id });
    });
    expect([ids(first.answers, one), first.hasMore]).toEqual([[0, 1], true]);
    expect(first.answers.get(one)?.[0]).toMatchObject({ type: 'pairs', pairs: [], more: false });
    expect(ids(turn().answers, one)).toEqual([2, 3]);
  });

  it('of many small pairs, or many gets, wait where the turn has taken long', () => {
    const { reads, state, ask, turn } = begin();
    for (const at of numbers(3_000)) state.put(`p${at}`, new Uint8Array(1), 3);
    const first = turn(() => {
      for (const id of numbers(4))
        reads.receive(one, { ...list(new TextEncoder().encode('p'), undefined, 10_000), id });
      ask(other, [9], new TextEncoder().encode('small'));
    });
    expect([ids(first.answers, one), ids(first.answers, other), first.hasMore]).toEqual([[0, 1], [], true]);
    turn(() => {
      for (const id of numbers(4, 4))
        reads.receive(one, { ...list(new TextEncoder().encode('p'), undefined, 10_000), id });
    });
    // Whoever asks for little does not wait for all that another asked for.
    expect(ids(turn().answers, other)).toEqual([9]);
    const gets = begin(100_000);
    const { answers } = gets.turn(() => gets.ask(one, numbers(10_000), new TextEncoder().encode('small')));
    expect(ids(answers, one)).toHaveLength(7_000);
    expect(ids(gets.turn().answers, one)).toHaveLength(3_000);
    // Of one who takes what it is given none is refused.
    const most = begin(10_000);
    most.turn(() => most.ask(one, numbers(10_000), new TextEncoder().encode('small')));
    const rest = most.turn().answers.get(one) ?? [];
    expect(rest.filter(({ type }) => type === 'failed')).toEqual([]);
  });

  it('of two clients take turns', () => {
    const { ask, turn } = begin();
    turn(() => {
      ask(one, numbers(20));
      ask(other, numbers(20));
    });
    const served = [turn(), turn(), turn()].map(({ answers }) => [...answers.keys()]);
    expect(new Set(served.flat())).toEqual(new Set([one, other]));
  });

  it('say that their time was too short where a leader is in reach, and else that there is none', () => {
    const { reads, view, turn } = begin();
    const asked = (isLed: boolean) => {
      const { answers } = turn(() => {
        view.nowMs += 2000;
        reads.receive(one, { type: 'get', id: view.nowMs, timeoutMs: 1, consistency: 'linearizable', key });
        view.nowMs += 2000;
        view.isLed = isLed;
        reads.sweep();
      });
      return answers.get(one);
    };
    expect(asked(true)).toMatchObject([{ code: 'timeout', outcome: 'notApplied' }]);
    expect(asked(false)).toMatchObject([{ code: 'noMajority', outcome: 'notApplied', message: 'nobody leads' }]);
  });

  it('are refused when their time is over, and dropped when their client is gone', () => {
    const { reads, ask, turn, congested, view } = begin();
    turn(() => {
      ask(one, numbers(6));
      ask(other, numbers(2, 100));
    });
    congested.add(one).add(other);
    reads.forget(other);
    view.nowMs = 1000;
    const { answers } = turn(() => reads.sweep());
    expect(answers.get(one)).toMatchObject([
      { id: 4, type: 'failed', code: 'busy', outcome: 'notApplied' },
      { id: 5, type: 'failed', code: 'busy' },
    ]);
    expect(answers.has(other)).toBe(false);
    congested.clear();
    expect(turn().answers.size).toBe(0);
  });

  it('of one client that takes none leave room for the reads of others', () => {
    const { ask, turn, congested } = begin(160);
    congested.add(one);
    const { answers } = turn(() => ask(one, numbers(20)));
    expect(answers.get(one)?.filter(({ type }) => type === 'failed').length).toBe(20 - 1 - 10);
    expect(ids(turn(() => ask(other, numbers(1))).answers, other)).toEqual([0]);
  });

  it('come behind those that wait already', () => {
    const { ask, turn } = begin();
    turn(() => ask(one, numbers(6)));
    expect(ids(turn(() => ask(one, numbers(1, 6))).answers, one)).toEqual([4, 5, 6]);
  });

  it('count as reads that wait', () => {
    const { reads, ask, turn, congested } = begin(16);
    congested.add(one);
    turn(() => ask(one, [0, 1]));
    const { answers } = turn(() => {
      for (const id of numbers(17, 100)) reads.receive(other, { ...get(key), id, consistency: 'linearizable' });
    });
    expect(answers.get(other)).toMatchObject([
      { id: 115, code: 'busy', message: expect.stringMatching(/too many reads/) },
      { id: 116, code: 'busy' },
    ]);
  });
});

describe('a request', () => {
  it.each([
    ['no key', get(new Uint8Array(0)), 'invalid', /the key is empty/],
    ['a key that is too long', get(new Uint8Array(1025)), 'tooLarge', /the key has 1025 bytes/],
    ['a prefix that is', list(new Uint8Array(1025), undefined), 'tooLarge', /the prefix has 1025 bytes/],
    ['a place to go on from that is', list(key, new Uint8Array(1025)), 'tooLarge', /the key has 1025 bytes/],
  ])('with %s is refused', (_, request, code, message) => {
    const { reads, turn } = begin();
    const { answers } = turn(() => reads.receive(one, request));
    expect(answers.get(one)).toMatchObject([
      { type: 'failed', outcome: 'notApplied', code, message: expect.stringMatching(message) },
    ]);
  });

  it('keeps nothing of the frame that brought it while it waits', () => {
    const { reads, view, turn } = begin();
    const frame = new Uint8Array(100);
    frame.set(key, 50);
    turn(() => reads.receive(one, { ...get(frame.subarray(50, 53)), consistency: 'linearizable' }));
    frame.fill(0);
    view.voter = { paxos: { requestRead: () => 7 } } as never;
    reads.pump();
    reads.onReady(7, 0);
    expect(turn().answers.get(one)).toMatchObject([{ type: 'record', record: { revision: 1 } }]);
  });
});

function get(wanted: Uint8Array): ReadRequest & { type: 'get' } {
  return { type: 'get', id: 1, timeoutMs: 1000, consistency: 'local', key: wanted };
}

function list(prefix: Uint8Array, after: Uint8Array | undefined, limit = 10): ReadRequest {
  return { type: 'list', id: 1, timeoutMs: 1000, consistency: 'local', prefix, after, limit };
}
