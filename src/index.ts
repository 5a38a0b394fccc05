/** `omnikv`: the client, and a node to embed. The consensus library by itself is `omnikv/omnipaxos`. */
export type { KvBackup } from './client/backup.ts';
export { KvClient } from './client/client.ts';
export { KvError, type KvErrorCode } from './client/errors.ts';
/** For those who drive a replica themselves, in tests or in a world of their own. */
export { MemoryStateStore } from './kv/memory-state-store.ts';
export type { ReplicaEvent, TurnOutput } from './replica/events.ts';
export { Replica, type ReplicaOptions } from './replica/replica.ts';
export { defaultReplicaSettings, type ReplicaSettings } from './replica/settings.ts';
export { type NodeOptions, type RunningNode, startNode } from './server.ts';
export { MemoryLogStore } from './storage/memory-log-store.ts';
