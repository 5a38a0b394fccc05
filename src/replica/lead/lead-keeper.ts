import type { NodeId } from '../../omnipaxos/ballot.ts';
import { majority, type QuorumSizes } from '../../omnipaxos/quorum.ts';
import type { Output } from '../output.ts';
import type { Voter } from '../voter.ts';
import { DecisionWatch } from './decision-watch.ts';
import { LeadHandover } from './lead-handover.ts';
import { SlownessWatch } from './slowness-watch.ts';

/**
 * A flush is slow from this share of an election timeout on. Who takes over writes twice before it leads, one after the other
 * (its own Prepare, a promise elsewhere): with slower disks that takes longer than the time in which a leader is to be replaced.
 */
const slowFlushShare = 0.5;
/** Milliseconds of the last 10 s that slow flushes must have taken for the disk to be slow, and to be quick again. */
const slowDisk = { slowFromMs: 1500, quickBelowMs: 500 };
/** So many times as long as for a disk a leader keeps from handing the lead on because of its links: those of all may be as slow, and nobody knows but by trying. */
const linksPauses = 10;
/** Election timeouts that a node has to take over when asked. */
const takeOverTimeouts = 2;
/** The same where links are slow. */
const takeOverTimeoutsSlow = 5;
/** Election timeouts in which a new leader has to come into office, if its disk is what it waits for, or room for a state. */
const prepareTimeoutsUnfit = 4;

/** Timing, and what the keeper goes by. */
export interface LeadView {
  readonly voter: Voter | undefined;
  readonly tick: number;
  readonly nowMs: number;
  readonly electionTimeoutTicks: number;
  readonly handoverPauseTicks: number;
  readonly prepareTimeouts: number;
  readonly tickMs: number;
  readonly isConnected: (nodeId: NodeId) => boolean;
  /** It has no room for a state that it needs. */
  readonly lacksRoomForState: boolean;
}

function newHandover({ electionTimeoutTicks, handoverPauseTicks }: LeadView): LeadHandover {
  return new LeadHandover(takeOverTimeouts * electionTimeoutTicks, handoverPauseTicks);
}

function newLinksHandover({ electionTimeoutTicks, handoverPauseTicks }: LeadView): LeadHandover {
  return new LeadHandover(takeOverTimeoutsSlow * electionTimeoutTicks, linksPauses * handoverPauseTicks);
}

/** Gives the lead to another node where this one is not fit for it: its disk or its links are slow, or it stops. */
export class LeadKeeper {
  readonly #output: Output;
  readonly #view: LeadView;
  readonly #diskWatch: SlownessWatch;
  readonly #decisionWatch: DecisionWatch;
  #handover: LeadHandover;
  readonly #linksHandover: LeadHandover;
  /** When it was asked to lead last, and did. */
  #tookOverTick = Number.NEGATIVE_INFINITY;
  /** Since this node was elected, without being in office yet. */
  #preparingTicks = 0;
  #isStopping = false;

  constructor(output: Output, view: LeadView) {
    const { electionTimeoutTicks, tickMs } = view;
    this.#output = output;
    this.#view = view;
    const electionTimeoutMs = electionTimeoutTicks * tickMs;
    this.#diskWatch = new SlownessWatch({ slowMs: electionTimeoutMs * slowFlushShare, ...slowDisk });
    // With disks that are not slow, an entry waits for one flush and for its own, which is no more than that.
    this.#decisionWatch = new DecisionWatch(2 * electionTimeoutMs * slowFlushShare, tickMs);
    this.#handover = newHandover(view);
    this.#linksHandover = newLinksHandover(view);
  }

  /** A flush of the log is done. */
  onFlushed(durationMs: number, bytes: number): void {
    this.#diskWatch.took(durationMs, bytes);
  }

  /** This node stops. Whoever is to lead next need not wait for an election timeout, and clients hardly notice. */
  onStopping(): void {
    this.#isStopping = true;
    // Who was asked because of the disk is asked again.
    this.#handover = newHandover(this.#view);
    if (this.#inOffice) this.#handOver('');
  }

  /** This node leads, and another could take the lead over: one that stops should wait for it. */
  get canBeSucceeded(): boolean {
    return this.#inOffice && this.#successor() !== undefined;
  }

  get #inOffice(): boolean {
    return this.#view.voter?.paxos.isLeaderInAcceptPhase === true;
  }

  /** This node votes, and so few of the others have a link with it that nothing can be decided through it. */
  get isCutOff(): boolean {
    const { voter, isConnected } = this.#view;
    return voter !== undefined && inReach(voter, lostMembers(voter, isConnected)) < quorumOf(voter).accept;
  }

