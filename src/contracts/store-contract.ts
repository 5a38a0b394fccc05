/**
 * `omnikv/contracts`: what every `Store` owes the algorithm, as named checks that any test runner can run:
 *
 *     for (const { name, run } of storeChecks({ open, entry })) it(name, run);
 */
import { deepStrictEqual, fail, ok, throws } from 'node:assert/strict';
import {
  bottomBallot,
  type Entry,
  MemorySequence,
  type PaxosState,
  type StopSignEntry,
  type Store,
} from '../omnipaxos/index.ts';

/** A store under test, and what can happen to it. */
export interface StoreUnderTest<T> {
  readonly store: Store<T>;
  /** Makes durable all that is committed, as its owner would. Left out where `commit()` itself does so. */
  flush?(): void | Promise<void>;
  /** Opens what a crash right now would leave. Left out for a store in memory, which is gone with its process. */
  crash?(): StoreUnderTest<T> | Promise<StoreUnderTest<T>>;
  /** Closes it and removes what it left. Called once for each that was opened, also after its crash. */
  close?(): void | Promise<void>;
}

/** How to make what the checks work with. */
export interface StoreKind<T> {
  /** A new, empty store. */
  open(): StoreUnderTest<T> | Promise<StoreUnderTest<T>>;
  /** The payload number `n`: always the same for one number, different for different ones. */
  entry(n: number): T;
}

/** One check: `run` rejects with an AssertionError that says what is wrong. */
export interface StoreCheck {
  readonly name: string;
  run(): Promise<void>;
}

/** Schedules of the random check, one a seed: the same in every run. */
const seeds = 30;
const stepsPerSeed = 60;

/** The checks of `kind`. Those that need a crash pass at once for a store that has none. */
export function storeChecks<T>(kind: StoreKind<T>): StoreCheck[] {
  return checks.map(({ name, body }) => ({ name, run: () => withBench(kind, body) }));
}

/** Opens stores for one check, and closes them all at its end. */
class Bench<T> {
  readonly #kind: StoreKind<T>;
  readonly #opened: StoreUnderTest<T>[] = [];

  constructor(kind: StoreKind<T>) {
    this.#kind = kind;
  }

  async open(): Promise<StoreUnderTest<T>> {
    return this.#keep(await this.#kind.open());
  }

  /** What a crash leaves; undefined for a store that does not outlive one. */
  async crash(subject: StoreUnderTest<T>): Promise<StoreUnderTest<T> | undefined> {
    const left = await subject.crash?.();
    return left && this.#keep(left);
  }

