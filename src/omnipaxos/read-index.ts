import type { Ballot, NodeId } from './ballot.ts';
import { compareBallots } from './ballot.ts';
import type { Context } from './context.ts';
import type { ConfirmRequest, ReadIndexReply, ReadIndexRequest } from './messages.ts';

/** A read that may be served once `readIndex` is applied. */
export interface ReadyRead {
  readonly readId: number;
  readonly readIndex: number;
}

/** A read at the leader that waits for an accept quorum to confirm a round that began after it arrived. */
interface PendingRead {
  readonly readId: number;
  readonly from: NodeId;
  readonly readIndex: number;
  /** Confirmations of this round or a later one count. */
  readonly round: number;
  /** The asker said with its request that it follows this leader: its own read it confirms itself. */
  readonly isConfirmedByAsker: boolean;
}

/** Most reads waiting at a leader, and most of a node's own without an answer. Callers batch: one read id serves many. */
const readsMax = 65_536;

/** What the reads need to know of the replica's role. */
export interface ReadView {
  /** Defined while this node leads in its accept phase with no StopSign accepted. */
  readonly leading: { readonly ballot: Ballot; readonly readIndex: number } | undefined;
}

/**
 * Linearizable reads without the log (PROTOCOL: ReadIndex; Raft thesis §6.4). The index is taken when the request arrives,
 * and *after that* an accept quorum confirms that it has promised nothing higher and accepted no StopSign; one
 * round of confirmations serves all reads waiting. No clock is trusted.
 */
export class ReadIndex<T> {
  readonly #context: Context<T>;
  #nextReadId: number;
  /** This node's own reads without an answer. */
  readonly #own = new Set<number>();
  #ready: ReadyRead[] = [];
  /** At the leader, in order of arrival and so of rounds. */
  #pending: PendingRead[] = [];
  #round = 0;
  #isRoundDue = false;
  /** The highest round that each peer confirmed for `#ballot`. */
  readonly #confirmed = new Map<NodeId, number>();
  #ballot: Ballot | undefined;

  constructor(context: Context<T>) {
    this.#context = context;
    this.#nextReadId = context.options.firstReadId;
  }

  /** Begins a read. Its id comes back from `takeReady()`. Undefined: too many are waiting. */
  request(view: ReadView): number | undefined {
    if (this.#own.size >= readsMax) return undefined;
    const readId = this.#nextReadId++;
    this.#own.add(readId);
    this.#ask(readId, view);
    return readId;
  }

  /** Forgets a read whose caller gave up. */
  cancel(readId: number): void {
    this.#own.delete(readId);
  }

  takeReady(): ReadyRead[] {
    const taken = this.#ready;
    this.#ready = [];
    return taken;
  }

  onReadIndexRequest(from: NodeId, message: ReadIndexRequest, view: ReadView): void {
    if (!view.leading) return;
    const isConfirmedByAsker = compareBallots(message.ballot, view.leading.ballot) === 0;
    this.#enqueue(message.readId, from, isConfirmedByAsker, view.leading);
  }

  onConfirmRequest(from: NodeId, message: ConfirmRequest): void {
    const { log, outbox } = this.#context;
    if (log.isStopped || compareBallots(message.ballot, log.promise) !== 0) return;
    outbox.send(from, { type: 'Confirm', ballot: message.ballot, round: message.round });
  }

  onConfirm(from: NodeId, ballot: Ballot, round: number, view: ReadView): void {
    if (!view.leading || compareBallots(ballot, view.leading.ballot) !== 0) return;
    this.#enterBallot(ballot);
    if (round > this.#round) return;
    if (round > (this.#confirmed.get(from) ?? 0)) this.#confirmed.set(from, round);
    this.#release();
  }

  onReply(message: ReadIndexReply): void {
    if (!this.#own.delete(message.readId)) return;
    this.#ready.push({ readId: message.readId, readIndex: message.readIndex });
  }

  /** The leader changed: what waited for the old one is asked again. */
  onLeaderChange(view: ReadView): void {
    if (!view.leading) this.#pending = [];
    this.#askAgain(view);
  }

  /** Asks again for what may have been lost. */
  resend(view: ReadView): void {
    this.#askAgain(view);
    if (view.leading && this.#pending.length > 0) this.#beginRound();
  }

  /** True if `pump` has something to send. */
  get isRoundDue(): boolean {
    return this.#isRoundDue;
  }

  /** Sends one ConfirmRequest for all reads that came in since the last. */
  pump(view: ReadView): void {
    this.#isRoundDue = false;
    if (!view.leading || this.#pending.length === 0) return;
    const { options, outbox } = this.#context;
    const request: ConfirmRequest = { type: 'ConfirmRequest', ballot: view.leading.ballot, round: this.#round };
    for (const peer of options.peers) outbox.send(peer, request);
  }

  #askAgain(view: ReadView): void {
    const { pid } = this.#context.options;
    const waiting = new Set<number>();
    for (const read of this.#pending) if (read.from === pid) waiting.add(read.readId);
    for (const readId of this.#own) if (!waiting.has(readId)) this.#ask(readId, view);
  }

  #ask(readId: number, view: ReadView): void {
    const { log, options, outbox } = this.#context;
    if (view.leading) this.#enqueue(readId, options.pid, false, view.leading);
    // Once a StopSign is accepted here this node can confirm nothing: the read waits for the next configuration.
    else if (!log.isStopped && log.promise.pid !== options.pid && log.promise.pid !== 0) {
      outbox.send(log.promise.pid, { type: 'ReadIndexRequest', ballot: log.promise, readId });
    }
  }

  #enqueue(
    readId: number,
    from: NodeId,
    isConfirmedByAsker: boolean,
    leading: { ballot: Ballot; readIndex: number },
  ): void {
    this.#enterBallot(leading.ballot);
    const { readIndex } = leading;
    const read = { readId, from, readIndex, round: this.#round + 1, isConfirmedByAsker };
    if (this.#isConfirmed(read)) {
      this.#answer(read);
      return;
    }
    if (this.#pending.length >= readsMax) return;
    this.#beginRound();
    this.#pending.push({ readId, from, readIndex, round: this.#round, isConfirmedByAsker });
  }

  /** A round that is already out says nothing about a read that arrives now: it needs a new one. */
  #beginRound(): void {
    if (this.#isRoundDue) return;
    this.#isRoundDue = true;
    this.#round++;
  }

  #release(): void {
    let count = 0;
    const kept: PendingRead[] = [];
    for (const read of this.#pending) {
      if (this.#isConfirmed(read)) {
        this.#answer(read);
        count++;
      } else kept.push(read);
    }
    if (count > 0) this.#pending = kept;
  }

  #isConfirmed(read: PendingRead): boolean {
    const { options } = this.#context;
    let count = 1;
    for (const peer of options.peers) {
      if ((this.#confirmed.get(peer) ?? 0) >= read.round || (read.isConfirmedByAsker && peer === read.from)) count++;
    }
    return count >= options.quorum.accept;
  }

  #answer(read: PendingRead): void {
    const { options, outbox } = this.#context;
    const { readId, readIndex } = read;
    if (read.from !== options.pid) outbox.send(read.from, { type: 'ReadIndexReply', readId, readIndex });
    else if (this.#own.delete(readId)) this.#ready.push({ readId, readIndex });
  }

  /** Confirmations and pending reads belong to one ballot of this leader. */
  #enterBallot(ballot: Ballot): void {
    if (this.#ballot && compareBallots(this.#ballot, ballot) === 0) return;
    this.#ballot = ballot;
    this.#pending = [];
    this.#confirmed.clear();
  }
}
