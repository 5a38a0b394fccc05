import { setTimeout as delay } from 'node:timers/promises';
import { type ByteString, fromByteString, toByteString } from '../../base/bytes.ts';
import type { WireChange, WirePair } from '../../wire/client-message.ts';
import { type Answer, type CallLimits, outgoing, PromiseCall, traits } from '../call/call.ts';
import { KvError } from '../call/errors.ts';
import type { OwnBytes } from '../call/get-call.ts';
import { GatheredBytes } from '../gathered-bytes.ts';
import type { Requests } from '../requests.ts';
import { type KvChange, WatchBatch } from './watch-batch.ts';

/** How long a node waits for a change before it says that there was none. So long, and a bit, a watch may not know that its node is cut off. */
const windowMsMax = 3000;
/** Behind that a node may be silent for so long before another is tried, and has so long to answer in all: 4 MiB over a slow way. */
const hedgeMs = 1000;
const answerMs = 30_000;
/** ... and longer while it is on its way, but not for ever: what comes may be the answer to something else. */
const overtimeMsMax = 300_000;
/** Before it asks again where nobody could answer. */
const pauseMs = 100;
/** Who is asked with less time than this has no answer for want of time: that says less of the cluster than the attempt before. */
const tellingMsMin = 500;
/** Most keys below a prefix: each is remembered, so that it is noticed if it goes while nobody tells. */
const watchedKeysMax = 100_000;
/** Most answers with changes, of about 4 MiB, that are told as one: whoever reads more slowly than others write must hear of it, too. */
const answersPerBatchMax = 16;
/** The same of snapshots: there is another where more changed while one was read than a node remembers. */
const snapshotsPerBatchMax = 2;

/** `timeoutMs`: how long there may be no answer from the cluster. */
export interface WatchLimits extends CallLimits {
  /** Only the state is wanted, all of it within `timeoutMs`. `remedy`: what to do where that is too much. */
  readonly oneCall?: { readonly remedy: string };
}

interface Watched {
  readonly key: Uint8Array;
  readonly isPrefix: boolean;
}

type WatchAnswer = Extract<Answer, { readonly type: 'changes' | 'snapshot' }>;

/** Behind which revision, or else behind which key of a snapshot; and whether to wait for a change if there is none yet. */
interface Question {
  readonly since?: number | undefined;
  readonly after?: Uint8Array;
  readonly waits?: boolean;
}

/** A page of a snapshot: what it says of keys up to its last one, and of all behind it if it is the last page. */
interface Page {
  readonly lastKey: ByteString | undefined;
  readonly revision: number;
}

/**
 * Follows a key, or all with a prefix. It asks a node what changed behind the revision of the last answer, and the node answers once something
 * has. Where that is longer ago than the node remembers, as after a while without a node, it gets the state instead, and tells what is different.
 * So nothing is ever told that is older than what was told before, and what is true in the end is told, whatever happens on the way.
 */
export class Watch {
  readonly #requests: Requests;
  readonly #watched: Watched;
  readonly #limits: WatchLimits;
  /** Revisions of the keys that there are, as told. */
  readonly #known = new Map<ByteString, number>();
  /** Of the last snapshot, until changes have come as far as its last page. */
  #pages: readonly Page[] = [];
  /** What is to be told next. */
  #batch = new WatchBatch();
  #answeredMs = performance.now();

  constructor(requests: Requests, watched: Watched, limits: WatchLimits) {
    this.#requests = requests;
    this.#watched = watched;
    this.#limits = limits;
  }

  /**
   * First all that there is, maybe nothing; then each time what is different, at least one change. What they say together is the state at one
   * moment, but for one that would be made of over {@link answersPerBatchMax} answers, or {@link snapshotsPerBatchMax} snapshots.
   */
  async *batches(): AsyncGenerator<KvChange[], void, void> {
    for (let revision: number | undefined; ; ) {
      const isFirst = revision === undefined;
      this.#batch = new WatchBatch();
      revision = await this.#gather(revision);
      const { changes } = this.#batch;
      if (isFirst || changes.length > 0) yield changes;
      // Whoever took long to deal with that was not without an answer meanwhile.
      this.#answeredMs = performance.now();
    }
  }

  /** All that there is, at one moment but for what is said above, in no order. */
  async state(): Promise<KvChange[]> {
    await this.#gather(undefined);
    return this.#batch.changes;
  }