  /**
   * To be called on every tick; see {@link SlownessWatch.tick}. A leader whose disk stays slow asks another to lead: heartbeats know
   * nothing of disks, and nobody else would notice.
   */
  tick(flushingMs: number, flushingBytes: number): void {
    const wasSlow = this.#diskWatch.isSlow;
    this.#diskWatch.tick(this.#view.nowMs, flushingMs, flushingBytes);
    const { isSlow } = this.#diskWatch;
    if (isSlow && !wasSlow) this.#output.notice('warn', 'the disk is slow: most flushes of the log take too long');
    if (wasSlow && !isSlow) this.#output.notice('info', 'the disk is quick again');
    const isUnfit = isSlow || this.#isStopping;
    const inOffice = this.#inOffice;
    const isStuck = this.#isStuck(flushingMs);
    if (isUnfit && inOffice) this.#handOver('because of its slow disk this node');
    else if (isStuck) this.#handOver('this node was elected and does not get as far as to lead: it');
    else this.#handover.rest();
    this.#lookAtLinks(inOffice && !isUnfit);
  }

  /** Heartbeats do not wait behind what is written, so they tell as little of slow links as of disks. `isFit` to lead, but for these. */
  #lookAtLinks(isFit: boolean): void {
    const { voter, tick, isConnected, handoverPauseTicks } = this.#view;
    this.#decisionWatch.tick(isFit ? voter?.paxos : undefined, tick);
    // With just as many as it takes, all that is decided takes the same links, whoever leads.
    const hasChoice = voter !== undefined && inReach(voter, lostMembers(voter, isConnected)) > quorumOf(voter).accept;
    // A change of the lead is dear where all links are slow: one that was asked to lead tries for a while.
    const isNew = tick - this.#tookOverTick < handoverPauseTicks;
    if (!isFit || !hasChoice || isNew || !this.#decisionWatch.isSlow) this.#linksHandover.rest();
    else if (this.#decisionWatch.isWaiting) {
      this.#handOver(
        'what this node leads takes long to be decided, though its disk is quick: it',
        this.#linksHandover,
      );
    }
  }

  /** Those who elected it wait for it as long as they hear it, be it for its disk or for a state that it has no room for. */
  #isStuck(flushingMs: number): boolean {
    const paxos = this.#view.voter?.paxos;
    const isPreparing = paxos?.isLeader === true && paxos.phase === 'prepare';
    this.#preparingTicks = isPreparing ? this.#preparingTicks + 1 : 0;
    const { electionTimeoutTicks, prepareTimeouts, tickMs, lacksRoomForState } = this.#view;
    const isUnfit = lacksRoomForState || flushingMs >= electionTimeoutTicks * tickMs * slowFlushShare;
    return this.#preparingTicks > (isUnfit ? prepareTimeoutsUnfit : prepareTimeouts) * electionTimeoutTicks;
  }

  /** The leader asks this node to lead. One that stops, or whose disk is slow as well, is no better, nor one that asks nobody to follow it now. */
  onTakeOver(from: NodeId, configurationId: number): void {
    const { voter } = this.#view;
    if (voter?.configurationId !== configurationId || !voter.follows(from)) return;
    if (this.#isStopping || this.#diskWatch.isSlow || voter.isAway) return;
    this.#tookOverTick = this.#view.tick;
    voter.takeOver();
  }

  /** Asks one node after the other, each once in a while. `who`: this node, with the reason, for people. */
  #handOver(who: string, handover = this.#handover): void {
    const { voter, tick } = this.#view;
    const successor = handover.next(tick, (asked) => this.#successor(asked));
    if (successor === undefined || !voter) return;
    if (!this.#isStopping) this.#output.notice('warn', `${who} asks node ${successor} to lead`);
    // Where links are slow it would come when it is too late. One that stops is to be followed with all that it has.
    if (handover === this.#linksHandover) {
      this.#output.sendUrgently(successor, voter.configurationId, { type: 'TakeOver' });
    } else this.#output.send(successor, voter.configurationId, { type: 'TakeOver' });
  }

  /** Who has the most of those that hear this node, where enough do to elect one of them. */
  #successor(asked: ReadonlySet<NodeId> = new Set()): NodeId | undefined {
    const { voter, isConnected } = this.#view;
    if (!voter) return undefined;
    const lost = lostMembers(voter, isConnected);
    if (inReach(voter, lost) < quorumOf(voter).prepare) return undefined;
    return voter.paxos.furthestFollower(new Set([...asked, ...lost]));
  }
}

function quorumOf({ configuration: { members, quorum } }: Voter): QuorumSizes {
  return quorum ?? majority(members.length);
}

/** Members that this node has no link with. */
function lostMembers({ configuration, paxos }: Voter, isConnected: LeadView['isConnected']): NodeId[] {
  return configuration.members.map(({ id }) => id).filter((id) => id !== paxos.pid && !isConnected(id));
}

function inReach({ configuration }: Voter, lost: readonly NodeId[]): number {
  return configuration.members.length - lost.length;
}
