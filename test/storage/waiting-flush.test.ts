import { constants } from 'node:os';
import { getSystemErrorName } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import { DiskRoom } from '../../src/storage/disk/disk-room.ts';
import { FileLogStore } from '../../src/storage/log/file-log-store.ts';
import { Scratch } from './scratch.ts';

const options = { nodeId: 1, storageId: '0123456789abcdef', segmentBytes: 4096 };
const tail = { entriesMax: 4, bytesMax: 1000 };
/** As SpaceWatch has it while a write waits, and where space is ample. */
const readyWhileWaiting = { min: 1, max: 1 };
const ready = { min: 2, max: 4 };

let scratch: Scratch;
let path: string;

beforeEach(() => {
  scratch = new Scratch();
  path = scratch.fresh();
});

afterEach(() => scratch.remove());

/** A disk that says that it is full, or refuses files as it does where a user has a quota, though there is room. */
class LimitedRoom extends DiskRoom {
  isFull = false;
  refusesFiles = false;
  /** Those that hold one large record each. */
  refusesLargeFiles = false;

  override async has(bytes: number): Promise<boolean> {
    return !this.isFull && (await super.has(bytes));
  }

  override async checkFree(bytes: number): Promise<void> {
    await super.checkFree(this.isFull ? Number.POSITIVE_INFINITY : bytes);
    if (this.refusesFiles) throw quotaError();
  }

  override attempt(write: () => Promise<void>): Promise<boolean> {
    const isRefused = this.isFull || this.refusesFiles || this.refusesLargeFiles;
    return super.attempt(isRefused ? () => Promise.reject(quotaError()) : write);
  }
}

/** As Node says it, which has no name for it. */
function quotaError(): Error {
  const errno = -constants.errno.EDQUOT;
  const code = getSystemErrorName(errno);
  return Object.assign(new Error(`${code}: ${code}, write`), { errno, code, syscall: 'write' });
}

async function open(directory = path): Promise<{ store: FileLogStore; room: LimitedRoom }> {
  const room = new LimitedRoom(directory);
  const store = await FileLogStore.open({ ...options, path: directory, tail, room });
  room.allowWaiting();
  return { store, room };
}

function entry(text: string, bytes = 200): Entry<Uint8Array> {
  return { type: 'Normal', entry: new Uint8Array(Buffer.from(text.padEnd(bytes, '.'))) };
}

