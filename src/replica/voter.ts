import type { Configuration } from '../cluster/configuration.ts';
import type { Ballot, NodeId } from '../omnipaxos/ballot.ts';
import { BallotLeaderElection } from '../omnipaxos/ballot-leader-election.ts';
import type { BallotMessage, BallotPayload, PaxosMessage, PaxosPayload } from '../omnipaxos/messages.ts';
import { OmniPaxos, type ProposeResult } from '../omnipaxos/omnipaxos.ts';
import type { PeerMessage } from '../wire/peer-message.ts';
import type { LogStore } from './log-store.ts';
import type { Incumbency } from './membership/incumbent.ts';
import type { ReplicaSettings } from './settings.ts';

/** Read ids of one incarnation of a directory: far apart, so that no answer to an earlier life is taken for one to this. */
const readIdsPerIncarnation = 2 ** 33;
const incarnationsMax = 2 ** 19;

/** This node's vote in one configuration: its consensus and its election. */
export class Voter {
  readonly configuration: Configuration;
  readonly #paxos: OmniPaxos<Uint8Array>;
  readonly #election: BallotLeaderElection;
  /** True: it asks nobody for a promise. */
  isAway = false;

  /** `incumbency`: this node starts in office. */
  constructor(
    configuration: Configuration,
    nodeId: NodeId,
    store: LogStore,
    settings: ReplicaSettings,
    incumbency: Incumbency | undefined,
  ) {
    this.configuration = configuration;
    const { configurationId, startIndex, members, quorum } = configuration;
    const peers = members.map((member) => member.id).filter((id) => id !== nodeId);
    const common = { configurationId, pid: nodeId, peers, ...(quorum && { quorum }) };
    this.#paxos = new OmniPaxos<Uint8Array>({
      ...common,
      store,
      startIndex,
      resendTicks: settings.resendTicks,
      sizeOf: (command) => command.length,
      messageSizeMax: settings.messageBytesMax,
      syncSizeMax: settings.syncBytesMax,
      syncEntriesMax: settings.syncEntriesMax,
      undecidedSizeMax: settings.undecidedBytesMax,
      firstReadId: 1 + (store.incarnation % incarnationsMax) * readIdsPerIncarnation,
    });
    this.#election = new BallotLeaderElection({
      ...common,
      priority: settings.priority,
      electionTimeoutTicks: settings.electionTimeoutTicks,
      paxos: this.#paxos,
      isIncumbent: incumbency === 'incumbent',
      isSuccessor: incumbency === 'successor',
    });
    if (incumbency) this.#paxos.handleLeader(this.#election.leader);
    // It may be late.
    if (incumbency === 'successor') this.#paxos.requestPrepare();
  }

  get paxos(): OmniPaxos<Uint8Array> {
    return this.#paxos;
  }

  get configurationId(): number {
    return this.configuration.configurationId;
  }

  /** The ballot followed; undefined before the first. */
  get leader(): Ballot | undefined {
    return this.#paxos.currentLeader;
  }

  /** True if this node follows `nodeId`, or will once that one has prepared it. */
  follows(nodeId: NodeId): boolean {
    return this.leader?.pid === nodeId || this.#election.leader.pid === nodeId;
  }

  tick(): void {
    const leader = this.#election.tick();
    if (leader) this.#paxos.handleLeader(leader);
    this.#paxos.tick();
  }

  handle(from: NodeId, to: NodeId, message: PeerMessage): void {
    const { configurationId, payload } = message;
    // No copy by spreading: V8 makes a new shape for each, 220 bytes of old memory a message.
    if (payload.type === 'HeartbeatRequest' || payload.type === 'HeartbeatReply') {
      const leader = this.#election.handle({ from, to, configurationId, payload });
      if (leader) this.#paxos.handleLeader(leader);
    } else {
      this.#paxos.handle({ from, to, configurationId, payload: payload as PaxosPayload<Uint8Array> });
    }
  }

  /** Takes the lead at once, as the leader asked. */
  takeOver(): void {
    const leader = this.#election.takeOver();
    if (leader) this.#paxos.handleLeader(leader);
  }

  /** As a leader it goes out of office, by a new ballot that it asks nobody to promise while it {@link isAway}. */
  goAway(): void {
    this.isAway = true;
    this.#paxos.handleLeader(this.#election.leadAgain());
  }

  /**
   * True if a proposal or read has a chance now: this node leads and reached a quorum in the last round, or it follows a
   * leader that `isConnected` and answers heartbeats. Else it is better held back, and reported as not applied when its time is over.
   */
  canReachLeader(isConnected: (nodeId: NodeId) => boolean): boolean {
    const leader = this.leader;
    if (!leader || this.#paxos.isStopped) return false;
    if (leader.pid !== this.#paxos.pid) return isConnected(leader.pid) && this.#election.isInReach(leader.pid);
    return this.#paxos.isLeaderInAcceptPhase && this.#election.isAcceptQuorumConnected;
  }

  propose(command: Uint8Array): ProposeResult {
    return this.#paxos.proposeNormal(command);
  }

  outgoing(): (PaxosMessage<Uint8Array> | BallotMessage)[] {
    let messages: (PaxosMessage<Uint8Array> | BallotMessage)[] = this.#paxos.getOutgoingMsgs();
    if (this.isAway) messages = messages.filter(({ payload }) => payload.type !== 'Prepare');
    const heartbeats: { readonly payload: BallotPayload }[] = this.#election.getOutgoingMsgs();
    return heartbeats.length === 0 ? messages : messages.concat(heartbeats as BallotMessage[]);
  }
}
