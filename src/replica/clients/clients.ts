import { DecodeError } from '../../base/bytes.ts';
import {
  type ClientCommand,
  type CommandOrigin,
  commandProblem,
  decodeCommand,
  isCommandIntact,
  originOf,
} from '../../kv/command.ts';
import type { Outcome } from '../../kv/outcome.ts';
import type { KvStateMachine } from '../../kv/state-machine.ts';
import type { ClientRequest, Failure } from '../../wire/client-message.ts';
import type { ConnectionId } from '../events.ts';
import { failure, lateAnswer, type Output } from '../output.ts';
import type { ReplicaSettings } from '../settings.ts';
import type { Voter } from '../voter.ts';
import type { Backups } from './backups.ts';
import { type PendingWrite, PendingWrites, type ProposeLimits } from './pending-writes.ts';
import { Reads, type ReadsView } from './reads.ts';
import { RefusedWrites } from './refused-writes.ts';

/** Election timeouts, doubled, until a write of which nothing is heard is proposed again for the first time. */
const retryTimeouts = 2;
/** Election timeouts that it may take at the most until it is known which writes are in the log. */
const doubtTimeouts = 5;
/** A frame of so many bytes may be kept by any command in it: what comes in one is mostly decided together. */
const frameBytesKept = 128 * 1024;

type WriteRequest = ClientRequest & { readonly type: 'write' };

/** What clients need to know of the node they talk to. */
export interface ClientsView extends ReadsView {
  readonly tick: number;
  /** Why no put is worth a proposal, if none is. */
  readonly putRefusal: Failure | undefined;
  /** Why this node writes nothing now, if it does not. */
  readonly writeWait: string | undefined;
}

/** This node's own clients: their requests in, their answers out. */
export class Clients {
  readonly #machine: KvStateMachine;
  readonly #settings: ReplicaSettings;
  readonly #output: Output;
  readonly #view: ClientsView;
  readonly #writes: PendingWrites;
  readonly #refused = new RefusedWrites();
  readonly #reads: Reads;
  readonly #backups: Backups;

  constructor(machine: KvStateMachine, backups: Backups, settings: ReplicaSettings, output: Output, view: ClientsView) {
    this.#machine = machine;
    this.#backups = backups;
    this.#settings = settings;
    this.#output = output;
    this.#view = view;
    this.#writes = new PendingWrites(settings.pendingWritesMax, settings.pendingBytesMax);
    this.#reads = new Reads(machine, backups, settings, output, view);
  }

  /** True while a write waits for its answer. */
  get hasPendingWrites(): boolean {
    return !this.#writes.isEmpty;
  }

  beginTurn(): void {
    this.#reads.beginTurn();
  }

  /** A connection is gone: what was only asked for on it need not be answered. Writes go their way. */
  forget(connection: ConnectionId): void {
    this.#refused.forget(connection);
    this.#reads.forget(connection);
  }

  /** The gateway refuses these: there was no room for them in the inbox. */
  turnAway(connection: ConnectionId, requests: readonly ClientRequest[]): void {
    for (const request of requests) {
      const origin = request.type === 'write' ? originOf(request.command) : undefined;
      if (origin) this.#refused.note(connection, origin, tooMany, this.#view.nowMs);
    }
  }

  /** Takes a request; `reconfigure` and `fill` are not among them. */
  receive(connection: ConnectionId, request: Exclude<ClientRequest, { type: 'reconfigure' | 'fill' }>): void {
    switch (request.type) {
      case 'write':
        return this.#receiveWrite(connection, request);
      case 'backupClose':
        return this.#backups.close(connection, request);
      default:
        return this.#reads.receive(connection, request);
    }
  }

