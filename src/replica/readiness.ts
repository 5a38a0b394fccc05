import type { NodeId } from '../omnipaxos/ballot.ts';
import type { Failure, NodeStatus } from '../wire/client-message.ts';
import type { ClientsView } from './clients/clients.ts';
import type { ConnectionId } from './events.ts';
import type { Membership } from './membership/membership.ts';
import { whyNoLeader } from './membership/mode.ts';
import type { NodeView } from './node-view.ts';
import { failure } from './output.ts';
import type { Space } from './state/space.ts';
import type { Voter } from './voter.ts';

/** What readiness depends on, and what of its node clients ask for. */
export interface ReadinessParts {
  readonly view: NodeView;
  readonly membership: Membership;
  readonly space: Space;
  /** True while so much waits to be sent to a client that it had better get no more answers. */
  readonly isCongested: (connection: ConnectionId) => boolean;
  readonly status: () => NodeStatus;
}

/** To whoever still waits when a node ends, and whoever comes then. */
export const stoppingFailure = failure('shuttingDown', 'notApplied', 'this node is stopping');

/** Whether this node takes requests of clients and has a leader in reach for them, and what they are told if not. */
export class Readiness implements ClientsView {
  readonly isCongested: (connection: ConnectionId) => boolean;
  readonly status: () => NodeStatus;
  readonly #view: NodeView;
  readonly #membership: Membership;
  readonly #space: Space;
  #isStopping = false;

  constructor({ view, membership, space, isCongested, status }: ReadinessParts) {
    this.#view = view;
    this.#membership = membership;
    this.#space = space;
    this.isCongested = isCongested;
    this.status = status;
  }

  /** From now on all requests are refused. */
  onStopping(): void {
    this.#isStopping = true;
  }

  get voter(): Voter | undefined {
    return this.#membership.voter;
  }

  get tick(): number {
    return this.#view.tick;
  }

  get nowMs(): number {
    return this.#view.nowMs;
  }

  get isLed(): boolean {
    return this.voter?.canReachLeader(this.#view.isConnected) ?? false;
  }

  get whyNoLeader(): string {
    return whyNoLeader(this.#membership.mode);
  }

  /** The leader that this node reaches. */
  get leader(): NodeId | undefined {
    return this.isLed ? this.voter?.leader?.pid : undefined;
  }

  get refusal(): Failure | undefined {
    if (this.#isStopping) return stoppingFailure;
    const { name } = this.#membership.mode;
    if (name === 'member' || name === 'forming') return undefined;
    const { nodeId, members } = this.#view;
    const what = name === 'joining' ? 'is catching up with the cluster' : 'stands by and is no member';
    const others = members.filter((member) => member.id !== nodeId);
    return failure(
      'notMember',
      'notApplied',
      `node ${nodeId} ${what}`,
      others.map((member) => member.address),
    );
  }

  /** A node that belongs to no cluster yet may be an emptied member of one: who its members are is for others to say. */
  get formingRefusal(): Failure | undefined {
    const { mode } = this.#membership;
    if (mode.name !== 'forming') return undefined;
    const { nodeId } = this.#view;
    return failure('notMember', 'notApplied', `node ${nodeId} belongs to no cluster yet: ${whyNoLeader(mode)}`);
  }

  get putRefusal(): Failure | undefined {
    return this.#space.putRefusal;
  }

  get writeWait(): string | undefined {
    return this.#space.writeWait;
  }
}
