import { type ByteString, fromByteString } from '../../base/bytes.ts';
import { decodeExpiry, expiryRowsFrom } from '../../kv/expiry-table.ts';
import type { SnapshotCursor, StateSnapshot, StateStore } from '../../kv/state-store.ts';
import type { ClientRequest, ResponseBody, WirePair } from '../../wire/client-message.ts';
import { KeptPages } from '../catch-up/kept-pages.ts';
import type { ConnectionId, SpaceMeasured } from '../events.ts';
import { failure, type Output } from '../output.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { StateKeeper } from '../state/state-keeper.ts';

type BackupCloseRequest = ClientRequest & { readonly type: 'backupClose' };

/** What backups need to know of the node. */
export interface BackupsView {
  readonly nodeId: number;
  /** How often the node's directory was opened: makes names unique across restarts. */
  readonly incarnation: number;
  readonly clusterId: string | undefined;
  readonly clusterName: string;
  readonly appliedIndex: number;
  readonly nowMs: number;
}

/** A client whose read index is applied, and that now waits for a checkpoint at or above it. */
interface WaitingBackup {
  readonly connection: ConnectionId;
  readonly requestId: number;
  readonly index: number;
  readonly deadlineMs: number;
}

interface OpenBackup {
  readonly snapshot: StateSnapshot;
  /** Keys in it that expire: they are of those who hold them now, and in no backup. */
  readonly expiring: ReadonlySet<ByteString>;
  readonly kept: KeptPages;
  idleTicks: number;
  ageTicks: number;
}

/** Most backups open, or waiting to be, at a time: each keeps the space of all that is replaced meanwhile. */
const backupsMax = 4;
const expiryBytesPerRead = 1024 * 1024;
/** Ticks after which a backup ends even if it is still read, lest a slow reader keeps that space for ever: 6 hours of 20 ms each. */
const ageTicksMax = 1_080_000;

/**
 * Backups that clients of this node read. One is opened in three steps: a read index, so that it holds all that was acknowledged
 * before; a checkpoint at or above that index, since only what is durable can be viewed; and the view itself, which stays as it is.
 * The client then asks for page after page, each when it has dealt with the one before.
 */
export class Backups {
  readonly #stateStore: StateStore;
  readonly #keeper: StateKeeper;
  readonly #settings: ReplicaSettings;
  readonly #output: Output;
  readonly #view: BackupsView;
  readonly #open = new Map<string, OpenBackup>();
  #waiting: WaitingBackup[] = [];
  #lastNumber = 0;

  constructor(state: StateStore, keeper: StateKeeper, settings: ReplicaSettings, output: Output, view: BackupsView) {
    this.#stateStore = state;
    this.#keeper = keeper;
    this.#settings = settings;
    this.#output = output;
    this.#view = view;
  }

  /** The read index of the request is applied: what was acknowledged before it is here. */
  open(connection: ConnectionId, requestId: number, deadlineMs: number): void {
    if (this.#open.size + this.#waiting.length >= backupsMax) {
      const message = `${backupsMax} backups are being read from this node: wait for one to end, or ask another node`;
      return this.#output.respond(connection, requestId, failure('busy', 'notApplied', message));
    }
    this.#waiting.push({ connection, requestId, index: this.#view.appliedIndex, deadlineMs });
  }

  /** Pairs of an open backup behind the key `after`. */
  read(backup: string, after: ByteString | undefined): ResponseBody {
    const open = this.#open.get(backup);
    if (open === undefined) return notOpen;
    open.idleTicks = 0;
    return this.#page(open, after);
  }

  /** Lets go of a backup, which may be gone already. */
  close(connection: ConnectionId, request: BackupCloseRequest): void {
    this.#letGo(request.backup);
    this.#output.respond(connection, request.id, { type: 'backupClosed' });
  }