  async close(): Promise<void> {
    for (const subject of this.#opened.reverse()) await subject.close?.();
  }

  entries(from: number, to: number): Entry<T>[] {
    return Array.from({ length: to - from }, (_, at) => ({ type: 'Normal', entry: this.#kind.entry(from + at) }));
  }

  #keep(subject: StoreUnderTest<T>): StoreUnderTest<T> {
    this.#opened.push(subject);
    return subject;
  }
}

async function withBench<T>(kind: StoreKind<T>, body: (bench: Bench<T>) => Promise<void>): Promise<void> {
  const bench = new Bench(kind);
  try {
    await body(bench);
  } finally {
    await bench.close();
  }
}

interface NamedBody {
  readonly name: string;
  readonly body: <T>(bench: Bench<T>) => Promise<void>;
}

const checks: readonly NamedBody[] = [
  {
    name: 'begins empty, at the bottom ballot, with nothing decided',
    body: async (bench) => {
      const { store } = await bench.open();
      deepStrictEqual([store.sequence.trimmedIndex, store.sequence.endIndex], [0, 0]);
      same({ ...stateOf(store) }, { promise: bottomBallot, acceptedRound: bottomBallot, decidedIndex: 0 });
      deepStrictEqual(store.sequence.read(0, 0), []);
    },
  },
  {
    name: 'shows staged writes at once, before any commit',
    body: async (bench) => {
      const { store } = await bench.open();
      store.sequence.append(bench.entries(0, 10));
      store.state.promise = { n: 3, priority: 1, pid: 2 };
      store.state.acceptedRound = { n: 2, priority: 0, pid: 9 };
      store.state.decidedIndex = 4;
      same(store.sequence.read(2, 5), bench.entries(2, 5));
      deepStrictEqual(store.sequence.endIndex, 10);
      same(stateOf(store), {
        promise: { n: 3, priority: 1, pid: 2 },
        acceptedRound: { n: 2, priority: 0, pid: 9 },
        decidedIndex: 4,
      });
    },
  },
  {
    name: 'neither keeps the array that was appended nor hands out its own',
    body: async (bench) => {
      const { store } = await bench.open();
      const appended = bench.entries(0, 3);
      store.sequence.append(appended);
      appended.length = 0;
      const read = store.sequence.read(0, 3);
      store.sequence.truncate(1);
      store.sequence.append(bench.entries(7, 9));
      same(read, bench.entries(0, 3));
      read.length = 0;
      same(store.sequence.read(0, 3), [...bench.entries(0, 1), ...bench.entries(7, 9)]);
    },
  },
  {
    name: 'refuses, with a RangeError, to read, truncate or trim outside of the log',
    body: async (bench) => {
      const { store } = await bench.open();
      const { sequence } = store;
      sequence.append(bench.entries(0, 10));
      sequence.trim(4);
      throws(() => sequence.read(3, 5), RangeError, 'read from below the trimmed index');
      throws(() => sequence.read(5, 11), RangeError, 'read past the end');
      throws(() => sequence.truncate(3), RangeError, 'truncate below the trimmed index');
      throws(() => sequence.trim(11), RangeError, 'trim past the end');
      same(sequence.read(4, 10), bench.entries(4, 10));
      deepStrictEqual([sequence.read(4, 4), sequence.read(10, 10)], [[], []]);
    },
  },
  {
    name: 'reads in order up to the end that is asked for, or, where a size is given, at least what is over it',
    body: async (bench) => {
      const store = await inThreeFlushes(bench);
      const few = store.sequence.read(5, 25, 0);
      ok(few.length > 0, 'no entry was read');
      same(few, bench.entries(5, 5 + few.length));
      same(store.sequence.read(5, 25, Number.POSITIVE_INFINITY), bench.entries(5, 25));
      deepStrictEqual(store.sequence.read(5, 5, 0), []);
    },
  },
  {
    name: 'rewrites the end of the log',
    body: async (bench) => {
      const store = await inThreeFlushes(bench);
      store.sequence.truncate(17);
      store.sequence.append(bench.entries(500, 503));
      same(store.sequence.read(0, 20), [...bench.entries(0, 17), ...bench.entries(500, 503)]);
      store.sequence.truncate(0);
      deepStrictEqual(store.sequence.endIndex, 0);
    },
  },
  {
    name: 'trims in the middle and to the end; indexes go on',
    body: async (bench) => {
      const { store } = await bench.open();
      const { sequence } = store;
      sequence.append(bench.entries(0, 20));
      sequence.trim(15);
      deepStrictEqual([sequence.trimmedIndex, sequence.endIndex], [15, 20]);
      same(sequence.read(15, 20), bench.entries(15, 20));
      sequence.trim(20);
      deepStrictEqual([sequence.trimmedIndex, sequence.endIndex], [20, 20]);
      sequence.append(bench.entries(20, 22));
      same(sequence.read(20, 22), bench.entries(20, 22));
    },
  },
  {
    name: 'goes on, empty, where a reset says: within the log or past its end',
    body: async (bench) => {
      const { store } = await bench.open();
      const { sequence } = store;
      for (const index of [5, 1000, 7]) {
        sequence.append(bench.entries(0, 10));
        sequence.reset(index);
        deepStrictEqual([sequence.trimmedIndex, sequence.endIndex], [index, index]);
        sequence.append(bench.entries(30, 34));
        same(sequence.read(index, index + 4), bench.entries(30, 34));
      }
    },
  },
  {
    name: 'keeps StopSigns, with and without metadata',
    body: async (bench) => {
      const stops = stopSigns();
      const subject = await bench.open();
      subject.store.sequence.append(stops);
      same(subject.store.sequence.read(0, stops.length), stops);
      subject.store.commit();
      await subject.flush?.();
      const left = await bench.crash(subject);
      if (left) same(left.store.sequence.read(0, stops.length), stops);
    },
  },
  {
    name: 'numbers commits upwards, and what is durable never goes back nor ahead of them',
    body: async (bench) => {
      const { store, flush } = bound(await bench.open());
      let last = store.durableWrite();
      let durable = last;
      for (let round = 0; round < 20; round++) {
        // Every third transition is empty: it counts like any other.
        if (round % 3 !== 0) store.sequence.append(bench.entries(round, round + 1));
        const number = store.commit();
        ok(number > last, `commit ${number} came after ${last}`);
        last = number;
        if (round % 4 === 3) await flush();
        const now = store.durableWrite();
        ok(now >= durable, `durableWrite went back from ${durable} to ${now}`);
        ok(now <= last, `durableWrite is ${now}, the last commit ${last}`);
        durable = now;
      }
    },
  },
  {
    name: 'calls all that was committed before a flush durable after it, and takes commits meanwhile',
    body: async (bench) => {
      const { store, flush } = bound(await bench.open());
      store.sequence.append(bench.entries(0, 3));
      const first = store.commit();
      const flushing = flush();
      store.sequence.append(bench.entries(3, 5));
      const second = store.commit();
      await flushing;
      ok(store.durableWrite() >= first, 'the first commit is durable after its flush');
      await flush();
      ok(store.durableWrite() >= second, 'the second commit is durable after the next flush');
      same(store.sequence.read(0, 5), bench.entries(0, 5));
    },
  },
  {
    name: 'keeps a transition of thousands of entries',
    body: async (bench) => {
      const subject = await bench.open();
      subject.store.sequence.append(bench.entries(0, 3000));
      subject.store.commit();
      await subject.flush?.();
      const { store } = (await bench.crash(subject)) ?? subject;
      same(store.sequence.read(0, 3000), bench.entries(0, 3000));
    },
  },
  {
    name: 'recovers log, promise and accepted round from a crash',
    body: async (bench) => {
      const subject = await bench.open();
      const { store } = subject;
      store.state.promise = { n: 4, priority: 2, pid: 9 };
      store.state.acceptedRound = { n: 3, priority: 0, pid: 1 };
      store.sequence.append(bench.entries(0, 20));
      store.state.decidedIndex = 7;
      store.sequence.trim(3);
      store.commit();
      await subject.flush?.();
      const left = await bench.crash(subject);
      if (!left) return;
      same(left.store.state.promise, store.state.promise);
      same(left.store.state.acceptedRound, store.state.acceptedRound);
      ok(left.store.state.decidedIndex <= 7, 'the decided index may be lost, and is never invented');
      deepStrictEqual(left.store.sequence.trimmedIndex, 3);
      same(left.store.sequence.read(3, 20), bench.entries(3, 20));
    },
  },
  {
    name: 'forgets in a crash what was staged and never committed',
    body: async (bench) => {
      const subject = await bench.open();
      const { store } = subject;
      store.sequence.append(bench.entries(0, 5));
      store.commit();
      await subject.flush?.();
      store.sequence.truncate(2);
      store.sequence.append(bench.entries(50, 60));
      store.state.promise = { n: 9, priority: 0, pid: 9 };
      const left = await bench.crash(subject);
      if (!left) return;
      same(left.store.sequence.read(0, left.store.sequence.endIndex), bench.entries(0, 5));
      same(left.store.state.promise, bottomBallot);
    },
  },
  {
    name: 'agrees with a log in memory, and leaves whole transitions in a crash, whatever is done to it',
    body: async (bench) => {
      for (let seed = 1; seed <= seeds; seed++) await new Schedule(bench, seed).run();
    },
  },
];

/** What a crash may leave: the store as it was at one commit. */
interface Image {
  readonly write: number;
  readonly trimmedIndex: number;
  readonly entries: unknown;
  readonly state: PaxosState;
}

/** Steps as the algorithm makes them, drawn from a seed; a twin in memory says what must come out. */
class Schedule<T> {
  readonly #bench: Bench<T>;
  readonly #seed: number;
  #random: number;
  #twin = new MemorySequence<T>();
  /** Every commit since the store was opened. */
  #images: Image[] = [];
  #nextEntry = 0;
  #flushing: Promise<void> = Promise.resolve();

  constructor(bench: Bench<T>, seed: number) {
    this.#bench = bench;
    this.#seed = seed;
    this.#random = seed;
  }

  async run(): Promise<void> {
    let subject = await this.#bench.open();
    this.#commit(subject.store);
    for (let step = 0; step < stepsPerSeed; step++) {
      const drawn = this.#below(100);
      if (drawn < 60) this.#change(subject.store, drawn);
      else if (drawn < 75) this.#commit(subject.store);
      else if (drawn < 97) await this.#flush(subject);
      else subject = await this.#crash(subject);
      this.#expectTwin(subject.store, `seed ${this.#seed}, step ${step}`);
    }
    await this.#flushing;
  }

  /** Keeps to trimmed ≤ decided ≤ end, as the algorithm does. */
  #change({ sequence, state }: Store<T>, drawn: number): void {
    const { decidedIndex } = state;
    if (drawn < 30) {
      const count = 1 + this.#below(12);
      const added = this.#bench.entries(this.#nextEntry, this.#nextEntry + count);
      this.#nextEntry += count;
      this.#both(sequence, (log) => log.append(added));
    } else if (drawn < 40) {
      state.decidedIndex = this.#between(decidedIndex, sequence.endIndex);
    } else if (drawn < 48) {
      const index = this.#between(decidedIndex, sequence.endIndex);
      this.#both(sequence, (log) => log.truncate(index));
    } else if (drawn < 52) {
      const index = this.#between(sequence.trimmedIndex, decidedIndex);
      this.#both(sequence, (log) => log.trim(index));
    } else if (drawn < 54) {
      const index = decidedIndex + 1 + this.#below(30);
      this.#both(sequence, (log) => log.reset(index));
      state.decidedIndex = index;
    } else {
      state.promise = { n: state.promise.n + 1, priority: drawn, pid: 1 + this.#below(5) };
      if (drawn < 57) state.acceptedRound = state.promise;
    }
  }

  #commit(store: Store<T>): void {
    const write = store.commit();
    const { trimmedIndex, endIndex } = this.#twin;
    const entries = plain(this.#twin.read(trimmedIndex, endIndex));
    this.#images.push({ write, trimmedIndex, entries, state: stateOf(store) });
  }

  /** Half of the time the next steps are taken while the disk writes. */
  async #flush(subject: StoreUnderTest<T>): Promise<void> {
    await this.#flushing;
    this.#commit(subject.store);
    const last = this.#images[this.#images.length - 1] as Image;
    this.#flushing = Promise.resolve(subject.flush?.()).then(() => {
      ok(
        subject.store.durableWrite() >= last.write,
        `seed ${this.#seed}: commit ${last.write} is not durable after its flush`,
      );
    });
    if (this.#below(2) === 0) await this.#flushing;
  }

  async #crash(subject: StoreUnderTest<T>): Promise<StoreUnderTest<T>> {
    await this.#flushing;
    const durable = subject.store.durableWrite();
    const left = await this.#bench.crash(subject);
    if (!left) return subject;
    const image = this.#imageLeft(left.store, durable);
    this.#twin = new MemorySequence<T>();
    this.#twin.reset(image.trimmedIndex);
    const { trimmedIndex, endIndex } = left.store.sequence;
    this.#twin.append(left.store.sequence.read(trimmedIndex, endIndex));
    // What a decided index that was lost leaves to the algorithm: it is a lower bound.
    left.store.state.decidedIndex = Math.max(left.store.state.decidedIndex, trimmedIndex);
    this.#images = [];
    this.#commit(left.store);
    return left;
  }

