import { assertNever } from '../../base/assert.ts';
import { type ByteString, fromByteString, toByteString } from '../../base/bytes.ts';
import { type CommandProblem, keyBytesMax, keyProblem } from '../../kv/command-limits.ts';
import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { ClientRequest, Failure, NodeStatus, ResponseBody, WireChange } from '../../wire/client-message.ts';
import { answerBytesMax, pairsPerAnswerMax } from '../../wire/limits.ts';
import type { ConnectionId } from '../events.ts';
import { failure, lateAnswer, type Output } from '../output.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { Voter } from '../voter.ts';
import type { Backups } from './backups.ts';
import { type PendingRead, PendingReads, type ReadQuery, type WatchQuery } from './pending-reads.ts';
import { PostponedReads } from './postponed-reads.ts';
import { tooManyWatches, Watches, type WatchLimits } from './watches.ts';

/**
 * Bytes of answers that a turn gives, about. The rest waits for the next turn, and for its client to take what it was given: one frame may
 * ask for gigabytes.
 */
const answerBytesPerTurn = 4 * 1024 * 1024;
/** For how long a turn answers, about, microseconds, if each thing takes what stands below: heartbeats and all other clients wait meanwhile. */
const answerUsPerTurn = 14_000;
const getUs = 2;
const pairUs = 4;
/** What is looked at in vain: a deletion that hides a row of the table, and a remembered change of another key. */
const deletionUs = 14;
const rememberedUs = 0.25;
/** Of so little in a turn it is not asked whether the client takes it: who takes nothing at all is cut by the connection. */
const uncheckedBytesPerTurn = 256 * 1024;
/** Part of all reads that may wait which may be one client's that does not take its answers. */
const postponedPart = 1 / 16;
/** What an answer, and each pair in it, counts for beside its key and value. */
const overheadBytes = 32;
const statusBytes = 4096;

/** Requests that change nothing. */
export type ReadRequest = ClientRequest & {
  readonly type: 'get' | 'list' | 'watch' | 'status' | 'backupOpen' | 'backupRead';
};

type OtherRequest = Exclude<ReadRequest, { readonly type: 'get' }>;

/** What reads need to know of the node. */
export interface ReadsView {
  /** Set while this node votes. */
  readonly voter: Voter | undefined;
  /** True if a leader is in reach, so that "nothing has changed" is of use. */
  readonly isLed: boolean;
  /** What to tell clients whose time is over while none was. */
  readonly whyNoLeader: string;
  /** The owner's clock, for deadlines only. */
  readonly nowMs: number;
  /** Why this node takes no requests, if it does not. */
  readonly refusal: Failure | undefined;
  /** Why it has no state to read from yet, if it belongs to no cluster. */
  readonly formingRefusal: Failure | undefined;
  /** True while so much waits to be sent to a client that it had better get no more. */
  readonly isCongested: (connection: ConnectionId) => boolean;
  status(): NodeStatus;
}

/** See {@link ReplicaSettings}. */
export type ReadLimits = WatchLimits & Pick<ReplicaSettings, 'pendingReadsMax'>;

/** The reads of this node's own clients: linearizable ones wait for a read index, watches for a change, all for room for their answers. */
export class Reads {
  readonly #machine: KvStateMachine;
  readonly #backups: Backups;
  readonly #countMax: number;
  readonly #output: Output;
  readonly #view: ReadsView;
  readonly #pending = new PendingReads();
  readonly #postponed = new PostponedReads();
  readonly #watches: Watches;
  readonly #hasRoom = (): boolean => this.#answeredBytes < answerBytesPerTurn && this.#answeredUs < answerUsPerTurn;
  readonly #mayTake = (connection: ConnectionId): boolean => !this.#view.isCongested(connection);
  /** What was given in this turn, and how long that took, about. */
  #answeredBytes = 0;
  #answeredUs = 0;

  constructor(machine: KvStateMachine, backups: Backups, limits: ReadLimits, output: Output, view: ReadsView) {
    this.#machine = machine;
    this.#backups = backups;
    this.#countMax = limits.pendingReadsMax;
    this.#watches = new Watches(machine, limits);
    this.#output = output;
    this.#view = view;
  }

  beginTurn(): void {
    this.#answeredBytes = 0;
    this.#answeredUs = 0;
  }

