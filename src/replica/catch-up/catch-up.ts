import type { StateStore } from '../../kv/state-store.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { CatchUpStatus, LackOfRoom } from '../../wire/client-message.ts';
import type { Cuts, DonorStanding, LogSegment, SnapshotOffer, StateChunk } from '../../wire/peer-message.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { StateRoom } from '../state/space.ts';
import { Alignment } from './alignment.ts';
import type { Answer } from './donor.ts';
import { bytesOf } from './donor.ts';
import { Donors } from './donors.ts';
import { type DecidedSink, LogTransfer } from './log-transfer.ts';
import { type RoomAttempt, RoomForState } from './room-for-state.ts';
import { StateTransfer } from './state-transfer.ts';
import { Striping } from './striping.ts';

/**
 * - `plan`: asks all who are linked what they have.
 * - `align`: what follows is trimmed everywhere; has the donors hold a snapshot of one index.
 * - `state`: pulls that snapshot from all who hold it.
 * - `install`: it is complete and being made the state.
 * - `log`: pulls decided entries from all who have them.
 */
type Stage =
  | { readonly name: 'plan'; ticks: number; readonly heard: Set<NodeId> }
  | { readonly name: 'align'; readonly alignment: Alignment }
  | {
      readonly name: 'state';
      readonly transfer: StateTransfer;
      readonly attempt: RoomAttempt;
    }
  | { readonly name: 'install'; readonly index: number }
  | { readonly name: 'log'; readonly transfer: LogTransfer };

/** Ticks in which donors answer what they have, before those that have are enough. */
const planTicks = 5;
/** Ticks between questions to donors of what they have, while it is not known or may be old. */
const queryTicks = 5;
/** Most times that the goal is moved to what was decided meanwhile. */
const chasesMax = 5;
/** Donors' timeouts without a step forward after which what cannot be had is waited for no longer. */
const idleTimeouts = 2;

/**
 * Catching up: a node that lacks decided entries pulls them, or state where they are trimmed, from all nodes that have them, in
 * parallel. State always moves this way (PROTOCOL: Trim, snapshot, catch-up). Who does not answer in time is passed over for a
 * while and its share goes to others; the leader is asked for no more than its share.
 */
export class CatchUp {
  readonly #sink: DecidedSink;
  readonly #stateStore: StateStore;
  readonly #settings: ReplicaSettings;
  readonly #donors: Donors;
  readonly #striping: Striping;
  readonly #room: RoomForState;
  readonly #fromIndex: number;
  /** What its owner needs; and what it aims at, which may be what was decided meanwhile. */
  #neededIndex: number;
  #targetIndex: number;
  /** Ticks in which nothing more was decided here, though nothing else was under way. */
  #idleTicks = 0;
  #idleAtIndex = 0;
  #stage: Stage = { name: 'plan', ticks: 0, heard: new Set() };
  #queryPatience = 0;
  #needsState = false;
  #decidedElsewhere = 0;
  /** Who gave what does not fit its checksum, since that was told last. */
  readonly #corruptDonors = new Set<NodeId>();
  /** Set after an install until it is known what was decided meanwhile. */
  #mustPlan = false;
  #chases = 0;

  constructor(sink: DecidedSink, state: StateStore, settings: ReplicaSettings, targetIndex: number) {
    this.#sink = sink;
    this.#stateStore = state;
    this.#settings = settings;
    this.#neededIndex = targetIndex;
    this.#targetIndex = targetIndex;
    this.#fromIndex = sink.decidedIndex;
    this.#donors = new Donors(settings.donorTimeoutTicks);
    this.#striping = new Striping(this.#donors, settings);
    this.#room = new RoomForState(state, settings);
  }

