import { encodeRequestFrames } from '../wire/client-frame.ts';
import type { ClientRequest, ClientResponse, Failure } from '../wire/client-message.ts';
import type { Call, OutgoingRequest } from './call/call.ts';
import { closedError, failureError, lostError, overdueError, verdictOn } from './call/call-errors.ts';
import { KvError } from './call/errors.ts';
import { ClusterNews } from './connection/cluster-news.ts';
import type { Connection, ConnectionProblem } from './connection/connection.ts';
import type { Endpoints } from './connection/endpoints.ts';
import { holdMsMax, LeaderRoute } from './connection/leader-route.ts';
import { Pacing } from './connection/pacing.ts';
import { Router } from './connection/router.ts';
import type { Sweepable } from './sweeper.ts';

/** Most calls without a result. */
const callsMax = 131_072;
/** A frame is sent when it holds so much, even if more waits. */
const frameBytesTarget = 1024 * 1024;
export interface RequestsOptions {
  readonly endpoints: Endpoints;
  /** How long an endpoint may take to say hello. */
  readonly connectTimeoutMs: number;
  /** Nodes of a cluster of another name will not do. */
  readonly clusterName?: string | undefined;
  /** True: only these endpoints, each tried once. False: those learned from nodes too, until the deadline. */
  readonly isPinned: boolean;
  /** Called when there is something to watch: makes sure that `sweep` is called. */
  readonly wake: () => void;
}

/**
 * Gets calls answered: sends all that one tick of the event loop brings in one frame, and sends again, to the next node,
 * what the current one loses, refuses or leaves unanswered.
 *
 * A call may so have several attempts out; the first good answer counts. If all its attempts ended with "not applied", it
 * is not applied; if one was lost or has no answer, its outcome is unknown.
 */
export class Requests implements Sweepable {
  readonly #options: RequestsOptions;
  readonly #endpoints: Endpoints;
  readonly #router: Router;
  readonly #leaderRoute: LeaderRoute;
  readonly #news: ClusterNews;
  /** Holds back when every node refuses. */
  readonly #pacing = new Pacing();
  /** Calls to be sent, in order. */
  #waiting: Call[] = [];
  /** They are not in that order. */
  #isUnordered = false;
  /** Writes among them wait for those before them, see `#mayOvertake`. */
  #isHolding = false;
  #liveCalls = 0;
  #nextId = 1;
  #isFlushDue = false;
  /** How long writes take, as of the last answers: the longest, and less of it with each that is shorter. */
  #usualWriteMs = 0;
  #isClosed = false;
  readonly #flushNow = (): void => this.#flush();