  receive(connection: ConnectionId, request: ReadRequest): void {
    if (request.type === 'get') return this.#receiveGet(connection, request);
    // How a node is, it always tells, and a backup is open or it is not.
    const isOfState = request.type !== 'status' && request.type !== 'backupRead';
    const problem = (isOfState ? this.#view.refusal : undefined) ?? problemOf(request);
    if (problem) return this.#output.respond(connection, request.id, problem);
    if (this.#isFull && request.type !== 'status') return this.#output.respond(connection, request.id, tooMany);
    if (request.type === 'watch' && this.#watches.isFull)
      return this.#output.respond(connection, request.id, tooManyWatches);
    const { nowMs } = this.#view;
    const deadlineMs = nowMs + request.timeoutMs;
    const read = { connection, requestId: request.id, query: queryOf(request, nowMs), deadlineMs };
    if (needsIndex(request)) this.#pending.add(read);
    else if (request.type === 'list') this.#serveLocally(read);
    else this.#serveOrPostpone(read);
  }

  /** There are many of these: by a way of their own. */
  #receiveGet(connection: ConnectionId, request: ReadRequest & { readonly type: 'get' }): void {
    const { refusal, nowMs } = this.#view;
    if (refusal !== undefined) return this.#output.respond(connection, request.id, refusal);
    const problem = keyProblem(request.key);
    if (problem)
      return this.#output.respond(connection, request.id, failure(problem.code, 'notApplied', problem.message));
    if (this.#isFull) return this.#output.respond(connection, request.id, tooMany);
    const deadlineMs = nowMs + request.timeoutMs;
    const read = { connection, requestId: request.id, query: toByteString(request.key), deadlineMs };
    if (request.consistency === 'linearizable') this.#pending.add(read);
    else this.#serveLocally(read);
  }

  /** Maybe stale. To have no state yet is another thing than an empty one: that node may be a member that lost its disk. */
  #serveLocally(read: PendingRead): void {
    const { formingRefusal } = this.#view;
    if (formingRefusal === undefined) this.#serveOrPostpone(read);
    else this.#output.respond(read.connection, read.requestId, formingRefusal);
  }

  get #isFull(): boolean {
    return this.#pending.count + this.#postponed.count >= this.#countMax;
  }

  /** Asks for a read index for all that came since the last one. */
  pump(): void {
    if (!this.#pending.hasCollected) return;
    const readId = this.#view.voter?.paxos.requestRead();
    if (readId !== undefined) this.#pending.asked(readId);
  }

  onReady(readId: number, readIndex: number): void {
    this.#pending.confirmed(readId, readIndex);
  }

  /** Answers reads whose index is applied. True if there is more to answer, which only the end of this turn keeps waiting. */
  serve(): boolean {
    const isLeft =
      this.#postponed.count > 0 &&
      this.#postponed.serve(this.#hasRoom, this.#mayTake, (read) => this.#serveForBytes(read));
    for (const read of this.#watches.takeDue()) this.#serveOrPostpone(read);
    for (const read of this.#pending.takeServable(this.#machine.appliedIndex)) this.#serveOrPostpone(read);
    return isLeft || (this.#postponed.count > 0 && !this.#hasRoom());
  }

  /** The configuration ended: reads are asked again in the next one, too. */
  askAgain(): void {
    this.#pending.askAgain();
  }

  /** Answers those whose time is over. */
  sweep(): void {
    const { nowMs, isLed, whyNoLeader } = this.#view;
    const { appliedIndex } = this.#machine;
    const nothingNew: ResponseBody = { type: 'changes', changes: [], more: false, revision: appliedIndex };
    const overdue = isLed ? lateAnswer : failure('noMajority', 'notApplied', whyNoLeader);
    this.#answerEach(this.#watches.takeOverdue(nowMs), isLed ? nothingNew : overdue);
    const isOver = (read: PendingRead): boolean => read.deadlineMs <= nowMs;
    const { out, abandoned } = this.#pending.takeOut(isOver);
    this.#answerEach(out, overdue);
    this.#cancel(abandoned);
    if (this.#postponed.count > 0) this.#answerEach(this.#postponed.takeOut(isOver), notTaken);
  }

  /** The client is gone: nobody takes the answers any more. */
  forget(connection: ConnectionId): void {
    const isOut = (read: PendingRead): boolean => read.connection === connection;
    if (this.#postponed.count > 0) this.#postponed.takeOut(isOut);
    this.#watches.takeOut(isOut);
    if (this.#pending.count === 0) return;
    this.#cancel(this.#pending.takeOut(isOut).abandoned);
  }

  #cancel(readIds: readonly number[]): void {
    for (const readId of readIds) this.#view.voter?.paxos.cancelRead(readId);
  }

  failAll(refusal: Failure): void {
    const isOut = (): boolean => true;
    const all = [...this.#pending.takeAll(), ...this.#postponed.takeOut(isOut), ...this.#watches.takeOut(isOut)];
    this.#answerEach(all, refusal);
  }

  #answerEach(reads: readonly PendingRead[], body: ResponseBody): void {
    for (const { connection, requestId } of reads) this.#output.respond(connection, requestId, body);
  }

  #serveOrPostpone(read: PendingRead): void {
    const { connection, requestId } = read;
    const waiting = this.#postponed.count > 0 ? this.#postponed.countOf(connection) : 0;
    if (waiting === 0 && this.#mayAnswer(connection)) this.#serve(read);
    else if (waiting < this.#countMax * postponedPart || this.#mayTake(connection)) this.#postponed.add(read);
    else this.#output.respond(connection, requestId, notTaken);
  }

  #mayAnswer(connection: ConnectionId): boolean {
    if (!this.#hasRoom()) return false;
    return this.#answeredBytes < uncheckedBytesPerTurn || this.#mayTake(connection);
  }

  /** Returns how many bytes of this turn that took. */
  #serveForBytes(read: PendingRead): number {
    const before = this.#answeredBytes;
    this.#serve(read);
    return this.#answeredBytes - before;
  }

  #serve(read: PendingRead): void {
    const { connection, requestId, query, deadlineMs } = read;
    if (typeof query === 'string') return this.#serveGet(connection, requestId, query);
    if (query.type === 'backupOpen') return this.#backups.open(connection, requestId, deadlineMs);
    const body = query.type === 'watch' ? this.#answerWatch({ ...read, query }) : this.#answer(query);
    if (body === undefined) return;
    this.#count(body);
    this.#output.respond(connection, requestId, body);
  }

  #count(body: ResponseBody): void {
    if (body.type === 'status') this.#answeredBytes += statusBytes;
    const pairs = pairsOf(body);
    this.#answeredBytes += overheadBytes;
    this.#answeredUs += getUs + pairs.length * pairUs;
    for (const { key, value } of pairs) this.#answeredBytes += overheadBytes + key.length + (value?.length ?? 0);
  }

  #serveGet(connection: ConnectionId, requestId: number, key: ByteString): void {
    const record = this.#machine.get(key);
    this.#answeredBytes += overheadBytes + (record === undefined ? 0 : record.value.length);
    this.#answeredUs += getUs;
    this.#output.respond(connection, requestId, { type: 'record', record });
  }

  #answerWatch(read: PendingRead & { readonly query: WatchQuery }): ResponseBody | undefined {
    const body = this.#watches.answer(read, this.#view.nowMs);
    const { changes, deletions } = this.#watches.takeLooked();
    this.#answeredUs += changes * rememberedUs + deletions * deletionUs;
    return body;
  }

  #answer(query: Exclude<ReadQuery, ByteString | WatchQuery | { readonly type: 'backupOpen' }>): ResponseBody {
    switch (query.type) {
      case 'list':
        return this.#page(query);
      case 'status':
        return { type: 'status', status: this.#view.status() };
      case 'backupRead':
        return this.#backups.read(query.backup, query.after);
      default:
        return assertNever(query, 'query');
    }
  }

  #page({ prefix, after, limit }: Exclude<ReadQuery, ByteString> & { readonly type: 'list' }): ResponseBody {
    const { pairs, more, skipped } = this.#machine.range({
      prefix,
      after,
      limit: Math.min(Math.max(1, limit), pairsPerAnswerMax),
      bytesMax: answerBytesMax,
    });
    this.#answeredUs += skipped * deletionUs;
    const wirePairs = pairs.map(({ key, value, revision }) => ({ key: fromByteString(key), value, revision }));
    return { type: 'pairs', pairs: wirePairs, more };
  }
}

