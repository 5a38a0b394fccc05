import { assert, assertNever } from '../base/assert.ts';
import { type ByteString, ByteWriter, DecodeError, toByteString } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import { type KeptOutcome, noSpace, tooManyExpiring } from './client-session.ts';
import { ClusterRegister, type FullNode, registerRowId, type StateConfiguration } from './cluster-register.ts';
import { type ClientCommand, type Command, commandProblem, decodeCommand } from './command.ts';
import { type Expiry, ExpiryTable, isExpiryRow } from './expiry-table.ts';
import type { ClientOutcome, Outcome } from './outcome.ts';
import { SessionTable, type SessionTableOptions } from './session-table.ts';
import type { KvPage, KvPair, KvRange, KvRecord, SessionChange, StateSnapshot, StateStore } from './state-store.ts';
import type { Transaction } from './transaction.ts';

export type KvStateMachineOptions = SessionTableOptions;

/** What a layer of the store is sealed with. */
export interface Checkpoint {
  readonly appliedIndex: number;
  readonly sessions: readonly SessionChange[];
}

/** Somebody who wants to know what changes. */
export interface ChangeObserver {
  /** A command changed, or removed, this key; `revision` is that of the change. */
  onChange(key: ByteString, revision: number): void;
  /** The state is another one as a whole: that of {@link KvStateMachine.appliedIndex}. */
  onReload(): void;
}

/** What is done to a key in a session. */
type KeyCommand = ClientCommand & { readonly kind: 'put' | 'delete' | 'renew' };
/** To one or to several. */
type WriteCommand = KeyCommand | (ClientCommand & { readonly kind: 'transact' });

const malformed: Outcome = { type: 'refused', reason: 'malformed' };
const sessionExpired: Outcome = { type: 'refused', reason: 'sessionExpired' };
const hashPagePairs = 1000;
const hashPageBytes = 1024 * 1024;

/**
 * The replicated key-value store: what the decided entries of the log do, one after the other.
 *
 * Deterministic and total: the same entries give the same state, sessions and outcomes on every replica, whatever their
 * bytes. Revisions are log index + 1, so revision r is made by the r-th entry of the log and the first one is 1.
 *
 * The checksum of a command is not looked at here: whoever takes a command from outside checks it, and the log checks its own.
 */
export class KvStateMachine {
  readonly #store: StateStore;
  readonly #sessions: SessionTable;
  readonly #cluster = new ClusterRegister();
  readonly #expiries = new ExpiryTable();
  /** Told of all that changes from now on; undefined: nobody is. */
  observer: ChangeObserver | undefined;
  #appliedIndex = 0;

  /** Goes on from the last durable checkpoint of `store`. Throws DecodeError if its sessions cannot be read. */
  constructor(store: StateStore, options: KvStateMachineOptions = {}) {
    this.#store = store;
    this.#sessions = new SessionTable(options);
    this.reload();
  }

  /** Count of entries applied: the index of the entry to apply next. */
  get appliedIndex(): number {
    return this.#appliedIndex;
  }

  /**
   * Applies the command at `index`, which must be {@link appliedIndex}. Never throws for what the bytes are: bytes that are
   * no command, and keys and values over the limits, are refused as `malformed`.
   *
   * The value is staged as a view into `command`: until the next checkpoint it keeps alive the frame that it came in.
   */
  apply(index: number, command: Uint8Array): Outcome {
    this.#advance(index);
    const decoded = decodeOrUndefined(command);
    if (decoded === undefined) return malformed;
    switch (decoded.kind) {
      case 'openSession':
        return this.#openSession(index, decoded);
      case 'reportSpace':
        this.#cluster.note(decoded.report);
        return { type: 'spaceNoted' };
      case 'expire':
        this.#expire(index + 1, decoded);
        return { type: 'expiryNoted' };
      default:
        return this.#applyOnce(index, decoded);
    }
  }

  /** Applies the StopSign at `index`, which opens this configuration and carries `metadata`. */
  beginConfiguration(index: number, configurationId: number, metadata: Uint8Array = new Uint8Array(0)): void {
    this.#advance(index);
    this.#cluster.begin({ configurationId, stopSignIndex: index, metadata });
  }

