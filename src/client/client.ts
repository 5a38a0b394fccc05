import { nodeIdMax } from '../cluster/node-list.ts';
import { sessionWindowMax } from '../kv/client-session.ts';
import type { TlsIdentity } from '../tls/identity.ts';
import type { BackupOpened, NewcomerFilling, NodeStatus, RequestBody, TargetNode } from '../wire/client-message.ts';
import { ask } from './ask.ts';
import { KvBackup } from './backup.ts';
import { type Answer, type CallLimits, type CallTraits, outgoing, readTraits, traits } from './call/call.ts';
import { abortedError } from './call/call-errors.ts';
import { ConnectCall } from './call/connect-call.ts';
import { KvError } from './call/errors.ts';
import { GetCall, type KvValue } from './call/get-call.ts';
import type { DeleteResult, PutResult, RenewResult, TransactResult } from './call/write-call.ts';
import { checkedEndpoint, Endpoints } from './connection/endpoints.ts';
import { endable } from './endable.ts';
import {
  type Bytes,
  checkCallOptions,
  checkedAfter,
  checkedClusterName,
  checkedConfigurationId,
  checkedConsistency,
  checkedCount,
  checkedKey,
  checkedLockName,
  checkedNodes,
  checkedOptions,
  checkedPrefix,
  checkedPutRevision,
  checkedTimeoutMs,
  checkedTtlMs,
  checkedValue,
  ifRevisionIn,
  type OptionNames,
  secureContextOf,
  signalIn,
} from './input.ts';
import { type Keeping, KeptKey } from './keys/kept-key.ts';
import { type KvListing, type ListQuery, listOf, listPairsMax, pageOf } from './keys/list.ts';
import { acquireLock, type Contending, lockNameBytesMax } from './keys/lock.ts';
import { checkedTransaction, type KvTransaction } from './keys/transaction.ts';
import { Watch, type WatchLimits } from './keys/watch.ts';
import type { KvChange } from './keys/watch-batch.ts';
import { type ClusterStatus, gatherClusterStatus } from './members/cluster-status.ts';
import { fillNewcomers } from './members/fill-newcomers.ts';
import { meantNodes } from './members/meant-nodes.ts';
import {
  type CallOptions,
  callNames,
  clientNames,
  type FillOptions,
  fillNames,
  type KeepOptions,
  type KvClientOptions,
  keepNames,
  type ListOptions,
  type LockOptions,
  listNames,
  lockNames,
  type PartOptions,
  type PutOptions,
  putNames,
  type ReadOptions,
  type ReconfigureOptions,
  readNames,
  reconfigureNames,
  toldTimeout,
  type WatchOptions,
  type WriteOptions,
  watchNames,
  writeNames,
} from './options.ts';
import { Requests } from './requests.ts';
import { Sweeper } from './sweeper.ts';
import { Writes } from './writes.ts';

const timeoutMsDefault = 5000;
const fillTimeoutMsDefault = 600_000;
const watchTimeoutMsDefault = 60_000;
const keepTtlMsDefault = 15_000;
const outstandingWritesDefault = 1024;
const queuedWritesDefault = 65_536;
/** How long a node may take to tell its status when the whole cluster is asked. */
const probeTimeoutMsMax = 1000;
/** Several round trips of a long way; others are tried meanwhile, and a call ends when its own time is over. */
const connectTimeoutMsMin = 500;
const connectTimeoutMsMax = 1000;

/**
 * A client of a kv cluster. Keys and values are bytes; text stands for its UTF-8 bytes.
 *
 * All calls share one connection, and what one tick of the event loop calls goes out in one frame. If the node is lost,
 * refuses or is silent, the client goes to another and retries within the call's time, so that each command is applied once.
 * Where several endpoints are given, writes get a connection of their own after a moment, straight to the leader; while that
 * one is not known or not to be reached, any node takes them. Writes that are not waited for arrive in the order in which they
 * were called, also where members change meanwhile, unless a connection breaks, or a node is silent or so busy that it refuses some. A read does not
 * wait for them: it sees those whose promise was fulfilled.
 *
 * Every failure is a {@link KvError}, and its `outcome` says whether the command may have been applied. Bytes handed over
 * must not be changed until the call is settled. A client keeps the process alive while it has a connection or calls: {@link close} it.
 */
