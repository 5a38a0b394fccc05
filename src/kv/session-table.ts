import { assert } from '../base/assert.ts';
import { ClientSession } from './client-session.ts';
import type { ClientOutcome } from './outcome.ts';
import type { SessionChange, SessionRow } from './state-store.ts';

/** Most sessions kept. All replicas must have the same figure: only tests have another. */
const sessionsMaxDefault = 10_000;

export interface SessionTableOptions {
  /** Most sessions kept: opening one more drops the least recently used. */
  readonly sessionsMax?: number;
}

/**
 * All client sessions. Replicated state: it changes only by entries of the log, so every replica has the same table at
 * the same applied index, and drops the same session when it is full.
 */
export class SessionTable {
  readonly #sessionsMax: number;
  /** In order of last use: the first is the one to drop. */
  readonly #sessions = new Map<number, ClientSession>();
  #lastUsed: ClientSession | undefined;
  readonly #changed = new Set<ClientSession>();
  readonly #dropped: number[] = [];

  constructor(options: SessionTableOptions = {}) {
    this.#sessionsMax = options.sessionsMax ?? sessionsMaxDefault;
    assert(this.#sessionsMax >= 1, `sessionsMax is ${this.#sessionsMax}, it must be at least 1`);
  }

  /** Count of sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /**
   * Opens a session by the entry at `index` and gives its id, `index + 1`: never 0 and never given twice.
   * A client that retries this may open two sessions; the one that it does not use is dropped in time.
   */
  open(index: number): number {
    if (this.#sessions.size >= this.#sessionsMax) this.#dropLeastRecentlyUsed();
    const session = new ClientSession(index + 1, index);
    this.#sessions.set(session.id, session);
    this.#lastUsed = session;
    this.#changed.add(session);
    return session.id;
  }

  /** The session that the command at `index` belongs to, now the most recently used; `undefined` if it is not known. */
  use(id: number, index: number): ClientSession | undefined {
    const last = this.#lastUsed;
    const session = last !== undefined && last.id === id ? last : this.#moveToEnd(id);
    if (session === undefined) return undefined;
    session.lastUsedIndex = index;
    this.#changed.add(session);
    return session;
  }

  /** The outcome of a command that was applied already, for those who would propose it again. Changes nothing. */
  answerOf(session: number, number: number): ClientOutcome | undefined {
    return this.#sessions.get(session)?.outcomeOf(number);
  }

  /** The sessions changed or dropped since the last call, in id order, for a checkpoint. */
  takeChanges(): SessionChange[] {
    const changes = this.changes();
    this.#changed.clear();
    this.#dropped.length = 0;
    return changes;
  }

  /** The same, for a snapshot: the next checkpoint still gets them. */
  changes(): SessionChange[] {
    const changes: SessionChange[] = this.#dropped.map((id) => ({ id, bytes: undefined }));
    for (const session of this.#changed) changes.push({ id: session.id, bytes: session.encode() });
    return changes.sort((a, b) => a.id - b.id);
  }

  /** Becomes exactly the table that was stored as these rows, in whatever order they come. */
  load(rows: Iterable<SessionRow>): void {
    const sessions = [...rows].map((row) => ClientSession.decode(row.id, row.bytes));
    sessions.sort((a, b) => a.lastUsedIndex - b.lastUsedIndex);
    this.#sessions.clear();
    this.#changed.clear();
    this.#dropped.length = 0;
    for (const session of sessions) this.#sessions.set(session.id, session);
    this.#lastUsed = sessions.at(-1);
  }

  /** All sessions as rows, in id order. Slow: for comparing replicas. */
  rows(): SessionRow[] {
    const sessions = [...this.#sessions.values()].sort((a, b) => a.id - b.id);
    return sessions.map((session) => ({ id: session.id, bytes: session.encode() }));
  }

  #moveToEnd(id: number): ClientSession | undefined {
    const session = this.#sessions.get(id);
    if (session === undefined) return undefined;
    this.#sessions.delete(id);
    this.#sessions.set(id, session);
    this.#lastUsed = session;
    return session;
  }

  #dropLeastRecentlyUsed(): void {
    for (const session of this.#sessions.values()) {
      this.#sessions.delete(session.id);
      this.#changed.delete(session);
      this.#dropped.push(session.id);
      if (this.#lastUsed === session) this.#lastUsed = undefined;
      return;
    }
  }
}