  /** The newest configuration whose StopSign was applied, here or where the state came from; undefined before the first. */
  get configuration(): StateConfiguration | undefined {
    return this.#cluster.configuration;
  }

  /** Members without space, ascending by id: while there are any, puts are refused. */
  get fullNodes(): readonly FullNode[] {
    return this.#cluster.fullNodes;
  }

  /** The keys that expire, as of {@link appliedIndex}. */
  get expiries(): Iterable<Expiry> {
    return this.#expiries.all();
  }

  get expiryCount(): number {
    return this.#expiries.size;
  }

  /** A key's value and revision, as of {@link appliedIndex}. */
  get(key: ByteString): KvRecord | undefined {
    return this.#store.get(key);
  }

  /** The pairs of a range in byte order, as of {@link appliedIndex}. */
  range(range: KvRange): KvPage {
    return this.#store.range(range);
  }

  /** The outcome of a command applied before, if it is kept: a retry is answered with it instead of proposed. */
  answerOf(session: number, number: number): ClientOutcome | undefined {
    return this.#sessions.answerOf(session, number);
  }

  /** The arguments of `StateStore.seal` for all that was applied so far. Call it exactly once for each layer that is sealed. */
  takeCheckpoint(): Checkpoint {
    const sessions = [...this.#cluster.takeChanges(), ...this.#sessions.takeChanges(), ...this.#expiries.takeChanges()];
    return { appliedIndex: this.#appliedIndex, sessions };
  }

  /** A stable view of the state as it is now, at {@link appliedIndex}, for a node that catches up. */
  openSnapshot(): StateSnapshot {
    const sessions = [...this.#cluster.changes(), ...this.#sessions.changes(), ...this.#expiries.changes()];
    return this.#store.openSnapshotAt(this.#appliedIndex, sessions);
  }

  /** Takes the state from the store again: after an installed snapshot. What was applied but is not in there is gone. */
  reload(): void {
    const rows = [...this.#store.sessions()];
    this.#cluster.load(rows.find((row) => row.id === registerRowId)?.bytes);
    this.#sessions.load(rows.filter((row) => row.id !== registerRowId && !isExpiryRow(row)));
    this.#expiries.load(rows.filter(isExpiryRow));
    this.#appliedIndex = this.#store.durableIndex;
    this.observer?.onReload();
  }

  /** The same on replicas with the same pairs and sessions, and almost surely different otherwise. Reads everything: slow. */
  stateHash(): string {
    const hash = new ContentHash();
    for (const pair of this.#allPairs()) {
      hash.add(new ByteWriter().text(pair.key).varuint(pair.revision).bytes(pair.value).finish());
    }
    const rows = [...this.#cluster.rows(), ...this.#sessions.rows(), ...this.#expiries.rows()];
    for (const row of rows) hash.add(new ByteWriter().varuint(row.id).bytes(row.bytes).finish());
    return hash.digest();
  }

  #advance(index: number): void {
    assert(
      index === this.#appliedIndex,
      'an entry came out of turn to be applied: its index, the next',
      index,
      this.#appliedIndex,
    );
    this.#appliedIndex = index + 1;
  }

  #openSession(index: number, command: Command): Outcome {
    if (command.session !== 0) return malformed;
    return { type: 'sessionOpened', session: this.#sessions.open(index) };
  }

  /** Counts only if the key is as it was when the leader saw it: neither changed nor renewed by an entry before this one. */
  #expire(revision: number, { key: bytes, ifRevision, renewedAt }: Command & { readonly kind: 'expire' }): void {
    const key = toByteString(bytes);
    const expiry = this.#expiries.get(key);
    if (expiry?.revision !== ifRevision || expiry.renewedAt !== renewedAt) return;
    this.#delete(key, revision);
  }

  #applyOnce(index: number, command: WriteCommand): Outcome {
    const session = this.#sessions.use(command.session, index);
    if (session === undefined) return sessionExpired;
    const answer = session.admit(command.number, command.acknowledgedBelow);
    if (answer !== undefined) return answer;
    const revision = index + 1;
    const outcome =
      command.kind === 'transact' ? this.#transact(revision, command.transaction) : this.#change(revision, command);
    session.record(command.number, outcome);
    return outcome;
  }

  #change(revision: number, command: KeyCommand): KeptOutcome {
    const key = toByteString(command.key);
    const conflict = command.ifRevision === undefined ? undefined : this.#conflict(key, command.ifRevision);
    if (conflict) return conflict;
    switch (command.kind) {
      case 'put':
        return this.#put(key, revision, command);
      case 'delete': {
        const existed = this.#store.get(key) !== undefined;
        if (existed) this.#delete(key, revision);
        return { type: 'deleted', revision, existed };
      }
      case 'renew':
        this.#expiries.renew(key, revision);
        return { type: 'renewed', revision: command.ifRevision };
      default:
        return assertNever(command, 'command');
    }
  }

  #transact(revision: number, { conditions, changes }: Transaction): KeptOutcome {
    for (const [condition, { key, ifRevision }] of conditions.entries()) {
      const conflict = this.#conflict(toByteString(key), ifRevision);
      if (conflict) return { type: 'unmet', condition, revision: conflict.revision };
    }
    const isFull = this.#cluster.fullNodes.length > 0;
    if (isFull && changes.some(({ kind }) => kind === 'put')) return noSpace;
    for (const change of changes) {
      const key = toByteString(change.key);
      if (change.kind === 'put') this.#set(key, revision, change.value);
      else if (this.#store.get(key) !== undefined) this.#delete(key, revision);
    }
    return { type: 'transacted', revision };
  }

  #put(key: ByteString, revision: number, { value, ttlMs }: ClientCommand & { readonly kind: 'put' }): KeptOutcome {
    if (this.#cluster.fullNodes.length > 0) return noSpace;
    if (ttlMs !== undefined && this.#expiries.isFullFor(key)) return tooManyExpiring;
    this.#set(key, revision, value, ttlMs);
    return { type: 'put', revision };
  }

  #set(key: ByteString, revision: number, value: Uint8Array, ttlMs?: number): void {
    this.#store.put(key, value, revision);
    if (ttlMs !== undefined) this.#expiries.set({ key, revision, ttlMs, renewedAt: revision });
    else if (this.#expiries.size > 0) this.#expiries.drop(key);
    this.observer?.onChange(key, revision);
  }

  #delete(key: ByteString, revision: number): void {
    this.#store.delete(key);
    if (this.#expiries.size > 0) this.#expiries.drop(key);
    this.observer?.onChange(key, revision);
  }

  /** What a command with this condition gives, if that does not hold. */
  #conflict(key: ByteString, ifRevision: number): (KeptOutcome & { readonly type: 'conflict' }) | undefined {
    const revision = this.#store.get(key)?.revision ?? 0;
    return revision === ifRevision ? undefined : { type: 'conflict', revision };
  }

  *#allPairs(): Generator<KvPair> {
    let after: ByteString | undefined;
    for (;;) {
      const page = { prefix: '', limit: hashPagePairs, bytesMax: hashPageBytes };
      const { pairs, more } = this.#store.range({ ...page, after });
      yield* pairs;
      after = pairs.at(-1)?.key;
      if (!more) return;
    }
  }
}

function decodeOrUndefined(bytes: Uint8Array): Command | undefined {
  try {
    const command = decodeCommand(bytes);
    return commandProblem(command) === undefined ? command : undefined;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

/** 64 bits out of two unlike 32-bit sums over the same bytes. */
class ContentHash {
  #crc = 0;
  #fnv = 0x811c9dc5;

  add(bytes: Uint8Array): void {
    this.#crc = crc32(bytes, this.#crc);
    for (const byte of bytes) this.#fnv = Math.imul(this.#fnv ^ byte, 0x01000193);
  }

  digest(): string {
    return hex(this.#crc) + hex(this.#fnv >>> 0);
  }
}

function hex(value: number): string {
  return value.toString(16).padStart(8, '0');
}
