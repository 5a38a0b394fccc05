import type { NodeId } from '../omnipaxos/ballot.ts';
import type { QuorumSizes } from '../omnipaxos/quorum.ts';
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
  /** Whence the cluster's first state came: the same in all its configurations. Undefined: it began empty. */
  readonly origin?: Origin;
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
