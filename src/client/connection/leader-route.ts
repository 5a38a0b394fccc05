import type { SecureContext } from 'node:tls';
import type { ClientResponse } from '../../wire/client-message.ts';
import { Connection, type ConnectionEvents, type ConnectionProblem } from './connection.ts';
import { Draining } from './draining.ts';
import { Pacing } from './pacing.ts';

/** The pauses before another attempt to reach the leader. */
const pauseStartMs = 500;
const pauseMaxMs = 30_000;
/** How long new writes may wait for the answers to those on the way before, milliseconds. */
export const holdMsMax = 250;

/** Who leads, as a node says. */
export interface KnownLeader {
  readonly nodeId: number;
  /** "host:port" */
  readonly address: string;
}

export interface LeaderRouteOptions {
  /** How long the leader may take to say hello. */
  readonly connectTimeoutMs: number;
  /** For the next connection; undefined: it is not encrypted. */
  readonly secureContext: () => SecureContext | undefined;
  /** The cluster that this client works with. */
  readonly clusterId: () => string | undefined;
}

export interface LeaderRouteEvents {
  /** Writes that wait may be able to go. */
  onChange(): void;
  onAnswers(connection: Connection, responses: readonly ClientResponse[]): void;
  /** A connection broke: what was sent on it has no answer and gets none. */
  onLost(connection: Connection, problem: ConnectionProblem): void;
  /** A connection is left, since it gives no answers. */
  onSilent(connection: Connection): void;
}

interface Next {
  readonly leader: KnownLeader;
  readonly connection: Connection;
  /** When it was ready; undefined: it is not yet. */
  readyMs: number | undefined;
}

/**
 * A second connection, to the leader, for writes: through another node each would take two messages more. Nothing depends on
 * it: while the leader is not known, or not to be reached from here, writes go where everything else goes, and any node takes them.
 *
 * Writes keep their order: those that come while the way changes wait until those on the way before have their answers.
 */
export class LeaderRoute {
  readonly #options: LeaderRouteOptions;
  readonly #events: LeaderRouteEvents;
  readonly #connectionEvents: ConnectionEvents;
  readonly #pacing = new Pacing(pauseStartMs, pauseMaxMs);
  readonly #draining = new Draining();
  /** Where writes go; undefined: where everything else goes. */
  #taken: Connection | undefined;
  /** To be taken. */
  #next: Next | undefined;
  #takenMs = 0;
  /** Since when writes are to go where everything else goes, as that node leads now. */
  #backSinceMs: number | undefined;

