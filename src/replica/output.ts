import type { NodeId } from '../omnipaxos/ballot.ts';
import type { ClientResponse, Failure, FailureCode, FailureOutcome, ResponseBody } from '../wire/client-message.ts';
import type { PeerMessage, PeerPayload } from '../wire/peer-message.ts';
import type { ConnectionId, LogLevel, Notice, Refusal, StorageJob, TurnOutput } from './events.ts';

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
      messages: this.#messages,
      responses: this.#responses,
      jobs: this.#jobs,
      refusals: this.#refusals,
      notices: this.#notices,
      hasMore,
    };
    this.#messages = new Map();
    this.#responses = new Map();
    this.#jobs = [];
    this.#refusals = [];
    this.#notices = [];
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
