import { fromByteString, toByteString } from '../../src/base/bytes.ts';
import { type Command, type CommandOrigin, decodeCommand, encodeCommand } from '../../src/kv/command.ts';
import { ttlMsMin } from '../../src/kv/command-limits.ts';
import type { TransactionChange } from '../../src/kv/transaction.ts';
import type { ClientResponse, RequestBody, ResponseBody, WirePair } from '../../src/wire/client-message.ts';
import type { Operation } from '../linearizability/checker.ts';
import type { Random } from './random.ts';
import type { Expired } from './reference.ts';
import type { SimulatedNode, World } from './simulated-node.ts';
import { require, Violation } from './violation.ts';

/** One operation of a client, with all its requests. */
interface Call {
  readonly body: RequestBody;
  readonly type: 'open' | 'put' | 'delete' | 'get' | 'list' | 'watch' | 'renew' | 'transact';
  /** Of a transaction: those that it changes. */
  readonly key: string;
  readonly value: string | undefined;
  /** Everything below was acknowledged to someone when it began. */
  readonly floor: number;
  readonly invokedUs: number;
  readonly number: number;
  readonly attemptsMax: number;
  attempts: number;
  /** Requests that were not answered with "not applied". */
  open: number;
  isRetryDue: boolean;
  isDone: boolean;
  readonly then: (isAnswered: boolean) => void;
}

/** What all clients of a simulation share. */
export class ClientsRecord {
  readonly operations: Operation[] = [];
  /** One past the highest revision that any client was told of. */
  acknowledged = 0;
  answered = 0;
  unknown = 0;
  failed = 0;
  begun = 0;

  /** To those who read it is a delete, by nobody of them. */
  expired({ key, sinceUs }: Expired, nowUs: number): void {
    this.operations.push({ type: 'delete', key, value: undefined, invoked: sinceUs, returned: nowUs, client: -1 });
  }
}

const clientDelayUsMax = 3000;

/** A client with a session: puts, gets, deletes and lists, and asks again, with the same number, on another node. */
export class SimulatedClient {
  readonly index: number;
  readonly #world: World;
  readonly #random: Random;
  readonly #record: ClientsRecord;
  readonly #nodes: () => readonly SimulatedNode[];
  /** By request. */
  readonly #calls = new Map<number, Call>();
  readonly #live = new Set<Call>();
  readonly #outstanding = new Set<number>();
  /** The revision of each key as it was last told to this client; 0: there was none. */
  readonly #revisions = new Map<string, number>();
  /** What this client watches, by key or prefix: up to which revision it was told all. */
  readonly #watched = new Map<string, number>();
  #session: number | undefined;
  #nextNumber = 1;
  #nextRequest = 1;
  #favourite: SimulatedNode | undefined;
  #isStopped = false;

  constructor(
    world: World,
    index: number,
    random: Random,
    record: ClientsRecord,
    nodes: () => readonly SimulatedNode[],
  ) {
    this.index = index;
    this.#world = world;
    this.#random = random;
    this.#record = record;
    this.#nodes = nodes;
  }

  /** Opens a session, then works with as many operations at a time as the plan says. */
  start(slots: number): void {
    this.open(() => {
      for (let slot = 0; slot < slots; slot++) this.#next();
    });
  }

  /** Begins nothing new; calls under way stay without an answer. */
  stop(): void {
    this.#isStopped = true;
    for (const call of this.#live) this.#giveUp(call);
    this.#calls.clear();
  }

  /** Opens a session, trying until there is one. */
  open(then: () => void): void {
    const number = this.#random.below(2 ** 31);
    const command = encodeCommand({ kind: 'openSession', session: 0, number, acknowledgedBelow: 0 });
    this.#world.oracle.propose(command);
    this.#begin({ type: 'write', command }, 'open', '', undefined, number, 1_000_000, (isAnswered) => {
      if (isAnswered) then();
      else if (!this.#isStopped) this.open(then);
    });
  }

