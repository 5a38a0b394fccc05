import type { Configuration } from '../cluster/configuration.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import { nodesProblem } from '../omnipaxos/configuration.ts';
import type { ClientRequest, TargetNode } from '../wire/client-message.ts';
import { membersMax } from '../wire/limits.ts';
import type { DonorStanding } from '../wire/peer-message.ts';
import type { ConnectionId } from './events.ts';
import { failure, type Output } from './output.ts';

/** Ticks after the last request for which newcomers are still dialled, and go on filling themselves. */
export const fillPatienceTicks = 300;
/** What a newcomer said of itself counts for so many ticks. */
const heardTicksMax = 100;

/** A node that is to become a member. */
interface Newcomer {
  readonly address: string;
  /** All that was decided when its filling began is to be there before it counts as filled. */
  readonly firstIndex: number;
  decidedIndex: number;
  heardTick: number | undefined;
}

/** What fillings need to know of the node. */
export interface FillingsView {
  readonly clusterId: string | undefined;
  readonly configuration: Configuration | undefined;
  readonly decidedIndex: number;
  readonly tick: number;
  knownAddress(nodeId: NodeId): string | undefined;
  isConnected(nodeId: NodeId): boolean;
}

/**
 * Has nodes that are to become members pull all data while the present members go on as they are: a configuration then begins with
 * members that have everything, instead of with a majority that can decide nothing before a transfer is over. It is a courtesy and
 * no part of the protocol: whether a newcomer was filled or not, it votes only once it has all that was decided before.
 * It goes on as long as a client asks again and again; nothing of it outlasts the client.
 */
export class Fillings {
  readonly #output: Output;
  readonly #view: FillingsView;
  /** Entries that a newcomer may lack and still counts as filled. */
  readonly #lagMax: number;
  readonly #newcomers = new Map<NodeId, Newcomer>();
  #askedTick = Number.NEGATIVE_INFINITY;

  constructor(output: Output, view: FillingsView, lagMax: number) {
    this.#output = output;
    this.#view = view;
    this.#lagMax = lagMax;
  }

  /** Addresses to dial. */
  newcomers(): ReadonlyMap<NodeId, string> {
    this.#forgetOld();
    return new Map([...this.#newcomers].map(([id, { address }]) => [id, address]));
  }

  /** A client wants those of `nodes` that are no members to be filled. Tells it how far they are. */
  receive(connection: ConnectionId, request: ClientRequest & { readonly type: 'fill' }): void {
    const { clusterId, configuration } = this.#view;
    const problem = problemOf(request.nodes);
    if (problem !== undefined) {
      return this.#output.respond(connection, request.id, failure('invalid', 'notApplied', problem));
    }
    this.#forgetOld();
    this.#askedTick = this.#view.tick;
    const newcomers = request.nodes.filter(({ id }) => !configuration?.members.some((member) => member.id === id));
    for (const { id } of newcomers) {
      if (clusterId === undefined || configuration === undefined) continue;
      const index = this.#view.decidedIndex;
      this.#output.send(id, configuration.configurationId, { type: 'Fill', clusterId, configuration, index });
      this.#output.send(id, configuration.configurationId, { type: 'DonorQuery' });
    }
    this.#output.respond(connection, request.id, {
      type: 'filling',
      newcomers: newcomers.map((node) => this.#progressOf(node)),
    });
  }

  onStanding(from: NodeId, { decidedIndex }: DonorStanding): void {
    const newcomer = this.#newcomers.get(from);
    if (!newcomer) return;
    newcomer.decidedIndex = decidedIndex;
    newcomer.heardTick = this.#view.tick;
  }

  #progressOf(node: TargetNode): { readonly id: number; readonly isLinked: boolean; readonly isFilled: boolean } {
    const { id } = node;
    const address = node.address ?? this.#view.knownAddress(id);
    const { decidedIndex: index, tick } = this.#view;
    if (address !== undefined && this.#newcomers.get(id)?.address !== address) {
      this.#newcomers.set(id, { address, firstIndex: index, decidedIndex: 0, heardTick: undefined });
    }
    const newcomer = this.#newcomers.get(id);
    const isHeard = newcomer?.heardTick !== undefined && tick - newcomer.heardTick <= heardTicksMax;
    const has = newcomer?.decidedIndex ?? 0;
    const isFilled = isHeard && has >= newcomer.firstIndex && index - has <= this.#lagMax;
    return { id, isLinked: this.#view.isConnected(id), isFilled };
  }

  #forgetOld(): void {
    if (this.#view.tick - this.#askedTick > fillPatienceTicks) this.#newcomers.clear();
  }
}

function problemOf(nodes: readonly TargetNode[]): string | undefined {
  if (nodes.length > membersMax) return `${nodes.length} members: at most ${membersMax} are allowed`;
  return nodesProblem(nodes.map(({ id }) => id));
}
