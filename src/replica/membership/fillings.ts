import type { Configuration } from '../../cluster/configuration.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { ClientRequest, Failure, NewcomerFilling, TargetNode } from '../../wire/client-message.ts';
import { membersMax } from '../../wire/limits.ts';
import type { DonorStanding } from '../../wire/peer-message.ts';
import type { ConnectionId } from '../events.ts';
import { failure, type Output } from '../output.ts';
import { cameFirst, cannotBeMember, isTarget } from './reconfigurations.ts';
import { checkedTargets } from './target-nodes.ts';

/** Ticks after the last request for which newcomers are still dialled, and go on filling themselves. */
export const fillPatienceTicks = 300;
/** What a newcomer said of itself counts for so many ticks. */
const heardTicksMax = 100;
/** A newcomer that was asked for so many ticks, and said nothing, may answer another member. */
const silentTicksMax = 200;
/** One that there is no link with, after so many: others may have one. Less than clients wait for one (`client/members/fill-newcomers.ts`). */
const unlinkedTicksMax = 75;

/** One that was refused for so many ticks is told of: it, or an address, may have been in the middle of a change. */
const refusedTicksMax = 50;

/** Whoever lacks no more than this is there in a moment, and counts as filled. */
const lagBytesMax = 8 * 1024 * 1024;
/** So much more for every so many ticks: under a load that a newcomer cannot follow it is a member in the end, with a pause. */
const lagGrowthTicks = 500;

/** Most of the time, and each tick asks. */
const nobody: ReadonlyMap<NodeId, string> = new Map();

/** A node that is to become a member. */
interface Newcomer {
  readonly address: string;
  /** All that was decided when its filling began is to be there before it counts as filled. */
  readonly firstIndex: number;
  /** Up to where it was asked to come by the last step, and by the one before. */
  askedIndex: number;
  previousIndex: number;
  decidedIndex: number;
  /** It had all of the step before when the last one came: however much is decided meanwhile, it is no more than a step behind. */
  keepsUp: boolean;
  heardTick: number | undefined;
  /** Since when this node asks it without hearing from it. */
  silentSinceTick: number;
  askedTick: number;
  readonly beganTick: number;
}

/** What a member said of itself. */
interface Heard {
  readonly decidedIndex: number;
  readonly tick: number;
}

/** What fillings need to know of the node. */
export interface FillingsView {
  readonly nodeId: NodeId;
  readonly clusterId: string | undefined;
  readonly configuration: Configuration | undefined;
  readonly decidedIndex: number;
  readonly tick: number;
  helloOf(nodeId: NodeId): { readonly address: string; readonly storageId: string } | undefined;
  knownAddress(nodeId: NodeId): string | undefined;
  isConnected(nodeId: NodeId): boolean;
  /** Of the last entries of the log: how many bytes one has. */
  recentEntryBytes(): number;
}

/**
 * Has nodes that are to become members pull all data while the present members go on as they are: a configuration then begins with
 * members that have everything, instead of with a majority that can decide nothing before a transfer is over. For the same reason members that
 * stay, and are far behind, are waited for where there is no majority of the next members without them. It is a courtesy and
 * no part of the protocol: whether a newcomer was filled or not, it votes only once it has all that was decided before.
 * It goes on as long as a client asks again and again; nothing of it outlasts the client.
 */
export class Fillings {
  readonly #output: Output;
  readonly #view: FillingsView;
  /** Entries that a newcomer may lack and still counts as filled. */
  readonly #lagMax: number;
  /** At most as many as a configuration may have members: whoever asks for ever more of them has none of them filled. */
  readonly #newcomers = new Map<NodeId, Newcomer>();
  readonly #heard = new Map<NodeId, Heard>();
  /** Newcomers of which one of the two will not have the other: since when, and why. */
  readonly #refused = new Map<NodeId, { readonly sinceTick: number; readonly reason: string }>();
  /** What a majority knew to be decided at the last step, and at the one before, and when the last one was. Infinite: none was heard. */
  #step = { index: Infinity, previousIndex: Infinity, tick: -Infinity };

