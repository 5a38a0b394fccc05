import { type ByteString, fromByteString } from '../../base/bytes.ts';
import { transactionPartsMax } from '../../kv/command-limits.ts';
import { RecentChanges } from '../../kv/recent-changes.ts';
import type { ChangeObserver, KvStateMachine } from '../../kv/state-machine.ts';
import type { ResponseBody, WireChange, WirePair } from '../../wire/client-message.ts';
import { answerBytesMax, pairsPerAnswerMax } from '../../wire/limits.ts';
import { failure } from '../output.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { PendingRead, WatchQuery } from './pending-reads.ts';

interface WatchRead extends Omit<PendingRead, 'query'> {
  readonly query: WatchQuery;
}

/** See {@link ReplicaSettings}. */
export type WatchLimits = Pick<ReplicaSettings, 'watchesMax' | 'rememberedChangesMax'>;

/** Most bytes of keys of changes that are remembered. */
const rememberedBytesMax = 4 * 1024 * 1024;
/** Without anybody who watches for so long, changes are remembered no more. */
const idleMs = 60_000;

/**
 * Watches of this node's own clients. One is a read that waits for a change: it is answered once, and its client asks for what is behind the
 * answer. So a client that does not keep up gets more at a time, and this node holds nothing for it but its question.
 *
 * What is told is decided and applied, and each key as it is now: values that it had in between are passed over.
 */
export class Watches implements ChangeObserver {
  readonly #machine: KvStateMachine;
  readonly #limits: WatchLimits;
  readonly #waiting = new Set<WatchRead>();
  readonly #byKey = new Map<ByteString, Set<WatchRead>>();
  readonly #byPrefix = new Map<ByteString, Set<WatchRead>>();
  /** How many prefixes in there have which length. */
  readonly #prefixLengths = new Map<number, number>();
  /** Something changed for them. */
  #due: WatchRead[] = [];
  /** Set while somebody watches, or did a moment ago. */
  #recent: RecentChanges | undefined;
  #usedMs = 0;
  /** What `answer` looked at and did not give, since that was asked for last. */
  #looked = { changes: 0, deletions: 0 };

  constructor(machine: KvStateMachine, limits: WatchLimits) {
    this.#machine = machine;
    this.#limits = limits;
  }

  /** Those that wait for a change, or to be told of one. */
  get count(): number {
    return this.#waiting.size + this.#due.length;
  }

  get isFull(): boolean {
    return this.count >= this.#limits.watchesMax;
  }

  /** The answer, or undefined: then it waits for a change from now on. */
  answer(read: WatchRead, nowMs: number): ResponseBody | undefined {
    this.#usedMs = nowMs;
    const recent = this.#remember();
    const { query } = read;
    const { since } = query;
    const { appliedIndex } = this.#machine;
    // What is behind the state here is of another cluster, or of no account.
    const isKnown = since !== undefined && since <= appliedIndex;
    const changed = isKnown ? this.#changedSince(recent, since, query) : undefined;
    if (changed === undefined) return this.#snapshot(query);
    if (changed.size > 0 || query.untilMs <= nowMs) return this.#changes(changed);
    // Many may have asked at once, before the first of them waited.
    if (this.isFull) return tooManyWatches;
    this.#wait({ ...read, query: { ...query, since: appliedIndex } });
    return undefined;
  }

  /** What was looked at for answers and is not in them: it takes time, too. */
  takeLooked(): { readonly changes: number; readonly deletions: number } {
    const looked = this.#looked;
    this.#looked = { changes: 0, deletions: 0 };
    return looked;
  }

