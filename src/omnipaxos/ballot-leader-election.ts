import { assertNever } from '../base/assert.ts';
import type { Ballot, NodeId } from './ballot.ts';
import { bottomBallot, compareBallots } from './ballot.ts';
import { Candidacy } from './candidacy.ts';
import { checkOptions, checkPeers, checkWhole, nodesProblem } from './configuration.ts';
import type { BallotMessage, BallotPayload, HeartbeatReply, HeartbeatRequest } from './messages.ts';
import type { QuorumSizes } from './quorum.ts';
import { majority, quorumProblem } from './quorum.ts';

/** What the election looks at of the log. An `OmniPaxos` is one. */
export interface ElectionView {
  /** Highest ballot promised. */
  readonly promise: Ballot;
  readonly isLeaderInAcceptPhase: boolean;
}

export interface BallotLeaderElectionOptions {
  readonly configurationId: number;
  readonly pid: NodeId;
  readonly peers: readonly NodeId[];
  /** Higher wins among equals: a whole number; default 0. */
  readonly priority?: number;
  readonly quorum?: QuorumSizes;
  /** `tick()`s of one heartbeat round, which is the election timeout. Default 1. */
  readonly electionTimeoutTicks?: number;
  /** The consensus of this node: without it, promises that the election did not hear of are not followed. */
  readonly paxos?: ElectionView;
  /**
   * True for the one node that led the configuration before, if it goes on in this one: it starts in office, above every
   * other's first ballot, so that a reconfiguration need not cost an election. Ignored where a promise was recovered.
   */
  readonly isIncumbent?: boolean;
  /**
   * The same for the one node that all agree on where the one that led does not go on. Whoever was elected or is incumbent has a higher ballot: however
   * late a successor comes, it unseats nobody.
   */
  readonly isSuccessor?: boolean;
}

/** What was heard of a ballot: one that someone follows, and that someone's own. */
type Heard = Pick<HeartbeatReply, 'leader'> & Partial<Pick<HeartbeatReply, 'ballot'>>;

/** A node's first ballot, if it comes back with no promise; and that of a successor, below all that are taken to lead. */
const firstNumber = 1;
const successorNumber = 2;

/** Heartbeat rounds that a peer must be stranded before its leader takes a higher ballot for it. */
const strandedRoundsMax = 3;

/**
 * Ballot leader election: finds a server that is connected to a quorum even if nobody sees everybody. It needs no log;
 * of the node's consensus it only looks at what is promised, and whether its leader accepts. Rules: PROTOCOL BLE; paper: OmniPaxos, EuroSys 2023, §5.
 */
export class BallotLeaderElection {
  readonly #pid: NodeId;
  readonly #peers: readonly NodeId[];
  readonly #configurationId: number;
  readonly #quorum: QuorumSizes;
  readonly #electionTimeoutTicks: number;
  readonly #paxos: ElectionView | undefined;
  /** The ballot that this node owns. */
  #ballot: Ballot;
  #leader: Ballot;
  #isHappy = false;
  #round = 0;
  #ticks = 0;
  #replies = new Map<NodeId, HeartbeatReply>();
  /** The last round that each peer asked in. */
  readonly #asked = new Map<NodeId, number>();
  /** What replies say, as of the last change. */
  #replied: Pick<HeartbeatReply, 'ballot' | 'leader' | 'happy'>;
  /** How many, this node included, were in reach in the last whole round. */
  #reached = 0;
  /** Who answered in the last whole round; undefined before the first has ended. */
  #answered: ReadonlySet<NodeId> | undefined;
  /** Rounds in a row in which someone who answers was stranded. */
  #strandedRounds = 0;
  readonly #candidacy: Candidacy;
  /** As of the last tick: it leads, with a quorum. */
  #wasInOffice = false;
  /** It came into office in this round: a quorum has promised to follow it since that began. */
  #isNewInOffice = false;
  /** Took over within a round: the owner is told at the next tick, if it did not take it from `handle`. */
  #hasTakenOver = false;
  #outgoing: BallotMessage[] = [];

