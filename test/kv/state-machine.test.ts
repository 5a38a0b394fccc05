import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { fromByteString } from '../../src/base/bytes.ts';
import { type Command, encodeCommand, reportSpace } from '../../src/kv/command.ts';
import { keyBytesMax, valueBytesMax } from '../../src/kv/command-limits.ts';
import { MemoryStateDisk, MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';

const bytes = (text: string) => fromByteString(text);
const malformed = { type: 'refused', reason: 'malformed' };

const open = encodeCommand({ kind: 'openSession', session: 0, number: 77, acknowledgedBelow: 0 });
/** Applies commands one after the other. */
const applyAll = (machine: KvStateMachine, commands: readonly Uint8Array[]): void => {
  for (const command of commands) machine.apply(machine.appliedIndex, command);
};
const full = (nodeId: number, isFull: boolean, configurationId = 1) =>
  reportSpace({ nodeId, configurationId, isFull, usedBytes: 96, capacityBytes: 100 });
const noSpace = { type: 'refused', reason: 'noSpace' };
const put = (session: number, number: number, key: string, value: string, acknowledgedBelow = 0) =>
  encodeCommand({ kind: 'put', session, number, acknowledgedBelow, key: bytes(key), value: bytes(value) });
const origin = (number: number) => ({ session: 1, number, acknowledgedBelow: 0 });
const remove = (session: number, number: number, key: string) =>
  encodeCommand({ kind: 'delete', session, number, acknowledgedBelow: 0, key: bytes(key) });

describe('the state machine', () => {
  let machine: KvStateMachine;
  beforeEach(() => {
    machine = new KvStateMachine(new MemoryStateStore());
  });

  it('puts, gets and deletes, each change at the revision of its log index plus one', () => {
    expect(machine.apply(0, open)).toEqual({ type: 'sessionOpened', session: 1 });
    expect(machine.apply(1, put(1, 0, 'k', 'a'))).toEqual({ type: 'put', revision: 2 });
    expect(machine.get('k')).toEqual({ value: bytes('a'), revision: 2 });
    expect(machine.apply(2, remove(1, 1, 'k'))).toEqual({ type: 'deleted', revision: 3, existed: true });
    expect(machine.get('k')).toBeUndefined();
    expect(machine.apply(3, remove(1, 2, 'k'))).toEqual({ type: 'deleted', revision: 4, existed: false });
  });

  it('applies a retried command once and gives the first outcome again', () => {
    machine.apply(0, open);
    machine.apply(1, put(1, 0, 'k', 'a'));
    machine.apply(2, put(1, 1, 'k', 'b'));
    expect(machine.apply(3, put(1, 0, 'k', 'a'))).toEqual({ type: 'put', revision: 2 });
    expect(machine.get('k')).toEqual({ value: bytes('b'), revision: 3 });
    expect(machine.answerOf(1, 0)).toEqual({ type: 'put', revision: 2 });
  });

  it('does a conditional command only if the key has that revision, 0 being that of a key that does not exist', () => {
    machine.apply(0, open);
    const putIf = (number: number, ifRevision: number, value: string) =>
      encodeCommand({ kind: 'put', ...origin(number), key: bytes('k'), value: bytes(value), ifRevision });
    const removeIf = (number: number, ifRevision: number) =>
      encodeCommand({ kind: 'delete', ...origin(number), key: bytes('k'), ifRevision });
    expect(machine.apply(1, putIf(0, 1, 'a'))).toEqual({ type: 'conflict', revision: 0 });
    expect(machine.get('k')).toBeUndefined();
    expect(machine.apply(2, putIf(1, 0, 'b'))).toEqual({ type: 'put', revision: 3 });
    expect(machine.apply(3, putIf(2, 0, 'c'))).toEqual({ type: 'conflict', revision: 3 });
    expect(machine.apply(4, removeIf(3, 2))).toEqual({ type: 'conflict', revision: 3 });
    expect(machine.get('k')).toEqual({ value: bytes('b'), revision: 3 });
    expect(machine.apply(5, putIf(4, 3, 'd'))).toEqual({ type: 'put', revision: 6 });
    expect(machine.apply(6, removeIf(5, 6))).toEqual({ type: 'deleted', revision: 7, existed: true });
    expect(machine.apply(7, removeIf(6, 6))).toEqual({ type: 'conflict', revision: 0 });
    expect(machine.apply(8, removeIf(7, 0))).toEqual({ type: 'deleted', revision: 9, existed: false });
  });

  it('gives a retried conditional command its first outcome, whatever the key is now, and after a restart', async () => {
    const disk = new MemoryStateDisk();
    const store = new MemoryStateStore(disk);
    machine = new KvStateMachine(store);
    const conditional = { kind: 'put', ...origin(1), key: bytes('k'), value: bytes('b'), ifRevision: 7 } as const;
    applyAll(machine, [open, put(1, 0, 'k', 'a')]);
    const conflict = { type: 'conflict', revision: 2 };
    expect(machine.apply(2, encodeCommand(conditional))).toEqual(conflict);
    machine.apply(3, put(1, 2, 'k', 'c'));
    expect(machine.apply(4, encodeCommand({ ...conditional, ifRevision: 4 })), 'the number counts').toEqual(conflict);
    const { appliedIndex, sessions } = machine.takeCheckpoint();
    await checkpointAt(store, appliedIndex, sessions);
    expect(new KvStateMachine(new MemoryStateStore(disk)).answerOf(1, 1)).toEqual(conflict);
  });

  it('lists by prefix in byte order', () => {
    machine.apply(0, open);
    applyAll(
      machine,
      ['b', 'a/2', 'a/1', 'a/\xff', 'a'].map((key, at) => put(1, at, key, key)),
    );
    const { pairs, more } = machine.range({ prefix: 'a/', limit: 2, bytesMax: 1000 });
    expect(pairs.map((pair) => pair.key)).toEqual(['a/1', 'a/2']);
    expect(more).toBe(true);
    expect(
      machine.range({ prefix: 'a/', after: 'a/2', limit: 2, bytesMax: 1000 }).pairs.map((pair) => pair.key),
    ).toEqual(['a/\xff']);
  });

  it('refuses a session that was never opened, and 0 with it', () => {
    expect(machine.apply(0, put(1, 0, 'k', 'a'))).toEqual({ type: 'refused', reason: 'sessionExpired' });
    expect(machine.apply(1, put(0, 0, 'k', 'a'))).toEqual({ type: 'refused', reason: 'sessionExpired' });
    expect(machine.get('k')).toBeUndefined();
  });

  it('refuses keys and values over the limits without touching the session', () => {
    machine.apply(0, open);
    const tooLong = 'k'.repeat(keyBytesMax + 1);
    expect(machine.apply(1, put(1, 0, '', 'a'))).toEqual(malformed);
    expect(machine.apply(2, put(1, 0, tooLong, 'a'))).toEqual(malformed);
    expect(machine.apply(3, remove(1, 0, tooLong))).toEqual(malformed);
    expect(machine.apply(4, put(1, 0, 'k', 'v'.repeat(valueBytesMax + 1)))).toEqual(malformed);
    expect(
      machine.apply(5, encodeCommand({ kind: 'openSession', session: 3, number: 1, acknowledgedBelow: 0 })),
    ).toEqual(malformed);
    expect(machine.apply(6, put(1, 0, 'k'.repeat(keyBytesMax), 'a'))).toEqual({ type: 'put', revision: 7 });
  });

  it('refuses puts while a member has no space, and keeps that outcome', () => {
    applyAll(machine, [open, put(1, 0, 'k', 'a')]);
    expect(machine.apply(2, full(2, true))).toEqual({ type: 'spaceNoted' });
    expect(machine.fullNodes).toEqual([{ nodeId: 2, usedBytes: 96, capacityBytes: 100 }]);
    expect(machine.apply(3, put(1, 1, 'k', 'b'))).toEqual(noSpace);
    expect(machine.get('k')).toEqual({ value: bytes('a'), revision: 2 });
    expect(machine.apply(4, open)).toEqual({ type: 'sessionOpened', session: 5 });
    expect(machine.apply(5, remove(1, 2, 'k'))).toEqual({ type: 'deleted', revision: 6, existed: true });
    applyAll(machine, [full(3, true), full(2, false)]);
    expect(machine.apply(8, put(1, 3, 'k', 'c'))).toEqual(noSpace);
    machine.apply(9, full(3, false));
    expect(machine.apply(10, put(1, 1, 'k', 'b')), 'a retry gets the first outcome').toEqual(noSpace);
    expect(machine.apply(11, put(1, 4, 'k', 'd'))).toEqual({ type: 'put', revision: 12 });
  });

  it('forgets with a new configuration who had none, and passes over what was said in an older one', () => {
    applyAll(machine, [open, full(2, true), full(3, true)]);
    machine.beginConfiguration(3, 2);
    expect(machine.fullNodes).toEqual([]);
    applyAll(machine, [full(2, true, 1), full(3, true, 2), full(3, false, 1)]);
    expect(machine.fullNodes.map(({ nodeId }) => nodeId)).toEqual([3]);
    machine.apply(7, full(3, false, 2));
    expect(machine.apply(8, put(1, 0, 'k', 'a'))).toEqual({ type: 'put', revision: 9 });
  });

  it('goes on after a restart with the nodes that had no space, and the refusals', async () => {
    const disk = new MemoryStateDisk();
    const store = new MemoryStateStore(disk);
    const before = new KvStateMachine(store);
    applyAll(before, [open]);
    before.beginConfiguration(1, 7, bytes('members'));
    applyAll(before, [full(2, true, 7), put(1, 0, 'k', 'a')]);
    const { appliedIndex, sessions } = before.takeCheckpoint();
    await checkpointAt(store, appliedIndex, sessions);
    const after = new KvStateMachine(new MemoryStateStore(disk));
    expect(after.stateHash()).toBe(before.stateHash());
    expect(after.fullNodes).toEqual(before.fullNodes);
    expect(after.answerOf(1, 0)).toEqual(noSpace);
    after.apply(4, full(2, false, 6));
    expect(after.fullNodes, 'the configuration is remembered, too').toHaveLength(1);
    expect(after.configuration).toEqual({ configurationId: 7, stopSignIndex: 1, metadata: bytes('members') });
  });

  it('stops when entries come out of order or twice', () => {
    machine.apply(0, open);
    expect(() => machine.apply(0, open)).toThrow('an entry came out of turn to be applied: its index, the next: 0, 1');
    expect(() => machine.apply(2, open)).toThrow('the next: 2, 1');
    machine.beginConfiguration(1, 2);
    expect(machine.appliedIndex).toBe(2);
    expect(() => machine.beginConfiguration(3, 3)).toThrow('the next: 3, 2');
  });

  it('never throws, whatever the bytes, and does the same with them everywhere', () => {
    const anyCommand = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      // Valid commands with a few bytes overwritten or cut off.
      fc.record({ at: fc.nat(30), byte: fc.nat(255), length: fc.nat(40) }).map(({ at, byte, length }) =>
        put(1, 0, 'key', 'value')
          .map((old, i) => (i === at ? byte : old))
          .slice(0, length),
      ),
    );
    fc.assert(
      fc.property(fc.array(anyCommand, { maxLength: 20 }), (commands) => {
        const [one, other] = [new KvStateMachine(new MemoryStateStore()), new KvStateMachine(new MemoryStateStore())];
        for (const [index, command] of [open, ...commands].entries()) {
          expect(one.apply(index, command)).toEqual(other.apply(index, command.slice()));
        }
        expect(one.stateHash()).toBe(other.stateHash());
      }),
    );
  });
});

