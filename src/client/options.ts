import type { TlsIdentity } from '../tls/identity.ts';
import type { Consistency } from '../wire/client-message.ts';
import type { Bytes } from './input.ts';

/*
 * What callers may ask for, each with its names: one that is not among them is refused, in the order in which they stand here.
 */

/** All names of these options: to forget one does not compile. */
type Names<Options> = Readonly<Record<keyof Options, true>>;

export interface KvClientOptions {
  /** "host:port" of some nodes, tried in this order. The client learns of the others from them. */
  readonly endpoints: readonly string[];
  /** The name of the cluster that is meant: nodes of another one at these endpoints will not do. Without it, any will. */
  readonly clusterName?: string | undefined;
  /** Encrypts, with TLS 1.3: for nodes that were given the same. Without it, nothing that goes over the network is encrypted. */
  readonly tls?: TlsIdentity | undefined;
  /** How long a call may take unless it says otherwise, milliseconds: 1 to 3,600,000; 5,000 by default. */
  readonly timeoutMs?: number | undefined;
  /** Most writes without an answer: 1 to 4,096; 1,024 by default. */
  readonly outstandingWritesMax?: number | undefined;
  /** Most writes that wait beyond those: 65,536 by default. */
  readonly queuedWritesMax?: number | undefined;
}

export const clientNames: Names<KvClientOptions> = {
  endpoints: true,
  clusterName: true,
  tls: true,
  timeoutMs: true,
  outstandingWritesMax: true,
  queuedWritesMax: true,
};

export interface CallOptions {
  /** How long this call may take, milliseconds. */
  readonly timeoutMs?: number | undefined;
  /** Aborted, it ends the call with the error `aborted`, within some 20 ms. A write that is on its way may be applied all the same: see `outcome`. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * In the options of a call that is only a part of what somebody gave time for: that time, milliseconds, which its errors tell. It has no name, since it is for
 * the command line alone.
 */
export const toldTimeout = Symbol('toldTimeout');

/** Of one of several calls that share a time. */
export interface PartOptions extends CallOptions {
  readonly timeoutMs: number;
  readonly [toldTimeout]: number;
}

export const callNames: Names<CallOptions> = { timeoutMs: true, signal: true };

export interface WriteOptions extends CallOptions {
  /**
   * Only if the key has this revision when the write is decided, as a get or a put told it; 0: only if there is no such key. Error `conflict` if
   * not. A revision is given once: no key has it again, even if it is deleted and put anew. After `found = await get(key)` it is
   * `found?.revision ?? 0`; `undefined` is refused.
   */
  readonly ifRevision?: number;
}

export const writeNames: Names<WriteOptions> = { ...callNames, ifRevision: true };

export interface PutOptions extends WriteOptions {
  /**
   * The key goes once it was not renewed for so long, milliseconds: 1,000 to 366 days. It never goes sooner; a change of leaders may let it stay
   * for this time once more. See `KvClient.renew`. Another put of the key ends that, or says how long anew. Error `busy` where 10,000 keys expire already.
   */
  readonly ttlMs?: number | undefined;
}

export const putNames: Names<PutOptions> = { ...writeNames, ttlMs: true };

export interface KeepOptions extends WriteOptions {
  /** How long the key stays without a sign of this process, milliseconds: 1,000 or more; 15,000 by default. It is renewed each third of that. */
  readonly ttlMs?: number | undefined;
}

export const keepNames: Names<KeepOptions> = { ...writeNames, ttlMs: true };

export interface LockOptions {
  /** After so long without a sign of its holder a lock is the next one's, milliseconds: 1,000 or more; 15,000 by default. */
  readonly ttlMs?: number | undefined;
  /** How long to wait for it, milliseconds; without it, as long as it takes. */
  readonly waitMs?: number | undefined;
  /** What to tell those who look, below `lock/NAME/`: who this is. */
  readonly value?: Bytes | undefined;
  /** Aborted, it ends the waiting with the error `aborted`. It does not end the lock. */
  readonly signal?: AbortSignal | undefined;
}

export const lockNames: Names<LockOptions> = { ttlMs: true, waitMs: true, value: true, signal: true };

export interface ReadOptions extends CallOptions {
  /** `linearizable` (the default) sees every write acknowledged before; `local` is what the node has, maybe stale: own writes may be missing, too. */
  readonly consistency?: Consistency | undefined;
}

export const readNames: Names<ReadOptions> = { ...callNames, consistency: true };

export interface FillOptions extends CallOptions {
  /** Only if this is the present configuration; error `reconfiguring` if there is a later one. */
  readonly ifConfigurationId?: number | undefined;
}

export const fillNames: Names<FillOptions> = { ...callNames, ifConfigurationId: true };

export interface ReconfigureOptions extends FillOptions {
  /**
   * How long newcomers may take to get all data before the change is proposed, milliseconds; error `timeout` if that is not enough,
   * with nothing changed. 0: it is proposed at once, and they get it as members. Default ten minutes.
   */
  readonly fillTimeoutMs?: number | undefined;
}

export const reconfigureNames: Names<ReconfigureOptions> = { ...fillNames, fillTimeoutMs: true };

export interface ListOptions extends ReadOptions {
  /** Most pairs, at most 100,000. */
  readonly limit?: number | undefined;
  /** Only keys behind this one, in byte order: the last of the page before. */
  readonly after?: Bytes | undefined;
}

export const listNames: Names<ListOptions> = { ...readNames, limit: true, after: true };

export interface WatchOptions {
  /** How long the cluster may be out of reach before the watch ends with an error, milliseconds; a minute by default. */
  readonly timeoutMs?: number | undefined;
  /** Aborted, it ends the watch with the error `aborted`. */
  readonly signal?: AbortSignal | undefined;
}

export const watchNames: Names<WatchOptions> = { timeoutMs: true, signal: true };
