import type { NodeId } from '../omnipaxos/ballot.ts';
import type { QuorumSizes } from '../omnipaxos/quorum.ts';
import { pastConfigurationsMax } from '../wire/limits.ts';
import type { Origin } from './origin.ts';

/** One member of a configuration. */
export interface Member {
  readonly id: NodeId;
  /** "host:port" where peers and clients reach it. */
  readonly address: string;
  /** Id of the data directory that this member votes with: another one under the same node id is not this member. */
  readonly storageId: string;
}

/** A configuration of the cluster: who votes, and from which log index on. */
export interface Configuration {
  /** 1 is the first; each reconfiguration adds one. */
  readonly configurationId: number;
  /** Index of its first entry: one past the StopSign of the configuration before. */
  readonly startIndex: number;
  /** Ascending by id. */
  readonly members: readonly Member[];
  /** Undefined: majorities. */
  readonly quorum?: QuorumSizes;
  /** Those before it that are still known, the oldest first, at most {@link pastConfigurationsMax}: for people to look at, and for stragglers. */
  readonly past?: readonly PastConfiguration[];
  /** Whence the cluster's first state came: the same in all its configurations. Undefined: it began empty. */
  readonly origin?: Origin;
}

/** A configuration that is over. */
export interface PastConfiguration {
  readonly configurationId: number;
  readonly startIndex: number;
  readonly memberIds: readonly NodeId[];
}

/** `next` with what is known of its past: what it came with, else `before` and the past of that. */
export function withPast(next: Configuration, before: Configuration | undefined): Configuration {
  if (next.past !== undefined || before === undefined) return next;
  const past = [...(before.past ?? []), pastOf(before)].slice(-pastConfigurationsMax);
  return { ...next, past };
}

/** The configurations that are known, the oldest first and the present one last. */
export function historyOf(configuration: Configuration): PastConfiguration[] {
  return [...(configuration.past ?? []), pastOf(configuration)];
}

function pastOf({ configurationId, startIndex, members }: Configuration): PastConfiguration {
  return { configurationId, startIndex, memberIds: members.map((member) => member.id) };
}

/** What a data directory is bound to. Written once each; a directory is refused under any other identity. */
export interface Identity {
  readonly nodeId: NodeId;
  /** Random, made with the directory: 16 hexadecimal digits. */
  readonly storageId: string;
  /** 16 hexadecimal digits; undefined until the node has become part of a cluster. */
  readonly clusterId: string | undefined;
  /** What the directory was made with, if it was not made empty. It counts until there is a configuration. */
  readonly origin?: Origin | undefined;
}

/**
 * One opening of a data directory. Openings are counted on the directory itself, so a count that was seen before with
 * another nonce, or a lower one, is that of an older copy.
 */
export interface Opening {
  readonly storageId: string;
  /** How often the directory had been opened before. */
  readonly incarnation: number;
  /** 16 hexadecimal digits, drawn anew with each opening. */
  readonly nonce: string;
}
