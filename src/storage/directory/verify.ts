import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { VerifyProblem, VerifyReport } from '../../cluster/verify-report.ts';
import { DataDirectoryError } from '../disk/data-directory-error.ts';
import { DamagedError, DiskFailedError, diskFailure } from '../disk/storage-error.ts';
import { messageOf } from '../disk/system-error.ts';
import { inspectLog, type LogInspection } from '../log/log-inspection.ts';
import { dataFileName } from '../state/lmdb-environment.ts';
import { checkState, type StateContents } from '../state/state-check.ts';
import { assertReadable } from './access.ts';
import { checkLogEnd, closeVerdict } from './clean-close.ts';
import { lockDirectory } from './directory-lock.ts';
import { assertDataDirectory, type DirectoryIdentity, inspectIdentity } from './identity-file.ts';
import { olderCopyReason } from './older-copy.ts';
import { readOrigin } from './origin-file.ts';
import { refuseUnfinishedSeed } from './seeding-mark.ts';

/** Told of how far the check is: a line for people. */
export type VerifyProgress = (line: string) => void;

/**
 * Checks everything in a data directory that nobody has open: identity, every record and entry of the log, every record of
 * the state, and that they belong together. Changes nothing but for its own lock, which is gone when it ends.
 *
 * Rejects with a {@link DataDirectoryError} for what cannot be checked: `notWritable` (no data directory, or not to be
 * read), `unfinished`, `newerFormat`, `inUse`. Damage is no rejection, but a problem in the report.
 */
export async function verifyDirectory(directory: string, onProgress: VerifyProgress = () => {}): Promise<VerifyReport> {
  const path = resolve(directory);
  assertReadable(path);
  assertDataDirectory(path);
  const problems: VerifyProblem[] = [];
  refuseUnfinishedSeed(path);
  // Before the lock: a newer version may lock in another way.
  const identity = readOwnIdentity(path, problems);
  const lock = await lockDirectory(path, 'keep');
  try {
    return await new Verification(path, identity, problems, onProgress).run(lock.wasAbandoned);
  } finally {
    lock.release();
  }
}

class Verification {
  readonly #path: string;
  readonly #identity: DirectoryIdentity | undefined;
  readonly #problems: VerifyProblem[];
  readonly #onProgress: VerifyProgress;

  constructor(
    path: string,
    identity: DirectoryIdentity | undefined,
    problems: VerifyProblem[],
    onProgress: VerifyProgress,
  ) {
    this.#path = path;
    this.#identity = identity;
    this.#problems = problems;
    this.#onProgress = onProgress;
  }

  async run(wasAbandoned: boolean): Promise<VerifyReport> {
    const reason = olderCopyReason(this.#path);
    if (reason !== undefined) {
      this.#report(
        this.#path,
        undefined,
        `it was rolled back to an older copy of what its node voted with (${reason})`,
      );
    }
    const log = this.#log();
    this.#checkOrigin(log);
    const state = await this.#state(wasAbandoned);
    const trimmedIndex = log?.head.trimmedIndex;
    if (state !== undefined && trimmedIndex !== undefined && state.problems.length === 0) {
      const appliedIndex = state.appliedIndex ?? 0;
      if (appliedIndex < trimmedIndex) {
        this.#report(
          join(this.#path, 'state', dataFileName),
          'its applied index',
          `the state ends at ${appliedIndex}, the log begins at ${trimmedIndex}: they do not belong together`,
        );
      }
    }
    return {
      path: this.#path,
      isSound: this.#problems.length === 0,
      problems: this.#problems,
      nodeId: this.#identity?.nodeId,
      storageId: this.#identity?.storageId,
      clusterName: this.#identity?.clusterName,
      clusterId: log?.owner.clusterId,
      configuration: log?.owner.configuration,
      trimmedIndex,
      endIndex: log?.head.endIndex,
      decidedIndex: log?.head.decidedIndex,
      appliedIndex: state?.appliedIndex,
      logRecords: log?.records,
      logBytes: log?.bytes,
      keys: state?.keys ?? 0,
      sessions: state?.sessions ?? 0,
      stateBytes: state?.bytes ?? 0,
    };
  }

  #checkOrigin(log: LogInspection | undefined): void {
    const file = join(this.#path, 'origin');
    try {
      const origin = readOrigin(this.#path);
      const hasData = log !== undefined && log.owner.configuration === undefined && log.head.trimmedIndex > 0;
      if (origin === undefined && hasData) this.#report(file, undefined, 'it is missing');
    } catch (error) {
      if (!(error instanceof DataDirectoryError) || error.code !== 'damaged') throw error;
      this.#report(file, undefined, 'it is not as it was written');
    }
  }

  #log(): LogInspection | undefined {
    const directory = join(this.#path, 'log');
    try {
      const log = inspectLog(directory, (segment, count) => this.#onProgress(`log: segment ${segment} of ${count}`));
      if (log === undefined) this.#report(directory, undefined, 'it has no segment of the log');
      else checkLogEnd(this.#path, directory, log.records);
      return log;
    } catch (error) {
      this.#reportError(directory, error);
      return undefined;
    }
  }

  async #state(wasAbandoned: boolean): Promise<StateContents | undefined> {
    const file = join(this.#path, 'state', dataFileName);
    if (!existsSync(file)) {
      this.#report(file, undefined, 'it is missing');
      return undefined;
    }
    const state = await checkState(join(this.#path, 'state'), {
      onProgress: (records) => this.#onProgress(`state: ${records} records`),
    });
    for (const { where, problem } of state.problems) this.#report(file, where, problem);
    if (state.problems.length === 0 && !wasAbandoned && (await closeVerdict(this.#path, file)) === 'changed') {
      this.#report(file, undefined, 'it changed since it was closed: size or checksum do not fit');
    }
    return state;
  }

  #report(file: string, where: string | undefined, problem: string): void {
    this.#problems.push({ file, where, problem });
  }

  #reportError(file: string, error: unknown): void {
    this.#problems.push(problemOf(file, error));
  }
}

function readOwnIdentity(path: string, problems: VerifyProblem[]): DirectoryIdentity | undefined {
  const file = join(path, 'identity');
  try {
    const identity = inspectIdentity(path);
    if (identity === undefined) problems.push({ file, where: undefined, problem: 'it is missing' });
    return identity;
  } catch (error) {
    if (!(error instanceof DataDirectoryError) || error.code !== 'damaged') throw error;
    problems.push({ file, where: undefined, problem: 'it is not as it was written' });
    return undefined;
  }
}

/** Damage names its own file and place. That the disk could not be read says nothing of what is on it. */
function problemOf(file: string, error: unknown): VerifyProblem {
  if (error instanceof DamagedError) return error.place;
  const isUnread = diskFailure(file, 'read', error) instanceof DiskFailedError;
  return { file, where: undefined, problem: messageOf(error), ...(isUnread && { isUnread }) };
}