  /** Proposes what is held and asks for read indexes, if a leader is in reach. */
  pump(): void {
    const { voter } = this.#view;
    if (voter === undefined || !this.#view.isLed) return;
    this.#writes.proposeHeld(this.#proposeLimits(voter), (command) => voter.propose(command).ok);
    this.#reads.pump();
  }

  /**
   * Looks which writes that are to be proposed again are in the log already, once it is known what of it counts: this node leads, or has
   * what the leader had when it began, and all that is decided is applied. Where that takes too long, the writes behind these are not to wait
   * for it. True if it looked.
   */
  settleDoubts(): boolean {
    const { voter, tick } = this.#view;
    const sinceTick = this.#writes.doubtfulSinceTick;
    if (sinceTick === undefined || voter === undefined) return false;
    const { paxos } = voter;
    const { appliedIndex } = this.#machine;
    const isKnown = paxos.phase === 'accept' && appliedIndex >= paxos.decidedIndex;
    // Much of it takes long over a slow link, and sent again it would stand in front of what tells.
    const patienceTicks = doubtTimeouts * this.#settings.electionTimeoutTicks + this.#writes.slownessTicks;
    if (!isKnown && tick - sinceTick < patienceTicks) return false;
    const inLog = new Set<PendingWrite>();
    // A state that a leader installed may be ahead of what its log knows to be decided: what lies in it is not applied here any more.
    const from = Math.min(Math.max(appliedIndex, paxos.decidedIndex), paxos.acceptedIndex);
    for (const entry of paxos.readEntries(from, paxos.acceptedIndex)) {
      const write = entry.type === 'Normal' ? this.#pendingOf(entry.entry) : undefined;
      if (write) inLog.add(write);
    }
    this.#writes.settleDoubts(this.#proposeLimits(voter), (write) => inLog.has(write));
    return true;
  }

  #pendingOf(command: Uint8Array): PendingWrite | undefined {
    const origin = originOf(command);
    return origin && this.#writes.find(origin.session, origin.number);
  }

  /** Beside what a leader has on the way it has room for as much again: that of the others, whose proposals it would have to send back else. */
  #proposeLimits({ paxos, configuration }: Voter): ProposeLimits {
    const { electionTimeoutTicks, undecidedBytesMax } = this.#settings;
    const bytesMax = paxos.isLeader ? undecidedBytesMax : undecidedBytesMax / (configuration.members.length - 1);
    return { tick: this.#view.tick, retryTicks: retryTimeouts * electionTimeoutTicks, bytesMax };
  }

  /** A command was applied here: whoever asked this node for it is answered. */
  onApplied(command: Uint8Array, outcome: Outcome): void {
    if (outcome.type === 'spaceNoted' || outcome.type === 'expiryNoted') return;
    // What a node of another release lets through need not be a command here.
    if (outcome.type === 'refused' && outcome.reason === 'malformed' && originOf(command) === undefined) return;
    const write = this.#writes.takeApplied(command, this.#view.tick);
    if (!write) return;
    // The first of several proposals may have been applied elsewhere, before its session went: this node had state in its place.
    const isFateUnknown = write.proposals > 1 && outcome.type === 'refused' && outcome.reason === 'sessionExpired';
    this.#output.respond(write.connection, write.requestId, isFateUnknown ? fateUnknown : { type: 'outcome', outcome });
  }

  onReadReady(readId: number, readIndex: number): void {
    this.#reads.onReady(readId, readIndex);
  }

  /** Answers reads whose index is applied. True if there is more to answer at once. */
  serveReads(): boolean {
    return this.#reads.serve();
  }

  /** The leader, the link to it or the configuration is another: what was proposed may be lost. */
  proposeAgain(): void {
    this.#view.voter?.paxos.withdrawProposals((command) => this.#pendingOf(command) !== undefined);
    this.#writes.holdAll(this.#view.tick);
  }

  /** The configuration ended: reads are asked again in the next one, too. */
  onConfigurationEnd(): void {
    this.#writes.holdAll(this.#view.tick);
    this.#reads.askAgain();
  }

  /** A proposal of this node came back. */
  onReturned(command: Uint8Array): void {
    const origin = originOf(command);
    if (origin) this.#writes.returned(origin.session, origin.number, this.#view.tick);
  }

  /** This node serves no clients any more: everyone waiting is told, and whether the write may have been applied. */
  failAll(refusal: Failure): void {
    for (const write of this.#writes.takeAll()) {
      const outcome = write.proposals === 0 ? 'notApplied' : 'unknown';
      this.#output.respond(write.connection, write.requestId, { ...refusal, outcome });
    }
    this.#reads.failAll(refusal);
  }

  /** Answers requests whose time is over, and proposes again what may have been lost on the way. */
  sweep(): void {
    const { nowMs, tick, voter } = this.#view;
    const leads = voter?.paxos.isLeader ?? false;
    // A leader's own log loses nothing while it leads: no second proposal there.
    const quietTicks = this.#settings.quietTimeouts * this.#settings.electionTimeoutTicks;
    for (const write of this.#writes.sweep(nowMs, tick, { mayRetry: !leads, quietTicks })) {
      this.#output.respond(write.connection, write.requestId, writeTimeout(write, this.#view));
    }
    this.#reads.sweep();
  }