  /** What was decided meanwhile may be out of reach, with the one donor that told of it: then what is needed has to do. */
  get isComplete(): boolean {
    if (this.isInstalling || this.#mustPlan) return false;
    const isStuck = this.#idleTicks >= idleTimeouts * this.#settings.donorTimeoutTicks;
    return this.#sink.decidedIndex >= (isStuck ? this.#neededIndex : this.#targetIndex);
  }

  get isInstalling(): boolean {
    return this.#stage.name === 'install';
  }

  get targetIndex(): number {
    return this.#targetIndex;
  }

  /** True while decided entries will not do: those who were asked have trimmed them. */
  get needsState(): boolean {
    return this.#needsState;
  }

  /** The highest decided index that a donor told of. */
  get decidedElsewhere(): number {
    return this.#decidedElsewhere;
  }

  /** For people: how far it is. */
  status(): CatchUpStatus {
    const stage = this.#stage;
    const bytesReceived = this.#donors.bytes;
    const { lack } = this.#room;
    return {
      stage: stage.name === 'align' ? 'plan' : stage.name,
      bytesReceived,
      ...(stage.name === 'state' && { bytesTotal: Math.max(bytesReceived, stage.transfer.bytesTotal) }),
      fromIndex: this.#fromIndex,
      targetIndex: this.#targetIndex,
      donors: this.#donors.given(),
      ...(lack && { lackOfRoom: lack }),
    };
  }

  /** The goal moved on. */
  retarget(targetIndex: number): void {
    this.#neededIndex = Math.max(this.#neededIndex, targetIndex);
    this.#targetIndex = Math.max(this.#targetIndex, targetIndex);
  }

  /** All who are linked are asked now what they have. */
  askAnew(): void {
    this.#queryPatience = 0;
  }

  /** The link with `donor` is another one, or none: what it was asked for over it does not come any more, and is not waited for. */
  onLinkLost(donor: NodeId): void {
    const stage = this.#stage;
    if (stage.name === 'state' || stage.name === 'log') stage.transfer.forget(donor);
  }

  tick(): void {
    this.#donors.tick();
    if (this.#queryPatience > 0) this.#queryPatience--;
    this.#room.tick();
    this.#countIdleTick();
    const stage = this.#stage;
    switch (stage.name) {
      case 'plan':
        stage.ticks++;
        // Nobody answers: what is complete here is not held back by that.
        if (stage.ticks > this.#settings.donorTimeoutTicks) this.#mustPlan = false;
        return;
      case 'align':
        return stage.alignment.tick();
      case 'state':
      case 'log':
        for (const donor of stage.transfer.tick((id) => this.#striping.patienceOf(id))) this.#donors.strike(donor);
        return;
      case 'install':
        return;
    }
  }

  /** The requests to send now. `linked` are the nodes that have a link now. */
  requests(linked: readonly NodeId[], room: StateRoom): Answer[] {
    const { roomBytes } = room;
    this.#room.onRoom(roomBytes);
    this.#lookAtRoom(room);
    if (this.isInstalling || this.isComplete) return [];
    const requests = this.#queries(linked);
    if (this.#room.isPausing) return requests;
    if (this.#stage.name === 'plan') this.#plan(this.#stage, linked);
    if (this.#stage.name === 'align') requests.push(...this.#align(this.#stage.alignment, linked, roomBytes));
    const stage = this.#stage;
    if (stage.name === 'state') requests.push(...this.#stripeState(stage, linked));
    if (stage.name === 'log') requests.push(...this.#stripeLog(stage, linked));
    return requests;
  }

  /** The last snapshot offered does not fit on the disk. */
  get lacksRoom(): boolean {
    return this.#room.lack !== undefined;
  }

  /** That the last snapshot offered did not fit, once each time. */
  takeLackOfRoom(): LackOfRoom | undefined {
    return this.#room.takeLack();
  }

  /** Donors that gave what does not fit its checksum since this was asked last. */
  takeCorruptDonors(): NodeId[] {
    const ids = [...this.#corruptDonors];
    this.#corruptDonors.clear();
    return ids;
  }

  onStanding(from: NodeId, standing: DonorStanding): void {
    this.#donors.heard(from, standing);
    this.#decidedElsewhere = Math.max(this.#decidedElsewhere, standing.decidedIndex);
    if (this.#stage.name === 'plan') this.#stage.heard.add(from);
  }

  onSnapshotOffer(from: NodeId, offer: SnapshotOffer): void {
    const stage = this.#stage;
    this.#donors.update(from, { appliedIndex: offer.appliedIndex });
    if (stage.name === 'align') stage.alignment.onOffer(from, offer);
    else if (stage.name === 'state' && stage.transfer.index === offer.index && offer.isHeld) {
      stage.transfer.holders.add(from);
    }
  }

  onCuts(from: NodeId, cuts: Cuts): void {
    if (this.#stage.name !== 'state') return;
    if (!this.#stage.transfer.onCuts(cuts)) this.#loseHolder(this.#stage.transfer, from);
  }

  /** {@link takeComplete} is to follow. */
  onStateChunk(from: NodeId, message: StateChunk): void {
    const stage = this.#stage;
    if (stage.name !== 'state') return;
    const { transfer } = stage;
    const result = transfer.onChunk(from, message);
    if (result === 'gone') this.#loseHolder(transfer, from);
    else this.#donors.gave(from, message.chunk?.rows.bytes.length ?? 0);
    const corruptDonor = transfer.install();
    if (transfer.isComplete) this.#stateStore.hurryInstall();
    if (corruptDonor !== undefined) this.#noteDamage(corruptDonor);
  }

  /** True while a state is being taken, or begins to be this node's own. */
  get isTakingState(): boolean {
    return this.#stage.name === 'state' || this.#stage.name === 'install';
  }

  /** True once all of a state is here, written or not. */
  get hasWholeState(): boolean {
    return this.#stage.name === 'state' && this.#stage.transfer.isComplete;
  }

  /** The index at which a state is to be installed, once all of it is here and written. */
  takeComplete(): number | undefined {
    const stage = this.#stage;
    if (stage.name !== 'state' || !stage.transfer.isComplete) return undefined;
    if (this.#stateStore.installBacklogBytes > 0 || this.#stateStore.installLacksRoom) return undefined;
    this.#stage = { name: 'install', index: stage.transfer.index };
    return stage.transfer.index;
  }

  /** Puts what it can into the log, but nothing from behind a StopSign that opens a later configuration than the one known. */
  onLogSegment(from: NodeId, segment: LogSegment, knownConfigurationId: number): void {
    const { decidedIndex, trimmedIndex } = segment;
    this.#decidedElsewhere = Math.max(this.#decidedElsewhere, decidedIndex);
    this.#donors.update(from, { decidedIndex, trimmedIndex });
    const stage = this.#stage;
    if (stage.name !== 'log') return;
    const result = stage.transfer.onSegment(from, segment);
    if (result === 'bad') this.#noteDamage(from);
    if (result !== 'taken') return;
    let bytes = 0;
    for (const entry of segment.entries) bytes += bytesOf(entry);
    this.#donors.gave(from, bytes);
    stage.transfer.install(knownConfigurationId);
    if (this.#sink.decidedIndex >= this.#targetIndex) this.#chase();
  }

  /** The installed state is durable and in use; the log goes on behind it. */
  onInstalled(index: number): void {
    this.#sink.installState(index);
    this.#room.onInstalled();
    this.#mustPlan = true;
    this.#needsState = false;
    this.#restart();
  }

  /** The snapshot turned out to be older than what is applied: not needed. */
  abandonState(): void {
    this.#needsState = false;
    this.#restart(queryTicks);
  }

  #countIdleTick(): void {
    const { decidedIndex } = this.#sink;
    const isIdle = (this.#stage.name === 'plan' || this.#stage.name === 'log') && decidedIndex === this.#idleAtIndex;
    this.#idleAtIndex = decidedIndex;
    this.#idleTicks = isIdle ? this.#idleTicks + 1 : 0;
  }

  #noteDamage(donor: NodeId): void {
    this.#donors.gaveDamaged(donor);
    this.#corruptDonors.add(donor);
  }

  #restart(queryPatience = 0): void {
    this.#stage = { name: 'plan', ticks: 0, heard: new Set() };
    this.#queryPatience = queryPatience;
  }

  /** While a plan is being made all are asked often, else seldom: what they have changes. */
  #queries(linked: readonly NodeId[]): Answer[] {
    if (this.#queryPatience > 0) return [];
    const isPlanning = this.#stage.name === 'plan' && !this.#room.isPausing;
    this.#queryPatience = isPlanning ? queryTicks : this.#settings.donorTimeoutTicks;
    return linked.flatMap((to) => [{ to, payload: { type: 'DonorQuery' } }, ...this.#invitation(to)]);
  }

  /** Who was not heard in time, or whose offer was lost, may hold the snapshot that is being pulled, too. */
  #invitation(to: NodeId): Answer[] {
    if (this.#stage.name !== 'state' || this.#stage.transfer.holders.has(to)) return [];
    return [{ to, payload: { type: 'SnapshotRequest', index: this.#stage.transfer.index } }];
  }

  #plan(stage: Stage & { name: 'plan' }, linked: readonly NodeId[]): void {
    const heard = linked.filter((id) => stage.heard.has(id));
    if (heard.length === 0) return;
    const mustWait = heard.length < linked.length && stage.ticks < planTicks;
    if (mustWait && !heard.some((id) => this.#hasLogFor(id))) return;
    this.#chase();
    if (this.isComplete) return;
    const { decidedIndex } = this.#sink;
    const useful = heard.filter((id) => (this.#donors.standingOf(id)?.decidedIndex ?? 0) > decidedIndex);
    if (useful.length === 0) return;
    this.#needsState = useful.every((id) => (this.#donors.standingOf(id)?.trimmedIndex ?? 0) > decidedIndex);
    if (this.#needsState) this.#beginAlignment(useful);
    else this.#beginLog();
  }

  /** Nobody else need be waited for: those who are heard later give their share of the rest. The leader alone is not to give it all. */
  #hasLogFor(id: NodeId): boolean {
    const { decidedIndex } = this.#sink;
    const standing = this.#donors.standingOf(id);
    if (this.#mustPlan || standing === undefined || standing.isLeader) return false;
    return standing.trimmedIndex <= decidedIndex && standing.decidedIndex >= this.#targetIndex;
  }

  #beginLog(): void {
    this.#room.onLog();
    this.#stage = { name: 'log', transfer: new LogTransfer(this.#sink, this.#settings) };
  }

  /** What was decided while the goal was being reached is part of it, unless it is little or that happens over and over. */
  #chase(): void {
    this.#mustPlan = false;
    const isNear = this.#decidedElsewhere - this.#sink.decidedIndex <= this.#settings.voteLagEntries;
    if (isNear || this.#chases === chasesMax) return;
    this.#chases++;
    this.#targetIndex = Math.max(this.#targetIndex, this.#decidedElsewhere);
  }

  #beginAlignment(donors: readonly NodeId[]): void {
    const { decidedIndex } = this.#sink;
    const resumable = this.#stateStore.installProgress?.index ?? 0;
    const first = [resumable, this.#targetIndex].filter((index) => index > decidedIndex);
    const alignment = new Alignment(first, this.#settings);
    for (const id of donors) alignment.heard(id, this.#donors.standingOf(id)?.appliedIndex ?? 0);
    this.#stage = { name: 'align', alignment };
  }

  #align(alignment: Alignment, linked: readonly NodeId[], roomBytes: number): Answer[] {
    const outcome = alignment.advance(linked);
    if (outcome.type === 'failed') this.#restart(queryTicks);
    if (outcome.type !== 'aligned') return outcome.type === 'asks' ? outcome.requests : [];
    const attempt = this.#room.begin(outcome.offer, roomBytes);
    if (attempt === undefined) {
      this.#restart();
      return [];
    }
    const transfer = new StateTransfer(outcome.offer, this.#stateStore, this.#settings);
    for (const id of outcome.holders) transfer.holders.add(id);
    this.#stage = { name: 'state', transfer, attempt };
    // Those who are late are invited at once.
    this.#queryPatience = 0;
    return [];
  }

  #lookAtRoom(room: StateRoom): void {
    const stage = this.#stage;
    if (stage.name !== 'state') return;
    const isWritten = stage.transfer.isComplete && this.#stateStore.installBacklogBytes === 0;
    if (!this.#room.isOverFor(stage.attempt, room, isWritten)) return;
    const taken = { part: stage.transfer.writtenPart, diskBytes: this.#stateStore.installUse.diskBytes };
    this.#room.giveUp(stage.attempt, taken, room.roomBytes);
    this.#restart();
  }

  #loseHolder(transfer: StateTransfer, donor: NodeId): void {
    transfer.holders.delete(donor);
    transfer.forget(donor);
  }

  #stripeState(stage: Stage & { name: 'state' }, linked: readonly NodeId[]): Answer[] {
    const { transfer } = stage;
    // It only waits to be written: who gave it may go.
    if (transfer.isComplete) return [];
    for (const donor of transfer.holders) if (!linked.includes(donor)) this.#loseHolder(transfer, donor);
    if (transfer.holders.size === 0) {
      // What is installed stays: if someone still holds that snapshot, or comes back, it goes on from there.
      this.#restart(queryTicks);
      return [];
    }
    const holders = [...transfer.holders];
    return this.#striping.stripe(holders, this.#donors.sharers(holders), transfer, (donor) => transfer.next(donor));
  }

  #stripeLog(stage: Stage & { name: 'log' }, linked: readonly NodeId[]): Answer[] {
    const { transfer } = stage;
    const end = Math.max(this.#targetIndex, this.#decidedElsewhere);
    const { decidedIndex } = this.#sink;
    const donors = linked.filter((id) => (this.#donors.standingOf(id)?.decidedIndex ?? 0) > decidedIndex);
    // Whoever has trimmed what is needed next gives nothing yet: a leader that alone has it is not held to a share.
    const able = donors.filter((id) => (this.#donors.standingOf(id)?.trimmedIndex ?? 0) <= decidedIndex);
    const requests = this.#striping.stripe(donors, this.#donors.sharers(able), transfer, (donor) => {
      const standing = this.#donors.standingOf(donor);
      return standing && transfer.next(donor, standing, end);
    });
    if (transfer.outstanding === 0) this.#restart(queryTicks);
    return requests;
  }
}
