import { firstIndexAfter, type Origin } from '../cluster/origin.ts';
import { refuseUsed, seedDataDirectory } from '../storage/directory/seed-directory.ts';
import { type BackupSummary, fingerprintOf } from './backup-format.ts';
import { type ReadProgress, readBackup, verifyBackup } from './backup-reader.ts';

/** Which backup goes where. */
export interface RestorePlan {
  readonly file: string;
  /** Data directory to be made. */
  readonly directory: string;
  readonly nodeId: number;
  readonly clusterName: string;
  /** How often a cluster was made of this backup before: its revisions are not given again. */
  readonly again: number;
  /** A revision above which those of the new cluster are to begin; 0: those in the backup are enough. */
  readonly above: number;
}

export interface Restored {
  readonly backup: BackupSummary;
  readonly origin: Origin;
}

/**
 * Makes the data directory of a first member of a new cluster that begins with a backup. The file is read twice: all of it is
 * checked before anything is written, and once more while it is.
 * Rejects with a BackupFileError or a DataDirectoryError; a directory that was begun and not finished is refused by every node.
 */
export async function restoreBackup(plan: RestorePlan, onProgress: ReadProgress): Promise<Restored> {
  const { file, directory, nodeId, clusterName, again, above } = plan;
  refuseUsed(directory);
  const backup = await verifyBackup(file);
  const { clusterId, madeAt, sha256, index } = backup;
  const origin: Origin = {
    kind: 'restored',
    clusterId,
    index: firstIndexAfter(Math.max(index, above), again),
    fingerprint: fingerprintOf(sha256),
    madeAt,
  };
  await seedDataDirectory({ path: directory, nodeId, clusterName, origin, rows: readBackup(file, backup, onProgress) });
  return { backup, origin };
}
