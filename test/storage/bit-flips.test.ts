import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { ByteString } from '../../src/base/bytes.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import { type DataDirectory, openDataDirectory } from '../../src/storage/directory/data-directory.ts';
import { DataDirectoryError } from '../../src/storage/disk/data-directory-error.ts';
import { DamagedError } from '../../src/storage/disk/storage-error.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { Random } from '../simulation/random.ts';
import { Scratch } from './scratch.ts';

/** Seed of all that is random here. */
const seed = 20_260;
const flipsEach = 100;
const pageBytes = 4096;

let scratch: Scratch;

beforeEach(() => {
  scratch = new Scratch();
});

afterEach(() => {
  scratch.remove();
});

/** What is in the directory, and must be read from it or not at all. */
interface Truth {
  readonly entries: readonly string[];
  readonly trimmedIndex: number;
  /** The keys as of each checkpoint, by its index. */
  readonly states: ReadonlyMap<number, ReadonlyMap<ByteString, string>>;
}

const commands = 400;

function textOf(index: number): string {
  return `value ${index} ${'abcdefgh'.repeat(index % 40)}`;
}

/** A directory as a node leaves it: entries, checkpoints, trims, overwritten and deleted keys, a restart. */
async function make(path: string): Promise<Truth> {
  const pairs = new Map<ByteString, string>();
  const states = new Map<number, ReadonlyMap<ByteString, string>>();
  const entries: string[] = [];
  for (const end of [commands / 2, commands]) {
    const directory = await openDataDirectory({ path, nodeId: 1 });
    const { logStore } = directory;
    const members = [{ id: 1, address: 'a:1', storageId: logStore.identity.storageId }];
    if (entries.length === 0) logStore.setConfiguration({ configurationId: 1, startIndex: 0, members });
    while (entries.length < end) {
      await write(directory, entries, pairs);
      states.set(entries.length, new Map(pairs));
    }
    await directory.close();
  }
  return { entries, trimmedIndex: trimmedAt(entries.length), states };
}

function trimmedAt(end: number): number {
  return end - 100;
}

async function write(
  { logStore, stateStore }: DataDirectory,
  entries: string[],
  pairs: Map<ByteString, string>,
): Promise<void> {
  const from = entries.length;
  for (let index = from; index < from + 20; index++) entries.push(textOf(index));
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  logStore.sequence.append(entries.slice(from).map((text) => ({ type: 'Normal', entry: bytes(text) })));
  logStore.state.decidedIndex = entries.length;
  logStore.state.promise = { n: entries.length, priority: 0, pid: 1 };
  logStore.commit();
  await logStore.flush();
  for (let index = from; index < entries.length; index++) {
    const key = `key-${index % 170}`;
    if (index % 11 === 10) {
      stateStore.delete(key);
      pairs.delete(key);
    } else {
      stateStore.put(key, bytes(textOf(index)), index + 1);
      pairs.set(key, textOf(index));
    }
  }
  await checkpointAt(stateStore, entries.length, [{ id: from + 1, bytes: bytes(`session ${from}`) }]);
  if (trimmedAt(entries.length) > 0) logStore.sequence.trim(trimmedAt(entries.length));
  logStore.commit();
  await logStore.flush();
}

/** Reads everything; whatever is given must be the truth. Resolves with what was found to be damaged, or `undefined`. */
async function damageFound(path: string, truth: Truth): Promise<Error | undefined> {
  let directory: DataDirectory;
  try {
    directory = await openDataDirectory({ path, nodeId: 1 });
  } catch (error) {
    if (!(error instanceof DataDirectoryError)) throw error;
    return error;
  }
  try {
    compare(directory, truth);
    return undefined;
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    return error;
  } finally {
    await directory.abandon();
  }
}

function compare({ logStore, stateStore }: DataDirectory, truth: Truth): void {
  const { sequence, state } = logStore;
  expect(sequence.endIndex).toBe(truth.entries.length);
  expect(sequence.trimmedIndex).toBe(truth.trimmedIndex);
  expect(state.promise.n).toBe(truth.entries.length);
  const read = sequence.read(sequence.trimmedIndex, sequence.endIndex).map(entryText);
  expect(read).toEqual(truth.entries.slice(truth.trimmedIndex));
  // LMDB may fall back to the checkpoint before: that is no damage, since the log goes on from there.
  const { durableIndex } = stateStore;
  expect(durableIndex).toBeGreaterThanOrEqual(truth.entries.length - 20);
  const expected = truth.states.get(durableIndex) as ReadonlyMap<ByteString, string>;
  for (let number = 0; number < 170; number++) {
    const key = `key-${number}`;
    const record = stateStore.get(key);
    expect(record && Buffer.from(record.value).toString()).toBe(expected.get(key));
  }
  const { pairs } = stateStore.range({ prefix: '', limit: 1000, bytesMax: 10_000_000 });
  expect(new Map(pairs.map(({ key, value }) => [key, Buffer.from(value).toString()]))).toEqual(
    new Map([...expected].sort(([a], [b]) => (a < b ? -1 : 1))),
  );
  expect([...stateStore.sessions()]).toHaveLength(durableIndex / 20);
}

