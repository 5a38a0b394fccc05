import type { ClusterSettings } from '../cluster/cluster-file.ts';
import { defaultReplicaSettings, type ReplicaSettings } from './settings.ts';

/** What a node runs on, and what its operator set. */
export interface Circumstances {
  readonly settings: ClusterSettings | undefined;
  /** The most bytes that its data may take. */
  readonly capacityBytes: number;
  /** Undefined: without a limit. */
  readonly memoryBytes: number | undefined;
  /** Milliseconds between ticks. */
  readonly tickMs: number;
}

const electionTimeoutMsDefault = 200;
/** How long all first members are to be linked before they form a cluster. */
const foundersTicks = 100;
/** What is written at a time may take at most so small a part of the disk, but always so much. */
const writesPerCapacity = 32;
const writeBytesMin = 2 * 1024 * 1024;
/** What waits for a checkpoint may take at most so small a part of the memory, where that has a limit. */
const checkpointsPerMemory = 16;

/** A small disk cannot take as much at a time as a large one, nor a small memory hold as much. */
export function fittedSettings({
  settings,
  capacityBytes,
  memoryBytes = Number.POSITIVE_INFINITY,
  tickMs,
}: Circumstances): ReplicaSettings {
  const electionTimeoutMs = settings?.electionTimeoutMs ?? electionTimeoutMsDefault;
  const electionTimeoutTicks = Math.max(1, Math.round(electionTimeoutMs / tickMs));
  const timing = { electionTimeoutTicks, resendTicks: electionTimeoutTicks };
  const writeBytesMax = Math.max(writeBytesMin, Math.floor(capacityBytes / writesPerCapacity));
  const { undecidedBytesMax, messageBytesMax, checkpointBytesMax } = defaultReplicaSettings;
  return {
    ...defaultReplicaSettings,
    ...timing,
    foundersTicks,
    checkpointBytesMax: Math.min(checkpointBytesMax, memoryBytes / checkpointsPerMemory),
    undecidedBytesMax: Math.min(undecidedBytesMax, writeBytesMax),
    messageBytesMax: Math.min(messageBytesMax, writeBytesMax),
  };
}
