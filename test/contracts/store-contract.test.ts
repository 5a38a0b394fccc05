import { describe, expect, it } from 'vitest';
import { type StoreKind, type StoreUnderTest, storeChecks } from '../../src/contracts/store-contract.ts';
import { type Entry, MemorySequence, MemoryStore, type Store } from '../../src/omnipaxos/index.ts';
import { CrashStore } from '../simulation/crash-store.ts';

const entry = (n: number) => `entry ${n}`;

const memory: StoreKind<string> = { open: () => ({ store: new MemoryStore<string>() }), entry };

const simulatedDisk: StoreKind<string> = { open: () => onDisk(new CrashStore<string>()), entry };

function onDisk(store: CrashStore<string>): StoreUnderTest<string> {
  return { store, flush: () => store.flush(), crash: () => onDisk(store.crash()) };
}

describe.each([
  ['memory', memory],
  ['a simulated disk', simulatedDisk],
])('store contract: %s', (_name, kind) => {
  it.each(storeChecks(kind).map(({ name, run }) => [name, run] as const))('%s', (_name, run) => run());
});

/** A log in memory with one thing wrong. */
function wrongLog(wrong: (log: MemorySequence<string>) => void): StoreKind<string> {
  return {
    entry,
    open: () => {
      const store = new MemoryStore<string>();
      wrong(store.sequence);
      return { store };
    },
  };
}

/** A simulated disk with one thing wrong. */
function wrongDisk(wrong: (subject: StoreUnderTest<string>, store: CrashStore<string>) => void): StoreKind<string> {
  const open = (store: CrashStore<string>): StoreUnderTest<string> => {
    const subject: StoreUnderTest<string> = { store, flush: () => store.flush(), crash: () => open(store.crash()) };
    wrong(subject, store);
    return subject;
  };
  return { entry, open: () => open(new CrashStore<string>()) };
}

const oneNumber: StoreKind<string> = {
  entry,
  open: () => ({
    store: {
      sequence: new MemorySequence<string>(),
      state: new MemoryStore<string>().state,
      commit: () => 1,
      durableWrite: () => 1,
    },
  }),
};

/** Gives the store another method. */
const replace = (store: object, name: keyof Store<string>, value: unknown) =>
  Object.defineProperty(store, name, { value });

describe('a store that breaks the contract is caught', () => {
  it.each<[string, StoreKind<string>]>([
    [
      'hands out its own array',
      wrongLog((log) => {
        const own: Entry<string>[] = [];
        log.read = () => own;
      }),
    ],
    [
      'reads outside of the log',
      wrongLog((log) => {
        const read = log.read.bind(log);
        log.read = (from, to) => read(Math.max(from, log.trimmedIndex), Math.min(to, log.endIndex));
      }),
    ],
    [
      'truncates one entry too many',
      wrongLog((log) => {
        const truncate = log.truncate.bind(log);
        log.truncate = (index) => truncate(Math.max(log.trimmedIndex, index - 1));
      }),
    ],
    [
      'keeps entries in a reset',
      wrongLog((log) => {
        log.reset = (index) => log.trim(index);
      }),
    ],
    [
      'calls durable what is not flushed',
      wrongDisk((_subject, store) => replace(store, 'durableWrite', () => store.lastWrite)),
    ],
    ['never calls anything durable', wrongDisk((_subject, store) => replace(store, 'durableWrite', () => 0))],
    [
      'loses the flush',
      wrongDisk((subject, store) => {
        subject.flush = () => undefined;
        replace(store, 'durableWrite', () => store.lastWrite);
      }),
    ],
    ['gives one number to all commits', oneNumber],
    [
      'writes a part of a transition',
      wrongDisk((_subject, store) => {
        // Each change of the log is a transition of its own.
        const append = store.sequence.append.bind(store.sequence);
        store.sequence.append = (entries) => {
          for (const one of entries) {
            append([one]);
            store.commit();
            store.flush();
          }
        };
      }),
    ],
    [
      'forgets the promise',
      wrongDisk((subject, store) => {
        subject.crash = () => {
          const left = store.crash();
          left.state.promise = { n: 0, priority: 0, pid: 0 };
          return onDisk(left);
        };
      }),
    ],
  ])('%s', async (_name, kind) => {
    const results = await Promise.allSettled(storeChecks(kind).map(({ run }) => run()));
    expect(results.filter(({ status }) => status === 'rejected')).not.toHaveLength(0);
  });
});