describe('after a crash', () => {
  it('goes on from the last checkpoint and comes to the same state by replay', async () => {
    const disk = new MemoryStateDisk();
    const store = new MemoryStateStore(disk);
    const machine = new KvStateMachine(store);
    const log = [open, put(1, 0, 'a', '1'), put(1, 1, 'b', '2'), put(1, 2, 'a', '3'), remove(1, 3, 'b')];
    applyAll(machine, log.slice(0, 3));
    const { appliedIndex, sessions } = machine.takeCheckpoint();
    await checkpointAt(store, appliedIndex, sessions);
    applyAll(machine, log.slice(3));

    const recovered = new KvStateMachine(new MemoryStateStore(disk));
    expect(recovered.appliedIndex).toBe(3);
    expect(recovered.get('a')).toEqual({ value: bytes('1'), revision: 2 });
    expect(recovered.answerOf(1, 1)).toEqual({ type: 'put', revision: 3 });
    expect(recovered.stateHash()).not.toBe(machine.stateHash());
    applyAll(recovered, log.slice(3));
    expect(recovered.stateHash()).toBe(machine.stateHash());
  });

  it('a checkpoint carries only what changed since the one before', () => {
    const machine = new KvStateMachine(new MemoryStateStore());
    machine.apply(0, open);
    machine.apply(1, open);
    expect(machine.takeCheckpoint().sessions.map((session) => session.id)).toEqual([1, 2]);
    machine.apply(2, put(2, 0, 'k', 'v'));
    expect(machine.takeCheckpoint()).toMatchObject({ appliedIndex: 3, sessions: [{ id: 2 }] });
  });
});

