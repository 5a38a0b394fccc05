import type { BackupOpened, RequestBody, WirePair } from '../wire/client-message.ts';
import { type Answer, type CallLimits, outgoing, PromiseCall, traits } from './call/call.ts';
import { abortedError } from './call/call-errors.ts';
import { KvError } from './call/errors.ts';
import type { Endpoints } from './connection/endpoints.ts';
import { checkCallOptions, checkedTimeoutMs, signalIn } from './input.ts';
import { type CallOptions, callNames } from './options.ts';
import { Requests } from './requests.ts';
import { Sweeper } from './sweeper.ts';

const closeTimeoutMsMax = 1000;

/**
 * A backup that is open on one node: all keys, as they were at one revision. The node keeps it while it is read, and lets go of it
 * after half a minute in which it is not, and takes four at a time. If that node or the connection to it is lost, so is the backup: open
 * another. It keeps the process alive: close it, or the client.
 */
export class KvBackup {
  readonly clusterId: string;
  readonly clusterName: string;
  /** The node that it is read from. */
  readonly nodeId: number;
  /** No revision in it is higher, and every change up to it is in it. */
  readonly revision: number;
  readonly #name: string;
  readonly #timeoutMs: number;
  readonly #requests: Requests;
  readonly #sweeper: Sweeper;

  readonly #onClosed: (backup: KvBackup) => void;

  /** Goes on with what the node at the one of `endpoints` opened. A page may take `timeoutMs`. */
  constructor(opened: BackupOpened, endpoints: Endpoints, timeoutMs: number, onClosed: (backup: KvBackup) => void) {
    this.#onClosed = onClosed;
    this.clusterId = opened.clusterId;
    this.clusterName = opened.clusterName;
    this.nodeId = opened.nodeId;
    this.revision = opened.index;
    this.#name = opened.backup;
    this.#timeoutMs = timeoutMs;
    // No other node has it: this one is asked, and none in its place.
    this.#requests = new Requests({
      endpoints,
      connectTimeoutMs: timeoutMs * 0.8,
      isPinned: true,
      wake: () => this.#sweeper.wake(),
    });
    this.#sweeper = new Sweeper([this.#requests]);
  }

  /**
   * All pairs in byte order of their keys, about a mebibyte at a time. While one page is dealt with the next is asked for, and no
   * more. The bytes are views that keep their whole page alive. `options`: of each page. Errors are a KvError, and end the reading.
   */
  async *pages(options: CallOptions = {}): AsyncGenerator<readonly WirePair[]> {
    checkCallOptions(options, callNames);
    const signal = signalIn(options);
    const limits = { timeoutMs: checkedTimeoutMs(options.timeoutMs ?? this.#timeoutMs), signal };
    let next = this.#page(undefined, limits);
    let before: Uint8Array | undefined;
    for (;;) {
      const { pairs, last: after, done } = await next;
      this.#checkOrder(before, pairs);
      before = pairs.at(-1)?.key ?? before;
      const isLast = done || after === undefined;
      if (!isLast) {
        next = this.#page(after, limits);
        // It is looked at when the caller comes back, who may not.
        next.catch(() => {});
      }
      yield pairs;
      if (isLast) return;
      if (signal?.aborted) throw abortedError(signal, 'notApplied');
    }
  }

  /** Tells the node that it may let go, and closes the connection. One that does not answer is waited for a second at the most. */
  async close(): Promise<void> {
    this.#onClosed(this);
    try {
      await this.#ask(
        { type: 'backupClose', backup: this.#name },
        (answer) => answer.type === 'backupClosed' || undefined,
        { timeoutMs: Math.min(this.#timeoutMs, closeTimeoutMsMax), signal: undefined },
      );
    } catch (error) {
      // It lets go by itself in a while.
      if (!(error instanceof KvError)) throw error;
    }
    this.#sweeper.close();
    await this.#requests.close();
  }

  /** As {@link close}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** A node whose state is damaged may give keys twice, and lack others: nobody could restore that. */
  #checkOrder(before: Uint8Array | undefined, pairs: readonly WirePair[]): void {
    let last = before;
    for (const { key } of pairs) {
      if (last !== undefined && Buffer.compare(last, key) >= 0) {
        const message = `node ${this.nodeId} gave keys out of order: its state is damaged; see kv verify, and ask another node`;
        throw new KvError('internal', message, 'notApplied');
      }
      last = key;
    }
  }

  #page(after: Uint8Array | undefined, limits: CallLimits) {
    const pairsOf = (answer: Answer) => (answer.type === 'backupPairs' ? answer : undefined);
    return this.#ask({ type: 'backupRead', backup: this.#name, after }, pairsOf, limits);
  }

  #ask<Result>(body: RequestBody, read: (answer: Answer) => Result | undefined, limits: CallLimits): Promise<Result> {
    return new Promise((resolve, reject) => {
      const settlement = { read, resolve, reject };
      this.#requests.submit(new PromiseCall(traits.localRead, limits, performance.now(), outgoing(body), settlement));
    });
  }
}
