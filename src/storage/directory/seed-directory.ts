import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Origin } from '../../cluster/origin.ts';
import type { SnapshotRow } from '../../kv/state-store.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { writeFileDurably } from '../disk/durable-file.ts';
import { FileLogStore } from '../log/file-log-store.ts';
import { dataFileName } from '../state/lmdb-environment.ts';
import { LmdbStateStore } from '../state/lmdb-state-store.ts';
import { markClosed } from './clean-close.ts';
import { makeDirectory, refusal } from './data-directory.ts';
import { lockDirectory } from './directory-lock.ts';
import { beginCreation, finishCreation, removeIdentity } from './identity-file.ts';
import { writeOrigin } from './origin-file.ts';
import { isUnfinishedSeed, seedingName } from './seeding-mark.ts';

/** A data directory to be made with data in it. */
export interface Seed {
  /** Must be absent or empty, or what an earlier attempt left unfinished. */
  readonly path: string;
  readonly nodeId: NodeId;
  readonly clusterName: string;
  /** What the data is, and at which index the log begins. */
  readonly origin: Origin;
  /** All pairs, some at a time, keys ascending. */
  readonly rows: AsyncIterable<readonly SnapshotRow[]> | Iterable<readonly SnapshotRow[]>;
}

/** Rows that wait for the disk beyond so many bytes hold up the reading of more. */
const backlogBytesMax = 16 * 1024 * 1024;
const backlogPollMs = 2;

/**
 * Makes the data directory of a first member of a new cluster that begins with data. The state holds the rows at index
 * `origin.index`, the log begins there, empty, and there is no configuration: the members make one when they meet.
 *
 * Until all is there and durable the directory is refused by whoever wants to open it: a node must not begin empty where data
 * was to be. Rejects with a {@link DataDirectoryError}, with `notEmpty` if there is anything in the directory already.
 */
export async function seedDataDirectory(seed: Seed): Promise<void> {
  const path = resolve(seed.path);
  try {
    refuseUsed(path);
    makeDirectory(path);
    const lock = await lockDirectory(path);
    try {
      await fill(path, seed);
    } finally {
      lock.release();
    }
  } catch (error) {
    throw refusal(path, error);
  }
}

/** Throws a {@link DataDirectoryError} if a directory cannot be made at `path`, since something is there. */
export function refuseUsed(path: string): void {
  if (!existsSync(path)) return;
  if (!statSync(path).isDirectory()) throw notEmpty(path, 'is a file');
  if (isUnfinishedSeed(path)) return;
  if (readdirSync(path).length > 0) throw notEmpty(path, 'is not empty');
}

async function fill(path: string, { nodeId, clusterName, origin, rows }: Seed): Promise<void> {
  writeFileDurably(path, seedingName, '');
  removeIdentity(path);
  const identity = beginCreation(path, { nodeId, clusterName });
  await fillState(join(path, 'state'), origin.index, rows);
  const logRecords = await fillLog(join(path, 'log'), identity, origin.index);
  writeOrigin(path, origin);
  await markClosed(path, join(path, 'state', dataFileName), logRecords);
  finishCreation(path, identity);
  // Last: whoever finds an identity without this mark finds all of it.
  rmSync(join(path, seedingName));
}

async function fillState(path: string, index: number, rows: Seed['rows']): Promise<void> {
  const store = await LmdbStateStore.open(path);
  try {
    store.beginInstall();
    for await (const some of rows) {
      if (store.installLacksRoom) break;
      store.installRows(some);
      while (store.installBacklogBytes > backlogBytesMax) await delay(backlogPollMs);
    }
    await store.finishInstall(index);
  } finally {
    await store.close();
  }
}

async function fillLog(
  path: string,
  { nodeId, storageId }: { readonly nodeId: NodeId; readonly storageId: string },
  index: number,
): Promise<number> {
  const store = await FileLogStore.open({ path, nodeId, storageId });
  try {
    store.sequence.reset(index);
    store.state.decidedIndex = index;
    store.commit();
    await store.flush();
  } finally {
    await store.close();
  }
  return store.records;
}

function notEmpty(path: string, what: string): DataDirectoryError {
  return new DataDirectoryError(
    'notEmpty',
    `${path} ${what}: give a directory that does not exist yet, or an empty one`,
  );
}