  #changedSince(
    recent: RecentChanges,
    since: number,
    { key, isPrefix }: WatchQuery,
  ): ReadonlyMap<ByteString, number> | undefined {
    if (!isPrefix) return recent.ofKey(key, since);
    this.#looked.changes += recent.countBehind(since);
    return recent.since(since, (changed) => changed.startsWith(key));
  }

  /** Takes those for which something changed. */
  takeDue(): readonly PendingRead[] {
    if (this.#due.length === 0) return this.#due;
    const due = this.#due;
    this.#due = [];
    return due;
  }

  /** Takes those out that have waited for long enough, and for which nothing has changed. */
  takeOverdue(nowMs: number): readonly PendingRead[] {
    if (this.#recent !== undefined && this.count === 0 && nowMs - this.#usedMs >= idleMs) this.#forget();
    return this.#takeWaiting(({ query }) => query.untilMs <= nowMs);
  }

  /** Takes out, and returns, those that `isOut` names. */
  takeOut(isOut: (read: PendingRead) => boolean): readonly PendingRead[] {
    if (this.count === 0) return this.#due;
    const out = [...this.#takeWaiting(isOut), ...this.#due.filter(isOut)];
    this.#due = this.#due.filter((read) => !isOut(read));
    return out;
  }

  onChange(key: ByteString, revision: number): void {
    this.#recent?.note(key, revision);
    if (this.#waiting.size === 0) return;
    this.#wake(this.#byKey.get(key), revision);
    for (const length of this.#prefixLengths.keys()) {
      if (length <= key.length) this.#wake(this.#byPrefix.get(key.slice(0, length)), revision);
    }
  }

  onReload(): void {
    this.#recent?.restart(this.#machine.appliedIndex);
    for (const read of [...this.#waiting]) this.#makeDue(read, read.query.since ?? 0);
  }

  #remember(): RecentChanges {
    this.#recent ??= new RecentChanges(this.#machine.appliedIndex, {
      changesMax: this.#limits.rememberedChangesMax,
      keyBytesMax: rememberedBytesMax,
    });
    this.#machine.observer = this;
    return this.#recent;
  }

  #forget(): void {
    this.#recent = undefined;
    this.#machine.observer = undefined;
  }

  #takeWaiting(isOut: (read: WatchRead) => boolean): readonly WatchRead[] {
    const out = [...this.#waiting].filter(isOut);
    for (const read of out) this.#remove(read);
    return out;
  }

  #wait(read: WatchRead): void {
    this.#waiting.add(read);
    const { key, isPrefix } = read.query;
    const reads = isPrefix ? this.#byPrefix : this.#byKey;
    const others = reads.get(key);
    if (others) {
      others.add(read);
      return;
    }
    reads.set(key, new Set([read]));
    if (isPrefix) this.#prefixLengths.set(key.length, (this.#prefixLengths.get(key.length) ?? 0) + 1);
  }

  #remove(read: WatchRead): void {
    this.#waiting.delete(read);
    const { key, isPrefix } = read.query;
    const reads = isPrefix ? this.#byPrefix : this.#byKey;
    const others = reads.get(key);
    others?.delete(read);
    if (others?.size !== 0) return;
    reads.delete(key);
    if (!isPrefix) return;
    const left = (this.#prefixLengths.get(key.length) ?? 0) - 1;
    if (left > 0) this.#prefixLengths.set(key.length, left);
    else this.#prefixLengths.delete(key.length);
  }

  #wake(reads: ReadonlySet<WatchRead> | undefined, revision: number): void {
    if (reads === undefined) return;
    // Of all before this change none was theirs: they were here.
    for (const read of [...reads]) this.#makeDue(read, revision - 1);
  }

  #makeDue(read: WatchRead, since: number): void {
    this.#remove(read);
    this.#due.push({ ...read, query: { ...read.query, since } });
  }

  #changes(changed: ReadonlyMap<ByteString, number>): ResponseBody {
    const changes: WireChange[] = [];
    let bytes = 0;
    for (const [key, revision] of changed) {
      const value = this.#machine.get(key)?.value;
      bytes += key.length + (value?.length ?? 0);
      const isOver = changes.length >= pairsPerAnswerMax - transactionPartsMax || bytes > answerBytesMax;
      const upTo = changes.at(-1)?.revision;
      // A client asks for what is behind a revision: so what changed with one is not cut in two.
      if (isOver && upTo !== undefined && revision !== upTo)
        return { type: 'changes', changes, more: true, revision: upTo };
      changes.push({ key: fromByteString(key), value, revision });
    }
    return { type: 'changes', changes, more: false, revision: this.#machine.appliedIndex };
  }

  #snapshot({ key, isPrefix, after }: WatchQuery): ResponseBody {
    const revision = this.#machine.appliedIndex;
    if (!isPrefix) {
      const record = this.#machine.get(key);
      const pairs = record === undefined ? [] : [{ key: fromByteString(key), ...record }];
      return { type: 'snapshot', pairs, more: false, revision };
    }
    const range = { prefix: key, limit: pairsPerAnswerMax, bytesMax: answerBytesMax };
    const { pairs, more, skipped } = this.#machine.range({ ...range, after });
    this.#looked.deletions += skipped;
    const wirePairs: WirePair[] = pairs.map((pair) => ({ ...pair, key: fromByteString(pair.key) }));
    return { type: 'snapshot', pairs: wirePairs, more, revision };
  }
}

export const tooManyWatches = failure('busy', 'notApplied', 'too many watches wait on this node: ask another node');