  #receiveWrite(connection: ConnectionId, request: WriteRequest): void {
    const { refusal, nowMs } = this.#view;
    if (refusal) return this.#refuseForNow(connection, request, originOf(request.command), refusal);
    const checked = checkedWrite(request.command);
    if ('type' in checked) return this.#output.respond(connection, request.id, checked);
    const { session, number } = checked;
    const refusedBefore = this.#refused.refusalOf(connection, checked, nowMs);
    const known = session === 0 ? undefined : this.#machine.answerOf(session, number);
    if (known) return this.#output.respond(connection, request.id, { type: 'outcome', outcome: known });
    const pending = this.#writes.find(session, number);
    if (pending) {
      // The client asks again: it is this request now that gets the answer.
      pending.connection = connection;
      pending.requestId = request.id;
      return;
    }
    if (refusedBefore) return this.#output.respond(connection, request.id, refusedBefore);
    const noSpace = checked.puts ? this.#view.putRefusal : undefined;
    if (noSpace) return this.#output.respond(connection, request.id, noSpace);
    if (this.#writes.isFull) return this.#refuseForNow(connection, request, checked, tooMany);
    this.#writes.add({
      session,
      number,
      command: ownBytes(request.command),
      connection,
      requestId: request.id,
      deadlineMs: nowMs + request.timeoutMs,
      place: 'here',
      proposals: 0,
      ...{ retryTick: 0, proposalNumber: 0, proposedTick: 0, order: 0 },
    });
  }

  /** The write may be sent again, here or to another node. */
  #refuseForNow(
    connection: ConnectionId,
    { id }: WriteRequest,
    origin: CommandOrigin | undefined,
    refusal: Failure,
  ): void {
    if (origin) this.#refused.note(connection, origin, refusal, this.#view.nowMs);
    this.#output.respond(connection, id, refusal);
  }
}

/** `bytes`, or a copy: what waits, and is in the log, is counted as long as it is, and must not keep a whole frame that is much longer. */
function ownBytes(bytes: Uint8Array): Uint8Array {
  const frameBytes = bytes.buffer.byteLength;
  return frameBytes > frameBytesKept && bytes.length < frameBytes / 2 ? new Uint8Array(bytes) : bytes;
}

interface CheckedWrite extends CommandOrigin {
  /** It takes room, if it is applied. */
  readonly puts: boolean;
}

/** Whose command it is, or what is wrong with it. */
function checkedWrite(command: Uint8Array): CheckedWrite | Failure {
  if (!isCommandIntact(command))
    return failure('invalid', 'notApplied', 'the command was damaged on its way: its checksum does not fit');
  try {
    const decoded = decodeCommand(command);
    if (decoded.kind === 'reportSpace' || decoded.kind === 'expire')
      return failure('invalid', 'notApplied', 'the command is not for clients');
    const problem = commandProblem(decoded);
    const { session, number, acknowledgedBelow } = decoded;
    if (problem !== undefined) return failure(problem.code, 'notApplied', problem.message);
    return { session, number, acknowledgedBelow, puts: isPut(decoded) };
  } catch (error) {
    if (error instanceof DecodeError) return failure('invalid', 'notApplied', `not a command: ${error.message}`);
    throw error;
  }
}

function isPut(command: ClientCommand): boolean {
  if (command.kind === 'transact') return command.transaction.changes.some(({ kind }) => kind === 'put');
  return command.kind === 'put';
}

const fateUnknown = failure(
  'sessionExpired',
  'unknown',
  'the session went while the command was proposed more than once: it may have been applied before',
);

const tooMany = failure(
  'busy',
  'notApplied',
  'too many writes are waiting on this node: try again, or ask another node',
);

/** A write that never went to a leader has no effect and never will. */
function writeTimeout({ session, proposals }: PendingWrite, { isLed, whyNoLeader, writeWait }: ClientsView): Failure {
  if (proposals === 0) return isLed ? lateAnswer : failure('noMajority', 'notApplied', whyNoLeader);
  // It opens one: whether it may yet be applied is of no interest to anybody.
  const late =
    session === 0
      ? 'no majority decided that in time'
      : 'the command was proposed but not decided in time: it may yet be applied';
  return failure('timeout', 'unknown', writeWait === undefined ? late : `${late}; ${writeWait}`);
}