  respond(from: SimulatedNode, response: ClientResponse): void {
    const call = this.#calls.get(response.id);
    this.#calls.delete(response.id);
    if (!call || call.isDone) return;
    const { trace, queue } = this.#world;
    trace.note(
      queue.nowUs,
      'answer',
      this.index,
      from.id,
      () => `client ${this.index}: node ${from.id} answers ${describe(response)} to ${call.type} ${call.key}`,
    );
    switch (response.type) {
      case 'outcome':
        this.#world.oracle.checkOutcome(commandOf(call), response.outcome, from.id);
        if (response.outcome.type === 'refused' && response.outcome.reason === 'noSpace')
          return this.#withoutEffect(call, 'put refused for lack of space');
        if (response.outcome.type === 'refused') {
          throw new Violation(
            'a live session is answered',
            `node ${from.id} refused ${call.type} ${call.number}: ${response.outcome.reason}`,
          );
        }
        if (response.outcome.type === 'sessionOpened') this.#session = response.outcome.session;
        else {
          const { type, revision } = response.outcome;
          this.#acknowledge(revision);
          if (type === 'unmet') return this.#withoutEffect(call, 'condition of a transaction that did not hold');
          for (const { type: kind, key } of effectsOf(call)) this.#revisions.set(key, kind === 'delete' ? 0 : revision);
          if (type === 'transacted') this.#world.counts.add('transaction applied');
          else this.#revisions.set(call.key, type === 'deleted' ? 0 : revision);
          if (type === 'conflict') return this.#withoutEffect(call, 'condition that did not hold');
        }
        return this.#answered(call, from);
      case 'record': {
        const found = response.record;
        this.#acknowledge(this.#world.oracle.checkGet(call.key, found, call.floor, from.id));
        this.#revisions.set(call.key, found?.revision ?? 0);
        return this.#answered(call, from, found && toByteString(found.value));
      }
      case 'pairs':
        this.#acknowledge(this.#world.oracle.checkList(response.pairs.map(toPair), call.floor, from.id));
        return this.#answered(call, from);
      case 'changes':
      case 'snapshot':
        this.#acknowledge(this.#checkWatch(call, response, from.id));
        return this.#answered(call, from);
      case 'failed':
        require(response.code !== 'invalid' && response.code !== 'tooLarge', 'sound requests are not refused', () =>
          response.message);
        if (response.outcome === 'notApplied') call.open--;
        return this.#again(call);
      default:
        throw new Violation('answers fit their requests', `node ${from.id} answered ${response.type} to ${call.type}`);
    }
  }

  #next(): void {
    const { plan, queue } = this.#world;
    if (this.#isStopped || this.#record.begun >= plan.operationsMax) return;
    queue.after(this.#random.below(plan.thinkUsMax), () => {
      if (this.#isStopped) return;
      this.#record.begun++;
      const key = `k${this.#random.below(plan.keys)}`;
      const dice = this.#random.below(100);
      const then = (): void => this.#next();
      if (dice < 4) this.#transact(then);
      else if (dice < 42) this.#write('put', key, this.#newValue(), this.#random.between(1, 8), then);
      else if (dice < 45) this.#write('renew', key, undefined, this.#random.between(1, 8), then);
      else if (dice < 55) this.#write('delete', key, undefined, this.#random.between(1, 8), then);
      else if (dice < 90) this.#read({ type: 'get', consistency: 'linearizable', key: fromByteString(key) }, key, then);
      else if (dice < 96) this.#watch(this.#random.chance(50) ? key : '', then);
      else {
        const everything = { prefix: new Uint8Array(0), after: undefined, limit: 1000 };
        this.#read({ type: 'list', consistency: 'linearizable', ...everything }, '', then);
      }
    });
  }