export class KvClient {
  readonly #timeoutMs: number;
  readonly #usualLimits: CallLimits;
  readonly #endpoints: Endpoints;
  readonly #requests: Requests;
  readonly #writes: Writes;
  readonly #sweeper: Sweeper;
  readonly #openBackups = new Set<KvBackup>();
  /** Those that ask one node each for its status. */
  readonly #probes = new Set<Requests>();
  #closing: Promise<void> | undefined;

  private constructor(options: KvClientOptions) {
    this.#timeoutMs = checkedTimeoutMs(options.timeoutMs ?? timeoutMsDefault);
    this.#usualLimits = { timeoutMs: this.#timeoutMs, signal: undefined };
    const outstandingMax = options.outstandingWritesMax ?? outstandingWritesDefault;
    const queuedMax = options.queuedWritesMax ?? queuedWritesDefault;
    checkedCount(outstandingMax, sessionWindowMax, 'outstandingWritesMax');
    checkedCount(queuedMax, 2 ** 20, 'queuedWritesMax');
    this.#endpoints = new Endpoints(options.endpoints, secureContextOf(options.tls));
    this.#requests = new Requests({
      endpoints: this.#endpoints,
      connectTimeoutMs: Math.max(connectTimeoutMsMin, Math.min(this.#timeoutMs / 3, connectTimeoutMsMax)),
      clusterName: checkedClusterName(options.clusterName),
      isPinned: false,
      wake: () => this.#sweeper.wake(),
    });
    this.#writes = new Writes(this.#requests, { outstandingMax, queuedMax });
    this.#sweeper = new Sweeper([this.#writes, this.#requests]);
  }

