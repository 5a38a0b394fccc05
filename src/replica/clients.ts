import { assertNever } from '../base/assert.ts';
import { DecodeError, fromByteString, toByteString } from '../base/bytes.ts';
import {
  type ClientCommand,
  type CommandOrigin,
  commandProblem,
  decodeCommand,
  decodeOrigin,
  isCommandIntact,
  keyProblem,
} from '../kv/command.ts';
import type { Outcome } from '../kv/outcome.ts';
import type { KvStateMachine } from '../kv/state-machine.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { ClientRequest, Failure, FailureCode, NodeStatus, RequestBody } from '../wire/client-message.ts';
import { answerBytesMax, pairsPerAnswerMax } from '../wire/limits.ts';
import type { BackupOpenRequest, Backups } from './backups.ts';
import type { ConnectionId } from './events.ts';
import { failure, type Output } from './output.ts';
import { PendingReads } from './pending-reads.ts';
import { PendingWrites } from './pending-writes.ts';
import type { ReplicaSettings } from './settings.ts';
import type { Voter } from './voter.ts';

type ReadRequest = ClientRequest & { readonly type: 'get' | 'list' };
/** What waits for a read index. */
type IndexedRequest = ReadRequest | BackupOpenRequest;
type WriteRequest = ClientRequest & { readonly type: 'write' };

/** What clients need to know of the node they talk to. */
export interface ClientsView {
  /** Set while this node votes. */
  readonly voter: Voter | undefined;
  readonly tick: number;
  /** The owner's clock, for deadlines only. */
  readonly nowMs: number;
  /** Why this node takes no requests, if it does not. */
  readonly refusal: Failure | undefined;
  /** Why no put is worth a proposal, if none is. */
  readonly putRefusal: Failure | undefined;
  /** What to tell clients whose time is over while no leader was in reach. */
  readonly whyNoLeader: string;
  readonly isConnected: (nodeId: NodeId) => boolean;
  status(): NodeStatus;
}

/** This node's own clients: their requests in, their answers out. */
export class Clients {
  readonly #machine: KvStateMachine;
  readonly #settings: ReplicaSettings;
  readonly #output: Output;
  readonly #view: ClientsView;
  readonly #writes: PendingWrites;
  readonly #reads: PendingReads;
  readonly #backups: Backups;

  constructor(machine: KvStateMachine, backups: Backups, settings: ReplicaSettings, output: Output, view: ClientsView) {
    this.#machine = machine;
    this.#backups = backups;
    this.#settings = settings;
    this.#output = output;
    this.#view = view;
    this.#writes = new PendingWrites(settings.pendingWritesMax, settings.pendingBytesMax);
    this.#reads = new PendingReads(settings.pendingReadsMax);
  }

  /** True while a write waits for its answer. */
  get hasPendingWrites(): boolean {
    return !this.#writes.isEmpty;
  }

  /** Takes a request; `reconfigure` and `fill` are not among them. */
  receive(connection: ConnectionId, request: Exclude<ClientRequest, { type: 'reconfigure' | 'fill' }>): void {
    switch (request.type) {
      case 'write':
        return this.#receiveWrite(connection, request);
      case 'get':
      case 'list':
        return this.#receiveRead(connection, request);
      case 'backupOpen':
        return this.#awaitIndex(connection, request);
      case 'backupRead':
        return this.#backups.read(connection, request);
      case 'backupClose':
        return this.#backups.close(connection, request);
      case 'status':
        return this.#output.respond(connection, request.id, { type: 'status', status: this.#view.status() });
      default:
        return assertNever(request, 'request');
    }
  }