  /** What there is behind `since`, as of the revision that it returns. */
  async #gather(since: number | undefined): Promise<number> {
    let answer = await this.#ask({ since });
    for (let answers = 1, snapshots = 0; ; answers++) {
      if (answer.type === 'snapshot') {
        snapshots++;
        await this.#takeSnapshot(answer);
      } else this.#takeChanges(answer);
      // A later page of a snapshot has changes already that an earlier one lacks.
      const isPart = this.#pages.length > 1 || (answer.type === 'changes' && answer.more);
      if (!isPart || answers >= answersPerBatchMax || snapshots >= snapshotsPerBatchMax) return answer.revision;
      answer = await this.#ask({ since: answer.revision, waits: false });
    }
  }

  #takeChanges({ changes, revision }: WatchAnswer & { readonly type: 'changes' }): void {
    for (const change of changes) this.#takeChange(change);
    if (revision >= (this.#pages.at(-1)?.revision ?? 0)) this.#pages = [];
  }

  #takeChange({ key: bytes, value, revision }: WireChange): void {
    const key = toByteString(bytes);
    if (revision <= Math.max(this.#known.get(key) ?? 0, this.#snapshotRevision(key))) return;
    if (value === undefined) this.#delete(key, revision);
    else this.#put(key, { key: bytes, value, revision });
  }

  #put(key: ByteString, pair: WirePair): void {
    const { revision } = pair;
    const wasKnown = this.#known.has(key);
    this.#known.set(key, revision);
    if (this.#known.size > watchedKeysMax) throw this.#tooManyKeys();
    // Copies, since what a frame's views point to is the whole frame.
    const own = { key: new Uint8Array(pair.key), value: new Uint8Array(pair.value) };
    this.#batch.add(key, { type: 'put', ...own, revision }, wasKnown);
  }

  #tooManyKeys(): KvError {
    return new KvError('tooLarge', `over ${watchedKeysMax} keys begin with the prefix: ${this.#remedy}`, 'notApplied');
  }

  get #remedy(): string {
    return this.#limits.oneCall?.remedy ?? 'watch a longer prefix';
  }

  #delete(key: ByteString, revision: number): void {
    const wasKnown = this.#known.delete(key);
    this.#batch.add(key, { type: 'delete', key: fromByteString(key) as OwnBytes, revision }, wasKnown);
  }

  /** What changed up to here is in what the snapshot said of this key. */
  #snapshotRevision(key: ByteString): number {
    if (this.#pages.length === 0) return 0;
    const page = this.#pages.find(({ lastKey }) => lastKey === undefined || key <= lastKey);
    return page?.revision ?? 0;
  }

  /** Reads all pages of it. What changes meanwhile comes behind the first one's revision, once more where a later page has it already. */
  async #takeSnapshot(first: WatchAnswer & { readonly type: 'snapshot' }): Promise<void> {
    const pages: Page[] = [];
    const gone = new Set(this.#known.keys());
    const gathered = new GatheredBytes(this.#remedy);
    for (let page = first; ; ) {
      for (const pair of page.pairs) {
        const key = toByteString(pair.key);
        gone.delete(key);
        if (pair.revision <= (this.#known.get(key) ?? 0)) continue;
        gathered.add(pair);
        this.#put(key, pair);
      }
      const last = page.more ? page.pairs.at(-1)?.key : undefined;
      pages.push({ lastKey: last && toByteString(last), revision: page.revision });
      if (last === undefined) break;
      page = await this.#page(last);
    }
    this.#pages = pages;
    for (const key of gone) this.#delete(key, this.#snapshotRevision(key));
  }

  async #page(after: Uint8Array): Promise<WatchAnswer & { readonly type: 'snapshot' }> {
    const answer = await this.#ask({ after });
    if (answer.type === 'snapshot') return answer;
    throw new KvError('internal', 'a node told changes where its state was asked for', 'notApplied');
  }

  /** Asks until there is an answer. */
  async #ask(question: Question): Promise<WatchAnswer> {
    let problem: KvError | undefined;
    for (;;) {
      const isTelling = problem === undefined || this.#timeLeftMs >= tellingMsMin;
      try {
        const answer = await this.#askOnce(question);
        if (this.#limits.oneCall === undefined) this.#answeredMs = performance.now();
        return answer;
      } catch (error) {
        if (!(error instanceof KvError) || !mayPass(error)) throw error;
        if (isTelling) problem = error;
        if (this.#timeLeftMs <= 0) throw this.#endOf(problem ?? error);
        await delay(Math.min(pauseMs, this.#timeLeftMs));
      }
    }
  }

  #endOf(error: KvError): KvError {
    const { code, message, outcome } = error;
    return this.#limits.oneCall ? error : new KvError(code, `the watch ends: ${message}`, outcome);
  }

  get #timeLeftMs(): number {
    return this.#answeredMs + this.#limits.timeoutMs - performance.now();
  }

  #askOnce({ since, after, waits = since !== undefined }: Question): Promise<WatchAnswer> {
    const timeLeftMs = Math.max(1, this.#timeLeftMs);
    // What has a large answer takes as long as what waits for a small one.
    const windowMs = since === undefined ? 0 : Math.min(windowMsMax, timeLeftMs / 3);
    const limits = {
      timeoutMs: Math.min(windowMs + answerMs, timeLeftMs),
      signal: this.#limits.signal,
      // The last one of a watch that ends has little time, but none before it had an answer.
      toldTimeoutMs: this.#limits.toldTimeoutMs ?? this.#limits.timeoutMs,
    };
    const waitMs = waits ? Math.floor(windowMs) : 0;
    const request = outgoing({ type: 'watch', ...this.#watched, since, after, waitMs });
    return new Promise((resolve, reject) => {
      const settlement = { read: watchAnswer, resolve, reject };
      const call = new WatchCall(traits.linearizableRead, limits, performance.now(), request, settlement);
      call.windowMs = windowMs;
      call.longerMs = this.#limits.oneCall === undefined ? overtimeMsMax : timeLeftMs - limits.timeoutMs;
      this.#requests.submit(call);
    });
  }
}

/** A node that says nothing before its time to wait is over need not be silent. */
class WatchCall extends PromiseCall<WatchAnswer> {
  /** How long it may take before it begins to be late. */
  windowMs = 0;
  longerMs = 0;

  override get overtimeMs(): number {
    return this.longerMs;
  }

  override get hedgeMs(): number {
    return Math.min(this.windowMs + hedgeMs, this.windowMs + (this.timeoutMs - this.windowMs) / 3);
  }
}

function watchAnswer(answer: Answer): WatchAnswer | undefined {
  return answer.type === 'changes' || answer.type === 'snapshot' ? answer : undefined;
}

/** It may be another tomorrow. */
function mayPass({ code }: KvError): boolean {
  return code === 'noMajority' || code === 'timeout' || code === 'busy';
}
