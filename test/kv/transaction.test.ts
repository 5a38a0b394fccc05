import { beforeEach, describe, expect, it } from 'vitest';
import { fromByteString, toByteString } from '../../src/base/bytes.ts';
import { commandProblem, decodeCommand, encodeCommand, isCommandIntact, reportSpace } from '../../src/kv/command.ts';
import { commandBytesMax, keyBytesMax, transactionBytesMax, transactionPartsMax } from '../../src/kv/command-limits.ts';
import { MemoryStateDisk, MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import type { Transaction } from '../../src/kv/transaction.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';

const bytes = fromByteString;

/** `{ a: 7 }`: only if a is at revision 7; `{ b: 'v', c: undefined }`: put b, delete c. */
function transactionOf(
  conditions: Readonly<Record<string, number>>,
  changes: Readonly<Record<string, string | undefined>>,
): Transaction {
  return {
    conditions: Object.entries(conditions).map(([key, ifRevision]) => ({ key: bytes(key), ifRevision })),
    changes: Object.entries(changes).map(([key, value]) =>
      value === undefined ? { kind: 'delete', key: bytes(key) } : { kind: 'put', key: bytes(key), value: bytes(value) },
    ),
  };
}

class Applying {
  readonly disk = new MemoryStateDisk();
  readonly store = new MemoryStateStore(this.disk);
  readonly machine = new KvStateMachine(this.store);
  #number = 0;

  constructor() {
    this.apply(encodeCommand({ kind: 'openSession', session: 0, number: 1, acknowledgedBelow: 0 }));
  }

  command(transaction: Transaction): Uint8Array {
    const number = this.#number++;
    return encodeCommand({ kind: 'transact', session: 1, number, acknowledgedBelow: number, transaction });
  }

  transact(...parts: Parameters<typeof transactionOf>) {
    return this.apply(this.command(transactionOf(...parts)));
  }

  apply(command: Uint8Array) {
    return this.machine.apply(this.machine.appliedIndex, command);
  }

  get pairs() {
    const { pairs } = this.machine.range({ prefix: '', limit: 1000, bytesMax: 1e9 });
    return pairs.map(({ key, value, revision }) => [key, toByteString(value), revision]);
  }
}

let applying: Applying;
beforeEach(() => {
  applying = new Applying();
});

describe('a transaction', () => {
  it('makes all changes at one revision', () => {
    applying.transact({}, { old: 'x' });
    const told: unknown[] = [];
    applying.machine.observer = { onChange: (key, revision) => told.push([key, revision]), onReload: () => {} };
    const outcome = applying.transact({}, { a: '1', old: undefined, never: undefined, b: '2' });
    expect(outcome).toEqual({ type: 'transacted', revision: 3 });
    expect(applying.pairs).toEqual([
      ['a', '1', 3],
      ['b', '2', 3],
    ]);
    expect(told, 'of what was not there nothing is told').toEqual([
      ['a', 3],
      ['old', 3],
      ['b', 3],
    ]);
  });

  it('changes nothing where one condition does not hold, of whichever key, and says which', () => {
    applying.transact({}, { a: '1', b: '2' });
    const before = applying.pairs;
    expect(applying.transact({ a: 2, b: 1 }, { a: 'x' })).toEqual({ type: 'unmet', condition: 1, revision: 2 });
    expect(applying.transact({ other: 2 }, { a: 'x' })).toEqual({ type: 'unmet', condition: 0, revision: 0 });
    expect(applying.transact({ a: 0 }, { c: 'x' })).toEqual({ type: 'unmet', condition: 0, revision: 2 });
    expect(applying.pairs).toEqual(before);
    expect(applying.transact({ a: 2, other: 0 }, { a: 'x' })).toEqual({ type: 'transacted', revision: 6 });
  });

  it('has its conditions looked at before its own changes', () => {
    expect(applying.transact({ a: 0 }, { a: '1' })).toMatchObject({ type: 'transacted' });
    expect(applying.transact({ a: 2 }, { a: undefined })).toMatchObject({ type: 'transacted' });
    expect(applying.pairs).toEqual([]);
  });

  it.each(['transacted', 'unmet'] as const)('that comes again is answered and not applied again (%s)', async (type) => {
    applying.transact({}, { a: '1' });
    const command = applying.command(transactionOf({ a: type === 'unmet' ? 1 : 2 }, { a: '2' }));
    const first = applying.apply(command);
    expect(first).toMatchObject({ type });
    const { pairs } = applying;
    expect(applying.apply(command)).toEqual(first);
    // Its outcome is part of the state.
    const { appliedIndex, sessions } = applying.machine.takeCheckpoint();
    await checkpointAt(applying.store, appliedIndex, sessions);
    const again = new KvStateMachine(new MemoryStateStore(applying.disk));
    expect(again.apply(again.appliedIndex, command)).toEqual(first);
    expect(applying.pairs).toEqual(pairs);
  });

  it('of deletes alone is made while a node has no space; one that puts is not, not even in part', () => {
    applying.transact({}, { a: '1', b: '2' });
    const report = { nodeId: 1, configurationId: 1, isFull: true, usedBytes: 9, capacityBytes: 10 };
    applying.machine.beginConfiguration(applying.machine.appliedIndex, 1);
    applying.apply(reportSpace(report));
    const before = applying.pairs;
    expect(applying.transact({}, { a: undefined, c: '3' })).toEqual({ type: 'refused', reason: 'noSpace' });
    expect(applying.pairs).toEqual(before);
    expect(applying.transact({}, { a: undefined, b: undefined })).toMatchObject({ type: 'transacted' });
    expect(applying.pairs).toEqual([]);
  });

  it('that puts a key that expires has it stay', () => {
    const origin = { session: 1, number: 100, acknowledgedBelow: 0 };
    const put = { kind: 'put', ...origin, key: bytes('k'), value: bytes('v'), ttlMs: 5000 } as const;
    expect(applying.apply(encodeCommand(put))).toMatchObject({ type: 'put', revision: 2 });
    const command = { kind: 'transact', ...origin, number: 101 } as const;
    applying.apply(encodeCommand({ ...command, transaction: transactionOf({ k: 2 }, { k: 'w' }) }));
    expect([...applying.machine.expiries]).toEqual([]);
  });
});

describe('the bytes of a transaction', () => {
  const origin = { session: 3, number: 4, acknowledgedBelow: 2 };
  const whole = (transaction: Transaction) => ({ kind: 'transact' as const, ...origin, transaction });

  it.each([transactionOf({}, { a: '' }), transactionOf({ a: 0, b: 2 ** 50 }, { a: 'x', b: undefined, c: '\xff\0' })])(
    'are read as they were written',
    (transaction) => {
      const encoded = encodeCommand(whole(transaction));
      expect(decodeCommand(encoded)).toEqual(whole(transaction));
      expect(isCommandIntact(encoded)).toBe(true);
    },
  );

  it('that are cut short, or longer, are no command to anybody', () => {
    const encoded = encodeCommand(whole(transactionOf({ a: 1 }, { a: 'x', b: undefined })));
    for (let length = 5; length < encoded.length; length++) {
      expect(applying.apply(encoded.subarray(0, length))).toEqual({ type: 'refused', reason: 'malformed' });
    }
    expect(applying.apply(new Uint8Array([...encoded, 0]))).toEqual({ type: 'refused', reason: 'malformed' });
  });

  it('of the largest one are within the limit of a command', () => {
    const keys = Array.from({ length: transactionPartsMax }, (_, at) => String.fromCharCode(at).repeat(keyBytesMax));
    const conditions = Object.fromEntries(keys.map((key) => [key, 2 ** 50]));
    const left = transactionBytesMax - 2 * transactionPartsMax * keyBytesMax;
    const changes = Object.fromEntries(keys.map((key, at) => [key, at === 0 ? 'x'.repeat(left) : '']));
    const transaction = transactionOf(conditions, changes);
    expect(commandProblem(whole(transaction))).toBeUndefined();
    expect(encodeCommand(whole(transaction)).length).toBeLessThanOrEqual(commandBytesMax);
    const larger = transactionOf(conditions, { ...changes, [keys[0] as string]: 'x'.repeat(left + 1) });
    expect(commandProblem(whole(larger))?.message).toBe(
      'the transaction has 1048577 bytes of keys and values: at most 1048576 (1 MiB) are allowed',
    );
  });

  const many = Object.fromEntries(Array.from({ length: transactionPartsMax + 1 }, (_, at) => [`k${at}`, at]));
  const twice = {
    conditions: [],
    changes: [...transactionOf({}, { a: '1' }).changes, ...transactionOf({}, { a: undefined }).changes],
  };
  it.each([
    [transactionOf({ a: 1 }, {}), 'invalid', 'the transaction changes nothing: give a put or a delete'],
    [transactionOf(many, { a: '1' }), 'tooLarge', 'the transaction has 129 conditions: at most 128 are allowed'],
    [
      transactionOf({}, Object.fromEntries(Object.keys(many).map((key) => [key, 'v']))),
      'tooLarge',
      'the transaction has 129 changes: at most 128 are allowed',
    ],
    [twice, 'invalid', 'number 2 of the changes is of a key that is there already: name each key once'],
    [
      transactionOf({ '': 1 }, { a: '1' }),
      'invalid',
      'number 1 of the conditions: the key is empty: give a key of 1 to 1024 bytes',
    ],
    [
      transactionOf({}, { a: '1', ['x'.repeat(1025)]: '1' }),
      'tooLarge',
      'number 2 of the changes: the key has 1025 bytes: at most 1024 are allowed',
    ],
  ])('that break a limit are refused, here and where they are applied', (transaction, code, message) => {
    expect(commandProblem(whole(transaction))).toEqual({ code, message });
    expect(applying.apply(encodeCommand(whole(transaction)))).toEqual({ type: 'refused', reason: 'malformed' });
  });
});
