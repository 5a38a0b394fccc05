import { closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import type { Identity } from '../../cluster/configuration.ts';
import type { Origin } from '../../cluster/origin.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import { DataDirectoryError, olderCopyError } from '../disk/data-directory-error.ts';
import { DiskReserve } from '../disk/disk-reserve.ts';
import { DiskRoom } from '../disk/disk-room.ts';
import { syncDirectory } from '../disk/durable-file.ts';
import { DamagedError, DiskFailedError, diskFailure, isFullDisk, onDisk } from '../disk/storage-error.ts';
import { messageOf } from '../disk/system-error.ts';
import { FileLogStore } from '../log/file-log-store.ts';
import type { TailLimits } from '../log/log-tail.ts';
import { listSegments, readAt } from '../log/wal-files.ts';
import { dataFileName } from '../state/lmdb-environment.ts';
import { LmdbStateStore } from '../state/lmdb-state-store.ts';
import { checkState, StateCheckError, type StateProblem } from '../state/state-check.ts';
import { assertReadable } from './access.ts';
import { checkLogEnd, closeVerdict, markClosed, markOpened } from './clean-close.ts';
import { type DirectoryLock, lockDirectory } from './directory-lock.ts';
import {
  beginCreation,
  type DirectoryIdentity,
  type DirectoryUser,
  finishCreation,
  readIdentity,
  renewFormat,
} from './identity-file.ts';
import { LogBacklog } from './log-backlog.ts';
import { markOlderCopy, olderCopyReason } from './older-copy.ts';
import { originDamage, readOrigin } from './origin-file.ts';
import { refuseUnfinishedSeed } from './seeding-mark.ts';
import { planSpace, type SpaceMeasurement, type SpacePlan, SpaceWatch } from './space-watch.ts';

/** The two first pages of LMDB's file, which it reads before anything else. */
const stateHeadBytes = 8192;

/** How long the state is checked after a close that was not in good order, milliseconds; what is left is checked as it is read. */
const stateCheckMsMax = 5_000;

/** Which directory, and for whom. */
export interface DataDirectoryOptions {
  /** Made, for its owner alone, if it is absent. */
  readonly path: string;
  readonly nodeId: NodeId;
  /** Name of the cluster that the directory is for; `default` if not given. */
  readonly clusterName?: string;
  /** If given, a directory that belongs to another cluster is refused. */
  readonly clusterId?: string;
  /** How much of the log stays in memory. */
  readonly tail?: TailLimits;
  /** Most bytes that log and state may take; without it, what the file system has. */
  readonly quotaBytes?: number;
}

/** An open data directory: locked by this process until `close()`. */
export interface DataDirectory {
  /** As it was when the directory was opened; `logStore.identity` follows a later binding. */
  readonly identity: Identity;
  readonly logStore: FileLogStore;
  readonly stateStore: LmdbStateStore;
  /** The most bytes that it may hold, as of the opening. */
  readonly capacityBytes: number;
  measureSpace(): Promise<SpaceMeasurement>;
  /**
   * The node stops: writes that wait for room on a full disk fail now, and so does every later one that finds none; a checkpoint
   * under way takes no more time than it needs.
   */
  stopWaiting(): void;
  /**
   * Throws a {@link DataDirectoryError} if another process has taken the directory, and a `DamagedError` if the log's file or the state's was removed or cut while it is in use: what is written there is lost, and what LMDB
   * reads there next would end the process by a signal.
   */
  checkFiles(): void;
  /**
   * The directory is an older copy of what this node voted with, as another node says: it is refused from now on. If the disk
   * is full, that is not noted, and another node has to say so again.
   */
  markOlderCopy(reason: string): void;
  /** Closes as after a crash: what is in the directory may not be sound, and is checked when it is opened again. */
  abandon(): Promise<void>;
  /** Closes both stores and gives the lock back. Rejects if a write under way failed; the lock is given back all the same. */
  close(): Promise<void>;
}

/**
 * Opens a data directory: takes its lock, checks whose it is, and recovers what is in it.
 *
 *   identity   whose it is            lock-…   who has it open, and a socket that shows that it lives
 *   log/       segments of the log    closed   was the state closed in good order
 *   state/     LMDB: the state       reserve  room for when the disk is full
 *   origin     what it was made with, if it was not made empty
 *
 * Rejects with a {@link DataDirectoryError} whose code says why; a directory that is refused stays as it is. Rejects with a
 * {@link import('../disk/storage-error.ts').DiskFailedError} if its disk fails.
 * The state's file must be what it was when it was closed, byte for byte. After a close that was not in good order the state
 * is first read in a child process, as far as some seconds allow, since a broken LMDB file kills by signal.
 */
export async function openDataDirectory(options: DataDirectoryOptions): Promise<DataDirectory> {
  const path = resolve(options.path);
  try {
    const isNew = makeDirectory(path);
    if (!isNew) assertReadable(path);
    if (!isNew) readIdentity(path, userOf(options));
    const lock = await lockDirectory(path);
    try {
      return await openLocked(path, lock, options);
    } catch (error) {
      lock.release();
      throw error;
    }
  } catch (error) {
    throw refusal(path, error);
  }
}

function userOf({ nodeId, clusterName = 'default' }: DataDirectoryOptions): DirectoryUser {
  return { nodeId, clusterName };
}

async function openLocked(path: string, lock: DirectoryLock, options: DataDirectoryOptions): Promise<DataDirectory> {
  const paths = { log: join(path, 'log'), state: join(path, 'state') };
  const stateFile = join(paths.state, dataFileName);
  refuseUnfinishedSeed(path);
  // Read again: another process may have made the directory while this one waited for the lock.
  const known = readIdentity(path, userOf(options));
  refuseOlderCopy(path);
  if (known !== undefined) await checkFiles(path, paths.log, stateFile, lock);
  const identity = known ?? beginCreation(path, userOf(options));
  const plan = await planSpace(path, options.quotaBytes);
  const room = new DiskRoom(path, new DiskReserve(path, plan.reserveBytes));
  const stores = await openStores(paths, identity, readOrigin(path), options, plan, room);
  try {
    if (lacksOrigin(stores.logStore)) throw originDamage(path, 'is missing');
    markOpened(path);
    if (known === undefined) finishCreation(path, identity);
    else renewFormat(path);
  } catch (error) {
    await closeStores(stores);
    throw error;
  }
  room.backlog = new LogBacklog(stores.logStore, stores.stateStore);
  const watch = new SpaceWatch(path, plan, room, stores.logStore, stores.stateStore);
  room.allowWaiting();
  return {
    identity: stores.logStore.identity,
    ...stores,
    capacityBytes: plan.capacityBytes,
    measureSpace: () => watch.measure(),
    stopWaiting: () => {
      room.stopWaiting();
      stores.stateStore.hurryCheckpoint();
    },
    checkFiles: () => {
      if (lock.isTaken) throw giveUp(path, stores);
      checkOpenFiles(stores);
    },
    markOlderCopy: (reason) => markOlderCopy(path, reason),
    abandon: async () => {
      room.stopWaiting();
      try {
        await closeStores(stores);
      } finally {
        lock.release();
      }
    },
    close: async () => {
      room.stopWaiting();
      try {
        await closeWhole(stores);
        await markClosed(path, stateFile, stores.logStore.records);
      } catch (error) {
        // Such as where the directory was renamed.
        throw error instanceof DamagedError || error instanceof DiskFailedError ? error : refusal(path, error);
      } finally {
        lock.release();
      }
    },
  };
}

interface Stores {
  readonly logStore: FileLogStore;
  readonly stateStore: LmdbStateStore;
}

async function openStores(
  paths: { readonly log: string; readonly state: string },
  identity: DirectoryIdentity,
  origin: Origin | undefined,
  options: DataDirectoryOptions,
  plan: SpacePlan,
  room: DiskRoom,
): Promise<Stores> {
  const logStore = await FileLogStore.open({
    path: paths.log,
    ...identity,
    ...(origin && { origin }),
    ...(options.clusterId === undefined ? {} : { clusterId: options.clusterId }),
    ...(options.tail === undefined ? {} : { tail: options.tail }),
    segmentBytes: plan.segmentBytes,
    room,
    onRecovered: (records) => checkLogEnd(dirname(paths.log), paths.log, records),
  });
  try {
    const stateStore = await LmdbStateStore.open(paths.state, room);
    const { trimmedIndex } = logStore.sequence;
    if (stateStore.durableIndex < trimmedIndex) {
      await stateStore.close();
      const problem = `the state ends at ${stateStore.durableIndex}, the log begins at ${trimmedIndex}`;
      throw new DamagedError(join(paths.state, dataFileName), 'its applied index', problem);
    }
    return { logStore, stateStore };
  } catch (error) {
    await logStore.close();
    throw error;
  }
}

/** True for a log that begins with data of another cluster, without a word of which. */
function lacksOrigin({ identity, configuration, sequence }: FileLogStore): boolean {
  return identity.origin === undefined && configuration === undefined && sequence.trimmedIndex > 0;
}

/** Another process writes there now: nothing more may be written from here. */
function giveUp(path: string, { logStore }: Stores): DataDirectoryError {
  const message = `data directory ${path} was taken by another process, since this one stood still: it goes on there alone`;
  const error = new DataDirectoryError('inUse', message);
  logStore.giveUp(error);
  return error;
}

function checkOpenFiles({ logStore, stateStore }: Stores): void {
  logStore.checkFile();
  stateStore.checkFile();
}

/** Closes both, and rejects if what was written is not in the directory any more. */
async function closeWhole(stores: Stores): Promise<void> {
  const damage = damageOf(stores);
  await closeStores(stores);
  if (damage !== undefined) throw damage;
}

/** That a store failed before, as on a full disk, is told elsewhere. */
function damageOf(stores: Stores): DamagedError | undefined {
  try {
    checkOpenFiles(stores);
    return undefined;
  } catch (error) {
    return error instanceof DamagedError ? error : undefined;
  }
}

/** Closes both, also if the first fails. */
async function closeStores({ logStore, stateStore }: Stores): Promise<void> {
  try {
    await logStore.close();
  } finally {
    await stateStore.close();
  }
}

/**
 * Refuses a log that is missing, and a state that is, or that is not what was written.
 * What is in the log's files is checked as they are read.
 */
async function checkFiles(path: string, logPath: string, stateFile: string, lock: DirectoryLock): Promise<void> {
  if (listSegments(logPath).length === 0) throw damaged(logPath, 'it has no segment of the log');
  if (!existsSync(stateFile)) throw damaged(stateFile, 'it is missing');
  readHead(stateFile);
  const verdict = lock.wasAbandoned ? 'unknown' : await closeVerdict(path, stateFile);
  if (verdict === 'asClosed') return;
  if (verdict === 'changed') throw damaged(stateFile, 'it changed since it was closed: size or checksum do not fit');
  const first = await firstProblem(dirname(stateFile));
  if (first !== undefined) throw damaged(stateFile, `${first.where}: ${first.problem}`);
}

/** Undefined also where no check can be made: what is damaged is then seen when it is read, or ends this process. */
async function firstProblem(path: string): Promise<StateProblem | undefined> {
  try {
    const { problems } = await checkState(path, { readMsMax: stateCheckMsMax });
    return problems[0];
  } catch (error) {
    if (error instanceof StateCheckError) return undefined;
    throw error;
  }
}

function refuseOlderCopy(path: string): void {
  const reason = olderCopyReason(path);
  if (reason !== undefined) throw olderCopyError(path, reason);
}

/** LMDB ends the process by a signal if it cannot read the head of its file. Throws a `DiskFailedError`. */
function readHead(stateFile: string): void {
  onDisk(stateFile, 'read', () => {
    const file = openSync(stateFile, 'r');
    try {
      readAt(file, 0, stateHeadBytes);
    } finally {
      closeSync(file);
    }
  });
}

function damaged(file: string, problem: string): DataDirectoryError {
  return new DataDirectoryError('damaged', `${file} is damaged (${problem})`);
}

/** Makes the directory if it is absent, durably; true if it was. */
export function makeDirectory(path: string): boolean {
  if (existsSync(path) && !statSync(path).isDirectory()) {
    throw new DataDirectoryError('notWritable', `${path} is a file: give a directory, which is made if it is absent`);
  }
  const missing = missingDirectories(path);
  // Not by one recursive call: where the system says that a parent that is there is not, as below /proc, Node would try for ever.
  for (const each of missing) makeOne(each);
  for (const each of missing.reverse()) syncDirectory(dirname(each));
  return missing.length > 0;
}

/** Another node that starts may make the same parent. */
function makeOne(path: string): void {
  try {
    mkdirSync(path, 0o700);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST' && existsSync(path))) throw error;
  }
}

/** The directories to make so that `path` is there, in order. */
function missingDirectories(path: string): string[] {
  const missing: string[] = [];
  for (let each = path; !existsSync(each); each = dirname(each)) missing.unshift(each);
  return missing;
}

/** lmdb gives the system's errors as their numbers, and its own as negative ones. */
function isOfSystem(error: Error): boolean {
  if (!('code' in error)) return false;
  return 'syscall' in error || (typeof error.code === 'number' && error.code > 0);
}

/** Calls that change nothing: what fails in one of them is a read. */
const readingCalls: ReadonlySet<string> = new Set(['read', 'open', 'stat', 'fstat', 'scandir']);

/** The file that an error of the system is about, where it says so. */
function pathOf(error: Error): string | undefined {
  return 'path' in error && typeof error.path === 'string' ? error.path : undefined;
}

/** What to throw for whatever went wrong with a directory. */
export function refusal(path: string, error: unknown): unknown {
  if (error instanceof DamagedError) return new DataDirectoryError('damaged', error.message, error);
  if (isFullDisk(error)) {
    const message = `data directory ${path} is on a full disk (${messageOf(error)}): make room on it, then start again`;
    return new DataDirectoryError('notWritable', message, error);
  }
  if (!(error instanceof Error) || !isOfSystem(error)) return error;
  const isRead = 'syscall' in error && readingCalls.has(String(error.syscall));
  const failure = diskFailure(pathOf(error) ?? path, isRead ? 'read' : 'write', error);
  if (failure !== error) return failure;
  const remedy =
    (error as NodeJS.ErrnoException).code === 'EROFS'
      ? 'see why its disk takes no writes, as many do after an error, or give another directory'
      : 'give a directory that this user may write to';
  return new DataDirectoryError(
    'notWritable',
    `data directory ${path} cannot be used (${messageOf(error)}): ${remedy}`,
    error,
  );
}