  /** The commit at which the store stopped: one that was durable, or a later one, and nothing in between. */
  #imageLeft(store: Store<T>, durable: number): Image {
    const { trimmedIndex, endIndex } = store.sequence;
    const log = JSON.stringify(plain(store.sequence.read(trimmedIndex, endIndex)));
    const found = this.#images.findLast(
      (image) =>
        image.write >= durable &&
        image.trimmedIndex === trimmedIndex &&
        JSON.stringify(image.entries) === log &&
        isSameRound(image.state, store.state) &&
        store.state.decidedIndex <= image.state.decidedIndex,
    );
    return (
      found ??
      fail(
        `seed ${this.#seed}: a crash with commit ${durable} durable left a log ${trimmedIndex}…${endIndex}, promise ` +
          `${JSON.stringify(store.state.promise)}, decided ${store.state.decidedIndex}: that is no commit from ${durable} on`,
      )
    );
  }

  #both(sequence: Store<T>['sequence'], change: (log: Store<T>['sequence']) => void): void {
    change(sequence);
    change(this.#twin);
  }

  #expectTwin({ sequence }: Store<T>, where: string): void {
    const { trimmedIndex, endIndex } = this.#twin;
    deepStrictEqual([sequence.trimmedIndex, sequence.endIndex], [trimmedIndex, endIndex], where);
    same(sequence.read(trimmedIndex, endIndex), this.#twin.read(trimmedIndex, endIndex), where);
    const middle = this.#between(trimmedIndex, endIndex);
    same(sequence.read(middle, endIndex), this.#twin.read(middle, endIndex), where);
  }

  #between(from: number, to: number): number {
    return from + this.#below(to - from + 1);
  }

  /** A whole number from 0 to `bound` (exclusive), by a linear congruential generator. */
  #below(bound: number): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * bound);
  }
}

