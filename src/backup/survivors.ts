import { type Configuration, historyOf } from '../cluster/configuration.ts';
import { compareBallots, type NodeId } from '../omnipaxos/ballot.ts';
import { type DirectoryReading, readDataDirectory } from '../storage/directory/read-directory.ts';
import { DataDirectoryError } from '../storage/disk/data-directory-error.ts';
import { knownDecidedIndex, type LeftNode, newestConfiguration } from './enough-left.ts';

/** A directory that cannot be used, and why. */
export interface LostDirectory {
  readonly path: string;
  readonly problem: string;
  /** Another one was meant: nothing of a node's is there, or may not be read. */
  readonly isMistaken: boolean;
}

/** What is left of a cluster. */
export interface Survivors {
  readonly readings: readonly DirectoryReading[];
  readonly lost: readonly LostDirectory[];
  /** Those of `lost` that belong to no cluster yet: they may be a member's all the same, which ended before it heard that it is one. */
  readonly unbound: readonly LeftNode[];
  close(): Promise<void>;
}

/**
 * Which entries are kept, and from where. Below `certainIndex` all is known to be decided. From there to `endIndex` entries were
 * accepted by `tail` and not known to be decided: they may have been acknowledged, so they are kept as if they were.
 */
export interface Salvage {
  /** Holds everything below `certainIndex`, as state and log. */
  readonly base: DirectoryReading;
  readonly certainIndex: number;
  /** Where the entries above are; undefined if nobody has any. */
  readonly tail: DirectoryReading | undefined;
  readonly endIndex: number;
  /** The newest that is known of: all up to its start was decided, also what none of these has. */
  readonly configuration: Configuration | undefined;
}

/**
 * Reads all directories and locks them. One that is in use is no lost one: rejects with that DataDirectoryError. Whatever else is
 * wrong with one is told in `lost`.
 */
export async function readSurvivors(paths: readonly string[]): Promise<Survivors> {
  const readings: DirectoryReading[] = [];
  const lost: LostDirectory[] = [];
  const unbound: LeftNode[] = [];
  const close = async () => {
    for (const reading of readings) await reading.close();
  };
  for (const path of paths) {
    try {
      const reading = await readDataDirectory(path);
      if (reading.clusterId !== undefined) readings.push(reading);
      else {
        const { identity, configuration, olderCopy, head, state } = reading;
        unbound.push({ identity, configuration, olderCopy, head, state: { durableIndex: state.durableIndex } });
        await reading.close();
        lost.push({ path, problem: 'it belongs to no cluster yet', isMistaken: false });
      }
    } catch (error) {
      if (!(error instanceof DataDirectoryError) || error.code === 'inUse') {
        await close();
        throw error;
      }
      lost.push({ path, problem: error.message, isMistaken: error.code === 'notWritable' });
    }
  }
  return { readings, lost, unbound, close };
}

/**
 * What can be kept of the cluster. Everything that any survivor knows to be decided; and behind that, the log that a new leader
 * would adopt (PROTOCOL: adoption): that of the latest configuration, then accepted round, then the longest. What was decided with
 * the help of a survivor is in there, as a decided entry was accepted in its round or is in the log of every later one.
 *
 * The two may come from different nodes: one that caught up has decided entries without having accepted in a late round.
 */
export function planSalvage(readings: readonly DirectoryReading[]): Salvage | undefined {
  const [first, ...others] = [...readings].sort(byLogToAdopt);
  if (first === undefined) return undefined;
  let base = first;
  for (const reading of others) if (knownDecidedIndex(reading) > knownDecidedIndex(base)) base = reading;
  const certainIndex = knownDecidedIndex(base);
  const tail = [first, ...others].find((reading) => reading.head.endIndex > certainIndex);
  const endIndex = tail === undefined ? certainIndex : Math.max(certainIndex, tailEnd(tail, readings));
  const configuration = newestConfiguration(readings);
  return { base, certainIndex, tail: endIndex > certainIndex ? tail : undefined, endIndex, configuration };
}

/** True if something was decided before the newest configuration that is not kept, since none of the directories has it. */
export function lacksDecided({ endIndex, configuration }: Salvage): boolean {
  if (configuration === undefined) return false;
  const { configurationId, startIndex } = configuration;
  // The StopSign that opens a configuration is no data. The first is opened by none.
  return endIndex < (configurationId === 1 ? startIndex : startIndex - 1);
}

/** Nodes of a change of members that one who goes on in `configuration` accepted: decided, it leaves all that follows to these. */
export function openChange(
  readings: readonly DirectoryReading[],
  { configurationId }: Configuration,
): readonly NodeId[] | undefined {
  for (const { configuration, head, readLog } of readings) {
    if (
      configuration?.configurationId !== configurationId ||
      head.endIndex <= Math.max(configuration.startIndex, head.trimmedIndex)
    )
      continue;
    const [last] = readLog(head.endIndex - 1, head.endIndex);
    if (last?.type === 'StopSign') return last.stopSign.nodes;
  }
  return undefined;
}

/** Entries of a configuration that is known to be sealed cannot reach into the next one. */
function tailEnd({ head, configuration }: DirectoryReading, readings: readonly DirectoryReading[]): number {
  const own = configuration?.configurationId ?? 0;
  const known = readings.flatMap((reading) => (reading.configuration ? historyOf(reading.configuration) : []));
  const later = known.filter((next) => next.configurationId > own);
  return Math.min(head.endIndex, ...later.map(({ startIndex }) => startIndex));
}

/** The log to adopt comes first. */
function byLogToAdopt(a: DirectoryReading, b: DirectoryReading): number {
  const byConfiguration = (b.configuration?.configurationId ?? 0) - (a.configuration?.configurationId ?? 0);
  if (byConfiguration !== 0) return byConfiguration;
  return compareBallots(b.head.acceptedRound, a.head.acceptedRound) || b.head.endIndex - a.head.endIndex;
}