function entryText(entry: Entry<Uint8Array>): string {
  return entry.type === 'Normal' ? Buffer.from(entry.entry).toString() : '';
}

function dataFiles(path: string): string[] {
  return (
    (readdirSync(path, { recursive: true }) as string[])
      .map((name) => join(path, name))
      // Nobody ever reads what is in the trial.
      .filter((file) => statSync(file).isFile() && basename(file) !== 'trial')
  );
}

/** Up to where a file holds anything: what lies behind was only ever filled with zeros. */
function usedBytes(data: Buffer): number {
  let end = data.length;
  while (end > 1 && data[end - 1] === 0) end--;
  return end;
}

/** A directory in memory. */
type Image = readonly { readonly name: string; readonly bytes: Buffer; readonly size: number }[];

function imageOf(path: string): Image {
  return dataFiles(path).map((file) => {
    const data = readFileSync(file);
    return { name: file.slice(path.length + 1), bytes: data.subarray(0, usedBytes(data)), size: data.length };
  });
}

function layDown(image: Image, path: string): void {
  for (const { name, bytes, size } of image) {
    const file = join(path, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, bytes);
    truncateSync(file, size);
  }
}

/** The damage of one round, and a word for it. */
type Harm = (random: Random, path: string) => { readonly file: string; readonly what: string };

const flipBit: Harm = (random, path) => {
  const file = random.pick(dataFiles(path));
  const data = readFileSync(file);
  const offset = random.below(usedBytes(data));
  const bit = random.below(8);
  overwrite(file, offset, Uint8Array.of(data.readUInt8(offset) ^ (1 << bit)));
  return { file, what: `bit ${bit} at ${offset}` };
};

const truncate: Harm = (random, path) => {
  const file = random.pick(dataFiles(path));
  const bytes = random.below(usedBytes(readFileSync(file)));
  truncateSync(file, bytes);
  return { file, what: `cut at ${bytes}` };
};

const zeroPage: Harm = (random, path) => {
  const file = random.pick(dataFiles(path));
  const data = readFileSync(file);
  // The first pages are those on which everything hangs: the meta pages of LMDB, the base of a segment.
  const pages = Math.ceil(usedBytes(data) / pageBytes);
  const page = random.chance(50) ? random.below(Math.min(2, pages)) : random.below(pages);
  overwrite(file, page * pageBytes, new Uint8Array(Math.min(pageBytes, data.length - page * pageBytes)));
  return { file, what: `page ${page} zeroed` };
};

function overwrite(file: string, offset: number, bytes: Uint8Array): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, bytes, 0, bytes.length, offset);
  closeSync(descriptor);
}

const harms: Readonly<Record<string, { readonly harm: Harm; readonly rounds: number }>> = {
  'a flipped bit': { harm: flipBit, rounds: flipsEach },
  'a cut file': { harm: truncate, rounds: 25 },
  'a zeroed page': { harm: zeroPage, rounds: 25 },
};

const closings = ['after a close in good order', 'after a crash'] as const;
const cases = Object.keys(harms).flatMap((name) => closings.map((closing) => [name, closing] as const));

it.each(cases)(
  '%s, anywhere in the directory %s, gives no wrong byte',
  async (name, closing) => {
    const path = scratch.fresh();
    const truth = await make(path);
    if (closing === 'after a crash') rmSync(join(path, 'closed'));
    const image = imageOf(path);
    const { harm, rounds } = harms[name] as (typeof harms)[string];
    const random = new Random(
      seed,
      cases.findIndex((one) => one[0] === name && one[1] === closing),
    );
    let found = 0;
    for (let round = 0; round < rounds; round++) {
      const copy = scratch.fresh();
      layDown(image, copy);
      const { file, what } = harm(random, copy);
      const damage = await damageFound(copy, truth).catch((error: unknown) => {
        throw new Error(`${what} of ${file.slice(copy.length + 1)}, round ${round}: ${(error as Error).message}`);
      });
      if (damage !== undefined) {
        found++;
        expect(damage.message, `${what} of ${file}`).toContain(basename(file) === 'identity' ? copy : join(copy, ''));
        if (basename(file) === 'data.mdb') expect(damage.message).toContain(file);
      }
      rmSync(copy, { recursive: true });
    }
    // Some bits are in space that nothing uses.
    expect(found).toBeGreaterThan(rounds / 5);
  },
  300_000,
);
