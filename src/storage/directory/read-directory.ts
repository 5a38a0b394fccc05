import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Configuration } from '../../cluster/configuration.ts';
import { laterConfigurationOf } from '../../cluster/state-configuration.ts';
import { KvStateMachine } from '../../kv/state-machine.ts';
import type { StateStore } from '../../kv/state-store.ts';
import { bottomBallot } from '../../omnipaxos/ballot.ts';
import type { Entry } from '../../omnipaxos/entry.ts';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { DiskRoom } from '../disk/disk-room.ts';
import { DamagedError } from '../disk/storage-error.ts';
import type { BlockIndex } from '../log/block-index.ts';
import { FileLog } from '../log/file-log.ts';
import type { LogHead } from '../log/log-head.ts';
import { Wal } from '../log/wal.ts';
import { recoverLog } from '../log/wal-recovery.ts';
import { dataFileName } from '../state/lmdb-environment.ts';
import { LmdbStateStore } from '../state/lmdb-state-store.ts';
import { checkState } from '../state/state-check.ts';
import { assertReadable } from './access.ts';
import { checkLogEnd, closedName, closeVerdict } from './clean-close.ts';
import { refusal } from './data-directory.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';
import { assertDataDirectory, type DirectoryIdentity, readOwnIdentity } from './identity-file.ts';
import { olderCopyReason } from './older-copy.ts';
import { refuseUnfinishedSeed } from './seeding-mark.ts';

/** What a data directory holds, for those who must not change it. Its lock is held until `close()`. */
export interface DirectoryReading {
  readonly path: string;
  readonly identity: DirectoryIdentity;
  readonly clusterId: string | undefined;
  readonly configuration: Configuration | undefined;
  /** Another node has recognized it as an older copy of what its node voted with, and why. */
  readonly olderCopy: string | undefined;
  /** Bounds of the log, promise and accepted round. */
  readonly head: LogHead;
  /** Entries of the log. Throws a DamagedError. */
  readLog(from: number, to: number): Entry<Uint8Array>[];
  /** The state of the last checkpoint. What is staged in it stays in memory; checkpoints and installs fail. */
  readonly state: StateStore;
  close(): Promise<void>;
}

/** What of the log is kept in memory: the rest is read from the files when it is asked for. */
const tailLimits = { entriesMax: 1024, bytesMax: 1024 * 1024 };

/**
 * Reads the data directory at `path`, whoever's it is, and changes nothing in its log, its state and its identity. Rejects with a
 * {@link DataDirectoryError}: `inUse`, `newerFormat`, `damaged`, or `notWritable` where it is no data directory or cannot even be locked.
 */
export async function readDataDirectory(path: string): Promise<DirectoryReading> {
  const full = resolve(path);
  try {
    assertReadable(full);
    assertDataDirectory(full);
    const lock = await lockDirectory(full, 'keep');
    try {
      return await readLocked(full, lock);
    } catch (error) {
      lock.release();
      throw error;
    }
  } catch (error) {
    throw refusal(full, error);
  }
}

async function readLocked(path: string, lock: DirectoryLock): Promise<DirectoryReading> {
  refuseUnfinishedSeed(path);
  const identity = readOwnIdentity(path);
  const recovered = recoverLog(join(path, 'log'));
  if (recovered === undefined) throw damaged(join(path, 'log'), 'it has no segment of the log');
  await assertAsClosed(path, recovered.number - 1, lock);
  const { head, owner, blocks } = recovered;
  const state = await readState(join(path, 'state'), head.trimmedIndex);
  const wal = new Wal(join(path, 'log'), recovered, 0, new DiskRoom(path));
  const log = await openLog(wal, blocks, head, state);
  const later = laterConfigurationOf(new KvStateMachine(state).configuration, owner.configuration);
  return {
    path,
    identity,
    clusterId: owner.clusterId,
    configuration: later ?? owner.configuration,
    olderCopy: olderCopyReason(path),
    head: later ? headBehind(state.durableIndex) : head,
    readLog: (from, to) => log.read(from, to),
    state,
    close: async () => {
      try {
        await wal.close();
        await state.close();
      } finally {
        lock.release();
      }
    },
  };
}

/**
 * Who takes what is left of a directory for all that its node had loses what is not there any more without knowing. If nothing better is there,
 * the note of how it was closed can be taken away.
 */
async function assertAsClosed(path: string, logRecords: number, lock: DirectoryLock): Promise<void> {
  const remedy = `; if no better directory is left, remove ${join(path, closedName)}, and what is still there is taken`;
  try {
    checkLogEnd(path, join(path, 'log'), logRecords);
  } catch (error) {
    if (!(error instanceof DamagedError)) throw error;
    throw new DataDirectoryError('damaged', error.message + remedy, error);
  }
  const stateFile = join(path, 'state', dataFileName);
  if (lock.wasAbandoned || !existsSync(stateFile) || (await closeVerdict(path, stateFile)) !== 'changed') return;
  throw damaged(stateFile, `it changed since it was closed: size or checksum do not fit${remedy}`);
}

/** Of a log that its node would begin anew behind the state. */
function headBehind(index: number): LogHead {
  return {
    ...{ trimmedIndex: index, endIndex: index, decidedIndex: index },
    ...{ promise: bottomBallot, acceptedRound: bottomBallot },
  };
}

/** Closes both if the log's end cannot be read. */
async function openLog(wal: Wal, blocks: BlockIndex, head: LogHead, state: LmdbStateStore): Promise<FileLog> {
  try {
    return new FileLog(wal, blocks, head, tailLimits, { onRead: () => {}, onStage: () => {} });
  } catch (error) {
    await wal.close();
    await state.close();
    throw error;
  }
}

async function readState(path: string, trimmedIndex: number): Promise<LmdbStateStore> {
  const file = join(path, dataFileName);
  if (!existsSync(file)) throw damaged(file, 'it is missing');
  // A broken file ends the process that opens it.
  const [first] = (await checkState(path)).problems;
  if (first !== undefined) throw damaged(file, `${first.where}: ${first.problem}`);
  const state = LmdbStateStore.openReadOnly(path);
  if (state.durableIndex >= trimmedIndex) return state;
  await state.close();
  throw new DamagedError(
    file,
    'its applied index',
    `the state ends at ${state.durableIndex}, the log begins at ${trimmedIndex}`,
  );
}

function damaged(file: string, problem: string): DataDirectoryError {
  return new DataDirectoryError('damaged', `${file} is damaged: ${problem}`);
}
