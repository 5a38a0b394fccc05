import type { MembersNews, NodeStatus } from '../../wire/client-message.ts';
import { type Call, outgoing, PromiseCall, traits } from '../call/call.ts';
import type { Connection } from './connection.ts';
import { canonicalOrUndefined, type Endpoints } from './endpoints.ts';
import type { LeaderRoute } from './leader-route.ts';
import type { Router } from './router.ts';

/** So that the question makes nobody take a node for silent sooner than most calls do. */
const questionLimits = { timeoutMs: 3000, signal: undefined };
/** How often a node in use is asked who leads, where that is of use, ... */
const leaderAgeMsMax = 2000;
/** ... and where the members are: all may have been replaced before the node in use is. */
const membersAgeMsMax = 30_000;
/** A connection that is lost while nobody asks for anything is replaced, if that can be done in so long: over it, news of members comes. */
const replaceIdleMs = 10_000;
/** ... and if it was there for so long. */
const lastingMs = 500;
/** How long it is stayed with a node that is no member while one is sought. */
const standbyMs = 200;

export interface ClusterNewsParts {
  readonly endpoints: Pick<Endpoints, 'learn' | 'prefer' | 'givenCount'>;
  readonly router: Pick<Router, 'current' | 'clusterId' | 'isProven' | 'connect' | 'leave' | 'learnClusterId'>;
  readonly leaderRoute: Pick<LeaderRoute, 'aim'>;
  /** True: only the endpoints that were given, whatever nodes say of others. */
  readonly isPinned: boolean;
  /** Asks the node in use. */
  readonly submit: (call: Call) => void;
  /** There is something to watch. */
  readonly wake: () => void;
  /** Writes that wait may be able to go. */
  readonly onLeader: () => void;
}

/**
 * What nodes say of their cluster, asked or unasked, and what a client does about it: it learns where the members are, so that losing every
 * given endpoint is survived; has writes go to who leads; leaves a node that is no member; and seeks a member, over which the next news comes, even
 * while nobody asks for anything.
 */
export class ClusterNews {
  readonly #parts: ClusterNewsParts;
  /** A write was sent: who only reads has no use for the leader. */
  #hasWritten = false;
  /** Until when there is to be a connection to a member, even if nobody asks for anything. */
  #wantedUntilMs = 0;
  /** Leads to a node that is no member. */
  #standby: Connection | undefined;

  constructor(parts: ClusterNewsParts) {
    this.#parts = parts;
  }

  /** Writes were sent. */
  onWrites(): void {
    this.#hasWritten = true;
  }

  /** A node told where the members are. */
  learn(addresses: readonly string[]): void {
    if (!this.#parts.isPinned) this.#parts.endpoints.learn(addresses);
  }

  /** A node told who the members are, unasked: of another configuration than before. */
  onMembers(connection: Connection, { addresses, isMember }: MembersNews): void {
    const { endpoints, router, isPinned } = this.#parts;
    if (isPinned || connection !== router.current) return;
    endpoints.prefer(addresses);
    if (isMember) return;
    router.leave(connection, performance.now());
    this.#wantMember();
  }

  /** One that was of no use, or did not last, is not worth another. */
  onLost(connection: Connection): void {
    const hasLasted = performance.now() - connection.startedMs >= lastingMs;
    if (connection.answeredMs > 0 && hasLasted) this.#wantMember();
  }

  /** A node did what it was asked: whoever was said to lead before may have been one of another cluster. */
  onProved(): void {
    const { current, isProven } = this.#parts.router;
    if (isProven && current) current.askedClusterMs = Number.NEGATIVE_INFINITY;
  }

  /** On a connection in use, or just used, for longer than a moment: asks where the members are and, again and again, who leads. */
  ask(nowMs: number): void {
    const { router, isPinned, submit } = this.#parts;
    const connection = router.current;
    if (isPinned || connection === undefined) return;
    // A cluster is there now, and which one must be known before the connection is lost: only then is another told from it.
    const hasFormed = router.clusterId === undefined && connection.agreedMs > Math.max(0, connection.askedClusterMs);
    const ageMsMax = this.#mayGoToLeader ? leaderAgeMsMax : membersAgeMsMax;
    if (!hasFormed && nowMs - connection.askedClusterMs < ageMsMax) return;
    connection.askedClusterMs = nowMs;
    const call = new PromiseCall(traits.localRead, questionLimits, nowMs, outgoing({ type: 'status' }), {
      read: (answer) => (answer.type === 'status' ? answer.status : undefined),
      resolve: (status) => this.#onStatus(status, connection),
      // Not to know it is no worse than before.
      reject: () => {},
    });
    submit(call);
  }

  /** Goes on towards a member, if one is wanted. False if nobody is to be sought. */
  seekMember(nowMs: number): boolean {
    const { router } = this.#parts;
    const { current } = router;
    if (nowMs >= this.#wantedUntilMs || (current !== undefined && current !== this.#standby)) return false;
    if (current === undefined) router.connect(nowMs);
    else if (nowMs - current.startedMs >= standbyMs) router.leave(current, nowMs);
    return true;
  }

  #onStatus({ members, leader, clusterId, state }: NodeStatus, connection: Connection): void {
    const { endpoints, router, leaderRoute, onLeader } = this.#parts;
    if (clusterId !== undefined) router.learnClusterId(connection, clusterId);
    const addresses = members.map(({ address }) => address);
    this.learn(addresses);
    if (state === 'standby' && connection === router.current) {
      this.#standby = connection;
      endpoints.prefer(addresses);
    }
    const member = members.find(({ id }) => id === leader);
    const address = member && canonicalOrUndefined(member.address);
    if (member === undefined || address === undefined) return;
    if (!this.#mayGoToLeader || !router.isProven || connection !== router.current) return;
    const isCurrent = connection.hello?.nodeId === member.id;
    leaderRoute.aim({ nodeId: member.id, address }, isCurrent, performance.now());
    onLeader();
  }

  /** Of a member news of other members is to be had, of others not. */
  #wantMember(): void {
    if (this.#parts.isPinned) return;
    this.#wantedUntilMs = performance.now() + replaceIdleMs;
    this.#parts.wake();
  }

  /** Who names one node means that one, and may reach no other. */
  get #mayGoToLeader(): boolean {
    return this.#hasWritten && this.#parts.endpoints.givenCount > 1;
  }
}
