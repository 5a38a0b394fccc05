import { beforeEach, describe, expect, it } from 'vitest';
import { fromByteString } from '../../src/base/bytes.ts';
import { decodeCommand, encodeCommand, expireKey } from '../../src/kv/command.ts';
import { ttlMsMax, ttlMsMin } from '../../src/kv/command-limits.ts';
import { expiringKeysMax } from '../../src/kv/expiry-table.ts';
import { MemoryStateDisk, MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';

const bytes = fromByteString;
const ttlMs = 5000;

/** A state machine with a session, and short words for what is applied to it. */
class Applying {
  readonly disk = new MemoryStateDisk();
  readonly store = new MemoryStateStore(this.disk);
  readonly machine = new KvStateMachine(this.store);
  #number = 0;

  constructor() {
    this.#apply(encodeCommand({ kind: 'openSession', session: 0, number: 1, acknowledgedBelow: 0 }));
  }

  put(key: string, more: { ttlMs?: number; ifRevision?: number } = {}) {
    return this.#apply(encodeCommand({ kind: 'put', ...this.#origin(), key: bytes(key), value: bytes('v'), ...more }));
  }

  delete(key: string) {
    return this.#apply(encodeCommand({ kind: 'delete', ...this.#origin(), key: bytes(key) }));
  }

  renew(key: string, ifRevision: number) {
    return this.#apply(encodeCommand({ kind: 'renew', ...this.#origin(), key: bytes(key), ifRevision }));
  }

  expire(key: string, revision: number, renewedAt = revision) {
    return this.#apply(expireKey(bytes(key), revision, renewedAt));
  }

  checkpoint(): Promise<void> {
    const { appliedIndex, sessions } = this.machine.takeCheckpoint();
    return checkpointAt(this.store, appliedIndex, sessions);
  }

  get expiries() {
    return [...this.machine.expiries];
  }

  #origin() {
    const number = this.#number++;
    return { session: 1, number, acknowledgedBelow: number };
  }

  #apply(command: Uint8Array) {
    return this.machine.apply(this.machine.appliedIndex, command);
  }
}

