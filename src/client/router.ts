import type { ClientResponse } from '../wire/client-message.ts';
import { Connection, type ConnectionEvents, type ConnectionProblem } from './connection.ts';
import { Draining } from './draining.ts';
import type { Endpoints } from './endpoints.ts';
import { Pacing } from './pacing.ts';

export interface RouterOptions {
  readonly endpoints: Endpoints;
  /** How long an endpoint may take to say hello. */
  readonly connectTimeoutMs: number;
}

export interface RouterEvents {
  /** A connection is ready to be sent on. `silent`: the one that it replaces, since it gave no answers. */
  onRoute(connection: Connection, silent: Connection | undefined): void;
  onAnswers(connection: Connection, responses: readonly ClientResponse[]): void;
  /** A connection broke: what was sent on it has no answer and gets none. */
  onLost(connection: Connection, problem: ConnectionProblem): void;
}

/**
 * Keeps one current connection, to the node that is most likely to answer. A connection that is left, not lost, drains:
 * it stays open until its last calls have their answers.
 */
export class Router {
  readonly #endpoints: Endpoints;
  readonly #connectTimeoutMs: number;
  readonly #events: RouterEvents;
  readonly #connectionEvents: ConnectionEvents;
  readonly #pacing = new Pacing();
  #current: Connection | undefined;
  /** On its way to become the current one. */
  #opening: Connection | undefined;
  readonly #draining = new Draining();
  #clusterId: string | undefined;
  #isClosed = false;

  constructor(options: RouterOptions, events: RouterEvents) {
    this.#endpoints = options.endpoints;
    this.#connectTimeoutMs = options.connectTimeoutMs;
    this.#events = events;
    this.#connectionEvents = {
      onReady: (connection) => this.#onReady(connection),
      onAnswers: (connection, responses) => {
        events.onAnswers(connection, responses);
        this.#draining.closeIfDrained(connection);
      },
      onEnded: (connection, problem) => this.#onEnded(connection, problem),
    };
  }

  /** The cluster of the first node that said its own. */
  get clusterId(): string | undefined {
    return this.#clusterId;
  }

  /** A node that had no cluster yet when it said hello is of this one now. */
  learnClusterId(connection: Connection, clusterId: string): void {
    if (connection === this.#current) this.#clusterId ??= clusterId;
  }

  /** The connection to send on, if one stands. */
  get current(): Connection | undefined {
    return this.#current;
  }

  /** True while a connection is coming up or draining. */
  get isBusy(): boolean {
    return this.#opening !== undefined || this.#draining.size > 0;
  }

  /** All connections that stand or come up. */
  get connections(): Connection[] {
    const connections = [...this.#draining];
    if (this.#current !== undefined) connections.push(this.#current);
    if (this.#opening !== undefined) connections.push(this.#opening);
    return connections;
  }

  /** Begins to connect to the next endpoint, unless that is under way or has to wait. */
  connect(nowMs: number): void {
    if (this.#isClosed || this.#opening !== undefined || !this.#pacing.isOpen(nowMs)) return;
    const endpoint = this.#endpoints.next(this.#current?.endpoint);
    this.#opening = new Connection(endpoint, nowMs, this.#connectionEvents);
  }

  /** The node behind the current connection is not the one to ask, and says so: goes to the next. */
  leave(connection: Connection, nowMs: number): void {
    if (connection !== this.#current || this.#endpoints.size === 1) return;
    this.#endpoints.failed(connection.endpoint, undefined);
    this.#current = undefined;
    this.#drain(connection);
    this.connect(nowMs);
  }

  /** A node gave a good answer. */
  succeeded(): void {
    this.#pacing.succeeded();
  }

  /** Ends a connection that does not come up, goes on from a silent one, and closes those that have drained. */
  sweep(nowMs: number): void {
    this.#endSlowOpening(nowMs);
    if (this.#isSilent(nowMs)) this.connect(nowMs);
    this.#draining.closeDrained();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.connections.map((connection) => connection.close()));
  }

  #onReady(connection: Connection): void {
    if (this.#isOfOtherCluster(connection)) return;
    this.#opening = undefined;
    this.#endpoints.reached(connection.endpoint);
    const silent = this.#current;
    this.#current = connection;
    if (silent !== undefined) {
      this.#endpoints.failed(silent.endpoint, undefined);
      this.#drain(silent);
    }
    this.#events.onRoute(connection, silent);
  }

  /** Commands for one cluster must never reach another one, whatever the endpoints say. */
  #isOfOtherCluster(connection: Connection): boolean {
    const clusterId = connection.hello?.clusterId;
    this.#clusterId ??= clusterId;
    if (clusterId === undefined || clusterId === this.#clusterId) return false;
    const message = `${connection.endpoint} is of cluster ${clusterId}, this client works with cluster ${this.#clusterId}`;
    this.#cut(connection, { kind: 'notKvNode', message });
    return true;
  }

  #onEnded(connection: Connection, problem: ConnectionProblem): void {
    if (connection === this.#opening) this.#opening = undefined;
    if (connection === this.#current) this.#current = undefined;
    if (!this.#draining.delete(connection)) {
      this.#endpoints.failed(connection.endpoint, problem);
      this.#pacing.failed(performance.now(), this.#endpoints.size);
    }
    this.#events.onLost(connection, problem);
  }

  #cut(connection: Connection, problem: ConnectionProblem): void {
    connection.end();
    this.#onEnded(connection, problem);
  }

  #drain(connection: Connection): void {
    const cut = this.#draining.add(connection);
    if (cut !== undefined) this.#cut(cut, { kind: 'unreachable', message: `${cut.endpoint}: no answer` });
  }

  #endSlowOpening(nowMs: number): void {
    const connection = this.#opening;
    if (connection === undefined || nowMs - connection.startedMs < this.#connectTimeoutMs) return;
    const message = `${connection.endpoint}: no hello within ${Math.ceil(this.#connectTimeoutMs)} ms`;
    this.#cut(connection, { kind: 'unreachable', message });
  }

  /** True if the current node leaves a call without an answer for too long, and others of its kind too. */
  #isSilent(nowMs: number): boolean {
    return this.#endpoints.size > 1 && this.#current?.isSilent(nowMs) === true;
  }
}