  #newValue(): string {
    return `c${this.index}.${this.#nextNumber}${'.'.repeat(this.#random.pick([0, 5, 60]))}`;
  }

  #write(
    kind: 'put' | 'delete' | 'renew',
    key: string,
    value: string | undefined,
    attemptsMax: number,
    then: () => void,
  ): void {
    const ifRevision = this.#random.chance(25) ? (this.#revisions.get(key) ?? 0) : undefined;
    const make = (origin: CommandOrigin): Command =>
      this.#command(kind, { ...origin, key: fromByteString(key), ifRevision }, key, value);
    this.#propose(make, key, value, then, attemptsMax);
  }

  #propose(
    make: (origin: CommandOrigin) => Command,
    key: string,
    value: string | undefined,
    then: () => void,
    attemptsMax = this.#random.between(1, 8),
  ): void {
    const number = this.#nextNumber++;
    this.#outstanding.add(number);
    const origin = { session: this.#session ?? 0, number, acknowledgedBelow: Math.min(...this.#outstanding) };
    const command = make(origin);
    const encoded = encodeCommand(command);
    this.#world.oracle.propose(encoded);
    const { kind } = command;
    if (kind === 'openSession' || kind === 'reportSpace' || kind === 'expire') throw new Error(`${kind} is no write`);
    this.#begin({ type: 'write', command: encoded }, kind, key, value, number, attemptsMax, () => {
      this.#outstanding.delete(number);
      then();
    });
  }

  /** Of some keys, on condition that some others, or the same, are as they were last seen. */
  #transact(then: () => void): void {
    const conditions = this.#random.chance(60)
      ? this.#someKeys(2).map((key) => ({ key: fromByteString(key), ifRevision: this.#revisions.get(key) ?? 0 }))
      : [];
    // In the order of their keys: so the reference tells what changed with one revision.
    const changes: TransactionChange[] = this.#someKeys(4).map((name) => {
      const key = fromByteString(name);
      if (this.#random.chance(25)) return { kind: 'delete', key };
      return { kind: 'put', key, value: fromByteString(this.#newValue()) };
    });
    const names = changes.map(({ key }) => toByteString(key)).join(' ');
    const transaction = { conditions, changes };
    this.#propose((origin) => ({ kind: 'transact', ...origin, transaction }), names, undefined, then);
  }

  /** Up to so many, each once, in their order. */
  #someKeys(most: number): string[] {
    const keys = new Set<string>();
    for (let left = this.#random.between(1, most); left > 0; left--) {
      keys.add(`k${this.#random.below(this.#world.plan.keys)}`);
    }
    return [...keys].sort();
  }

  #command(
    kind: 'put' | 'delete' | 'renew',
    change: CommandOrigin & { readonly key: Uint8Array; readonly ifRevision: number | undefined },
    key: string,
    value = '',
  ): Command {
    if (kind === 'delete') return { kind, ...change };
    if (kind === 'renew') return { kind, ...change, ifRevision: this.#revisions.get(key) || 1 };
    const ttlMs = this.#random.chance(20) ? this.#random.between(ttlMsMin, 2 * ttlMsMin) : undefined;
    if (ttlMs !== undefined) this.#renewLate(key, ttlMs);
    return { kind, ...change, value: fromByteString(value), ttlMs };
  }

  /** About when its time is over: some come just before its end in the log. */
  #renewLate(key: string, ttlMs: number): void {
    this.#world.queue.after(ttlMs * 1000 + this.#random.between(-100_000, 400_000), () => {
      if (!this.#isStopped) this.#write('renew', key, undefined, 4, () => {});
    });
  }

  /** Of one key, or of all. Now and then from the beginning. */
  #watch(key: string, then: () => void): void {
    const isPrefix = key === '';
    const since = this.#random.chance(90) ? this.#watched.get(key) : undefined;
    const waitMs = this.#random.below(Math.max(20, Math.floor(this.#world.plan.electionTimeoutUs / 2000)));
    const body = { type: 'watch' as const, key: fromByteString(key), isPrefix, since, after: undefined, waitMs };
    this.#begin(body, 'watch', key, undefined, 0, this.#random.between(1, 8), then);
  }

  #checkWatch(call: Call, response: ResponseBody & { readonly type: 'changes' | 'snapshot' }, nodeId: number): number {
    const { body, key, floor } = call;
    if (body.type !== 'watch') throw new Violation('answers fit their requests', `changes for ${call.type}`);
    const { oracle, counts } = this.#world;
    const isWatched = (name: string): boolean => key === '' || name === key;
    const isOfChanges = response.type === 'changes';
    counts.add(
      !isOfChanges
        ? 'watch told a snapshot'
        : response.changes.length > 0
          ? 'watch told changes'
          : 'watch told nothing',
    );
    const revision = isOfChanges
      ? oracle.checkChanges(response, body.since ?? 0, isWatched, floor, nodeId)
      : oracle.checkSnapshot(response, isWatched, floor, nodeId);
    this.#watched.set(key, Math.max(revision, this.#watched.get(key) ?? 0));
    return revision;
  }

  #read(body: RequestBody & { readonly type: 'get' | 'list' }, key: string, then: () => void): void {
    this.#begin(body, body.type, key, undefined, 0, this.#random.between(1, 8), then);
  }

  #begin(
    body: RequestBody,
    type: Call['type'],
    key: string,
    value: string | undefined,
    number: number,
    attemptsMax: number,
    then: (isAnswered: boolean) => void,
  ): void {
    const { nowUs } = this.#world.queue;
    const floor = this.#record.acknowledged;
    const call: Call = {
      body,
      type,
      key,
      value,
      floor,
      invokedUs: nowUs,
      number,
      attemptsMax,
      attempts: 0,
      open: 0,
      isRetryDue: false,
      isDone: false,
      then,
    };
    this.#live.add(call);
    this.#ask(call);
  }

  #ask(call: Call): void {
    const { queue, trace, plan } = this.#world;
    const nodes = this.#nodes();
    const isFavourite = call.attempts === 0 && this.#favourite !== undefined && nodes.includes(this.#favourite);
    const node = isFavourite && this.#random.chance(80) ? (this.#favourite as SimulatedNode) : this.#random.pick(nodes);
    const id = this.#nextRequest++;
    const timeoutMs = this.#random.between(1, 20) * Math.max(20, Math.floor(plan.electionTimeoutUs / 4000));
    call.isRetryDue = false;
    call.attempts++;
    call.open++;
    this.#calls.set(id, call);
    trace.note(
      queue.nowUs,
      'ask',
      this.index,
      node.id,
      () => `client ${this.index} asks node ${node.id}: ${call.type} ${call.key} ${call.value ?? ''} #${call.number}`,
    );
    const { attempts } = call;
    queue.after(this.#random.below(clientDelayUsMax), () =>
      node.requested(this.index, [{ id, timeoutMs, ...call.body }]),
    );
    queue.after(timeoutMs * 1000 + this.#random.between(20_000, 200_000), () => {
      if (!call.isDone && call.attempts === attempts) this.#again(call);
    });
  }

  #again(call: Call): void {
    if (call.isDone || call.isRetryDue || this.#isStopped) return;
    this.#favourite = undefined;
    if (call.attempts >= call.attemptsMax) {
      this.#giveUp(call);
      call.then(false);
      return;
    }
    call.isRetryDue = true;
    this.#world.queue.after(this.#random.between(1000, 60_000), () => {
      if (!call.isDone && !this.#isStopped) this.#ask(call);
    });
  }

  #giveUp(call: Call): void {
    if (call.isDone) return;
    call.isDone = true;
    this.#live.delete(call);
    const isWrite = call.body.type === 'write' && call.type !== 'open';
    // An answer "not applied" to each request: then it never will be. A request that is still on its way may be.
    if (isWrite && call.open === 0 && call.attempts > 0) {
      this.#record.failed++;
      this.#world.oracle.declareDead(commandOf(call));
      return;
    }
    this.#record.unknown++;
    this.#note(call, undefined, call.value);
  }

  /** Decided as without effect, whatever became of other requests for it. */
  #withoutEffect(call: Call, what: string): void {
    this.#world.counts.add(what);
    call.isDone = true;
    this.#live.delete(call);
    this.#record.failed++;
    call.then(true);
  }

  #answered(call: Call, from: SimulatedNode, value: string | undefined = call.value): void {
    call.isDone = true;
    this.#live.delete(call);
    this.#favourite = from;
    this.#record.answered++;
    this.#note(call, this.#world.queue.nowUs, value);
    call.then(true);
  }

  #acknowledge(index: number): void {
    this.#record.acknowledged = Math.max(this.#record.acknowledged, index);
  }

  #note(call: Call, returned: number | undefined, value: string | undefined): void {
    const { type, key, invokedUs: invoked } = call;
    const common = { invoked, returned, client: this.index };
    if (type === 'put' || type === 'delete' || type === 'get')
      this.#record.operations.push({ type, key, value, ...common });
    // Each key is a register of its own; that they change together is seen by those who list or watch.
    for (const effect of effectsOf(call)) this.#record.operations.push({ ...effect, ...common });
  }
}

function commandOf(call: Call): Uint8Array {
  if (call.body.type !== 'write') throw new Violation('answers fit their requests', `an outcome for ${call.type}`);
  return call.body.command;
}

/** What a transaction does, if it does anything. */
function effectsOf(
  call: Call,
): { readonly type: 'put' | 'delete'; readonly key: string; readonly value: string | undefined }[] {
  if (call.type !== 'transact') return [];
  const command = decodeCommand(commandOf(call));
  if (command.kind !== 'transact') throw new Error(`${command.kind} is no transaction`);
  return command.transaction.changes.map((change) => {
    const value = change.kind === 'put' ? toByteString(change.value) : undefined;
    return { type: change.kind, key: toByteString(change.key), value };
  });
}

function toPair({ key, value, revision }: WirePair): { key: string; value: Uint8Array; revision: number } {
  return { key: toByteString(key), value, revision };
}

function describe(response: ClientResponse): string {
  switch (response.type) {
    case 'outcome':
      return JSON.stringify(response.outcome);
    case 'failed':
      return `${response.code} (${response.outcome})`;
    case 'record':
      return response.record ? `revision ${response.record.revision}` : 'nothing';
    default:
      return response.type;
  }
}