describe('a key that expires', () => {
  let applying: Applying;
  beforeEach(() => {
    applying = new Applying();
  });

  it('goes when a leader says so, which is a change like a delete', () => {
    const told: unknown[] = [];
    applying.machine.observer = { onChange: (key, revision) => told.push([key, revision]), onReload: () => {} };
    expect(applying.put('k', { ttlMs })).toEqual({ type: 'put', revision: 2 });
    expect(applying.expiries).toEqual([{ key: 'k', revision: 2, ttlMs, renewedAt: 2 }]);
    expect(applying.expire('k', 2)).toEqual({ type: 'expiryNoted' });
    expect(applying.machine.get('k')).toBeUndefined();
    expect(applying.expiries).toEqual([]);
    expect(told).toEqual([
      ['k', 2],
      ['k', 3],
    ]);
    applying.expire('k', 2);
    expect(told, 'said again it changes nothing').toHaveLength(2);
  });

  it('stays if it was renewed before that', () => {
    applying.put('k', { ttlMs });
    expect(applying.renew('k', 2)).toEqual({ type: 'renewed', revision: 2 });
    applying.expire('k', 2, 2);
    expect(applying.machine.get('k')?.revision).toBe(2);
    applying.expire('k', 2, 3);
    expect(applying.machine.get('k')).toBeUndefined();
  });

  it('stays if it was put anew before that, and for good if it was put to stay', () => {
    applying.put('k', { ttlMs });
    applying.put('k', { ttlMs: 9000 });
    applying.expire('k', 2);
    expect(applying.machine.get('k')?.revision).toBe(3);
    expect(applying.expiries).toEqual([{ key: 'k', revision: 3, ttlMs: 9000, renewedAt: 3 }]);
    applying.put('k');
    applying.expire('k', 3);
    expect(applying.machine.get('k')?.revision).toBe(5);
    expect(applying.expiries).toEqual([]);
  });

  it('that was deleted, and put anew, is another', () => {
    applying.put('k', { ttlMs });
    applying.delete('k');
    expect(applying.expiries).toEqual([]);
    applying.put('k');
    applying.expire('k', 2);
    expect(applying.machine.get('k')?.revision).toBe(4);
  });

  it('is renewed at its revision alone', () => {
    applying.put('k', { ttlMs });
    applying.put('k', { ttlMs });
    expect(applying.renew('k', 2)).toEqual({ type: 'conflict', revision: 3 });
    expect(applying.renew('other', 2)).toEqual({ type: 'conflict', revision: 0 });
    expect(applying.renew('k', 0)).toEqual({ type: 'refused', reason: 'malformed' });
    expect(applying.expiries).toEqual([{ key: 'k', revision: 3, ttlMs, renewedAt: 3 }]);
  });

  it('that does not expire is renewed, too, and stays as it was', () => {
    applying.put('k');
    expect(applying.renew('k', 2)).toEqual({ type: 'renewed', revision: 2 });
    expect(applying.expiries).toEqual([]);
  });

  it('may be put under a condition', () => {
    expect(applying.put('k', { ttlMs, ifRevision: 0 })).toEqual({ type: 'put', revision: 2 });
    expect(applying.put('k', { ttlMs, ifRevision: 0 })).toEqual({ type: 'conflict', revision: 2 });
    expect(applying.put('k', { ttlMs, ifRevision: 2 })).toEqual({ type: 'put', revision: 4 });
  });

  it('does so after a restart, and where a snapshot was installed, too', async () => {
    for (const key of ['a', 'b', 'c', 'd']) applying.put(key, { ttlMs });
    await applying.checkpoint();
    applying.renew('a', 2);
    applying.delete('b');
    applying.put('c');
    const { expiries } = applying;
    const hash = applying.machine.stateHash();
    const snapshot = applying.machine.openSnapshot();
    const rows = snapshot.read(undefined, 1e6).rows.filter((row) => row.type === 'session' && row.id > 2 ** 52);
    expect(rows).toHaveLength(2);
    snapshot.close();
    await applying.checkpoint();
    const again = new KvStateMachine(new MemoryStateStore(applying.disk));
    expect([...again.expiries].sort((x, y) => x.revision - y.revision)).toEqual(
      [...expiries].sort((x, y) => x.revision - y.revision),
    );
    expect(again.stateHash()).toBe(hash);
  });

  it('is one of so many at the most: another is refused, and a retry of that, too', () => {
    for (let count = 0; count < expiringKeysMax; count++) applying.put(`${count}`, { ttlMs });
    const refused = { type: 'refused', reason: 'tooManyExpiring' };
    expect(applying.put('one more', { ttlMs })).toEqual(refused);
    expect(applying.machine.get('one more')).toBeUndefined();
    expect(applying.put('7', { ttlMs }), 'one that does already may').toMatchObject({ type: 'put' });
    expect(applying.put('one more'), 'one that stays may').toMatchObject({ type: 'put' });
    applying.delete('7');
    expect(applying.put('another', { ttlMs })).toMatchObject({ type: 'put' });
  });

  it.each([ttlMsMin - 1, ttlMsMax + 1, 0])('cannot have a time of %i ms', (wrong) => {
    expect(applying.put('k', { ttlMs: wrong })).toEqual({ type: 'refused', reason: 'malformed' });
  });

  it.each([
    { kind: 'put', key: bytes('k'), value: bytes('v'), ttlMs, ifRevision: undefined },
    { kind: 'put', key: bytes('k'), value: bytes(''), ttlMs, ifRevision: 0 },
    { kind: 'put', key: bytes('k'), value: bytes('v'), ttlMs: ttlMsMax, ifRevision: 2 ** 50 },
    { kind: 'renew', key: bytes('k'), ifRevision: 2 ** 50 },
    { kind: 'expire', key: bytes('k'), ifRevision: 7, renewedAt: 2 ** 50 },
  ] as const)('travels as %j', (command) => {
    const whole = { ...command, session: 3, number: 4, acknowledgedBelow: 2 };
    expect(decodeCommand(encodeCommand(whole))).toEqual(whole);
  });
});