async function append(store: FileLogStore, count: number, name = ''): Promise<void> {
  for (let at = 0; at < count; at++) {
    store.sequence.append([entry(`${store.sequence.endIndex}${name}`)]);
    store.commit();
    await store.flush();
  }
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The files that lie ready are gone, and from now on there is no other. */
async function useUpFiles(store: FileLogStore, stopFiles: () => void): Promise<void> {
  stopFiles();
  // One that was in the making is made all the same, and lies ready.
  await store.tidied();
  store.readySegments = { min: 0, max: 0 };
  await store.tidied();
  expect(store.fileBytes).toBe(store.neededBytes);
}

describe('while a flush waits for room', () => {
  it('what it is to cut off stays on the disk, though the log is trimmed up to there', async () => {
    const { store, room } = await open();
    await append(store, 60);
    store.state.decidedIndex = 20;
    await useUpFiles(store, () => {
      room.isFull = true;
    });
    store.sequence.truncate(20);
    store.state.acceptedRound = { n: 5, priority: 0, pid: 2 };
    store.sequence.append(Array.from({ length: 30 }, (_, at) => entry(`${20 + at} anew`)));
    store.state.decidedIndex = 50;
    store.commit();
    const flushed = expect(store.flush()).rejects.toThrow('no space left');
    await expect.poll(() => room.isWaiting).toBe(true);
    store.sequence.trim(30);
    store.commit();
    await pause(200);
    room.stopWaiting();
    await flushed;
    await store.close();
    const { store: again } = await open();
    expect([again.sequence.trimmedIndex, again.state.decidedIndex, again.sequence.endIndex]).toEqual([0, 0, 60]);
    expect(again.sequence.read(20, 60)).toEqual(Array.from({ length: 40 }, (_, at) => entry(`${20 + at}`)));
    await again.close();
  });

  it('what was trimmed is let go of, too, where a quota refuses files and the disk has room', async () => {
    const { store, room } = await open();
    await append(store, 60);
    store.state.decidedIndex = 60;
    await useUpFiles(store, () => {
      room.refusesFiles = true;
    });
    store.readySegments = readyWhileWaiting;
    const appended = append(store, 8, ' more');
    await expect.poll(() => room.isWaiting).toBe(true);
    store.sequence.trim(58);
    store.commit();
    await appended;
    expect(store.sequence.endIndex).toBe(68);
    await store.close();
  });

  it.each(['isFull', 'refusesFiles'] as const)(
    'a large record goes on in what the trimmed log leaves (%s)',
    async (how) => {
      const { store, room } = await open();
      await append(store, 120);
      store.state.decidedIndex = 119;
      store.commit();
      await append(store, 1);
      await useUpFiles(store, () => {
        room[how] = true;
      });
      store.readySegments = { min: 1, max: 4 };
      store.sequence.trim(110);
      store.commit();
      const large = Array.from({ length: 30 }, (_, at) => entry(`${at} large`));
      store.sequence.append(large);
      store.commit();
      await store.flush();
      await store.close();
      const { store: again } = await open();
      expect(again.sequence.read(121, 151)).toEqual(large);
      await again.close();
    },
  );
});

/** A log as it was at a flush. */
interface Image {
  readonly trimmedIndex: number;
  readonly decidedIndex: number;
  readonly endIndex: number;
  readonly round: number;
  readonly texts: ReadonlyMap<number, string>;
}

/** Whatever is done to a log while its disk fills and empties again, drawn from a seed: copies of its files are opened at any moment. */
class Schedule {
  readonly #seed: number;
  #random: number;
  #store!: FileLogStore;
  #room!: LimitedRoom;
  #texts = new Map<number, string>();
  #written = 0;
  #durable!: Image;
  #pending: Image | undefined;
  #flushing: Promise<void> | undefined;
  copies = 0;

  constructor(seed: number) {
    this.#seed = seed;
    this.#random = seed;
  }

  async run(): Promise<void> {
    await this.#open();
    for (let step = 0; step < 150; step++) {
      const drawn = this.#below(100);
      if (drawn < 60) this.#change();
      else if (drawn < 80) await this.#flush();
      else if (drawn < 86) this.#fillOrEmpty();
      else if (drawn < 95) await this.#look();
      else if (drawn < 97) await this.#restart();
      else await pause(20);
      this.#expectReads();
    }
    this.#room.isFull = false;
    this.#room.stopWaiting();
    await this.#flushing;
    await this.#store.close();
  }

  async #open(): Promise<void> {
    ({ store: this.#store, room: this.#room } = await open());
    this.#durable = this.#image();
  }

  #change(): void {
    const { sequence, state } = this.#store;
    const { decidedIndex } = state;
    const drawn = this.#below(100);
    if (drawn < 45) this.#append();
    else if (drawn < 65) state.decidedIndex = this.#between(decidedIndex, sequence.endIndex);
    else if (drawn < 76) sequence.truncate(drawn < 73 ? this.#between(decidedIndex, sequence.endIndex) : decidedIndex);
    else if (drawn < 92) sequence.trim(drawn < 82 ? decidedIndex : this.#between(sequence.trimmedIndex, decidedIndex));
    else if (drawn < 94) {
      const index = decidedIndex + 1 + this.#below(30);
      sequence.reset(index);
      state.decidedIndex = index;
    } else {
      state.promise = { n: state.promise.n + 1, priority: 0, pid: 1 };
      state.acceptedRound = state.promise;
    }
  }

  #append(): void {
    const { sequence } = this.#store;
    const count = this.#below(10) === 0 ? this.#between(20, 60) : this.#between(1, 6);
    const bytes = count <= 6 && this.#below(40) === 0 ? 5000 : this.#between(50, 400);
    const from = sequence.endIndex;
    const entries = Array.from({ length: count }, (_, at) => entry(`${from + at} as number ${this.#written++}`, bytes));
    for (const [at, one] of entries.entries()) this.#texts.set(from + at, textOf(one));
    sequence.append(entries);
  }

  async #flush(): Promise<void> {
    this.#store.commit();
    if (this.#flushing || !this.#store.hasStagedWrites) return;
    const image = this.#image();
    this.#pending = image;
    this.#flushing = this.#store.flush().then(
      () => this.#onFlushed(image),
      (error) => expect(String(error)).toContain('no space left'),
    );
    if (!this.#room.isFull && this.#below(2) === 0) await this.#flushing;
  }

  #onFlushed(image: Image): void {
    this.#durable = image;
    this.#pending = undefined;
    this.#flushing = undefined;
  }

  #fillOrEmpty(): void {
    this.#room.refusesLargeFiles = this.#below(2) === 0;
    this.#room.isFull = !this.#room.isFull;
    this.#store.readySegments = this.#room.isFull ? readyWhileWaiting : ready;
  }

  /** What a crash would leave now. */
  async #look(): Promise<void> {
    if (!this.#flushing) return;
    await pause(this.#below(70));
    const before = { durable: this.#durable, pending: this.#pending };
    const copy = scratch.copyOf(path);
    const { store } = await open(copy);
    this.#expectLeft(store, before.durable, before.pending);
    this.copies++;
    await store.close();
  }

  async #restart(): Promise<void> {
    this.#store.commit();
    const { durable, pending } = { durable: this.#durable, pending: this.#pending };
    this.#room.stopWaiting();
    await this.#flushing;
    await this.#store.close();
    this.#flushing = undefined;
    this.#pending = undefined;
    await this.#open();
    this.#expectLeft(this.#store, durable, pending);
    const { trimmedIndex, endIndex } = this.#store.sequence;
    const texts = this.#store.sequence.read(trimmedIndex, endIndex).map(textOf);
    this.#texts = new Map(texts.map((text, at) => [trimmedIndex + at, text]));
    this.#durable = this.#image();
  }

  /** It is what was durable, or what was on its way, or the first entries of that; a later trim may be there before the rest. */
  #expectLeft({ sequence, state }: FileLogStore, durable: Image, pending: Image | undefined): void {
    const { trimmedIndex, endIndex } = sequence;
    const { decidedIndex } = state;
    const left = `seed ${this.#seed}: ${trimmedIndex} … ${decidedIndex} … ${endIndex} is left`;
    expect(trimmedIndex, left).toBeGreaterThanOrEqual(durable.trimmedIndex);
    expect(decidedIndex, left).toBeGreaterThanOrEqual(Math.max(trimmedIndex, durable.decidedIndex));
    expect(endIndex, left).toBeGreaterThanOrEqual(decidedIndex);
    const texts = sequence.read(trimmedIndex, endIndex).map(textOf);
    const agrees = ({ endIndex: end, round, texts: expected }: Image, isWhole: boolean) =>
      (isWhole ? endIndex === end : endIndex <= end && endIndex >= durable.endIndex) &&
      state.acceptedRound.n === round &&
      texts.every((text, at) => expected.get(trimmedIndex + at) === text);
    const isLeft = agrees(durable, true) || (pending && (agrees(pending, true) || agrees(pending, false)));
    expect(isLeft, left).toBe(true);
  }

  #expectReads(): void {
    const { trimmedIndex, endIndex } = this.#store.sequence;
    const from = this.#between(trimmedIndex, endIndex);
    const to = this.#between(from, endIndex);
    const texts = this.#store.sequence.read(from, to).map(textOf);
    expect(texts, `seed ${this.#seed}`).toEqual(texts.map((_, at) => this.#texts.get(from + at)));
  }

  #image(): Image {
    const { sequence, state } = this.#store;
    const { trimmedIndex, endIndex } = sequence;
    const { decidedIndex, acceptedRound } = state;
    return { trimmedIndex, decidedIndex, endIndex, round: acceptedRound.n, texts: new Map(this.#texts) };
  }

  #between(from: number, to: number): number {
    return from + this.#below(to - from + 1);
  }

  #below(end: number): number {
    this.#random = (Math.imul(this.#random, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#random / 2 ** 32) * end);
  }
}

function textOf(one: Entry<Uint8Array>): string {
  return one.type === 'Normal' ? Buffer.from(one.entry).toString() : '';
}

it('a log on a disk that fills and empties is whole, whatever is done to it', async () => {
  let copies = 0;
  for (let seed = 1; seed <= 12; seed++) {
    const schedule = new Schedule(seed);
    await schedule.run();
    copies += schedule.copies;
    scratch.remove();
    scratch = new Scratch();
    path = scratch.fresh();
  }
  expect(copies).toBeGreaterThan(30);
});