/** The store, and its flush as a function that is always there. */
function bound<T>(subject: StoreUnderTest<T>): { store: Store<T>; flush: () => Promise<void> } {
  return { store: subject.store, flush: async () => subject.flush?.() };
}

/** A store with thirty entries, of which each ten were flushed by themselves. */
async function inThreeFlushes<T>(bench: Bench<T>): Promise<Store<T>> {
  const { store, flush } = bound(await bench.open());
  for (const start of [0, 10, 20]) {
    store.sequence.append(bench.entries(start, start + 10));
    store.commit();
    await flush();
  }
  return store;
}

function stopSigns(): StopSignEntry[] {
  return [
    { type: 'StopSign', stopSign: { configId: 2, nodes: [1, 2, 4], metadata: new Uint8Array([1, 2, 255]) } },
    { type: 'StopSign', stopSign: { configId: 3, nodes: [300, 70_000] } },
    { type: 'StopSign', stopSign: { configId: 4, nodes: [1], metadata: new Uint8Array(0) } },
  ];
}

/** A copy: the store's own may be changed by what follows, and may be made of getters. */
function stateOf<T>({ state }: Store<T>): PaxosState {
  const { promise, acceptedRound, decidedIndex } = state;
  return { promise, acceptedRound, decidedIndex };
}

function isSameRound(a: PaxosState, b: PaxosState): boolean {
  const text = ({ promise, acceptedRound }: PaxosState) => JSON.stringify(plain([promise, acceptedRound]));
  return text(a) === text(b);
}

function same(actual: unknown, expected: unknown, message?: string): void {
  deepStrictEqual(plain(actual), plain(expected), message);
}

/** Values by what they hold: bytes whatever their class, members in the order of their names, those undefined left out. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${Array.from(value).join(' ')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    members.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, member]) => [name, plain(member)]),
  );
}