function needsIndex(request: OtherRequest): boolean {
  if (request.type === 'list') return request.consistency === 'linearizable';
  return request.type === 'backupOpen' || request.type === 'watch';
}

function queryOf(request: OtherRequest, nowMs: number): ReadQuery {
  switch (request.type) {
    case 'watch': {
      const { key, isPrefix, since, after, waitMs, timeoutMs } = request;
      const keys = { key: toByteString(key), isPrefix, after: after && toByteString(after) };
      return { type: 'watch', ...keys, since, untilMs: nowMs + Math.min(waitMs, timeoutMs) };
    }
    case 'list': {
      const { prefix, after, limit } = request;
      return { type: 'list', prefix: toByteString(prefix), after: after && toByteString(after), limit };
    }
    case 'backupRead':
      return { type: 'backupRead', backup: request.backup, after: request.after && toByteString(request.after) };
    default:
      return { type: request.type };
  }
}

/** What is wrong with a request, if anything is. */
function problemOf(request: OtherRequest): Failure | undefined {
  const problem = keysProblem(request);
  return problem && failure(problem.code, 'notApplied', problem.message);
}

function keysProblem(request: OtherRequest): CommandProblem | undefined {
  if (request.type === 'list') return lengthProblem('prefix', request.prefix) ?? lengthProblem('key', request.after);
  if (request.type === 'watch' && !request.isPrefix) return keyProblem(request.key);
  if (request.type === 'watch') return lengthProblem('prefix', request.key) ?? lengthProblem('key', request.after);
  return request.type === 'backupRead' ? lengthProblem('key', request.after) : undefined;
}

function lengthProblem(what: string, bytes: Uint8Array | undefined): CommandProblem | undefined {
  if (bytes === undefined || bytes.length <= keyBytesMax) return undefined;
  return { code: 'tooLarge', message: `the ${what} has ${bytes.length} bytes: at most ${keyBytesMax} are allowed` };
}

function pairsOf(body: ResponseBody): readonly Pick<WireChange, 'key' | 'value'>[] {
  switch (body.type) {
    case 'pairs':
    case 'backupPairs':
    case 'snapshot':
      return body.pairs;
    case 'changes':
      return body.changes;
    default:
      return [];
  }
}

const tooMany = failure(
  'busy',
  'notApplied',
  'too many reads are waiting on this node: try again, or ask another node',
);
const notTaken = failure(
  'busy',
  'notApplied',
  'this client reads its answers too slowly: read what was sent, then ask again',
);