  constructor(options: RequestsOptions) {
    this.#options = options;
    this.#endpoints = options.endpoints;
    this.#router = new Router(options, {
      onRoute: (_connection, silent) => this.#onRoute(silent),
      onAnswers: (connection, responses) => this.#onAnswers(connection, responses),
      onLost: (connection, problem) => this.#onLost(connection, problem),
    });
    const { connectTimeoutMs } = options;
    const secureContext = () => options.endpoints.secureContext;
    this.#leaderRoute = new LeaderRoute(
      { connectTimeoutMs, secureContext, clusterId: () => this.#router.clusterId },
      {
        onChange: () => this.#flush(),
        onAnswers: (connection, responses) => this.#onAnswers(connection, responses),
        onLost: (connection, problem) => this.#onLost(connection, problem),
        onSilent: (connection) => this.#onRoute(connection),
      },
    );
    this.#news = new ClusterNews({
      ...{ endpoints: this.#endpoints, router: this.#router, leaderRoute: this.#leaderRoute },
      ...{ isPinned: options.isPinned, wake: options.wake },
      submit: (call) => this.submit(call),
      onLeader: () => this.#flush(),
    });
  }

  /** Takes a call over until it has its result. */
  submit(call: Call): void {
    const problem = this.#refusal(call);
    if (problem !== undefined) {
      call.isDone = true;
      call.onError(problem);
      return;
    }
    call.id = this.#nextId++;
    call.isDone = false;
    this.#liveCalls++;
    this.#enqueue(call);
    this.#options.wake();
  }

  #refusal(call: Call): KvError | undefined {
    if (this.#isClosed) return new KvError('closed', 'the client is closed', call.outcome);
    if (this.#liveCalls < callsMax) return undefined;
    return new KvError('busy', `${callsMax} calls wait already: let some finish first`, call.outcome);
  }

  /** Fails every call that has no result, and closes the connections. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const call of this.#liveCallsFound()) this.#fail(call, closedError(call));
    this.#waiting = [];
    await Promise.all([this.#router.close(), this.#leaderRoute.close()]);
  }

  sweep(nowMs: number): boolean {
    if (this.#isClosed) return false;
    for (const call of this.#liveCallsFound()) {
      if (call.isOver(nowMs) && !(call.mayTakeLonger(nowMs) && this.#isAnswerUnderWay(call, nowMs))) this.#expire(call);
    }
    this.#dropDone();
    for (const connection of this.#connections()) connection.sweep(nowMs);
    this.#router.sweep(nowMs);
    const holdMs = this.#leaderRoute.isChanging ? this.#patienceMs() : Number.POSITIVE_INFINITY;
    this.#leaderRoute.sweep(this.#router.current, nowMs, holdMs);
    this.#news.ask(nowMs);
    this.#goOnFromSilent(nowMs);
    this.#flush();
    const isSeeking = this.#news.seekMember(nowMs);
    return this.#liveCalls > 0 || isSeeking || this.#router.isBusy || this.#leaderRoute.isBusy;
  }

  // Sending

  #enqueue(call: Call): void {
    if (call.isQueued) return;
    call.isQueued = true;
    this.#waiting.push(call);
    this.#flushSoon();
  }

  #flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    // After the sockets were read, and everyone who got an answer has reacted: one frame for all.
    setImmediate(this.#flushNow);
  }

  /** Calls that were sent before take their old places. */
  #enqueueAgain(calls: readonly Call[]): void {
    for (const call of calls) {
      if (call.isQueued) continue;
      call.isQueued = true;
      this.#waiting.push(call);
      this.#isUnordered = true;
    }
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#isClosed || this.#waiting.length === 0) return;
    const nowMs = performance.now();
    const { current } = this.#router;
    if (current === undefined) this.#router.connect(nowMs);
    if (!this.#pacing.isOpen(nowMs)) return;
    if (this.#isUnordered) this.#waiting.sort((a, b) => a.id - b.id);
    this.#isUnordered = false;
    this.#isHolding = this.#mayOvertake(nowMs);
    const calls = this.#waiting;
    this.#waiting = [];
    const route = this.#isHolding ? undefined : this.#leaderRoute.route(current);
    const left =
      route === current ? this.#sendAll(current, calls, nowMs) : this.#sendApart(route, current, calls, nowMs);
    // What is held back goes out with a later sweep.
    if (left.length > 0) this.#waiting = [...left, ...this.#waiting];
  }

  /**
   * A node that was left may refuse writes yet that it was sent, such as one that is no member any more: those that come behind them wait for its word, though
   * not for long.
   */
  #mayOvertake(nowMs: number): boolean {
    if (!this.#router.isDraining && !this.#leaderRoute.isDraining) return false;
    const isStranded = (call: Call) => call.isWrite && !call.isDone && !call.isQueued && !this.#hasHopefulAttempt(call);
    const holdMs = Math.min(holdMsMax, this.#patienceMs());
    const left = this.#connections().filter(({ leftMs }) => nowMs - leftMs < holdMs);
    return left.some((connection) => [...connection.sent.values()].some(isStranded));
  }

  /** Writes go to `route`, all else to `current`. Mostly they are all of one kind. What is left of them. */
  #sendApart(
    route: Connection | undefined,
    current: Connection | undefined,
    calls: readonly Call[],
    nowMs: number,
  ): readonly Call[] {
    const writes = calls.filter((call) => call.isWrite);
    if (writes.length === calls.length) return this.#sendAll(route, calls, nowMs);
    if (writes.length === 0) return this.#sendAll(current, calls, nowMs);
    const others = calls.filter((call) => !call.isWrite);
    return [...this.#sendAll(route, writes, nowMs), ...this.#sendAll(current, others, nowMs)];
  }

  /** What is left of the calls: those that this connection, if there is one, does not take now. */
  #sendAll(connection: Connection | undefined, calls: readonly Call[], nowMs: number): readonly Call[] {
    if (connection === undefined) return calls;
    let at = 0;
    while (at < calls.length && !connection.isCongested) at = this.#sendFrame(connection, calls, at, nowMs);
    return at < calls.length ? calls.slice(at) : none;
  }

  /** Sends the calls from `from` on, as many as one frame takes. Gives where to go on. */
  #sendFrame(connection: Connection, calls: readonly Call[], from: number, nowMs: number): number {
    const batch: ClientRequest[] = [];
    let batchBytes = 0;
    let at = from;
    while (at < calls.length && batchBytes < frameBytesTarget) {
      const call = calls[at++] as Call;
      call.isQueued = false;
      if (call.signal?.aborted) this.#expire(call);
      if (call.isDone) continue;
      const { request } = call;
      if (request === undefined) {
        this.#finish(call);
        call.onConnected();
        continue;
      }
      markSent(call, request, connection, nowMs);
      batch.push(request);
      if (request.type !== 'write') continue;
      call.usualMs = this.#usualWriteMs;
      batchBytes += request.command.length;
    }
    if (batchBytes > 0) this.#news.onWrites();
    for (const frame of encodeRequestFrames(batch)) connection.send(frame, nowMs);
    return at;
  }

  /** How long the writes that wait may be kept waiting: half of the silence that they would put up with. */
  #patienceMs(): number {
    return this.#waiting.reduce((least, call) => (call.isWrite ? Math.min(least, call.hedgeMs / 2) : least), Infinity);
  }

  // What the router tells

  #onRoute(silent: Connection | undefined): void {
    // What a silent node has not answered is asked of the new one too.
    if (silent !== undefined) {
      this.#enqueueAgain([...silent.sent.values()].filter((call) => !call.isDone && call.traits.isRepeatable));
    }
    this.#flush();
  }

  /** A node that was left for what it answered may fall silent, too: what it still has is asked of the one in use. */
  #goOnFromSilent(nowMs: number): void {
    for (const connection of this.#connections()) {
      if (connection === this.#router.current || connection === this.#leaderRoute.taken) continue;
      if (connection.sent.size === 0 || !connection.isSilent(nowMs)) continue;
      const isStranded = (call: Call) => !call.isDone && call.traits.isRepeatable && !this.#hasHopefulAttempt(call);
      this.#enqueueAgain([...connection.sent.values()].filter(isStranded));
    }
  }

  #onLost(connection: Connection, problem: ConnectionProblem): void {
    const again: Call[] = [];
    for (const call of connection.sent.values()) {
      call.openAttempts--;
      if (call.isDone) continue;
      call.isFateUnknown = true;
      if (!call.traits.isRepeatable) this.#fail(call, lostError(call, problem.message));
      else if (!this.#hasHopefulAttempt(call)) again.push(call);
    }
    connection.sent.clear();
    this.#enqueueAgain(again);
    if (this.#router.current === undefined && this.#giveUp()) return;
    this.#news.onLost(connection);
    this.#flush();
  }

  /** Fails what waits if no endpoint is worth another try. True if so. */
  #giveUp(): boolean {
    const lasting = this.#endpoints.lastingProblem;
    if (lasting === undefined && !(this.#options.isPinned && this.#endpoints.allFailed)) return false;
    const message = this.#endpoints.describeProblems() ?? 'no endpoint answers';
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const call of waiting) {
      call.isQueued = false;
      this.#fail(call, new KvError(lasting ?? 'unreachable', message, call.outcome));
    }
    return true;
  }

  #onAnswers(connection: Connection, responses: readonly ClientResponse[]): void {
    const nowMs = performance.now();
    const mayProve = !this.#router.isProven;
    for (const response of responses) {
      if (response.type === 'members') {
        this.#news.onMembers(connection, response);
        continue;
      }
      const call = connection.sent.get(response.id);
      if (call === undefined) continue;
      connection.sent.delete(response.id);
      call.openAttempts--;
      if (response.type === 'failed') {
        this.#onFailure(connection, call, response, nowMs);
        continue;
      }
      connection.answeredMs = nowMs;
      if (call.traits.needsMajority) connection.agreedMs = nowMs;
      if (call.isWrite) this.#usualWriteMs = Math.max(nowMs - call.lastSentMs, usualKept * this.#usualWriteMs);
      if (mayProve && response.type !== 'status') this.#proved(connection);
      if (call.isDone) continue;
      this.#pacing.succeeded();
      this.#router.succeeded();
      this.#finish(call);
      call.answeredBy = connection.endpoint;
      call.onAnswer(response);
    }
    // Writes may have waited for these answers.
    if ((this.#isHolding || this.#leaderRoute.isChanging) && this.#waiting.length > 0) this.#flushSoon();
  }

  #proved(connection: Connection): void {
    this.#router.proved(connection);
    this.#news.onProved();
  }

  #onFailure(connection: Connection, call: Call, failure: Failure, nowMs: number): void {
    if (failure.members !== undefined) this.#news.learn(failure.members);
    if (call.isDone) return;
    if (failure.outcome === 'unknown') call.isFateUnknown = true;
    call.lastFailure = failure;
    const verdict = verdictOn(failure);
    if (!verdict.retry) {
      this.#failFinally(call, failure, verdict.code);
      return;
    }
    if (verdict.leavesNode) {
      this.#pacing.failed(nowMs, this.#endpoints.size);
      this.#router.leave(connection, nowMs);
      this.#leaderRoute.leave(connection, nowMs);
    }
    // Where another attempt is out, its answer decides.
    if (this.#hasHopefulAttempt(call)) return;
    if (call.mayRepeat && call.deadlineMs - nowMs >= call.retryMinMs) {
      this.#enqueueAgain([call]);
      this.#flushSoon();
    } else if (call.openAttempts === 0) this.#expire(call);
  }

  /** An attempt is out at a node in use. One that was left for its silence may never answer: that is not waited for where it need not be. */
  #hasHopefulAttempt(call: Call): boolean {
    if (call.openAttempts === 0) return false;
    if (!call.traits.isRepeatable) return true;
    return [this.#router.current, this.#leaderRoute.taken].some((connection) => connection?.sent.get(call.id) === call);
  }

  #failFinally(call: Call, failure: Failure, code: KvError['code']): void {
    if (code !== 'sessionExpired') {
      this.#fail(call, failureError(call, code, failure));
      return;
    }
    // The same as the state machine's own words for it: what they mean is the session's to say.
    this.#finish(call);
    call.onAnswer({ type: 'outcome', outcome: { type: 'refused', reason: 'sessionExpired' } });
  }

  // Calls

  /** Why a call has no answer yet, as far as that is known. */
  problemWith(call: Call): string | undefined {
    return call.lastFailure?.message ?? this.#endpoints.describeProblems();
  }

  #isAnswerUnderWay(call: Call, nowMs: number): boolean {
    const isAsked = (connection: Connection) => connection.sent.get(call.id) === call;
    return this.#connections().some((connection) => isAsked(connection) && connection.isReceiving(nowMs));
  }

  #expire(call: Call): void {
    this.#fail(call, overdueError(call, this.#endpoints.describeProblems()));
  }

  /** Forgets calls that got their result elsewhere or ran out of time. */
  #dropDone(): void {
    this.#waiting = this.#waiting.filter((call) => !call.isDone);
    for (const connection of this.#connections()) {
      for (const [id, call] of connection.sent) if (call.isDone) connection.sent.delete(id);
    }
  }

  #finish(call: Call): void {
    call.isDone = true;
    this.#liveCalls--;
  }

  #fail(call: Call, error: KvError): void {
    if (call.isDone) return;
    this.#finish(call);
    call.onError(error);
  }

  *#liveCallsFound(): Generator<Call> {
    yield* this.#waiting;
    for (const connection of this.#connections()) yield* connection.sent.values();
  }

  #connections(): Connection[] {
    return [...this.#router.connections, ...this.#leaderRoute.connections];
  }
}

const none: readonly never[] = [];
/** What is left, with each answer, of how long writes took before. */
const usualKept = 0.9;

function markSent(call: Call, request: OutgoingRequest, connection: Connection, nowMs: number): void {
  request.id = call.id;
  request.timeoutMs = timeLeftForNodeMs(call, nowMs);
  call.openAttempts++;
  call.lastSentMs = nowMs;
  connection.sent.set(call.id, call);
}

/** A bit less than the caller has, so that the node's word, which knows more, comes before our own verdict. */
function timeLeftForNodeMs(call: Call, nowMs: number): number {
  const leftMs = call.deadlineMs - nowMs;
  return Math.max(1, Math.floor(leftMs - Math.min(200, leftMs / 10)));
}
