import type { ClientResponse } from '../../wire/client-message.ts';
import { Connection, type ConnectionEvents, type ConnectionProblem } from './connection.ts';
import { Draining } from './draining.ts';
import type { Endpoints } from './endpoints.ts';
import { Pacing } from './pacing.ts';

/** With no hello for so long the next endpoint is tried, too: whoever says hello first is used. As for addresses of one host: RFC 8305. */
const headStartMsMax = 250;
/** A way that is too long for the usual time to say hello gets twice of it at the next attempt, up to so many times. */
const patienceMax = 4;

export interface RouterOptions {
  readonly endpoints: Endpoints;
  /** How long an endpoint may take to say hello, at the first attempt. */
  readonly connectTimeoutMs: number;
  /** Nodes of a cluster of another name will not do; undefined: any name will. */
  readonly clusterName?: string | undefined;
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
  readonly #clusterName: string | undefined;
  readonly #events: RouterEvents;
  readonly #connectionEvents: ConnectionEvents;
  readonly #pacing = new Pacing();
  #current: Connection | undefined;
  /** On their way to become the current one, the newest last; each to another endpoint. */
  readonly #opening = new Set<Connection>();
  readonly #draining = new Draining();
  /** How long those endpoints may take to say hello that took too long the last time, milliseconds. */
  readonly #patienceMs = new Map<string, number>();
  #clusterId: string | undefined;
  /** A node of that cluster has done what it was asked. */
  #isProven = false;
  #isClosed = false;

  constructor(options: RouterOptions, events: RouterEvents) {
    this.#endpoints = options.endpoints;
    this.#connectTimeoutMs = options.connectTimeoutMs;
    this.#clusterName = options.clusterName;
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

  /** The cluster that this client works with: that of the last node that said its own, until one has done what it was asked. */
  get clusterId(): string | undefined {
    return this.#clusterId;
  }

  /** A node that had no cluster yet when it said hello is of this one now. */
  learnClusterId(connection: Connection, clusterId: string): void {
    const hadNone = connection.hello?.clusterId === undefined;
    if (hadNone && connection === this.#current && !this.#isProven) this.#prove(clusterId);
  }

  /**
   * A node did what it was asked: no other cluster will do from now on. Before that a node may be left for one of another cluster, as where
   * one of a cluster that was replaced runs again, and can decide nothing. All that was asked of it then is harmless: a client writes
   * nothing before its session was opened.
   */
  proved(connection: Connection): void {
    const clusterId = connection.hello?.clusterId;
    if (!this.#isProven && clusterId !== undefined) this.#prove(clusterId);
  }

  /** True once {@link clusterId} stays what it is: before that no connection of another owner may count on it. */
  get isProven(): boolean {
    return this.#isProven;
  }

  #prove(clusterId: string): void {
    this.#isProven = true;
    this.#clusterId = clusterId;
    for (const connection of this.connections) {
      if (connection.hello?.clusterId !== undefined) this.#isOfOtherCluster(connection);
    }
  }

  /** The connection to send on, if one stands. */
  get current(): Connection | undefined {
    return this.#current;
  }

  /** True while a connection is coming up or draining. */
  get isBusy(): boolean {
    return this.#opening.size > 0 || this.#draining.size > 0;
  }

  /** True while one that was left has calls without an answer. */
  get isDraining(): boolean {
    return this.#draining.size > 0;
  }

  /** All connections that stand or come up. */
  get connections(): Connection[] {
    const connections = [...this.#draining, ...this.#opening];
    if (this.#current !== undefined) connections.push(this.#current);
    return connections;
  }

  /** Begins to connect to the next endpoint, unless that has to wait, or has begun and not taken long yet. */
  connect(nowMs: number): void {
    if (this.#isClosed || !this.#pacing.isOpen(nowMs)) return;
    const tried = new Set([...this.#opening].map(({ endpoint }) => endpoint));
    if (this.#current !== undefined) tried.add(this.#current.endpoint);
    const newest = [...this.#opening].at(-1);
    if (newest !== undefined && (nowMs - newest.startedMs < this.#headStartMs || tried.size >= this.#endpoints.size))
      return;
    const endpoint = this.#endpoints.next(tried);
    this.#opening.add(new Connection(endpoint, this.#endpoints.secureContext, nowMs, this.#connectionEvents));
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
    if (this.#opening.size > 0 || this.#isSilent(nowMs)) this.connect(nowMs);
    this.#draining.closeDrained();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.connections.map((connection) => connection.close()));
  }

  #onReady(connection: Connection): void {
    if (this.#isOfOtherCluster(connection)) return;
    this.#opening.delete(connection);
    this.#endSlower();
    this.#patienceMs.delete(connection.endpoint);
    this.#endpoints.reached(connection.endpoint);
    const silent = this.#current;
    this.#current = connection;
    if (silent !== undefined) {
      this.#endpoints.failed(silent.endpoint, undefined);
      this.#drain(silent);
    }
    this.#events.onRoute(connection, silent);
  }

  /**
   * Commands for one cluster must never reach another one, whatever the endpoints say. A node that belongs to none yet, as after its
   * directory was emptied, may come to belong to another.
   */
  #isOfOtherCluster(connection: Connection): boolean {
    const { endpoint, hello } = connection;
    const clusterId = hello?.clusterId;
    if (this.#clusterName !== undefined && hello?.clusterName !== this.#clusterName) {
      const message = `${endpoint} is of cluster "${hello?.clusterName}", not of "${this.#clusterName}"`;
      this.#cut(connection, { kind: 'notKvNode', message });
      return true;
    }
    if (!this.#isProven) this.#clusterId = clusterId;
    if (clusterId === this.#clusterId) return false;
    const [kind, what] =
      clusterId === undefined
        ? (['unreachable', 'belongs to no cluster yet'] as const)
        : (['notKvNode', `is of cluster ${clusterId}`] as const);
    this.#cut(connection, { kind, message: `${endpoint} ${what}, this client works with cluster ${this.#clusterId}` });
    return true;
  }

  #onEnded(connection: Connection, problem: ConnectionProblem): void {
    this.#opening.delete(connection);
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
    for (const connection of this.#opening) {
      const { endpoint, startedMs } = connection;
      const patienceMs = this.#patienceMs.get(endpoint) ?? this.#connectTimeoutMs;
      if (nowMs - startedMs < patienceMs) continue;
      this.#patienceMs.set(endpoint, Math.min(2 * patienceMs, patienceMax * this.#connectTimeoutMs));
      const message = `${endpoint}: no hello within ${Math.ceil(patienceMs)} ms`;
      this.#cut(connection, { kind: 'unreachable', message });
    }
  }

  /** Another one was quicker. They go to the end of the line. */
  #endSlower(): void {
    for (const connection of this.#opening) {
      connection.end();
      this.#endpoints.failed(connection.endpoint, undefined);
    }
    this.#opening.clear();
  }

  get #headStartMs(): number {
    return Math.min(headStartMsMax, this.#connectTimeoutMs / 2);
  }

  /** True if the current node leaves a call without an answer for too long, and others of its kind too. */
  #isSilent(nowMs: number): boolean {
    return this.#endpoints.size > 1 && this.#current?.isSilent(nowMs) === true;
  }
}