describe('a snapshot of another node', () => {
  it('replaces state, sessions and applied index', async () => {
    const donorStore = new MemoryStateStore();
    const donor = new KvStateMachine(donorStore);
    applyAll(donor, [open, put(1, 0, 'a', '1'), put(1, 1, 'b', '2')]);
    const checkpoint = donor.takeCheckpoint();
    await checkpointAt(donorStore, checkpoint.appliedIndex, checkpoint.sessions);
    const snapshot = donor.openSnapshot();

    const store = new MemoryStateStore();
    const machine = new KvStateMachine(store);
    applyAll(machine, [open, open, put(2, 0, 'old', 'x')]);
    store.beginInstall();
    store.installRows(snapshot.read(undefined, 1_000_000).rows);
    await store.finishInstall(snapshot.index);
    snapshot.close();
    machine.reload();

    expect(machine.appliedIndex).toBe(3);
    expect(machine.get('old')).toBeUndefined();
    expect(machine.apply(3, put(2, 1, 'k', 'v'))).toEqual({ type: 'refused', reason: 'sessionExpired' });
    donor.apply(3, put(2, 1, 'k', 'v'));
    expect(machine.stateHash()).toBe(donor.stateHash());
  });
});

describe('the state hash', () => {
  const hashOf = (commands: readonly Uint8Array[]) => {
    const machine = new KvStateMachine(new MemoryStateStore());
    applyAll(machine, commands);
    return machine.stateHash();
  };

  it('sees a value, a key, a revision and a session that differ', () => {
    const base = [open, put(1, 0, 'k', 'a')];
    const others = [
      [open, put(1, 0, 'k', 'b')],
      [open, put(1, 0, 'j', 'a')],
      [open, put(1, 1, 'k', 'a')],
      [open, open, put(1, 0, 'k', 'a')],
      [open, put(1, 0, 'k', 'a'), put(1, 1, 'k', 'a')],
    ];
    for (const other of others) expect(hashOf(other)).not.toBe(hashOf(base));
    expect(hashOf([...base])).toBe(hashOf(base));
  });

  it('covers stores of any size', () => {
    const commands = (last: string): Uint8Array[] => [
      open,
      ...Array.from({ length: 2500 }, (_, at) => put(1, at, `k${at}`, at === 2499 ? last : 'v', at)),
    ];
    expect(hashOf(commands('x'))).not.toBe(hashOf(commands('y')));
  });
});

