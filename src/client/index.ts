/// <reference types="node" preserve="true" />
/**
 * `omnikv/client`: the client by itself, which loads nothing that a node needs.
 *
 * The reference above is for those who compile without `skipLibCheck`: compilers no longer take in Node's types by themselves.
 */
export type { TlsIdentity } from '../tls/identity.ts';
export type {
  CatchUpStatus,
  ConfigurationSummary,
  Consistency,
  DiskStatus,
  LackOfRoom,
  LogHeld,
  NewcomerFilling,
  NodeRole,
  NodeSpace,
  NodeStatus,
  SpaceLevel,
  TargetNode,
  WirePair,
} from '../wire/client-message.ts';
export type { KvBackup } from './backup.ts';
export { KvError, type KvErrorCode } from './call/errors.ts';
export type { KvValue, OwnBytes } from './call/get-call.ts';
export type { DeleteResult, PutResult, RenewResult, TransactResult } from './call/write-call.ts';
export { KvClient } from './client.ts';
export type { Bytes } from './input.ts';
export type { KeptKey } from './keys/kept-key.ts';
export type { KvListing } from './keys/list.ts';
export type { KvCondition, KvTransaction, KvTransactionChange } from './keys/transaction.ts';
export type { KvChange } from './keys/watch-batch.ts';
export type { ClusterStatus, MemberStatus, Stranger } from './members/cluster-status.ts';
export type {
  CallOptions,
  FillOptions,
  KeepOptions,
  KvClientOptions,
  ListOptions,
  LockOptions,
  PutOptions,
  ReadOptions,
  ReconfigureOptions,
  WatchOptions,
  WriteOptions,
} from './options.ts';