  constructor(options: LeaderRouteOptions, events: LeaderRouteEvents) {
    this.#options = options;
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

  /** Where writes go, if that is not where everything else goes. */
  get taken(): Connection | undefined {
    return this.#taken;
  }

  /** True while a connection is coming up or draining. */
  get isBusy(): boolean {
    return this.#next !== undefined || this.#draining.size > 0;
  }

  /** True while one that was left has calls without an answer. */
  get isDraining(): boolean {
    return this.#draining.size > 0;
  }

  /** True while writes may have to wait for the way to change. */
  get isChanging(): boolean {
    return this.#changingSinceMs !== undefined;
  }

  /** All connections that stand or come up. */
  get connections(): Connection[] {
    const connections = [...this.#draining];
    if (this.#taken !== undefined) connections.push(this.#taken);
    if (this.#next !== undefined) connections.push(this.#next.connection);
    return connections;
  }

  /** Where writes go now; undefined: they have to wait. `current`: where everything else goes. */
  route(current: Connection | undefined): Connection | undefined {
    const before = this.#taken ?? current;
    const isNowhereToGoBack = this.#backSinceMs !== undefined && current === undefined;
    if (!this.isChanging || isNowhereToGoBack) return before;
    if (before !== undefined && hasWrites(before)) return undefined;
    this.#change();
    return this.#taken ?? current;
  }

  /** Takes note of who leads. `isCurrent`: everything goes there anyway. */
  aim(leader: KnownLeader, isCurrent: boolean, nowMs: number): void {
    if (isCurrent) return this.#aimBack(nowMs);
    if (this.#next?.leader.nodeId === leader.nodeId) return;
    this.#dropNext();
    this.#backSinceMs = undefined;
    if (this.#taken?.hello?.nodeId === leader.nodeId || !this.#pacing.isOpen(nowMs)) return;
    const connection = new Connection(leader.address, this.#options.secureContext(), nowMs, this.#connectionEvents);
    this.#next = { leader, connection, readyMs: undefined };
  }

  /** Two connections to one node are of no use, and cost twice the patience when it hangs. */
  #aimBack(nowMs: number): void {
    this.#dropNext();
    if (this.#taken !== undefined) this.#backSinceMs ??= nowMs;
  }

  /** The node behind this connection is not the one to ask, and says so. */
  leave(connection: Connection, nowMs: number): void {
    if (connection !== this.#taken) return;
    this.#takenFailed(nowMs);
    this.#drain(connection);
  }

  /**
   * Goes on from a leader that does not come up or is silent, and closes connections that have drained. `holdMs`: how long the
   * writes that wait may be kept waiting.
   */
  sweep(current: Connection | undefined, nowMs: number, holdMs: number): void {
    this.#endSlowNext(nowMs);
    this.route(current);
    if (nowMs - (this.#changingSinceMs ?? nowMs) >= Math.min(holdMs, holdMsMax)) this.#stay(nowMs);
    const taken = this.#taken;
    if (taken?.isSilent(nowMs)) {
      this.leave(taken, nowMs);
      this.#events.onSilent(taken);
    }
    this.#draining.closeDrained();
  }

  async close(): Promise<void> {
    await Promise.all(this.connections.map((connection) => connection.close()));
  }

  get #changingSinceMs(): number | undefined {
    return this.#backSinceMs ?? this.#next?.readyMs;
  }

  #change(): void {
    const before = this.#taken;
    this.#taken = this.#next?.connection;
    this.#next = undefined;
    this.#backSinceMs = undefined;
    this.#takenMs = performance.now();
    if (before !== undefined) this.#drain(before);
  }

  /** Gives a change up that keeps writes waiting for too long. */
  #stay(nowMs: number): void {
    this.#pacing.failed(nowMs, 0);
    this.#dropNext();
    this.#backSinceMs = undefined;
    this.#events.onChange();
  }

  #onReady(connection: Connection): void {
    const next = this.#next;
    if (next === undefined || connection !== next.connection) return;
    const { hello } = connection;
    const nowMs = performance.now();
    // Whatever a node says of addresses: commands for one cluster must never reach another one.
    if (hello?.nodeId !== next.leader.nodeId || hello.clusterId !== this.#options.clusterId()) {
      this.#pacing.failed(nowMs, 0);
      this.#dropNext();
      return;
    }
    next.readyMs = nowMs;
    this.#events.onChange();
  }

  #onEnded(connection: Connection, problem: ConnectionProblem): void {
    const nowMs = performance.now();
    this.#draining.delete(connection);
    if (connection === this.#taken) this.#takenFailed(nowMs);
    if (connection === this.#next?.connection) {
      this.#next = undefined;
      this.#pacing.failed(nowMs, 0);
    }
    this.#events.onLost(connection, problem);
  }

  /** One that says hello and then fails again and again gets longer pauses each time, as if it were not reached. */
  #takenFailed(nowMs: number): void {
    if (nowMs - this.#takenMs >= pauseMaxMs) this.#pacing.succeeded();
    this.#pacing.failed(nowMs, 0);
    this.#taken = undefined;
    this.#backSinceMs = undefined;
  }

  #drain(connection: Connection): void {
    const cut = this.#draining.add(connection);
    if (cut !== undefined) {
      cut.end();
      this.#onEnded(cut, { kind: 'unreachable', message: `${cut.endpoint}: no answer` });
    }
    this.#draining.closeIfDrained(connection);
  }

  #dropNext(): void {
    this.#next?.connection.end();
    this.#next = undefined;
  }

  #endSlowNext(nowMs: number): void {
    const next = this.#next;
    if (next === undefined || next.readyMs !== undefined) return;
    if (nowMs - next.connection.startedMs < this.#options.connectTimeoutMs) return;
    this.#pacing.failed(nowMs, 0);
    this.#dropNext();
  }
}

function hasWrites(connection: Connection): boolean {
  for (const call of connection.sent.values()) if (call.isWrite && !call.isDone) return true;
  return false;
}