  /** Opens what can be opened, and sees to the checkpoint that the rest waits for. */
  advance(): void {
    if (this.#waiting.length === 0) return;
    // While a checkpoint is written, what is durable is about to be another.
    if (!this.#keeper.isCheckpointing && !this.#keeper.isInstalling) this.#openWaiting();
    for (const { index } of this.#waiting) this.#keeper.requestCheckpoint(index);
  }

  tick(): void {
    for (const [name, open] of this.#open) {
      open.idleTicks++;
      open.ageTicks++;
      if (open.idleTicks >= this.#settings.snapshotIdleTicks || open.ageTicks >= ageTicksMax) this.#letGo(name);
    }
    const { nowMs } = this.#view;
    for (const waiting of this.#waiting) {
      if (waiting.deadlineMs > nowMs) continue;
      const message = 'the state was not made durable in time: try again, or ask another node';
      this.#output.respond(waiting.connection, waiting.requestId, failure('timeout', 'notApplied', message));
    }
    this.#waiting = this.#waiting.filter(({ deadlineMs }) => deadlineMs > nowMs);
  }

  /** Lets go of those that keep too much of the state's file from being used again. */
  onSpace(measured: SpaceMeasured): void {
    for (const [name, { kept }] of this.#open) {
      if (!kept.isTooMuch(measured)) continue;
      this.#letGo(name);
      this.#output.notice(
        'warn',
        'a backup is read too slowly: what changed meanwhile takes too much room, so it ends',
      );
    }
  }

  /** Lets go of all; who waits is not told. */
  closeAll(): void {
    for (const name of [...this.#open.keys()]) this.#letGo(name);
    this.#waiting = [];
  }

  #openWaiting(): void {
    const { durableIndex } = this.#stateStore;
    const ready = this.#waiting.filter(({ index }) => index <= durableIndex);
    if (ready.length === 0) return;
    this.#waiting = this.#waiting.filter(({ index }) => index > durableIndex);
    for (const { connection, requestId } of ready) this.#output.respond(connection, requestId, this.#opened());
  }

  #opened(): ResponseBody {
    const { nodeId, incarnation, clusterId, clusterName } = this.#view;
    if (clusterId === undefined) return failure('noMajority', 'notApplied', 'this node belongs to no cluster yet');
    const backup = `${nodeId}-${incarnation}-${++this.#lastNumber}`;
    const snapshot = this.#stateStore.openDurableSnapshot();
    this.#open.set(backup, {
      snapshot,
      expiring: expiringKeysOf(snapshot),
      kept: new KeptPages(false),
      idleTicks: 0,
      ageTicks: 0,
    });
    return { type: 'backupOpened', backup, index: snapshot.index, nodeId, clusterId, clusterName };
  }

  /** Pairs alone: what else a snapshot has comes behind them, and belongs to this cluster and no other. */
  #page({ snapshot, expiring }: OpenBackup, after: ByteString | undefined): ResponseBody {
    const cursor = after === undefined ? undefined : ({ type: 'pair', key: after } as const);
    const { rows, done } = snapshot.read(cursor, this.#settings.catchUpBytesMax);
    const pairs: WirePair[] = [];
    let last: Uint8Array | undefined;
    for (const row of rows) {
      if (row.type !== 'pair') return { type: 'backupPairs', pairs, last, done: true };
      last = fromByteString(row.key);
      if (!expiring.has(row.key)) pairs.push({ key: last, value: row.value, revision: row.revision });
    }
    return { type: 'backupPairs', pairs, last, done };
  }

  #letGo(name: string): void {
    this.#open.get(name)?.snapshot.close();
    this.#open.delete(name);
  }
}

function expiringKeysOf(snapshot: StateSnapshot): ReadonlySet<ByteString> {
  const keys = new Set<ByteString>();
  for (let cursor: SnapshotCursor = { type: 'session', id: expiryRowsFrom - 1 }; ; ) {
    const { rows, done } = snapshot.read(cursor, expiryBytesPerRead);
    for (const row of rows) {
      if (row.type !== 'session') continue;
      keys.add(decodeExpiry(row).key);
      cursor = { type: 'session', id: row.id };
    }
    if (done) return keys;
  }
}

const notOpen = failure(
  'invalid',
  'notApplied',
  'this node has no such backup open: it was not read for too long, or kept too much space, or the node was started again; begin anew',
);