  /**
   * Connects to the first node that answers; `call`: how long that may take, if not as long as other calls, and what ends it sooner. Errors:
   * `invalid` (options), `notKvNode` or `untrusted` (what answers at every endpoint is no kv node, or none that is believed), `noMajority` (no
   * node could be reached within `timeoutMs`), `aborted`.
   */
  static async connect(options: KvClientOptions, call?: CallOptions): Promise<KvClient> {
    const client = new KvClient(checkedOptions(options, clientNames));
    try {
      await client.#connect(client.#limitsOf(call));
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  #connect(limits: CallLimits): Promise<void> {
    return new Promise((resolve, reject) => this.#requests.submit(new ConnectCall(limits, resolve, reject)));
  }

  /** Sets a key. Key: 1 to 1,024 bytes; value: at most 1 MiB. The revision grows with every change of any key. */
  put(key: Bytes, value: Bytes, options?: PutOptions): Promise<PutResult> {
    return new Promise((resolve, reject) => {
      const limits = this.#limitsOf(options, putNames);
      const kind = 'put' as const;
      const ifRevision = ifRevisionIn(options);
      const ttlMs = checkedTtlMs(options?.ttlMs);
      const change = { kind, key: checkedKey(key), value: checkedValue(value), ifRevision, ttlMs };
      this.#writes.submit(change, limits, { resolve, reject });
    });
  }

  /** Removes a key, which may not exist. */
  delete(key: Bytes, options?: WriteOptions): Promise<DeleteResult> {
    return new Promise((resolve, reject) => {
      const limits = this.#limitsOf(options, writeNames);
      const kind = 'delete' as const;
      const change = { kind, key: checkedKey(key), ifRevision: ifRevisionIn(options) };
      this.#writes.submit(change, limits, { resolve, reject });
    });
  }

  /**
   * A key that expires stays for its whole time again, from when this was called at the least. `revision` is that of its put. Error `conflict` if the key has gone, or was put anew:
   * then whoever holds it has lost it. One that does not expire stays as it is.
   */
  renew(key: Bytes, revision: number, options?: CallOptions): Promise<RenewResult> {
    return new Promise((resolve, reject) => {
      const limits = this.#limitsOf(options);
      const change = { kind: 'renew' as const, key: checkedKey(key), ifRevision: checkedPutRevision(revision) };
      this.#writes.submit(change, limits, { resolve, reject });
    });
  }

  /**
   * Puts a key that expires, and renews it until it is released: for what is true as long as this process runs, such as where a service is, or who
   * leads (with `{ ifRevision: 0 }`: error `conflict` while somebody else does).
   */
  async keep(key: Bytes, value: Bytes, options?: KeepOptions): Promise<KeptKey> {
    if (options !== undefined && options !== null) checkCallOptions(options, keepNames);
    const { ttlMs = keepTtlMsDefault, ...others } = options ?? {};
    const putMs = performance.now();
    // The caller's own may become another while this one is kept.
    const own = new Uint8Array(checkedKey(key));
    const { revision } = await this.put(own, value, { ...others, ttlMs });
    const keeping: Keeping = {
      renew: (ifRevision, renewOptions) => this.renew(own, ifRevision, renewOptions),
      remove: (ifRevision) => this.#removeKept(own, ifRevision),
    };
    return new KeptKey(keeping, { key: own, revision, ttlMs, putMs });
  }

  /**
   * Waits until it holds the lock of this name, which one process holds at a time; those who wait get it in the order in which they came. The lock goes
   * when it is released, or some time after its holder has died. A process that hangs can take itself for the holder when it no longer is: give
   * {@link KeptKey.revision}, which only grows, along with what is done under the lock, and refuse what comes with a lower one. Errors after `waitMs`: `timeout` where
   * another went before, `noMajority` where that is not known.
   */
  async lock(name: string, options: LockOptions = {}): Promise<KeptKey> {
    checkCallOptions(options, lockNames);
    const { ttlMs = keepTtlMsDefault, waitMs, value = '' } = options;
    if (waitMs !== undefined) checkedTimeoutMs(waitMs, 'waitMs');
    checkedLockName(name, lockNameBytesMax);
    const contending: Contending = {
      keep: (key, signal) => this.keep(key, value, { ttlMs, signal }),
      remove: (key) => this.delete(key),
      watchPrefix: (prefix, signal) => this.watchPrefix(prefix, { signal }),
    };
    const toldMs = (options as Partial<PartOptions>)[toldTimeout];
    return acquireLock(contending, name, { waitMs, toldMs, signal: signalIn(options) });
  }

  async #removeKept(key: Bytes, ifRevision: number): Promise<void> {
    try {
      await this.delete(key, { ifRevision });
    } catch (error) {
      // Gone is what it is to be.
      if (!(error instanceof KvError) || error.code !== 'conflict') throw error;
    }
  }

  /**
   * Makes all changes of a transaction at one moment, if all its conditions hold then; else none of them: error `conflict`. All get one revision, and whoever
   * reads or watches sees all of them or none (but see {@link list} for long ones, and a watch that is over 60 MiB, or a hundred thousand changes, behind).
   * With what {@link lock} gives as a condition nothing is changed by one that is no longer the holder. A put in it stays: it has no time to live.
   */
  transact(transaction: KvTransaction, options?: CallOptions): Promise<TransactResult> {
    return new Promise((resolve, reject) => {
      const limits = this.#limitsOf(options);
      const change = { kind: 'transact' as const, transaction: checkedTransaction(transaction) };
      this.#writes.submit(change, limits, { resolve, reject });
    });
  }

  /** The value of a key, a copy of the caller's own; `undefined` if there is no such key. */
  get(key: Bytes, options?: ReadOptions): Promise<KvValue | undefined> {
    return new Promise((resolve, reject) => {
      const limits = this.#limitsOf(options, readNames);
      const consistency = checkedConsistency(options?.consistency);
      const request = outgoing({ type: 'get', consistency, key: checkedKey(key) });
      const call = new GetCall(readTraits(consistency), limits, request, resolve, reject);
      this.#requests.submit(call);
    });
  }

  /**
   * The keys that begin with `prefix` (all for an empty one), in byte order, as they were at one moment of the call. Where they are
   * more than an answer holds (10,000 pairs, or 4 MiB) and `limit`, `after` or local consistency is given, or where more changes while they are read
   * than a node remembers (16,384 keys, all of the cluster's counted; it is read twice then), each is as it was at some moment of the call, and writes that
   * happen meanwhile may be in or not. Error `tooLarge` if there are over 100,000 pairs and no `limit` is given, or over 256 MiB of them: see {@link scan}.
   */
  async list(prefix: Bytes = '', options?: ListOptions): Promise<KvListing[]> {
    const limitsLeft = this.#limitsLeft(options, listNames);
    const limit = options?.limit;
    checkedCount(limit ?? listPairsMax, listPairsMax, 'limit');
    const after = options?.after === undefined ? undefined : checkedAfter(options.after);
    return listOf(this.#requests, listQuery(prefix, options), { after, limit }, limitsLeft);
  }

  /**
   * As {@link list}, but page by page, without a limit: writes that happen meanwhile may be in or not, each key as it was at one moment. Each
   * page may take the time of one call.
   */
  async *scan(prefix: Bytes = '', options?: ReadOptions): AsyncGenerator<KvListing> {
    let after: Uint8Array | undefined;
    for (;;) {
      const limits = this.#limitsOf(options, readNames);
      const { pairs, more } = await pageOf(this.#requests, listQuery(prefix, options), after, limits);
      for (const pair of pairs) {
        yield pair;
        // Between pages the next call would say so.
        if (options?.signal?.aborted) throw abortedError(options.signal, 'notApplied');
        if (this.#closing !== undefined) throw new KvError('closed', 'the client is closed', 'notApplied');
      }
      after = pairs.at(-1)?.key;
      if (!more) return;
    }
  }

  /**
   * The value of a key, as {@link get} gives it, now and each time it changes: for `for await`. What it is told is never older than what it
   * was told before, and always the newest in the end; of values that follow each other quickly, or while no node is reached, some are passed over. It goes
   * from node to node by itself, and may take some seconds to notice that one is cut off from the others. Errors: `noMajority`, `timeout` or `busy` once there was
   * no answer for `timeoutMs`, `aborted`, `closed`. Leaving the loop ends it.
   */
  watch(key: Bytes, options?: WatchOptions): AsyncGenerator<KvValue | undefined, void, void> {
    return endable(options?.signal, (signal) => this.#valuesOf(key, options, signal));
  }

  async *#valuesOf(key: Bytes, options: WatchOptions | undefined, signal: AbortSignal) {
    for await (const change of this.#changesOfKey(key, options, signal)) {
      yield change?.type === 'put' ? { value: change.value, revision: change.revision } : undefined;
    }
  }

  /** As {@link watch}, with the change that made the value what it is: that of a delete has a revision, too. First `undefined` if there is no such key. */
  watchKey(key: Bytes, options?: WatchOptions): AsyncGenerator<KvChange | undefined, void, void> {
    return endable(options?.signal, (signal) => this.#changesOfKey(key, options, signal));
  }

  async *#changesOfKey(key: Bytes, options: WatchOptions | undefined, signal: AbortSignal) {
    for await (const changes of this.#watchOf(checkedKey(key), false, options, signal).batches()) yield changes.at(-1);
  }

  /**
   * All keys that begin with `prefix`, as {@link watch} does it for one: first all that there are, which may be none, then each time those that
   * changed, at least one. Error `tooLarge` over 100,000 keys, or 256 MiB at a time.
   */
  watchPrefix(prefix: Bytes, options?: WatchOptions): AsyncGenerator<KvChange[], void, void> {
    return endable(options?.signal, (signal) => this.#changesOf(prefix, options, signal));
  }

  async *#changesOf(prefix: Bytes, options: WatchOptions | undefined, signal: AbortSignal) {
    yield* this.#watchOf(checkedPrefix(prefix), true, options, signal).batches();
  }

  #watchOf(key: Uint8Array, isPrefix: boolean, options: WatchOptions | undefined, signal: AbortSignal): Watch {
    return new Watch(this.#requests, { key, isPrefix }, { ...watchLimitsOf(options), signal });
  }

  /**
   * Makes these nodes the members of the next configuration, and waits until it has begun. Without an address, the one that
   * is known is meant, else the default one. It is never sent twice: if the connection is lost the outcome is unknown.
   * Newcomers get all data before it is proposed, so that a majority of the members has everything all the while, see
   * `fillTimeoutMs`; that they have the last of it, and vote, is seen in their status. Errors: `reconfiguring` (another one
   * is under way or was first), `unreachable` (a newcomer, or a majority of these nodes, cannot take part), `noSpace` (a newcomer
   * has no room for all data: as its member the cluster would take no puts), `timeout`.
   */
  async reconfigure(
    nodes: readonly (number | TargetNode)[],
    options?: ReconfigureOptions,
  ): Promise<{ readonly configurationId: number }> {
    this.#limitsOf(options, reconfigureNames);
    const { fillTimeoutMs = fillTimeoutMsDefault } = options ?? {};
    const wanted = checkedNodes(nodes);
    const condition = conditionOf(options);
    if (fillTimeoutMs !== 0) checkedTimeoutMs(fillTimeoutMs, 'fillTimeoutMs');
    if (fillTimeoutMs !== 0) await fillNewcomers(this, { ...options, nodes: wanted, fillTimeoutMs });
    const limits = this.#limitsOf(options, reconfigureNames);
    const meant = await meantNodes(this, wanted, limits);
    const body: RequestBody = { type: 'reconfigure', nodes: meant, ...condition };
    return this.#ask(body, traits.reconfiguration, this.#limitsOf(options, reconfigureNames), (answer) =>
      answer.type === 'reconfigured' ? { configurationId: answer.configurationId } : undefined,
    );
  }

  /**
   * Has those of these nodes that are no members pull all data, so that they may become members, and tells how far they are.
   * They go on for some seconds: call it again and again. `reconfigure` does that by itself.
   */
  async fill(nodes: readonly (number | TargetNode)[], options?: FillOptions): Promise<readonly NewcomerFilling[]> {
    const body: RequestBody = { type: 'fill', nodes: checkedNodes(nodes), ...conditionOf(options) };
    return this.#ask(body, traits.linearizableRead, this.#limitsOf(options, fillNames), (answer) =>
      answer.type === 'filling' ? answer.newcomers : undefined,
    );
  }

  /**
   * Opens a backup of all keys on a node that can: everything acknowledged before this call is in it, and nothing that changes after
   * it is open. Close it; the client's own {@link close} does that, too. Its pages may each take the time of this call.
   */
  async openBackup(options?: CallOptions): Promise<KvBackup> {
    const limits = this.#limitsOf(options);
    return this.#ask({ type: 'backupOpen' }, traits.linearizableRead, limits, (answer, endpoint) =>
      answer.type === 'backupOpened' ? this.#backupOf(answer, endpoint, limits.timeoutMs) : undefined,
    );
  }

  #backupOf(opened: BackupOpened, endpoint: string, timeoutMs: number): KvBackup {
    const backup = new KvBackup(opened, this.#only(endpoint), timeoutMs, (closed) => this.#openBackups.delete(closed));
    this.#openBackups.add(backup);
    return backup;
  }

  /**
   * Lets member `nodeId` vote with the data directory that it is running with, in the place of the one that it voted with,
   * which is damaged or lost; the members stay the same. Resolves when that configuration has begun: the node then gets
   * everything from the others. Errors: `invalid` (no member, or it still votes with its own directory), `unreachable`
   * (it has not come with another one), `reconfiguring` (somebody else changes the members).
   */
  async rebuild(nodeId: number, options?: CallOptions): Promise<{ readonly configurationId: number }> {
    checkedCount(nodeId, nodeIdMax, 'nodeId');
    // Not what the node at hand takes for the members: that may be the emptied one, which goes by its cluster file.
    const { configurationId: ifConfigurationId, members } = await this.clusterStatus(options);
    const ids = members.filter(({ isMember }) => isMember).map(({ id }) => id);
    if (!ids.includes(nodeId)) {
      throw new KvError('invalid', `node ${nodeId} is no member of the cluster`, 'notApplied');
    }
    const nodes = ids.map((id) => (id === nodeId ? { id, isRebuilt: true } : { id }));
    return this.reconfigure(nodes, { ...options, ifConfigurationId });
  }

  /** How the node that this client is connected to sees itself and the cluster. */
  async status(options?: CallOptions): Promise<NodeStatus> {
    return this.#ask({ type: 'status' }, traits.localRead, this.#limitsOf(options), statusIn);
  }

  /** The status of the node at `endpoint`, tried once. Errors: `unreachable`, `notKvNode`, `timeout`. */
  async statusOf(endpoint: string, options?: CallOptions): Promise<NodeStatus> {
    const limits = this.#limitsOf(options);
    const endpoints = this.#only(endpoint);
    if (this.#closing !== undefined) throw new KvError('closed', 'the client is closed', 'notApplied');
    const wake = () => sweeper.wake();
    const requests = new Requests({ endpoints, connectTimeoutMs: limits.timeoutMs * 0.8, isPinned: true, wake });
    const sweeper = new Sweeper([requests]);
    this.#probes.add(requests);
    try {
      return await ask(requests, { type: 'status' }, traits.localRead, limits, statusIn);
    } finally {
      this.#probes.delete(requests);
      sweeper.close();
      await requests.close();
    }
  }

  /** For a client with `tls`: what it shows, and whom it believes, from the next connection on. Error `invalid`. */
  renewTls(tls: TlsIdentity): void {
    if (this.#endpoints.secureContext === undefined) throw new KvError('invalid', madeWithoutTls, 'notApplied');
    this.#endpoints.secureContext = secureContextOf(tls);
  }

  /** The whole cluster: asks one node for the members, then every member and endpoint, at most a second each. */
  async clusterStatus(options?: CallOptions): Promise<ClusterStatus> {
    const limitsLeft = this.#limitsLeft(options);
    const first = await this.status(options);
    return gatherClusterStatus(first, this.#endpoints.addresses, async (address) => {
      const { timeoutMs, signal } = limitsLeft();
      const timeout = { timeoutMs: Math.min(timeoutMs, probeTimeoutMsMax) };
      try {
        return await this.statusOf(address, signal === undefined ? timeout : { ...timeout, signal });
      } catch (error) {
        // A node that does not answer is part of the picture.
        if (!(error instanceof KvError) || error.code === 'aborted' || error.code === 'closed') throw error;
        return { problem: error.message, answersOtherwise: error.code === 'notKvNode' || error.code === 'untrusted' };
      }
    });
  }

  /** Fails every call that has no result with `closed`, and closes the connections, and the backups that are open. */
  close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    return this.#closing;
  }

  async #closeAll(): Promise<void> {
    this.#writes.close();
    this.#sweeper.close();
    const others = [...this.#openBackups, ...this.#probes];
    await Promise.all([this.#requests.close(), ...others.map((other) => other.close())]);
  }

  /** As {@link close}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #only(endpoint: string): Endpoints {
    return new Endpoints([checkedEndpoint(endpoint)], this.#endpoints.secureContext);
  }

  #ask<Result>(
    body: RequestBody,
    callTraits: CallTraits,
    limits: CallLimits,
    read: (answer: Answer, endpoint: string) => Result | undefined,
  ): Promise<Result> {
    return ask(this.#requests, body, callTraits, limits, read);
  }

  /** Throws if the options are wrong, or the signal is aborted already. */
  #limitsOf(options: CallOptions | undefined, names: OptionNames = callNames): CallLimits {
    if (options === undefined || options === null) return this.#usualLimits;
    checkCallOptions(options, names);
    const timeoutMs = options.timeoutMs === undefined ? this.#timeoutMs : checkedTimeoutMs(options.timeoutMs);
    return { timeoutMs, signal: signalIn(options), toldTimeoutMs: (options as Partial<PartOptions>)[toldTimeout] };
  }

  /** What is left of a call's limits, at least 1 ms: for calls that take several requests. */
  #limitsLeft(options: CallOptions | undefined, names?: OptionNames): () => CallLimits {
    const { timeoutMs, signal, toldTimeoutMs = timeoutMs } = this.#limitsOf(options, names);
    const deadlineMs = performance.now() + timeoutMs;
    return () => ({ timeoutMs: Math.max(1, deadlineMs - performance.now()), signal, toldTimeoutMs });
  }
}

const madeWithoutTls = 'this client was made without tls';

function watchLimitsOf(options: WatchOptions | undefined): WatchLimits {
  if (options === undefined) return { timeoutMs: watchTimeoutMsDefault, signal: undefined };
  checkCallOptions(options, watchNames);
  return { timeoutMs: checkedTimeoutMs(options.timeoutMs ?? watchTimeoutMsDefault), signal: signalIn(options) };
}

function listQuery(prefix: Bytes, options: ReadOptions | undefined): ListQuery {
  const consistency = checkedConsistency(options?.consistency);
  return { consistency, prefix: checkedPrefix(prefix) };
}

function conditionOf(options: FillOptions | undefined): { readonly ifConfigurationId?: number } {
  const ifConfigurationId = checkedConfigurationId(options?.ifConfigurationId);
  return ifConfigurationId === undefined ? {} : { ifConfigurationId };
}

function statusIn(answer: Answer): NodeStatus | undefined {
  return answer.type === 'status' ? answer.status : undefined;
}
