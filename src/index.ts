/**
 * `omnikv`: the client, and a node to embed. The client by itself is `omnikv/client`, the consensus library `omnikv/omnipaxos`, checks for a
 * store of your own `omnikv/contracts`.
 */
export * from './client/index.ts';
export type { ClusterSettings } from './cluster/cluster-file.ts';
export { InputError } from './cluster/input-error.ts';
/** For those who drive a replica themselves, in tests or in a world of their own. */
export { MemoryStateStore } from './kv/memory-state-store.ts';
export { AddressInUseError, CannotListenError } from './network/listening.ts';
export type { Log } from './network/log.ts';
export type { ReplicaEvent, TurnOutput } from './replica/events.ts';
export { Replica, type ReplicaOptions } from './replica/replica.ts';
export { defaultReplicaSettings, type ReplicaSettings } from './replica/settings.ts';
export { type NodeOptions, type RunningNode, startNode } from './server.ts';
export { DataDirectoryError, type DataDirectoryErrorCode } from './storage/disk/data-directory-error.ts';
export { DamagedError, DiskFailedError } from './storage/disk/storage-error.ts';
export { MemoryLogStore } from './storage/log/memory-log-store.ts';
