import { constants } from 'node:os';
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

/** A terminal that was closed, or lost with its network, ends what it shows as well. */
const stopSignals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
type StopSignal = (typeof stopSignals)[number];

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
 * Makes file `path` by `write`. If that fails, or a signal that asks for it ends the process meanwhile, there is no file, and none that was
 * there before is lost. Throws an InputError if the file is there and `mayReplace` is not given, or if it cannot be made.
 */
export async function intoNewFile<Result>(
  path: string,
  mayReplace: boolean,
  write: (sink: BackupSink) => Promise<Result>,
): Promise<Result> {
  // Before there is a file, so that no signal finds one that nobody removes.
  let file: NewFile | undefined;
  let stoppedBy: StopSignal | undefined;
  const onSignal = (signal: StopSignal) => {
    stoppedBy = signal;
    if (file) endBy(signal, file);
  };
  for (const signal of stopSignals) process.once(signal, onSignal);
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
    for (const signal of stopSignals) process.off(signal, onSignal);
  }
}

/** Ends the process as shells expect, without the file. */
function endBy(signal: StopSignal, file: NewFile): never {
  file.discardNow();
  process.exit(128 + constants.signals[signal]);
}
