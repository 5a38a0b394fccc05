import { formatBytes } from '../../base/byte-size.ts';
import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import { Log } from '../../omnipaxos/log.ts';
import type { LackOfRoom } from '../../wire/client-message.ts';
import type { Cuts, DonorStanding, LogSegment, SnapshotOffer, StateChunk } from '../../wire/peer-message.ts';
import type { CatchUp } from '../catch-up/catch-up.ts';
import type { LogStore } from '../log-store.ts';
import type { Output } from '../output.ts';
import type { Space, StateRoom } from '../state/space.ts';
import type { StateKeeper } from '../state/state-keeper.ts';
import type { Voter } from '../voter.ts';
import type { Membership } from './membership.ts';
import type { Peers } from './peers.ts';

/** What a donor gives. */
export type DonorAnswer = DonorStanding | LogSegment | SnapshotOffer | Cuts | StateChunk;

/** What a recipient works with: the parts of its node, each of which the node has one of. */
export interface RecipientParts {
  readonly membership: Membership;
  readonly keeper: StateKeeper;
  readonly machine: KvStateMachine;
  readonly store: LogStore;
  readonly peers: Peers;
  readonly space: Space;
  readonly output: Output;
}

/**
 * This node as one who lacks what is decided and takes it from donors, while {@link CatchUpControl} has it catch up: what it asks for and is given, and how a
 * state that is complete becomes its own.
 */
export class Recipient {
  readonly #membership: Membership;
  readonly #keeper: StateKeeper;
  readonly #machine: KvStateMachine;
  readonly #store: LogStore;
  readonly #peers: Peers;
  readonly #space: Space;
  readonly #output: Output;

  constructor(parts: RecipientParts) {
    this.#membership = parts.membership;
    this.#keeper = parts.keeper;
    this.#machine = parts.machine;
    this.#store = parts.store;
    this.#peers = parts.peers;
    this.#space = parts.space;
    this.#output = parts.output;
  }

  /** To be called in every turn: asks those who are linked now for what is lacking, and has a state installed once it is complete. */
  advance(): void {
    const { catchUp } = this.#membership;
    if (catchUp === undefined) return;
    // What is being installed must not be dropped for the rows of another snapshot.
    if (!this.#keeper.isInstalling) this.#ask(catchUp);
    this.#installComplete(catchUp);
  }

  /** A donor answered; `configurationId` is the one that it had taken up then. */
  receive(from: NodeId, configurationId: number, answer: DonorAnswer): void {
    const { catchUp } = this.#membership;
    if (catchUp === undefined) return;
    switch (answer.type) {
      case 'DonorStanding':
        return catchUp.onStanding(from, answer);
      case 'LogSegment':
        return catchUp.onLogSegment(from, answer, this.#membership.configurationId);
      case 'SnapshotOffer':
        return catchUp.onSnapshotOffer(from, answer);
      case 'Cuts':
        return catchUp.onCuts(from, answer);
      case 'StateChunk':
        return this.#onStateChunk(catchUp, from, configurationId, answer);
    }
  }

  /**
   * The space was measured. Rows that nobody goes on with make room for a checkpoint that waits for some; and those that nobody can go on with, since all of
   * their index is applied, in any case where there is none: a full member keeps the cluster from taking puts, and then nothing need wait.
   */
  onSpace(): void {
    const { isOver, isWaiting } = this.#room;
    if (!isOver || this.#membership.catchUp?.isTakingState === true) return;
    this.#keeper.dropHalfTaken(isWaiting ? Number.POSITIVE_INFINITY : this.#machine.appliedIndex);
  }

  /** The rows of a snapshot at `index`, which were complete, are this node's state. */
  onStateInstalled(index: number): void {
    this.#keeper.onInstalled();
    this.#membership.onStateInstalled(index, this.#machine.configuration);
    const { catchUp, voter } = this.#membership;
    if (catchUp) catchUp.onInstalled(index);
    // Whoever asked for it has moved on meanwhile; the log must still begin where the state ends.
    else if (voter) voter.paxos.installState(index);
    else new Log(this.#store, 0).installState(index);
  }

  /** To be called on every tick of a node that votes. A state that was installed while it led could not be told to its log then. */
  tellLog(voter: Voter): void {
    const { appliedIndex } = this.#machine;
    const isAhead = appliedIndex > this.#store.state.decidedIndex && !this.#keeper.isInstalling;
    if (isAhead && !voter.paxos.isLeaderInAcceptPhase) voter.paxos.installState(appliedIndex);
  }

  #ask(catchUp: CatchUp): void {
    for (const id of catchUp.takeCorruptDonors()) this.#output.notice('warn', describeDamage(id));
    const requests = catchUp.requests(this.#peers.ids(), this.#room);
    const lack = catchUp.takeLackOfRoom();
    if (lack) this.#output.notice('warn', describeLack(lack));
    const { configurationId } = this.#membership;
    for (const { to, payload } of requests) this.#output.send(to, configurationId, payload);
  }

  /** A state is installed behind the checkpoint that is under way: where that waits for room, there is none for the state. */
  get #room(): StateRoom {
    const { stateRoom } = this.#space;
    return { ...stateRoom, isWaiting: stateRoom.isWaiting && this.#keeper.isCheckpointing };
  }

  #onStateChunk(catchUp: CatchUp, from: NodeId, configurationId: number, chunk: StateChunk): void {
    // A state from behind a StopSign that this node was not told of must not become that of a voter.
    if (configurationId > this.#membership.newestIdToldOf) return;
    // A snapshot that is being installed must not be mixed with another one's rows.
    if (this.#keeper.isInstalling) return;
    catchUp.onStateChunk(from, chunk);
    this.#installComplete(catchUp);
  }

  /**
   * Not behind a checkpoint: should that find no room, it would wait for what the rows take, and the install for it. So it either ends soon, or is seen
   * to wait, and the state is given up.
   */
  #installComplete(catchUp: CatchUp): void {
    if (this.#keeper.isCheckpointing) {
      if (catchUp.hasWholeState) this.#keeper.hurryCheckpoint();
      return;
    }
    const index = catchUp.takeComplete();
    if (index === undefined) return;
    if (index <= this.#machine.appliedIndex) return catchUp.abandonState();
    this.#keeper.install(index);
  }
}

function describeDamage(id: NodeId): string {
  return `what node ${id} gave to catch up with does not fit its checksum and was dropped: others are asked first`;
}

function describeLack({ neededBytes, roomBytes }: LackOfRoom): string {
  const needed = formatBytes(neededBytes);
  const room = formatBytes(roomBytes);
  return (
    `no room for the state that is to be caught up with: it takes about ${needed} beside the present one, and ${room} are left: ` +
    'give this node more room, delete keys, or replace it'
  );
}