  /** Throws a RangeError that names the first option that is wrong. */
  constructor(options: BallotLeaderElectionOptions) {
    checkOptions(options);
    const { pid, peers, priority = 0, paxos } = options;
    checkPeers(peers);
    const nodes = [pid, ...peers];
    this.#quorum = options.quorum ?? majority(nodes.length);
    const problem = nodesProblem(nodes) ?? quorumProblem(this.#quorum, nodes.length);
    if (problem) throw new RangeError(problem);
    checkWhole('configurationId', options.configurationId, 0);
    checkWhole('electionTimeoutTicks', options.electionTimeoutTicks ?? 1, 1);
    checkWhole('priority', priority, Number.MIN_SAFE_INTEGER);
    if (paxos !== undefined && typeof paxos.promise?.n !== 'number') {
      throw new RangeError('paxos has no promise: give an OmniPaxos, or { promise, isLeaderInAcceptPhase }');
    }
    this.#pid = pid;
    this.#peers = peers;
    this.#configurationId = options.configurationId;
    this.#electionTimeoutTicks = options.electionTimeoutTicks ?? 1;
    this.#paxos = paxos;
    this.#candidacy = new Candidacy(this.#electionTimeoutTicks);
    const recovered = paxos && compareBallots(paxos.promise, bottomBallot) > 0 ? paxos.promise : undefined;
    // A node that comes back with a promise is never again the leader that it was (mistake 4).
    this.#ballot = { n: recovered ? 0 : firstNumber, priority, pid };
    this.#leader = recovered ?? bottomBallot;
    if (!recovered && (options.isIncumbent || options.isSuccessor)) {
      if (options.isIncumbent) this.#leadAbove([]);
      else this.#leadWith({ ...this.#ballot, n: successorNumber });
      // As of the last round of the configuration before.
      this.#reached = nodes.length;
    }
    this.#replied = { ballot: this.#ballot, leader: this.#leader, happy: this.#isHappy };
    this.#beginRound();
  }

  /** The ballot that this node owns. */
  get ballot(): Ballot {
    return this.#ballot;
  }

  /** The leader that this node follows; the bottom ballot before the first. */
  get leader(): Ballot {
    return this.#leader;
  }

  get isHappy(): boolean {
    return this.#isHappy;
  }

  /** True if `pid` answered in the last whole round, or none has ended yet: a message to it has a chance. */
  isInReach(pid: NodeId): boolean {
    return this.#answered?.has(pid) ?? true;
  }

  /** True if, in the last whole round, so many answered that a leader can have entries decided. */
  get isAcceptQuorumConnected(): boolean {
    return this.#reached >= this.#quorum.accept;
  }

  /**
   * One step of time. At the end of a round, and once this node has taken over, returns the leader, to be given to
   * `OmniPaxos.handleLeader`; else undefined.
   */
  tick(): Ballot | undefined {
    this.#candidacy.tick();
    this.#noticeOffice();
    this.#ticks++;
    const isNews = this.#hasTakenOver;
    this.#hasTakenOver = false;
    if (this.#ticks < this.#electionTimeoutTicks) {
      if (this.#ticks === Math.ceil(this.#electionTimeoutTicks / 2)) this.#askSilent();
      return isNews ? this.#leader : undefined;
    }
    this.#ticks = 0;
    return this.#endRound();
  }

  /**
   * Takes in a message. One of another configuration or round is ignored; a sender counts once a round. Returns the leader
   * if this made it the node itself, so that `OmniPaxos.handleLeader` need not wait for the next tick; else undefined.
   */
  handle(message: BallotMessage): Ballot | undefined {
    const { from, payload } = message;
    if (message.configurationId !== this.#configurationId || message.to !== this.#pid) return undefined;
    if (!this.#peers.includes(from)) return undefined;
    switch (payload.type) {
      case 'HeartbeatRequest':
        return this.#onRequest(from, payload);
      case 'HeartbeatReply':
        return this.#onReply(from, payload);
      default:
        return assertNever(payload, 'message');
    }
  }

  /**
   * Takes the lead at once, above every ballot known here: the leader asked for it, for it stops or its disk is slow. Give the ballot
   * to `OmniPaxos.handleLeader`. The others follow as soon as they have promised it. Undefined if this node reached too few in the
   * last whole round to lead: the lead would only come back, a change or two later.
   */
  takeOver(): Ballot | undefined {
    if (this.#answered && !this.#isQuorumConnected) return undefined;
    return this.leadAgain();
  }

  /**
   * The same, whoever is in reach, for a node that leads: until a quorum has promised the new ballot it is in office no more, and its log
   * may change. Give the ballot to `OmniPaxos.handleLeader`.
   */
  leadAgain(): Ballot {
    const promised = this.#paxos ? [{ leader: this.#paxos.promise }] : [];
    this.#leadAbove(promised);
    return this.#leader;
  }

  /** Messages to send now. They never wait for a disk. */
  getOutgoingMsgs(): BallotMessage[] {
    const taken = this.#outgoing;
    this.#outgoing = [];
    return taken;
  }

  /** Who started in office may have been alone for its first round, and have said that it is unhappy: a quorum follows it now. */
  #noticeOffice(): void {
    const isInOffice = this.#paxos?.isLeaderInAcceptPhase ?? false;
    const comes = isInOffice && !this.#wasInOffice;
    this.#wasInOffice = isInOffice;
    if (!comes || compareBallots(this.#leader, this.#ballot) !== 0) return;
    this.#isNewInOffice = true;
    if (this.#isHappy) return;
    this.#isHappy = true;
    this.#candidacy.settle();
    this.#replyAgain();
  }

  #endRound(): Ballot {
    const replies = [...this.#replies.values()];
    this.#reached = replies.length + 1;
    this.#answered = new Set(this.#replies.keys());
    this.#followHighestBallot(replies);
    const leads = compareBallots(this.#leader, this.#ballot) === 0;
    this.#isHappy = this.#isContentWith(replies) || (leads && this.#isNewInOffice);
    this.#isNewInOffice = false;
    if (this.#isHappy) this.#candidacy.settle();
    this.#candidacy.withdraw();
    this.#takeInStranded(replies);
    this.#beginRound(this.#mayTakeOver(replies) ? this.#ballotAbove(replies) : undefined);
    this.#followPromise();
    this.#replyAgain();
    return this.#leader;
  }

  /** A round begins elsewhere, or someone stands in it. */
  #onRequest(from: NodeId, { round, stands }: HeartbeatRequest): undefined {
    // A request of this node may have come before the other was there, such as that of a leader that goes on in a new configuration.
    if (!this.#asked.has(from) && !this.#replies.has(from)) this.#askOne(from, this.#candidacy.ballot);
    const isNewRound = this.#asked.get(from) !== round;
    this.#asked.set(from, round);
    const stood = this.#candidacy.ballot !== undefined;
    const isYielding = stands !== undefined && this.#mayYieldTo(stands) && this.#candidacy.yields(from, stands);
    this.#reply(from, round, isYielding ? stands : undefined);
    // What was yielded to it counted in the round before only.
    if (!isYielding && (stands === undefined || isNewRound)) this.#onReleased(from);
    if (!isYielding && stands !== undefined) this.#tellOf(stands);
    // Those who yielded to this node are free to yield to the other one.
    if (stood && isYielding) this.#ask();
  }

  /** Another stands, with a higher ballot than the node that this one has let go first, which maybe cannot see that. */
  #tellOf(stands: Ballot): void {
    const first = this.#mayYieldTo(stands) ? this.#candidacy.yieldedBelow(stands) : undefined;
    const round = first && this.#asked.get(first);
    if (first !== undefined && round !== undefined) this.#reply(first, round, stands);
  }

  /** It does not need what this node yielded to it. */
  #onReleased(from: NodeId): void {
    const next = this.#candidacy.release(from);
    const round = next && this.#asked.get(next.pid);
    if (next && round !== undefined && this.#mayYieldTo(next.ballot)) this.#reply(next.pid, round, next.ballot);
  }

  #mayYieldTo(stands: Ballot): boolean {
    return !this.#isHappy && compareBallots(stands, this.#leader) > 0;
  }

  /** One reply of each counts, the latest. */
  #onReply(from: NodeId, reply: HeartbeatReply): Ballot | undefined {
    if (reply.round !== this.#round) return undefined;
    this.#replies.set(from, reply);
    // It took over: followed at once, so that nobody who asks here takes over as well.
    const leads = reply.happy && compareBallots(reply.leader, reply.ballot) === 0;
    if (leads && compareBallots(reply.ballot, this.#leader) > 0) return this.#followNew(reply.ballot);
    if (!reply.happy) this.#noticeUnhappiness(from);
    else if (this.#candidacy.ballot) {
      this.#candidacy.withdraw();
      // Those who yielded to this node are free to yield to another.
      this.#ask();
    }
    if (reply.yieldsTo === undefined) return this.#standEarly();
    if (this.#candidacy.onYield(from, reply.yieldsTo) >= this.#quorumToLead) return this.#takeOver();
    // Those who yielded to this node are free to yield to the higher one.
    if (this.#candidacy.giveWay(reply.yieldsTo)) this.#ask();
    return this.#standEarly();
  }

  /**
   * Its leader, or the last of those who answered in the round before, has become unhappy: what it would find at the end of this round. From one to the next
   * unhappiness would take a round each, where one is content with another's leader, that one with a third's.
   */
  #noticeUnhappiness(from: NodeId): void {
    if (!this.#isHappy || this.#isNewInOffice) return;
    if (from !== this.#leader.pid && !this.#haveAllAnswered) return;
    if (this.#isContentWith([...this.#replies.values()])) return;
    this.#isHappy = false;
    this.#replyAgain();
  }

  #followNew(leader: Ballot): undefined {
    this.#leader = leader;
    this.#isHappy = true;
    this.#candidacy.settle();
    this.#replyAgain();
  }

  /** Rule 3: unhappy, and so is everyone who replied, and they are a quorum. */
  #mayTakeOver(replies: readonly HeartbeatReply[]): boolean {
    const isQuorum = replies.length + 1 >= this.#quorumToLead;
    return !this.#isHappy && isQuorum && replies.every((reply) => !reply.happy) && !this.#candidacy.hasYielded;
  }

  /** The last of those who answered in the round before has become unhappy: no need to wait for the end of this one. */
  #standEarly(): Ballot | undefined {
    if (this.#isHappy || this.#candidacy.ballot || !this.#isQuorumConnected || !this.#haveAllAnswered) return undefined;
    const replies = [...this.#replies.values()];
    return this.#mayTakeOver(replies) ? this.#stand(this.#ballotAbove(replies)) : undefined;
  }

  /** All who answered in the last whole round have in this one. */
  get #haveAllAnswered(): boolean {
    if (!this.#answered) return false;
    for (const pid of this.#answered) if (!this.#replies.has(pid)) return false;
    return true;
  }

  /** Asks the others to let this node take over. Alone it need not ask. */
  #stand(stands: Ballot): Ballot | undefined {
    if (this.#quorumToLead === 1) return this.#takeOver();
    this.#candidacy.stand(stands);
    this.#ask(stands);
    return undefined;
  }

  #takeOver(): Ballot {
    this.#leadAbove([...this.#replies.values()]);
    this.#hasTakenOver = true;
    this.#replyAgain();
    return this.#leader;
  }

  /**
   * What was answered in a round that goes on elsewhere may hold no more. Left so, two nodes would take over on the same old answers, one
   * after the other, and unhappiness would need a round more to reach the one that can mend it (a fifth election timeout).
   */
  #replyAgain(): void {
    const before = this.#replied;
    const isSame =
      before.happy === this.#isHappy &&
      compareBallots(before.ballot, this.#ballot) === 0 &&
      compareBallots(before.leader, this.#leader) === 0;
    if (isSame) return;
    this.#replied = { ballot: this.#ballot, leader: this.#leader, happy: this.#isHappy };
    for (const [peer, round] of this.#asked) this.#reply(peer, round);
  }

  /**
   * In reach of both quorums: who reaches a prepare quorum only could recover a log and decide nothing with it, and two of
   * those would unseat each other for ever.
   */
  get #isQuorumConnected(): boolean {
    return this.#reached >= this.#quorumToLead;
  }

  get #quorumToLead(): number {
    return Math.max(this.#quorum.prepare, this.#quorum.accept);
  }

  /** Only ballots of those who answered themselves: what others heard of is not passed on (mistake 5). */
  #followHighestBallot(replies: readonly HeartbeatReply[]): void {
    for (const { ballot } of replies) {
      if (compareBallots(ballot, this.#leader) > 0) this.#leader = ballot;
    }
  }

  #isContentWith(replies: readonly HeartbeatReply[]): boolean {
    const leader = this.#leader;
    // Nobody leads with a first ballot. Content with one, a node would hold those back who can be elected, for rounds.
    if (leader.n <= firstNumber) return false;
    if (compareBallots(leader, this.#ballot) !== 0) {
      return replies.some((reply) => compareBallots(reply.ballot, leader) === 0 && reply.happy && isHeld(reply));
    }
    const followers = replies.filter((reply) => compareBallots(reply.leader, this.#ballot) <= 0).length;
    const needed = this.#paxos?.isLeaderInAcceptPhase ? this.#quorum.accept : this.#quorum.prepare;
    if (followers + 1 >= needed) return true;
    return replies.some((reply) => compareBallots(reply.leader, this.#ballot) > 0 && reply.happy);
  }

  /**
   * A peer that promised a ballot above mine, whose owner it cannot reach (or is dead), can follow nobody while the rest is
   * happy with me. If I am in office, with a majority that follows me or everyone in reach, I go on under a ballot above that one. With
   * stable links it happens once: only one node can have such a majority, and then nobody who answers it follows higher. (Everyone in
   * reach: an accept quorum may be less than a majority, and then a leader may go on without one. So it may with an accept quorum that follows it, if that
   * and those who are stranded are enough to lead: any two such sets share a node, and it follows the higher of two leaders, and is happy.)
   */
  #takeInStranded(replies: readonly HeartbeatReply[]): void {
    const stranded = replies.filter((reply) => compareBallots(reply.leader, this.#ballot) > 0 && !reply.happy);
    const followers = replies.filter((reply) => compareBallots(reply.leader, this.#ballot) === 0).length;
    const isFollowedByMajority = followers + 1 > (this.#peers.length + 1) / 2;
    const areEnough = followers + 1 >= this.#quorum.accept && followers + 1 + stranded.length >= this.#quorumToLead;
    const isSafe = isFollowedByMajority || areEnough || replies.length === this.#peers.length;
    const inOffice = compareBallots(this.#leader, this.#ballot) === 0 && isSafe && this.#isQuorumConnected;
    this.#strandedRounds = inOffice && stranded.length > 0 ? this.#strandedRounds + 1 : 0;
    if (this.#strandedRounds < strandedRoundsMax) return;
    this.#strandedRounds = 0;
    this.#leadAbove(stranded);
  }

  #leadAbove(unhappy: readonly Heard[]): void {
    this.#leadWith(this.#ballotAbove(unhappy));
  }

  #leadWith(ballot: Ballot): void {
    this.#ballot = ballot;
    this.#leader = ballot;
    this.#isHappy = true;
    this.#candidacy.settle();
  }

  /** Above what unhappy repliers own and follow too, or they could not follow me. When to take over does not depend on it. */
  #ballotAbove(unhappy: readonly Heard[]): Ballot {
    let n = Math.max(this.#leader.n, this.#ballot.n, successorNumber);
    for (const { ballot, leader } of unhappy) n = Math.max(n, leader.n, ballot?.n ?? 0);
    return { ...this.#ballot, n: n + 1 };
  }

  #followPromise(): void {
    const promise = this.#paxos?.promise;
    if (!promise || compareBallots(promise, this.#leader) <= 0) return;
    this.#leader = promise;
    if (promise.pid === this.#pid) this.#ballot = promise;
  }

  /**
   * Who stands on says so with its first request. If it withdrew in between, those it asks would let another go first, in turns: two that stand at
   * nearly the same time could each have a part of the yields, in each round the other part, for as long as delays are alike.
   */
  #beginRound(stands?: Ballot): void {
    this.#replies = new Map();
    this.#round++;
    if (stands === undefined) this.#ask();
    else this.#stand(stands);
  }

  #ask(stands?: Ballot): void {
    for (const peer of this.#peers) this.#askOne(peer, stands);
  }

  /** In the middle of a round: who has not answered is asked once more, or one lost message could cost a leader its office. */
  #askSilent(): void {
    for (const peer of this.#peers) if (!this.#replies.has(peer)) this.#askOne(peer, this.#candidacy.ballot);
  }

  #askOne(peer: NodeId, stands: Ballot | undefined): void {
    this.#send(peer, { type: 'HeartbeatRequest', round: this.#round, ...(stands && { stands }) });
  }

  #reply(to: NodeId, round: number, yieldsTo?: Ballot): void {
    const state = { ballot: this.#ballot, leader: this.#leader, happy: this.#isHappy };
    this.#send(to, { type: 'HeartbeatReply', round, ...state, ...(yieldsTo && { yieldsTo }) });
  }

  #send(to: NodeId, payload: BallotPayload): void {
    this.#outgoing.push({ from: this.#pid, to, configurationId: this.#configurationId, payload });
  }
}

/**
 * False if the owner of the ballot follows a lower one, as before its first election: it does not lead with it. Each content with such a one,
 * some could be so in a circle, with nobody leading; otherwise ballots would have to grow all the way round.
 */
function isHeld({ ballot, leader }: HeartbeatReply): boolean {
  return compareBallots(leader, ballot) >= 0;
}
