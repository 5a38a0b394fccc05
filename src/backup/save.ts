import type { WirePair } from '../wire/client-message.ts';
import type { BackupSummary } from './backup-format.ts';
import { type BackupSink, BackupWriter } from './backup-writer.ts';
import { NewFile } from './new-file.ts';

/** What a backup is made from: a `KvBackup`. */
export interface BackupSource {
  readonly clusterId: string;
  readonly clusterName: string;
  readonly nodeId: number;
  readonly revision: number;
  pages(): AsyncIterable<readonly WirePair[]>;
}

/** Told how much is written: pairs, and bytes of keys and values. */
export type SaveProgress = (pairs: number, bytes: number) => void;

/** Writes all of `source` to `sink`, page by page. Rejects with whatever the two do. */
export async function writeBackup(
  source: BackupSource,
  sink: BackupSink,
  onProgress: SaveProgress,
): Promise<BackupSummary> {
  const { clusterId, clusterName, nodeId, revision } = source;
  const madeAt = new Date().toISOString();
  const writer = await BackupWriter.begin(sink, { clusterId, clusterName, nodeId, index: revision, madeAt });
  for await (const pairs of source.pages()) {
    await writer.add(pairs);
    onProgress(writer.pairs, writer.bytes);
  }
  return writer.finish();
}

/**
 * Makes file `path` by `write`. If that fails, or SIGINT or SIGTERM ends the process meanwhile, there is no file, and none that was
 * there before is lost. Throws an InputError if the file is there and `mayReplace` is not given, or if it cannot be made.
 */
export async function intoNewFile<Result>(
  path: string,
  mayReplace: boolean,
  write: (sink: BackupSink) => Promise<Result>,
): Promise<Result> {
  // Before there is a file, so that no signal finds one that nobody removes.
  let file: NewFile | undefined;
  let stoppedBy: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals) => {
    stoppedBy = signal;
    if (file) endBy(signal, file);
  };
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    const begun = await NewFile.begin(path, mayReplace);
    file = begun;
    if (stoppedBy) endBy(stoppedBy, begun);
    const result = await write((bytes) => begun.write(bytes));
    await begun.finish();
    return result;
  } catch (error) {
    await file?.discard();
    throw error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  }
}

/** Ends the process as shells expect, without the file. */
function endBy(signal: NodeJS.Signals, file: NewFile): never {
  file.discardNow();
  process.exit(signal === 'SIGINT' ? 130 : 143);
}
