import { type Configuration, historyOf, withPast } from '../../cluster/configuration.ts';
import { describeOrigin, isSameOrigin, type Origin } from '../../cluster/origin.ts';
import { laterConfigurationOf } from '../../cluster/state-configuration.ts';
import type { StateConfiguration } from '../../kv/cluster-register.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { Announce, Fill, PeerHello } from '../../wire/peer-message.ts';
import type { CatchUp } from '../catch-up/catch-up.ts';
import type { LogStore } from '../log-store.ts';
import type { Output } from '../output.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { StateKeeper } from '../state/state-keeper.ts';
import { Voter } from '../voter.ts';
import type { CatchUpControl } from './catch-up-control.ts';
import { fillPatienceTicks } from './fillings.ts';
import { Formation, type FormedCluster, type InitialCluster } from './formation.ts';
import { type Incumbency, incumbencyIn, noOffice, type Office } from './incumbent.ts';
import { Leaving } from './leaving.ts';
import { catchUpOf, leavingOf, type Mode, whyNoLeader } from './mode.ts';
import type { Openings } from './openings.ts';
import type { Peers } from './peers.ts';

/** Mostly, and each tick asks. */
const nobody: ReadonlyMap<NodeId, string> = new Map();

/** What membership works with: the parts of its node, each of which the node has one of. */
export interface MembershipParts {
  readonly store: LogStore;
  readonly keeper: StateKeeper;
  readonly catchUpControl: CatchUpControl;
  readonly peers: Peers;
  readonly openings: Openings;
  readonly output: Output;
}

export interface MembershipOptions {
  readonly initial: InitialCluster;
  /** A new directory stands by until it is taken in, also that of a node of the first configuration: it is to be rebuilt. */
  readonly standsBy: boolean;
  readonly settings: ReplicaSettings;
  /** Called when a configuration was taken up, before that is told to anybody. */
  readonly onEntered: () => void;
  /** Called when this node is, or turns out to be, no member: it takes no requests. */
  readonly onSteppedBack: () => void;
}

/**
 * What this node is to the cluster, and how it comes from one configuration into the next: it forms a cluster with the other founders,
 * votes in the present configuration or catches up with it, hears of later ones, and stands by (PROTOCOL: Reconfiguration).
 */
export class Membership {
  readonly #logStore: LogStore;
  readonly #keeper: StateKeeper;
  readonly #catchUpControl: CatchUpControl;
  readonly #peers: Peers;
  readonly #openings: Openings;
  readonly #output: Output;
  readonly #options: MembershipOptions;
  readonly #settings: ReplicaSettings;
  #mode: Mode;
  #tick = 0;
  /** The cluster that this node was told of while it belonged to none: it forms or joins no other. */
  #toldOf: string | undefined;
  /** The newest configuration of that cluster that other founders were told of. */
  #toldFoundersOf = 0;
  /** The cluster that this node would form with those who are linked now, and since when that has been the same. */
  #completeId: string | undefined;
  #completeTick = 0;
  /** When this node was last asked to fill itself. */
  #fillTick = 0;