  /** Proposes what is held and asks for read indexes, if a leader is in reach. */
  pump(): void {
    const { voter, tick } = this.#view;
    if (!voter?.canReachLeader(this.#view.isConnected)) return;
    const retryTicks = this.#settings.electionTimeoutTicks;
    this.#writes.proposeHeld(tick, retryTicks, (command) => voter.propose(command).ok);
    if (!this.#reads.hasCollected) return;
    const readId = voter.paxos.requestRead();
    if (readId !== undefined) this.#reads.asked(readId);
  }

  /** A command was applied here: whoever asked this node for it is answered. */
  onApplied(command: Uint8Array, outcome: Outcome): void {
    if (outcome.type === 'spaceNoted' || (outcome.type === 'refused' && outcome.reason === 'malformed')) return;
    const write = this.#writes.takeApplied(command);
    if (!write) return;
    // The first of several proposals may have been applied elsewhere, before its session went: this node had state in its place.
    const isFateUnknown = write.proposals > 1 && outcome.type === 'refused' && outcome.reason === 'sessionExpired';
    this.#output.respond(write.connection, write.requestId, isFateUnknown ? fateUnknown : { type: 'outcome', outcome });
  }

  onReadReady(readId: number, readIndex: number): void {
    this.#reads.confirmed(readId, readIndex);
  }

  /** Answers reads whose index is applied. */
  serveReads(): void {
    for (const { connection, request, deadlineMs } of this.#reads.takeServable(this.#machine.appliedIndex)) {
      const indexed = request as IndexedRequest;
      if (indexed.type === 'backupOpen') this.#backups.open(connection, indexed, deadlineMs);
      else this.#serve(connection, indexed);
    }
  }

  /** The leader, the link to it or the configuration is another: what was proposed may be lost. */
  proposeAgain(): void {
    this.#writes.holdAll();
  }

  /** The configuration ended: reads are asked again in the next one, too. */
  onConfigurationEnd(): void {
    this.#writes.holdAll();
    this.#reads.askAgain();
  }

  /** A proposal of this node came back. */
  onReturned(command: Uint8Array): void {
    const { session, number } = decodeOrigin(command);
    this.#writes.returned(session, number);
  }

  /** This node serves no clients any more: everyone waiting is told, and whether the write may have been applied. */
  failAll(refusal: Failure): void {
    for (const write of this.#writes.takeAll()) {
      const outcome = write.proposals === 0 ? 'notApplied' : 'unknown';
      this.#output.respond(write.connection, write.requestId, { ...refusal, outcome });
    }
    for (const { connection, request } of this.#reads.takeAll()) this.#output.respond(connection, request.id, refusal);
  }

  /** Answers requests whose time is over, and proposes again what may have been lost on the way. */
  sweep(): void {
    const { nowMs, tick, voter, whyNoLeader } = this.#view;
    const leads = voter?.paxos.isLeader ?? false;
    // A leader's own log loses nothing while it leads: no second proposal there.
    for (const write of this.#writes.sweep(nowMs, tick, !leads)) {
      this.#output.respond(write.connection, write.requestId, writeTimeout(write.proposals, whyNoLeader));
    }
    const { expired, abandoned } = this.#reads.sweep(nowMs);
    for (const { connection, request } of expired)
      this.#output.respond(connection, request.id, noMajority(whyNoLeader));
    for (const readId of abandoned) voter?.paxos.cancelRead(readId);
  }

  #receiveWrite(connection: ConnectionId, request: WriteRequest): void {
    const { refusal, nowMs } = this.#view;
    const checked = refusal ?? checkedWrite(request.command);
    if ('type' in checked) return this.#output.respond(connection, request.id, checked);
    const { session, number } = checked;
    const known = session === 0 ? undefined : this.#machine.answerOf(session, number);
    if (known) return this.#output.respond(connection, request.id, { type: 'outcome', outcome: known });
    const pending = this.#writes.find(session, number);
    if (pending) {
      // The client asks again: it is this request now that gets the answer.
      pending.connection = connection;
      pending.requestId = request.id;
      return;
    }
    const noSpace = checked.kind === 'put' ? this.#view.putRefusal : undefined;
    if (noSpace) return this.#output.respond(connection, request.id, noSpace);
    if (this.#writes.isFull) return this.#output.respond(connection, request.id, busy('writes'));
    this.#writes.add({
      session,
      number,
      command: request.command,
      connection,
      requestId: request.id,
      deadlineMs: nowMs + request.timeoutMs,
      isProposed: false,
      proposals: 0,
      retryTick: 0,
    });
  }

  #receiveRead(connection: ConnectionId, request: ReadRequest): void {
    const problem = this.#view.refusal ?? readProblem(request);
    if (problem) return this.#output.respond(connection, request.id, problem);
    if (request.consistency === 'local') return this.#serve(connection, request);
    this.#awaitIndex(connection, request);
  }

  /** Puts a request among those that wait for a read index. */
  #awaitIndex(connection: ConnectionId, request: IndexedRequest): void {
    const { refusal, nowMs } = this.#view;
    if (refusal) return this.#output.respond(connection, request.id, refusal);
    if (this.#reads.isFull) return this.#output.respond(connection, request.id, busy('reads'));
    this.#reads.add({ connection, request, deadlineMs: nowMs + request.timeoutMs });
  }

  #serve(connection: ConnectionId, request: ReadRequest): void {
    if (request.type === 'get') {
      const record = this.#machine.get(toByteString(request.key));
      return this.#output.respond(connection, request.id, { type: 'record', record });
    }
    const { prefix, after, limit } = request;
    const { pairs, more } = this.#machine.range({
      prefix: toByteString(prefix),
      ...(after && { after: toByteString(after) }),
      limit: Math.min(Math.max(1, limit), pairsPerAnswerMax),
      bytesMax: answerBytesMax,
    });
    const wirePairs = pairs.map(({ key, value, revision }) => ({ key: fromByteString(key), value, revision }));
    this.#output.respond(connection, request.id, { type: 'pairs', pairs: wirePairs, more });
  }
}

/** Whose command it is, or what is wrong with it. */
function checkedWrite(command: Uint8Array): (CommandOrigin & Pick<ClientCommand, 'kind'>) | Failure {
  if (!isCommandIntact(command))
    return failure('invalid', 'notApplied', 'the command was damaged on its way: its checksum does not fit');
  try {
    const decoded = decodeCommand(command);
    if (decoded.kind === 'reportSpace') return failure('invalid', 'notApplied', 'the command is not for clients');
    const problem = commandProblem(decoded);
    const { kind, session, number, acknowledgedBelow } = decoded;
    if (problem !== undefined) return failure(problem.code, 'notApplied', problem.message);
    return { kind, session, number, acknowledgedBelow };
  } catch (error) {
    if (error instanceof DecodeError) return failure('invalid', 'notApplied', `not a command: ${error.message}`);
    throw error;
  }
}

function readProblem(request: ReadRequest & RequestBody): Failure | undefined {
  const problem = request.type === 'get' ? keyProblem(request.key) : undefined;
  return problem && failure(problem.code, 'notApplied', problem.message);
}

const fateUnknown = failure(
  'sessionExpired',
  'unknown',
  'the session went while the command was proposed more than once: it may have been applied before',
);

function busy(what: string): Failure {
  return failure('busy', 'notApplied', `too many ${what} are waiting on this node: try again, or ask another node`);
}

function noMajority(why: string): Failure {
  return failure('noMajority', 'notApplied', why);
}

/** A write that never went to a leader has no effect and never will. */
function writeTimeout(proposals: number, whyNoLeader: string): Failure {
  if (proposals === 0) return noMajority(whyNoLeader);
  const code: FailureCode = 'timeout';
  return failure(code, 'unknown', 'the command was proposed but not decided in time: it may yet be applied');
}
