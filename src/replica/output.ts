import type { NodeId } from '../omnipaxos/ballot.ts';
import type { ClientResponse, Failure, FailureCode, FailureOutcome, ResponseBody } from '../wire/client-message.ts';
import type { PeerMessage, PeerPayload } from '../wire/peer-message.ts';
import type { ConnectionId, LogLevel, Notice, Refusal, StorageJob, TurnOutput } from './events.ts';

const none: ReadonlyMap<number, never[]> = new Map();
const nothing: readonly never[] = [];

/** Gathers what a turn gives out. All for one peer or one client ends up in one frame. */
export class Output {
  #messages = new Map<NodeId, PeerMessage[]>();
  #responses = new Map<ConnectionId, ClientResponse[]>();
  #jobs: StorageJob[] = [];
  #refusals: Refusal[] = [];
  #notices: Notice[] = [];

  send(to: NodeId, configurationId: number, payload: PeerPayload): void {
    const message = { configurationId, payload };
    const messages = this.#messages.get(to);
    if (messages) messages.push(message);
    else this.#messages.set(to, [message]);
  }

  respond(connection: ConnectionId, requestId: number, body: ResponseBody): void {
    const response: ClientResponse = { id: requestId, ...body };
    const responses = this.#responses.get(connection);
    if (responses) responses.push(response);
    else this.#responses.set(connection, [response]);
  }

  job(job: StorageJob): void {
    this.#jobs.push(job);
  }

  refuse(nodeId: NodeId, kind: Refusal['kind'], reason: string): void {
    this.#refusals.push({ nodeId, kind, reason });
  }

  notice(level: LogLevel, message: string): void {
    this.#notices.push({ level, message });
  }

  /** Drops messages to nodes without a link: they would be lost anyway, and resends mend that. */
  take(isConnected: (nodeId: NodeId) => boolean, hasMore: boolean): TurnOutput {
    for (const nodeId of this.#messages.keys()) if (!isConnected(nodeId)) this.#messages.delete(nodeId);
    const taken = {
      messages: this.#messages.size > 0 ? this.#messages : none,
      responses: this.#responses.size > 0 ? this.#responses : none,
      jobs: this.#jobs.length > 0 ? this.#jobs : nothing,
      refusals: this.#refusals.length > 0 ? this.#refusals : nothing,
      notices: this.#notices.length > 0 ? this.#notices : nothing,
      hasMore,
    };
    // Most turns give little: what is empty stays here to be filled by a later one.
    if (taken.messages !== none) this.#messages = new Map();
    if (taken.responses !== none) this.#responses = new Map();
    if (taken.jobs !== nothing) this.#jobs = [];
    if (taken.refusals !== nothing) this.#refusals = [];
    if (taken.notices !== nothing) this.#notices = [];
    return taken;
  }
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