  constructor(parts: MembershipParts, options: MembershipOptions) {
    this.#logStore = parts.store;
    this.#keeper = parts.keeper;
    this.#catchUpControl = parts.catchUpControl;
    this.#peers = parts.peers;
    this.#openings = parts.openings;
    this.#output = parts.output;
    this.#options = options;
    this.#settings = options.settings;
    this.#mode = this.#initialMode();
    if (this.#mode.name === 'forming') this.#completeIn(this.#mode.formation);
  }

  get mode(): Mode {
    return this.#mode;
  }

  /** The consensus of the present configuration, while this node votes. */
  get voter(): Voter | undefined {
    return this.#mode.name === 'member' ? this.#mode.voter : undefined;
  }

  /** The catching up that is under way, if one is. */
  get catchUp(): CatchUp | undefined {
    return catchUpOf(this.#mode);
  }

  /** False once this node knows of a cluster without it, or is to be rebuilt in one: it must not count as one who forms another. */
  get mayForm(): boolean {
    return this.#toldOf === undefined && !this.#options.standsBy;
  }

  /** The configuration that this node has taken up; 0 before the first. */
  get configurationId(): number {
    return this.#configuration?.configurationId ?? 0;
  }

  /** The same, or a later one that it was told of and has not taken up, since it may be needed in its own. */
  get newestIdToldOf(): number {
    return Math.max(this.configurationId, leavingOf(this.#mode)?.announced?.configurationId ?? 0);
  }

  /**
   * Where the members are of a later configuration that this node was told of, while it may be needed in its own. Whoever told of it may be gone
   * soon, and those do not look for a node that is none of them.
   */
  membersToldOf(): ReadonlyMap<NodeId, string> {
    const announced = leavingOf(this.#mode)?.announced;
    return announced === undefined ? nobody : new Map(announced.members.map(({ id, address }) => [id, address]));
  }

  tick(): void {
    this.#tick++;
    if (this.#mode.name === 'forming') this.#form(this.#mode.formation);
    if (this.#mode.name === 'forming' && this.#tick === 1) this.#output.notice('info', whyNoLeader(this.#mode));
    this.catchUp?.tick();
    if (this.#mode.name === 'standby') this.#tickFilling(this.#mode);
    if (this.#mode.name === 'member') this.#tickLeaving(this.#mode);
  }

  /** Goes on where something of a configuration is complete. True if there is more to do at once. */
  advance(): boolean {
    const mode = this.#mode;
    if (mode.name === 'joining') return this.#advanceJoining(mode);
    if (mode.name !== 'member') return false;
    const isDecided = this.#decideStopSign(mode);
    const later = this.#catchUpControl.follow(mode);
    if (later) this.enter(later);
    return isDecided;
  }

  /**
   * Takes up `entered` as the present configuration, in one write. From here on this node takes no part in any older one: it
   * votes in it if all that was decided before it is here, else catches up first; or it stands by.
   */
  enter(entered: Configuration): void {
    const before = this.#configuration;
    const next = withPast(withOrigin(entered, before?.origin), before);
    const incumbency = incumbencyIn(next, this.#nodeId, this.#office);
    const toldOf = leavingOf(this.#mode)?.behind(next.configurationId) ?? [];
    const { sequence, state } = this.#logStore;
    this.#logStore.setConfiguration(next);
    this.#openings.enter(next, this.#peers.hellos());
    // What lies behind is of an older configuration and can never be decided now.
    if (sequence.endIndex > state.decidedIndex) sequence.truncate(state.decidedIndex);
    this.#keeper.onConfiguration(this.#logStore.commit());
    this.#mode = this.#modeIn(next, incumbency);
    this.#peers.beginConfiguration();
    this.#options.onEntered();
    this.#describe(next);
    for (const member of newcomersOf(next, before)) this.announce(member.id);
    for (const later of toldOf) this.#keepInMind(later);
  }

  /** What this node was told of a configuration behind the one that it has taken up now: whoever told it, and all members of the latter, may be gone. */
  #keepInMind(later: Configuration): void {
    if (later.configurationId <= this.configurationId) return;
    const leaving = leavingOf(this.#mode);
    if (leaving) leaving.onAnnounce(later, this.#tick);
    else this.enter(later);
  }

  /**
   * The state at `index`, which is of `ofState`, is this node's own. If it is from behind the StopSign of its configuration, that is over for it: it goes on to that
   * of the state, since it may be needed there to decide the next StopSign once more, even if it was told of a later one.
   */
  onStateInstalled(index: number, ofState: StateConfiguration | undefined): void {
    if (ofState !== undefined && ofState.configurationId <= this.configurationId) return;
    const announced = leavingOf(this.#mode)?.toEnterWith(index);
    if (announced === undefined) return;
    // A state that an earlier release wrote may not say who the members are.
    const own = ofState?.metadata.length ? laterConfigurationOf(ofState, this.#configuration) : undefined;
    if (own === undefined || own.configurationId >= announced.configurationId) return this.enter(announced);
    const past = historyOf(announced).filter(({ configurationId }) => configurationId < own.configurationId);
    this.enter({ ...own, past });
  }

  /** A node is linked with this one. */
  onPeerConnected(hello: PeerHello): void {
    const mode = this.#mode;
    if (mode.name === 'forming') this.#meet(mode.formation, hello);
    if (mode.name === 'member') mode.voter.paxos.reconnected(hello.nodeId);
    if (this.#mayTakeItselfForMember(hello)) this.announce(hello.nodeId);
  }

  /** A node could not be dialled; `refusal`: since one of the two will not have the other, and why. */
  onUnreached(nodeId: NodeId, refusal: string | undefined): void {
    if (this.#mode.name === 'forming') this.#mode.formation.onUnreached(nodeId, refusal);
  }

  /** PROTOCOL: Reconfiguration 4, 5, 6; and how a node learns that its cluster was formed without waiting for it. */
  onAnnounce(from: NodeId, { clusterId, configuration }: Announce): void {
    const { clusterId: mine, nodeId } = this.#logStore.identity;
    if (mine !== undefined && mine !== clusterId) return;
    if (configuration.configurationId < this.configurationId) return this.announce(from);
    if (configuration.configurationId === this.configurationId) return;
    if (this.#mode.name === 'member') return this.#onAnnounceToVoter(this.#mode, configuration);
    if (mine === undefined && !(this.#fitsInto(configuration) && this.#isToldOf(clusterId))) return;
    if (this.#isMemberOf(configuration)) {
      if (mine === undefined) this.#logStore.bindCluster(clusterId);
      return this.#goOnTo(configuration);
    }
    const namesake = configuration.members.find(({ id }) => id === nodeId);
    if (namesake) {
      this.#output.notice(
        'warn',
        `node ${nodeId} of this cluster votes with another data directory (${namesake.storageId})`,
      );
      if (this.#mode.name === 'forming') this.#standBy(clusterId);
      return this.#tellFounders(clusterId, configuration);
    }
    if (mine !== undefined) return this.#goOnTo(configuration);
    if (this.#mode.name === 'forming') this.#standBy(clusterId);
    this.#tellFounders(clusterId, configuration);
  }

  /** Who lacks what was decided before the present configuration may be needed in it still: see {@link Leaving.toEnterBeforeVoting}. */
  #goOnTo(configuration: Configuration): void {
    if (this.#mode.name !== 'joining') return this.enter(configuration);
    const isNews = configuration.configurationId > this.newestIdToldOf;
    this.#mode.leaving.onAnnounce(configuration, this.#tick);
    // Whoever is asked tells it again, each time.
    if (isNews) this.#mode.catchUp.askAnew();
  }

  /**
   * A member wants this node, which is none, to have all data before it becomes one. It takes up the member's configuration first, as
   * one who stands by in it: what it then holds is of that cluster, and of an index that the configuration covers.
   */
  onFill(from: NodeId, { clusterId, configuration, index }: Fill): void {
    const { clusterId: mine, nodeId } = this.#logStore.identity;
    if (mine !== undefined && mine !== clusterId) return;
    if (configuration.configurationId < this.configurationId) return this.announce(from);
    const { name } = this.#mode;
    // It takes itself for a member still: it has to leave that configuration first.
    if (name !== 'standby' && name !== 'forming')
      return this.onAnnounce(from, { type: 'Announce', clusterId, configuration });
    if (configuration.members.some(({ id }) => id === nodeId) || !this.#fitsInto(configuration)) return;
    if (mine === undefined) this.#logStore.bindCluster(clusterId);
    if (configuration.configurationId > this.configurationId) this.enter(configuration);
    const mode = this.#mode;
    if (mode.name !== 'standby') return;
    this.#fillTick = this.#tick;
    if (mode.filling) mode.filling.retarget(index);
    else mode.filling = this.#catchUpControl.upTo(index);
  }

  /** A former member that slept through the change: where the others that it knows of are gone, too, it hears of it from nobody else. */
  #mayTakeItselfForMember({ nodeId, clusterId, opened }: PeerHello): boolean {
    if (clusterId === undefined || opened.configurationId >= this.configurationId) return false;
    return !this.#configuration?.members.some(({ id }) => id === nodeId);
  }

  /** Tells the present configuration to a node, once a tick at the most. */
  announce(to: NodeId): void {
    const { clusterId } = this.#logStore.identity;
    const configuration = this.#logStore.configuration;
    if (!clusterId || !configuration || !this.#peers.mayAnnounce(to, this.#tick)) return;
    this.#output.send(to, configuration.configurationId, { type: 'Announce', clusterId, configuration });
  }

  /**
   * Tells it to members that were not heard in it, so that none stays behind (PROTOCOL mistake 8). Also who is catching up does: with all former
   * members gone one that slept through the change may have what is lacking, and hears of the change from nobody else.
   */
  announceToUnheard(): void {
    const configuration = this.#logStore.configuration;
    if (!configuration) return;
    for (const { id } of configuration.members) {
      if (!this.#peers.knows(id, configuration.configurationId)) this.announce(id);
    }
  }

  get #configuration(): Configuration | undefined {
    return this.#logStore.configuration;
  }

  get #nodeId(): NodeId {
    return this.#logStore.identity.nodeId;
  }

  get #office(): Office {
    if (this.#mode.name !== 'member') return noOffice;
    const { paxos, leader } = this.#mode.voter;
    return { isInOffice: paxos.isLeaderInAcceptPhase, leader: leader?.pid };
  }

  get #isLoneFounder(): boolean {
    return this.#options.initial.nodes.size === 1;
  }

  #initialMode(): Mode {
    const configuration = this.#configuration;
    if (configuration) return this.#modeIn(configuration, undefined);
    const { initial, standsBy } = this.#options;
    const { clusterId, storageId, origin } = this.#logStore.identity;
    const address = initial.nodes.get(this.#nodeId);
    if (address === undefined || standsBy || clusterId !== undefined) return { name: 'standby', filling: undefined };
    const self = { id: this.#nodeId, address, storageId };
    return { name: 'forming', formation: new Formation(initial, self, origin) };
  }

  #modeIn(configuration: Configuration, incumbency: Incumbency | undefined): Mode {
    if (!this.#isMemberOf(configuration)) return { name: 'standby', filling: undefined };
    if (this.#logStore.state.decidedIndex >= configuration.startIndex) return this.#votingIn(configuration, incumbency);
    const catchUp = this.#catchUpControl.upTo(configuration.startIndex);
    return { name: 'joining', configuration, catchUp, leaving: this.#leaving(configuration) };
  }

  #votingIn(
    configuration: Configuration,
    incumbency: Incumbency | undefined,
    leaving = this.#leaving(configuration),
  ): Mode & { name: 'member' } {
    const voter = new Voter(configuration, this.#nodeId, this.#logStore, this.#settings, incumbency);
    return { name: 'member', voter, catchUp: undefined, leaving };
  }

  #leaving(configuration: Configuration): Leaving {
    return new Leaving(configuration, this.#nodeId, this.#peers, this.#settings.electionTimeoutTicks);
  }

  #isMemberOf(configuration: Configuration): boolean {
    const { nodeId, storageId } = this.#logStore.identity;
    return configuration.members.some((member) => member.id === nodeId && member.storageId === storageId);
  }

  #describe(next: Configuration): void {
    const members = next.members.map((member) => member.id).join(', ');
    const { configurationId, startIndex } = next;
    this.#output.notice('info', `configuration ${configurationId} begins at index ${startIndex}: members ${members}`);
    const { decidedIndex } = this.#logStore.state;
    if (this.#mode.name === 'standby') this.#stepBack();
    if (this.#mode.name === 'joining') this.#output.notice('info', `catching up from index ${decidedIndex}`);
  }

  #stepBack(): void {
    this.#output.notice('info', 'this node is no member now: it stands by');
    this.#options.onSteppedBack();
  }

  /** True for the cluster that this node was told of, or if it was told of none. */
  #isToldOf(clusterId: string): boolean {
    if (this.#toldOf === undefined || this.#toldOf === clusterId) return true;
    this.#output.notice('warn', `cluster ${clusterId} is not joined: this node was told of ${this.#toldOf} first`);
    return false;
  }

  /** Others may count on this node to form a cluster with them, and not be reached by any member of the one that there is. */
  #tellFounders(clusterId: string, configuration: Configuration): void {
    const { configurationId } = configuration;
    if (configurationId <= this.#toldFoundersOf) return;
    this.#toldFoundersOf = configurationId;
    const founders = this.#peers.hellos().filter((hello) => hello.clusterId === undefined);
    for (const { nodeId } of founders) {
      this.#output.send(nodeId, this.configurationId, { type: 'Announce', clusterId, configuration });
    }
  }

  /** There is a cluster, without this node: it forms none. */
  #standBy(clusterId: string): void {
    this.#toldOf = clusterId;
    this.#mode = { name: 'standby', filling: undefined };
    this.#stepBack();
  }

  /** What this node said to those who may form a cluster holds no more: a new link begins with what holds now. */
  #greetAnew(): void {
    for (const hello of this.#peers.hellos()) {
      if (hello.clusterId !== undefined) continue;
      this.#output.refuse(hello, 'stranger', 'this node forms no new cluster any more: it was told of one');
      this.#peers.disconnect(hello.nodeId);
    }
  }

  #meet(formation: Formation, hello: PeerHello): void {
    formation.onLinked(hello.nodeId);
    if (hello.clusterId !== undefined) return this.#meetMember(hello.nodeId, hello.clusterId);
    const problem = formation.meet(hello);
    if (problem) this.#output.notice('warn', problem);
    this.#form(formation);
  }

  /**
   * A cluster of this name is there already. One that this node founds with others just now consists of founders, and tells it by an
   * Announce.
   */
  #meetMember(nodeId: NodeId, clusterId: string): void {
    if (!this.#isLoneFounder && this.#options.initial.nodes.has(nodeId)) return;
    this.#standBy(clusterId);
    this.#greetAnew();
    const which = this.#isLoneFounder ? 'no new cluster of this node alone' : 'no new cluster';
    this.#output.notice(
      'warn',
      `${which} is formed: node ${nodeId} of cluster ${clusterId}, of the same name, knows this node. ` +
        `Was its data directory emptied? \`kv member rebuild ${this.#nodeId}\` lets a member vote with this one; a node that is none any more ` +
        `waits for \`kv member add ${this.#nodeId}\``,
    );
  }

  /**
   * Several founders form a cluster only together, and all forget only once others have taken all of their places; one alone asks nobody.
   * If directories were emptied since others joined their cluster, those know, and call. So they are given the time to, from when the last
   * founder came. In that time the links stay, too: one that was cut may look alive for a while, and whoever is behind it may have formed the
   * cluster with another one, whose directory was emptied since.
   */
  #form(formation: Formation): void {
    const formed = this.#completeIn(formation);
    const { loneFounderTicks, foundersTicks } = this.#settings;
    const waitTicks = this.#isLoneFounder ? loneFounderTicks : foundersTicks;
    if (!formed || this.#tick - this.#completeTick < waitTicks) return;
    this.#logStore.bindCluster(formed.clusterId);
    this.#output.notice('info', `cluster ${formed.clusterId} is formed`);
    const { members, origin } = formed;
    if (origin) this.#output.notice('info', `it begins with ${describeOrigin(origin)}`);
    this.enter(withOrigin({ configurationId: 1, startIndex: origin?.index ?? 0, members }, origin));
    for (const nodeId of this.#peers.ids()) this.announce(nodeId);
  }

  /** The cluster that those who are linked now would form; takes note of since when it has been that. */
  #completeIn(formation: Formation): FormedCluster | undefined {
    formation.meetAll(this.#peers.hellos().filter(({ clusterId }) => clusterId === undefined));
    const formed = formation.complete();
    if (formed?.clusterId === this.#completeId) return formed;
    this.#completeId = formed?.clusterId;
    this.#completeTick = this.#tick;
    return formed;
  }

  /** False for a directory that was made with other data than the cluster: what it holds must never pass for the cluster's. */
  #fitsInto(configuration: Configuration): boolean {
    const { origin } = this.#logStore.identity;
    return origin === undefined || isSameOrigin(origin, configuration.origin);
  }

  /** A later configuration means that a StopSign is decided that this voter has not reached: it catches up to it, see {@link Leaving}. */
  #onAnnounceToVoter({ voter, leaving }: Mode & { name: 'member' }, configuration: Configuration): void {
    leaving.onAnnounce(configuration, this.#tick);
    if (!voter.paxos.isLeaderInAcceptPhase) return;
    const later = leaving.toEnterAsLeader;
    if (later) return this.enter(later);
    if (!leaving.mustGoAway(this.#tick)) return;
    const [next = configuration] = leaving.behind(this.configurationId);
    if (leaving.isAlone) this.enter(next);
    else voter.goAway();
  }

  /** A leader that was sent away may come back into office once it had the time to catch up. */
  #tickLeaving({ voter, leaving }: Mode & { name: 'member' }): void {
    leaving.tick(voter.paxos.isLeaderInAcceptPhase, this.#tick);
    voter.isAway = leaving.isAway(this.#tick);
  }

  /** Nobody asks any more: what is here stays, to be gone on with. */
  #tickFilling(mode: Mode & { name: 'standby' }): void {
    if (this.#tick - this.#fillTick > fillPatienceTicks && !this.#keeper.isInstalling) mode.filling = undefined;
  }

  #advanceJoining({ configuration, catchUp, leaving }: Mode & { name: 'joining' }): boolean {
    const { trimmedIndex } = this.#logStore.sequence;
    const later = leaving.toEnterBeforeVoting(trimmedIndex, catchUp.decidedElsewhere);
    if (later) {
      this.enter(later);
      return true;
    }
    if (!catchUp.isComplete) return false;
    const mode = this.#votingIn(configuration, incumbencyIn(configuration, this.#nodeId, noOffice), leaving);
    mode.voter.paxos.requestPrepare();
    this.#mode = mode;
    this.#output.notice('info', 'complete: this node votes');
    return true;
  }

  /** True if this node lacked nothing but the StopSign that it was told of. */
  #decideStopSign({ voter, leaving }: Mode & { name: 'member' }): boolean {
    const { decidedIndex } = this.#logStore.state;
    const stopSign = leaving.toDecideAt(decidedIndex);
    if (!stopSign || voter.paxos.isLeaderInAcceptPhase || this.#keeper.isInstalling) return false;
    voter.paxos.installDecided(decidedIndex, [{ type: 'StopSign', stopSign }]);
    return true;
  }
}

/** Members of `next` that were not in `before`. */
export function newcomersOf(next: Configuration, before: Configuration | undefined): Configuration['members'] {
  return next.members.filter((member) => !before?.members.some(({ id }) => id === member.id));
}

/** The origin of a cluster stays that of all its configurations: the metadata of a StopSign does not carry it. */
function withOrigin(configuration: Configuration, origin: Origin | undefined): Configuration {
  return origin === undefined || configuration.origin !== undefined ? configuration : { ...configuration, origin };
}
