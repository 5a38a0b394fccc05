import type { NodeId } from '../omnipaxos/ballot.ts';
import {
  type ClientResponse,
  type Failure,
  type FailureCode,
  type FailureOutcome,
  type ResponseBody,
  responseOf,
} from '../wire/client-message.ts';
import type { PeerHello, PeerMessage, PeerPayload } from '../wire/peer-message.ts';
import type { ConnectionId, LogLevel, Notice, PeerOutput, Refusal, StorageJob, TurnOutput } from './events.ts';

const none: ReadonlyMap<number, never[]> = new Map();
const nothing: readonly never[] = [];

/** Most messages to a peer that wait for the disk to have the configuration that they are of. */
const heldMax = 64;

/** Gathers what a turn gives out. All for one peer or one client ends up in one frame. */
export class Output {
  /** By node, but no map: there are few nodes, and a turn comes for each put. */
  #messages: PeerOutput[] = [];
  #responses = new Map<ConnectionId, ClientResponse[]>();
  #jobs: StorageJob[] = [];
  #refusals: Refusal[] = [];
  #notices: Notice[] = [];

  send(to: NodeId, configurationId: number, payload: PeerPayload): void {
    this.#add(to, { configurationId, payload });
  }

  /** It need not wait behind what was sent before. */
  sendUrgently(to: NodeId, configurationId: number, payload: PeerPayload): void {
    this.#add(to, { configurationId, payload, isUrgent: true });
  }

  #add(to: NodeId, message: PeerMessage): void {
    for (const output of this.#messages) {
      if (output.to !== to) continue;
      output.messages.push(message);
      return;
    }
    this.#messages.push({ to, messages: [message] });
  }

  respond(connection: ConnectionId, requestId: number, body: ResponseBody): void {
    const response = responseOf(requestId, body);
    const responses = this.#responses.get(connection);
    if (responses) responses.push(response);
    else this.#responses.set(connection, [response]);
  }

  job(job: StorageJob): void {
    this.#jobs.push(job);
  }

  refuse(hello: PeerHello, kind: Refusal['kind'], reason: string): void {
    this.#refusals.push({ hello, kind, reason });
  }

  notice(level: LogLevel, message: string): void {
    this.#notices.push({ level, message });
  }

  /**
   * Drops messages to nodes without a link: they would be lost anyway, and resends mend that. Those of a later configuration than
   * `durableConfigurationId` stay here, in their order, at most the last 64 to a node: whoever is heard in one counts as gone from all before
   * it, with whatever had been accepted there, and so must be, even after a crash.
   */
  take(isConnected: (nodeId: NodeId) => boolean, durableConfigurationId: number, hasMore: boolean): TurnOutput {
    const messages = this.#takeMessages(isConnected, durableConfigurationId);
    const taken = {
      messages,
      responses: this.#responses.size > 0 ? this.#responses : none,
      jobs: this.#jobs.length > 0 ? this.#jobs : nothing,
      refusals: this.#refusals.length > 0 ? this.#refusals : nothing,
      notices: this.#notices.length > 0 ? this.#notices : nothing,
      hasMore,
    };
    // Most turns give little: what is empty stays here to be filled by a later one.
    if (taken.responses !== none) this.#responses = new Map();
    if (taken.jobs !== nothing) this.#jobs = [];
    if (taken.refusals !== nothing) this.#refusals = [];
    if (taken.notices !== nothing) this.#notices = [];
    return taken;
  }

  #takeMessages(isConnected: (nodeId: NodeId) => boolean, durableConfigurationId: number): readonly PeerOutput[] {
    if (this.#messages.length === 0) return nothing;
    const messages = this.#messages;
    this.#messages = [];
    let areAllGiven = true;
    for (const { to, messages: all } of messages) {
      areAllGiven &&= isConnected(to) && countGiven(all, durableConfigurationId) === all.length;
    }
    if (areAllGiven) return messages;
    return messages
      .filter(({ to }) => isConnected(to))
      .flatMap((output) => this.#split(output, durableConfigurationId));
  }

  /** What leaves now of the messages to a node, if any does. The rest stays. */
  #split({ to, messages }: PeerOutput, durableConfigurationId: number): PeerOutput[] {
    const count = countGiven(messages, durableConfigurationId);
    // A request to take the lead over is meant for now, or not at all.
    const held = messages.slice(count).filter(({ payload }) => payload.type !== 'TakeOver');
    if (held.length > 0) this.#messages.push({ to, messages: held.slice(-heldMax) });
    return count > 0 ? [{ to, messages: messages.slice(0, count) }] : [];
  }
}

/** How many of the messages, from the first on, are of no later configuration than this. A node's configurations only grow. */
function countGiven(messages: readonly PeerMessage[], durableConfigurationId: number): number {
  let count = 0;
  while (count < messages.length && (messages[count] as PeerMessage).configurationId <= durableConfigurationId) count++;
  return count;
}

/** A failed request's answer. */
export function failure(
  code: FailureCode,
  outcome: FailureOutcome,
  message: string,
  members?: readonly string[],
): Failure {
  return members ? { type: 'failed', code, outcome, message, members } : { type: 'failed', code, outcome, message };
}

/** With a leader in reach: it was the time that was too short, for now at least. */
export const lateAnswer = failure('timeout', 'notApplied', 'no majority answered before the deadline');