interface Pick {
  readonly kind: boolean;
  readonly number: number;
  readonly key: string;
  readonly value: string;
  readonly ifRevision: number | undefined;
}

it('decides the same as a dumb twin for any run of commands, retries and reordering', () => {
  const commandOf = (pick: Pick): Command => {
    const change = { ...origin(pick.number), key: bytes(pick.key), ifRevision: pick.ifRevision };
    return pick.kind ? { kind: 'put', ...change, value: bytes(pick.value) } : { kind: 'delete', ...change };
  };
  const anyPick = fc.record({
    kind: fc.boolean(),
    number: fc.nat(15),
    key: fc.constantFrom('a', 'b', 'c'),
    value: fc.constantFrom('1', '2'),
    ifRevision: fc.option(fc.nat(8), { nil: undefined }),
  });
  fc.assert(
    fc.property(fc.array(anyPick, { maxLength: 40 }), (picks) => {
      const machine = new KvStateMachine(new MemoryStateStore());
      machine.apply(0, open);
      const state = new Map<string, { value: string; revision: number }>();
      const seen = new Set<number>();
      picks.forEach((pick, at) => {
        machine.apply(1 + at, encodeCommand(commandOf(pick)));
        if (seen.has(pick.number)) return;
        seen.add(pick.number);
        const isMet = [undefined, state.get(pick.key)?.revision ?? 0].includes(pick.ifRevision);
        if (isMet && pick.kind) state.set(pick.key, { value: pick.value, revision: at + 2 });
        else if (isMet) state.delete(pick.key);
      });
      for (const key of ['a', 'b', 'c']) {
        const twin = state.get(key);
        expect(machine.get(key)).toEqual(twin && { ...twin, value: bytes(twin.value) });
      }
    }),
  );
});
