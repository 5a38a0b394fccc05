import type { NodeId } from '../omnipaxos/ballot.ts';
import { DiskWatch } from './disk-watch.ts';
import { LeadHandover } from './lead-handover.ts';
import type { Output } from './output.ts';
import type { Voter } from './voter.ts';

/**
 * A flush is slow from this share of an election timeout on. Who takes over writes twice before it leads, one after the other
 * (its own Prepare, a promise elsewhere): with slower disks that takes longer than the time in which a leader is to be replaced.
 */
const slowFlushShare = 0.5;
/** Election timeouts that a node has to take over when asked. */
const takeOverTimeouts = 2;

/** Timing, and what the keeper goes by. */
export interface LeadView {
  readonly voter: Voter | undefined;
  readonly tick: number;
  readonly nowMs: number;
  readonly electionTimeoutTicks: number;
  readonly handoverPauseTicks: number;
  readonly tickMs: number;
}

/** Gives the lead to another node where this one is not fit for it: its disk is slow, or it stops. */
export class LeadKeeper {
  readonly #output: Output;
  readonly #view: LeadView;
  readonly #diskWatch: DiskWatch;
  readonly #handover: LeadHandover;
  #isStopping = false;

  constructor(output: Output, view: LeadView) {
    const { electionTimeoutTicks, handoverPauseTicks, tickMs } = view;
    this.#output = output;
    this.#view = view;
    this.#diskWatch = new DiskWatch(electionTimeoutTicks * tickMs * slowFlushShare);
    this.#handover = new LeadHandover(takeOverTimeouts * electionTimeoutTicks, handoverPauseTicks);
  }

  /** A flush of the log is done. */
  onFlushed(durationMs: number, bytes: number): void {
    this.#diskWatch.flushed(durationMs, bytes);
  }

  /** This node stops. Whoever is to lead next need not wait for an election timeout, and clients hardly notice. */
  onStopping(): void {
    this.#isStopping = true;
    this.#ask(this.#view.voter?.paxos.furthestFollower());
  }

  /**
   * To be called on every tick; see {@link DiskWatch.tick}. A leader whose disk stays slow asks another to lead: heartbeats know
   * nothing of disks, and nobody else would notice.
   */
  tick(flushingMs: number, flushingBytes: number): void {
    const wasSlow = this.#diskWatch.isSlow;
    this.#diskWatch.tick(this.#view.nowMs, flushingMs, flushingBytes);
    const { isSlow } = this.#diskWatch;
    if (isSlow && !wasSlow) this.#output.notice('warn', 'the disk is slow: most flushes of the log take too long');
    if (wasSlow && !isSlow) this.#output.notice('info', 'the disk is quick again');
    const paxos = this.#view.voter?.paxos;
    if (!isSlow || !paxos?.isLeaderInAcceptPhase) return this.#handover.rest();
    const successor = this.#handover.next(this.#view.tick, (asked) => paxos.furthestFollower(asked));
    if (successor === undefined) return;
    this.#output.notice('warn', `because of its slow disk this node asks node ${successor} to lead`);
    this.#ask(successor);
  }

  /** The leader asks this node to lead. One that stops, or whose disk is slow as well, is no better. */
  onTakeOver(from: NodeId, configurationId: number): void {
    const { voter } = this.#view;
    if (voter?.configurationId !== configurationId || voter.leader?.pid !== from) return;
    if (!this.#isStopping && !this.#diskWatch.isSlow) voter.takeOver();
  }

  #ask(successor: NodeId | undefined): void {
    const { voter } = this.#view;
    if (successor !== undefined && voter) this.#output.send(successor, voter.configurationId, { type: 'TakeOver' });
  }
}