  constructor(output: Output, view: FillingsView, lagMax: number) {
    this.#output = output;
    this.#view = view;
    this.#lagMax = lagMax;
  }

  /** Addresses to dial. */
  newcomers(): ReadonlyMap<NodeId, string> {
    if (this.#newcomers.size === 0) return nobody;
    this.#forgetOld();
    return new Map([...this.#newcomers].map(([id, { address }]) => [id, address]));
  }

  /** A client wants those of `nodes` that are no members to be filled. Tells it how far they are, and who of the members is to be waited for. */
  receive(connection: ConnectionId, request: ClientRequest & { readonly type: 'fill' }): void {
    const nodes = checkedTargets(request.nodes);
    if (!Array.isArray(nodes)) return this.#output.respond(connection, request.id, nodes);
    const { configuration } = this.#view;
    if (configuration && configuration.configurationId > (request.ifConfigurationId ?? configuration.configurationId)) {
      // Somebody else asked for the very same: whoever proposes is told so.
      const isDone =
        nodes.every(({ isRebuilt }) => !isRebuilt) && isTarget(configuration, { nodes, formerDirectories: [] });
      const answer = isDone ? ({ type: 'filling', newcomers: [] } as const) : cameFirst(configuration, 'notApplied');
      return this.#output.respond(connection, request.id, answer);
    }
    this.#forgetOld();
    const refused = this.#refusedOf(nodes);
    if (refused !== undefined) return this.#output.respond(connection, request.id, refused);
    const silent = this.#takeSilent(nodes);
    if (silent !== undefined) return this.#output.respond(connection, request.id, silentFailure(silent));
    this.#askMembers();
    if (this.#isBehind) return this.#output.respond(connection, request.id, behindFailure(this.#view.nodeId));
    const newcomers = nodes.filter(({ id }) => !this.#isMember(id));
    const filling = newcomers.map((node) => this.#progressOf(node, this.#newcomerOf(node)));
    for (const node of newcomers) if (this.#isMeant(node)) this.#ask(node.id);
    // Newcomers take longer, and are what is waited for as long as they do.
    const late = filling.every(({ isFilled }) => isFilled) ? this.#lateStayers(nodes) : [];
    this.#output.respond(connection, request.id, { type: 'filling', newcomers: [...filling, ...late] });
  }

  onStanding(from: NodeId, { decidedIndex }: DonorStanding): void {
    if (this.#isMember(from)) this.#heard.set(from, { decidedIndex, tick: this.#view.tick });
    const newcomer = this.#newcomers.get(from);
    if (!newcomer) return;
    newcomer.decidedIndex = decidedIndex;
    newcomer.keepsUp = decidedIndex >= newcomer.previousIndex;
    newcomer.heardTick = this.#view.tick;
    newcomer.silentSinceTick = this.#view.tick;
  }

  /** A node could not be dialled, or, which does not pass by waiting (`isRefusal`), was refused or refused us. */
  onUnreached(nodeId: NodeId, reason: string, isRefusal: boolean): void {
    if (!this.#newcomers.has(nodeId)) return;
    if (!isRefusal) this.#refused.delete(nodeId);
    else this.#refused.set(nodeId, { sinceTick: this.#refused.get(nodeId)?.sinceTick ?? this.#view.tick, reason });
  }

  /** As whoever proposes would say: it need not come to that. */
  #refusedOf(nodes: readonly TargetNode[]): Failure | undefined {
    const { tick, isConnected } = this.#view;
    for (const { id, address } of nodes) {
      const known = this.#newcomers.get(id);
      const isElsewhere = address !== undefined && known?.address !== address;
      if (isConnected(id) || known === undefined || isElsewhere) this.#refused.delete(id);
      const refused = this.#refused.get(id);
      if (refused === undefined || tick - refused.sinceTick < refusedTicksMax) continue;
      return failure('unreachable', 'notApplied', cannotBeMember(id, refused.reason));
    }
    return undefined;
  }

  /** One of these that this node does not hear: the client had better ask another member. If it comes back, time begins anew. */
  #takeSilent(nodes: readonly TargetNode[]): NodeId | undefined {
    const { tick, isConnected } = this.#view;
    for (const { id } of nodes) {
      const newcomer = this.#newcomers.get(id);
      const ticksMax = isConnected(id) ? silentTicksMax : unlinkedTicksMax;
      if (newcomer === undefined || tick - newcomer.silentSinceTick <= ticksMax) continue;
      newcomer.silentSinceTick = tick;
      return id;
    }
    return undefined;
  }

  /** Asks all members how far they are, those that go, too: they may know of more than those that stay. */
  #askMembers(): void {
    const { configuration, tick, nodeId, isConnected } = this.#view;
    const isFirst = tick - this.#step.tick > heardTicksMax;
    // What was heard before, of other steps, or for other reasons, may be of long ago.
    if (isFirst) this.#heard.clear();
    const index = this.#isMajorityHeard ? this.#newestIndex() : Infinity;
    this.#step = { index, previousIndex: isFirst ? Infinity : this.#step.index, tick };
    for (const { id } of configuration?.members ?? []) {
      if (id === nodeId || !isConnected(id)) continue;
      this.#output.send(id, configuration?.configurationId ?? 0, { type: 'DonorQuery' });
    }
  }

  /**
   * Of the nodes that are to go on as members those that lack much, if no majority of the next members is there without them. None where no
   * majority of the present members is linked: nothing can be changed then, and whoever proposes says so.
   */
  #lateStayers(nodes: readonly TargetNode[]): NewcomerFilling[] {
    const { configuration, nodeId, isConnected } = this.#view;
    if (!this.#isMajority(isConnected)) return [];
    const late = nodes.filter((node) => this.#isMember(node.id) && (node.isRebuilt === true || this.#isLate(node.id)));
    if (2 * (nodes.length - late.length) > nodes.length) return [];
    return late
      .filter(({ id, isRebuilt }) => isRebuilt !== true && (id === nodeId || isConnected(id)))
      .map(({ id }) => {
        const address = configuration?.members.find((member) => member.id === id)?.address;
        return { id, isLinked: true, isFilled: false, ...(address !== undefined && { address }) };
      });
  }

  /** This member lacks much of what others have, and would take newcomers for filled that lack as much. */
  get #isBehind(): boolean {
    const { nodeId } = this.#view;
    return this.#isMember(nodeId) && this.#isMajorityHeard && this.#isLate(nodeId);
  }

  /** One that was not heard may lack everything; and so may this node, before a majority was. */
  #isLate(id: NodeId): boolean {
    const { nodeId, decidedIndex } = this.#view;
    const has = id === nodeId ? decidedIndex : this.#isHeard(id) ? this.#heard.get(id)?.decidedIndex : undefined;
    if (has === undefined || !this.#isMajorityHeard) return true;
    return has < this.#step.previousIndex && !this.#isLittle(this.#newestIndex() - has, lagBytesMax);
  }

  get #isMajorityHeard(): boolean {
    return this.#isMajority((id) => this.#isHeard(id));
  }

  #isHeard(id: NodeId): boolean {
    const heard = this.#heard.get(id);
    return heard !== undefined && this.#view.tick - heard.tick <= heardTicksMax;
  }

  /** Of the present members, this node among them. */
  #isMajority(isThere: (id: NodeId) => boolean): boolean {
    const { configuration, nodeId } = this.#view;
    const members = configuration?.members ?? [];
    return 2 * members.filter(({ id }) => id === nodeId || isThere(id)).length > members.length;
  }

  /** As far as this node knows: it may itself be behind. */
  #newestIndex(): number {
    let newest = this.#view.decidedIndex;
    for (const { decidedIndex } of this.#heard.values()) newest = Math.max(newest, decidedIndex);
    return newest;
  }

  /** So many entries are there in a moment. */
  #isLittle(entries: number, bytesMax: number): boolean {
    return entries <= this.#lagMax && entries * this.#view.recentEntryBytes() <= bytesMax;
  }

  #ask(id: NodeId): void {
    const { clusterId, configuration, decidedIndex: index } = this.#view;
    if (clusterId === undefined || configuration === undefined) return;
    const newcomer = this.#newcomers.get(id);
    if (newcomer) {
      newcomer.previousIndex = newcomer.askedIndex;
      newcomer.askedIndex = index;
    }
    this.#output.send(id, configuration.configurationId, { type: 'Fill', clusterId, configuration, index });
    this.#output.send(id, configuration.configurationId, { type: 'DonorQuery' });
  }

  /** Undefined while nobody knows where it is. */
  #newcomerOf({ id, address: stated }: TargetNode): Newcomer | undefined {
    const { decidedIndex: index, tick } = this.#view;
    const address = stated ?? this.#view.knownAddress(id) ?? this.#view.helloOf(id)?.address;
    const known = this.#newcomers.get(id);
    if (address === undefined || known?.address === address) {
      if (known) known.askedTick = tick;
      return known;
    }
    const indexes = { firstIndex: index, askedIndex: index, previousIndex: index, decidedIndex: 0 };
    const ticks = { heardTick: undefined, silentSinceTick: tick, askedTick: tick, beganTick: tick };
    const made = { address, ...indexes, keepsUp: false, ...ticks };
    // As the newest: of too many, the oldest goes.
    this.#newcomers.delete(id);
    this.#newcomers.set(id, made);
    const [oldest] = this.#newcomers.keys();
    if (this.#newcomers.size > membersMax && oldest !== undefined) this.#newcomers.delete(oldest);
    return made;
  }

  #progressOf(node: TargetNode, newcomer: Newcomer | undefined): NewcomerFilling {
    const { decidedIndex: index, tick } = this.#view;
    const { id } = node;
    const isLinked = this.#view.isConnected(id) && this.#isMeant(node);
    if (newcomer === undefined) return { id, isLinked, isFilled: false };
    const { address, heardTick, firstIndex, keepsUp, beganTick } = newcomer;
    const isHeard = heardTick !== undefined && tick - heardTick <= heardTicksMax;
    if (!isHeard || !this.#isMeant(node)) return { id, address, isLinked, isFilled: false };
    const has = newcomer.decidedIndex;
    const bytesMax = lagBytesMax * (1 + Math.floor((tick - beganTick) / lagGrowthTicks));
    return { id, address, isLinked, isFilled: has >= firstIndex && (keepsUp || this.#isLittle(index - has, bytesMax)) };
  }

  /** Not so where another data directory runs under its id. */
  #isMeant({ id, storageId }: TargetNode): boolean {
    const linked = this.#view.helloOf(id)?.storageId;
    return storageId === undefined || linked === undefined || linked === storageId;
  }

  #isMember(id: NodeId): boolean {
    return this.#view.configuration?.members.some((member) => member.id === id) === true;
  }

  #forgetOld(): void {
    for (const [id, { askedTick }] of this.#newcomers) {
      if (!this.#isMember(id) && this.#view.tick - askedTick <= fillPatienceTicks) continue;
      this.#newcomers.delete(id);
      this.#refused.delete(id);
    }
  }
}

/** Clients go on with another member on this, and on the next. */
function behindFailure(id: NodeId): Failure {
  return failure('noMajority', 'notApplied', `node ${id} is itself behind: another member knows better what there is`);
}

function silentFailure(id: NodeId): Failure {
  return failure('noMajority', 'notApplied', `node ${id} does not answer the member that was asked to fill it`);
}
