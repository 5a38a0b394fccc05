import { toByteString } from '../../src/base/bytes.ts';
import type { Configuration } from '../../src/cluster/configuration.ts';
import { configurationOf } from '../../src/cluster/stop-sign.ts';
import { decodeOrigin } from '../../src/kv/command.ts';
import type { Outcome } from '../../src/kv/outcome.ts';
import { type Ballot, compareBallots, type NodeId } from '../../src/omnipaxos/ballot.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import { majority } from '../../src/omnipaxos/quorum.ts';
import type { PaxosState } from '../../src/omnipaxos/storage.ts';
import type { ResponseBody } from '../../src/wire/client-message.ts';
import type { PeerMessage } from '../../src/wire/peer-message.ts';
import { describeBallot, describeEntry } from './describe.ts';
import { HandoverCheck } from './handover-check.ts';
import { type Expired, Reference } from './reference.ts';
import type { SimulatedDisk } from './simulated-disk.ts';
import type { Transition } from './simulated-log-store.ts';
import type { SimulatedNode } from './simulated-node.ts';
import { require, Violation } from './violation.ts';

/** What the oracle remembers of a running process. */
interface Watched {
  readonly life: number;
  decidedIndex: number;
  appliedIndex: number;
}

/** The promise that has left a node in a configuration: it must still be known after every restart. */
interface SentPromise {
  readonly configurationId: number;
  readonly ballot: Ballot;
}

interface Pair {
  readonly key: string;
  readonly value: Uint8Array;
  readonly revision: number;
}

/**
 * Sees everything that every node does and knows what must hold: one decided sequence, durable on a quorum before it is decided;
 * no promise forgotten; no two logs under one ballot; answers that agree with a slow second implementation.
 */
export class Oracle {
  readonly reference = new Reference();
  readonly #decided: Entry<Uint8Array>[] = [];
  readonly #configurations: Configuration[] = [];
  /** First configurations that were seen on a disk, and the directories of their members. */
  readonly #seen = new WeakSet<Configuration>();
  readonly #formed = new Set<string>();
  readonly #proposed = new Set<string>();
  /** Commands of which every request was answered with "not applied". */
  readonly #dead = new Set<string>();
  readonly #disks = new Map<string, SimulatedDisk>();
  readonly #watched = new Map<NodeId, Watched>();
  readonly #sentPromises = new Map<string, SentPromise>();
  /** By configuration and ballot: what was accepted under it, by index. */
  readonly #rounds = new Map<string, Map<number, Entry<Uint8Array>>>();
  /** By configuration and ballot: the life that leads with it. */
  readonly #owners = new Map<string, string>();
  readonly #hashes = new Map<number, { readonly hash: string; readonly nodeId: NodeId }>();
  readonly #handovers = new HandoverCheck();
  readonly #nowUs: () => number;
  readonly #onExpired: (expired: Expired, nowUs: number) => void;
  #leaderChanges = 0;
  #spaceReports = 0;
  #stableSince: string | undefined;
  /** The ballot of its own that each node lives by, told to others or not. */
  readonly #ownBallots = new Map<NodeId, string>();
  /** Those from before the links were stable: a full disk may hold up a Prepare for that long (seed 58023520). */
  #earlierBallots: ReadonlySet<string> = new Set();

  /** `onExpired` is told of each key that has expired. */
  constructor(nowUs: () => number, onExpired: (expired: Expired, nowUs: number) => void) {
    this.#nowUs = nowUs;
    this.#onExpired = onExpired;
  }

  /** Decided reports of full disks, and of disks with room again. */
  get spaceReports(): number {
    return this.#spaceReports;
  }

  /** Count of entries known to be decided by anyone. */
  get decidedIndex(): number {
    return this.#decided.length;
  }

  /** The configurations that were decided, the first one first. */
  get configurations(): readonly Configuration[] {
    return this.#configurations;
  }

  /** Ballots with which someone asked to lead. */
  get leaderChanges(): number {
    return this.#leaderChanges;
  }

  propose(command: Uint8Array): void {
    this.#proposed.add(toByteString(command));
  }

  /** Every request for this command was answered with "not applied", and there will be no other. */
  declareDead(command: Uint8Array): void {
    const id = toByteString(command);
    const [first] = this.reference.outcomesOf(command);
    require(first === undefined, 'a write that failed as not applied is never decided', () =>
      `it is decided at ${first?.index}`);
    this.#dead.add(id);
  }

  /** From now on a new leader that was not asked to lead is a violation, until `undefined` says otherwise. */
  expectNoLeaderChange(why: string | undefined): void {
    this.#stableSince = why;
    this.#earlierBallots = new Set(this.#ownBallots.values());
  }

  onStart(node: SimulatedNode): void {
    const { disk, log, replica } = node;
    if (!log || !replica) return;
    // What it once held was counted, and rightly so: the disk as it was stands for that.
    if (!disk.isRolledBack) this.#disks.set(disk.storageId, disk);
    const { decidedIndex } = log.state;
    this.#watched.set(node.id, { life: node.life, decidedIndex, appliedIndex: replica.appliedIndex });
    const sent = this.#sentPromises.get(disk.storageId);
    if (sent && !disk.isRolledBack && log.configuration?.configurationId === sent.configurationId) {
      require(compareBallots(log.state.promise, sent.ballot) >= 0, 'a promise survives a crash', () => {
        return `node ${node.id} had promised ${describeBallot(sent.ballot)}, after its restart it knows ${describeBallot(log.state.promise)}`;
      });
    }
    require(decidedIndex <= this.#decided.length, 'decided index after a restart', () => {
      return `node ${node.id} starts with decided index ${decidedIndex}, only ${this.#decided.length} entries are decided`;
    });
    this.#checkDecided(node, log.sequence.trimmedIndex, decidedIndex);
    this.#checkState(node);
  }

  onCrash(node: SimulatedNode): void {
    this.#watched.delete(node.id);
  }

  /** A transition is on a disk now. What is not may be lost, and its ballot be used again by a later life. */
  onDurable(disk: SimulatedDisk, { changes, paxos, configuration }: Transition, before: PaxosState): void {
    if (configuration === undefined || disk.isRolledBack) return;
    const { configurationId } = configuration;
    const isNewRound = compareBallots(paxos.acceptedRound, before.acceptedRound) !== 0;
    if (isNewRound && paxos.acceptedRound.n > 0) {
      const { sequence } = disk.log;
      const from = Math.max(paxos.decidedIndex, sequence.trimmedIndex);
      this.#checkRound(disk, configurationId, paxos.acceptedRound, from, sequence.read(from, sequence.endIndex));
      return;
    }
    // Without a new round the log only grows; what cuts it is catch-up, whose entries were accepted in other rounds.
    if (changes.some((change) => change.kind === 'truncate' || change.kind === 'reset')) return;
    for (const change of changes) {
      if (change.kind !== 'append') continue;
      const skipped = Math.max(0, paxos.decidedIndex - change.index);
      this.#checkRound(
        disk,
        configurationId,
        paxos.acceptedRound,
        change.index + skipped,
        change.entries.slice(skipped),
      );
    }
  }

  /**
   * Whoever formed a cluster may lose its disk before it told anyone, and the others then form another (seed 51001048). If the first one goes on
   * all the same, what its members say fits no configuration any more.
   */
  #noteFormed(formed: Configuration): void {
    this.#seen.add(formed);
    const directories = formed.members.map(({ storageId }) => storageId).join(' ');
    if (this.#formed.has(directories)) return;
    this.#formed.add(directories);
    const isNew = this.#configurations.length <= 1 && this.#decided.length === 0;
    if (this.#configurations.length === 0 || isNew) this.#configurations[0] = formed;
  }

  /** After every turn, before anything leaves the node. */
  afterTurn(node: SimulatedNode): void {
    const { log, replica } = node;
    const watched = this.#watched.get(node.id);
    if (!log || !replica || !watched) return;
    this.#handovers.afterTurn(node);
    this.#noteOwnBallot(node);
    // One that a crash took back, before anybody else heard of it, never was.
    const formed = node.disk.log.configuration;
    if (formed?.configurationId === 1 && !this.#seen.has(formed)) this.#noteFormed(formed);
    const { decidedIndex } = log.state;
    require(decidedIndex >= watched.decidedIndex, 'decided index never goes back', () => {
      return `node ${node.id} went from ${watched.decidedIndex} to ${decidedIndex}`;
    });
    if (decidedIndex > watched.decidedIndex) {
      this.#checkDecided(node, Math.max(watched.decidedIndex, log.sequence.trimmedIndex), decidedIndex);
      watched.decidedIndex = decidedIndex;
    }
    const { appliedIndex } = replica;
    if (appliedIndex === watched.appliedIndex) return;
    require(appliedIndex > watched.appliedIndex, 'applied index never goes back', () => {
      return `node ${node.id} went from ${watched.appliedIndex} to ${appliedIndex}`;
    });
    require(appliedIndex <= this.#decided.length, 'only what is decided is applied', () => {
      return `node ${node.id} applied up to ${appliedIndex}, only ${this.#decided.length} entries are decided`;
    });
    watched.appliedIndex = appliedIndex;
    if (appliedIndex % 5 === 0) this.#checkState(node);
  }

  /** A message leaves a node: what it says must be on that node's disk, if it is of the kind that waits for it. */
  onSend(node: SimulatedNode, to: NodeId, message: PeerMessage): void {
    // What it says may be wrong; nobody who counts listens (see SimulatedNode).
    if (node.disk.isRolledBack) return;
    const { configurationId, payload } = message;
    switch (payload.type) {
      case 'Prepare':
        this.#checkOwner(node, configurationId, payload.ballot);
        return this.#checkPromise(node, configurationId, payload.ballot, 'Prepare');
      case 'Promise':
        return this.#checkPromise(node, configurationId, payload.ballot, 'Promise');
      case 'Accepted':
        return this.#checkAccepted(node, configurationId, payload.ballot, payload.acceptedIndex);
      case 'AcceptSync':
      case 'AcceptDecide':
      case 'Decide':
        this.#checkOwner(node, configurationId, payload.ballot);
        require(payload.decidedIndex <= this.#decided.length, 'only what is decided is said to be decided', () => {
          return `node ${node.id} tells node ${to} of ${payload.decidedIndex}, only ${this.#decided.length} entries are decided`;
        });
        return;
      case 'TakeOver':
        return this.#handovers.onTakeOver(node, to);
      default:
        return;
    }
  }

  /** A client was told what its command gave. */
  checkOutcome(command: Uint8Array, outcome: Outcome, nodeId: NodeId): void {
    const given = this.reference.outcomesOf(command);
    require(given.length > 0, 'every acknowledged write is decided', () => {
      return `node ${nodeId} answered ${JSON.stringify(outcome)} to ${describeEntry({ type: 'Normal', entry: command })}, which nobody decided`;
    });
    const said = JSON.stringify(outcome);
    require(given.some(
      (one) => JSON.stringify(one.outcome) === said,
    ), 'every answer is what the decided sequence gives', () =>
      `node ${nodeId} answered ${said} to ${describeEntry({ type: 'Normal', entry: command })}, decided as ${JSON.stringify(given)}`);
  }

  /** A linearizable read that began when everything below `floor` was acknowledged. Returns the earliest index that explains it. */
  checkGet(
    key: string,
    found: { value: Uint8Array; revision: number } | undefined,
    floor: number,
    nodeId: NodeId,
  ): number {
    for (const moment of this.reference.moments(floor, key)) {
      const { value, revision } = this.reference.at(key, moment);
      if (
        found === undefined
          ? value === undefined
          : value !== undefined && revision === found.revision && sameBytes(value, found.value)
      ) {
        return moment;
      }
    }
    const now = this.reference.at(key, floor);
    throw new Violation(
      'a linearizable read sees every write acknowledged before it',
      `node ${nodeId} read ${key} at revision ${found?.revision ?? 'none'}; at ${floor}, when the read began, it had revision ${now.value ? now.revision : 'none'}`,
    );
  }

  /** A linearizable listing of everything. */
  checkList(pairs: readonly Pair[], floor: number, nodeId: NodeId): number {
    const said = JSON.stringify(pairs.map(({ key, revision }) => [key, revision]));
    const moments = [...this.reference.moments(floor)].sort((a, b) => a - b);
    for (const moment of moments) {
      const present = this.reference.keys.flatMap((key) => {
        const { value, revision } = this.reference.at(key, moment);
        return value === undefined ? [] : [[key, revision]];
      });
      if (JSON.stringify(present) === said) return moment;
    }
    throw new Violation(
      'a linearizable listing is the state at one index',
      `node ${nodeId} listed ${said}, began at ${floor}`,
    );
  }

  /** What changed, of the keys that `isWatched` names, behind `since`: all of it, up to the revision that the answer says. */
  checkChanges(
    { changes, revision }: ResponseBody & { readonly type: 'changes' },
    since: number,
    isWatched: (key: string) => boolean,
    floor: number,
    nodeId: NodeId,
  ): number {
    const expected = this.#versionsAt(revision, isWatched)
      .filter((change) => change.revision > since)
      .sort((a, b) => a.revision - b.revision);
    const said = changes.map((change) => ({ ...change, key: toByteString(change.key) }));
    this.#requireWatched(described(said), described(expected), {
      revision,
      floor,
      nodeId,
      what: `changes behind ${since}`,
    });
    return revision;
  }

  /** All of the keys that `isWatched` names, as of the revision that the answer says. */
  checkSnapshot(
    { pairs, revision }: ResponseBody & { readonly type: 'snapshot' },
    isWatched: (key: string) => boolean,
    floor: number,
    nodeId: NodeId,
  ): number {
    const expected = this.#versionsAt(revision, isWatched).filter(({ value }) => value !== undefined);
    const said = pairs.map((pair) => ({ ...pair, key: toByteString(pair.key) }));
    this.#requireWatched(described(said), described(expected), { revision, floor, nodeId, what: 'a snapshot' });
    return revision;
  }

  #versionsAt(revision: number, isWatched: (key: string) => boolean) {
    return this.reference.keys.filter(isWatched).map((key) => ({ key, ...this.reference.at(key, revision) }));
  }

  #requireWatched(said: string, expected: string, { revision, floor, nodeId, what }: WatchedAnswer): void {
    require(revision >= floor &&
      revision <= this.#decided.length, 'a watch sees every write acknowledged before it', () =>
      `node ${nodeId} told ${what} up to ${revision}, began at ${floor}; ${this.#decided.length} entries are decided`);
    require(said === expected, 'a watch misses nothing and makes nothing up', () =>
      `node ${nodeId} told ${what} up to ${revision} as ${said}, it must be ${expected}`);
  }

  /** The whole state of a node against the reference, and its hash against that of the others. */
  #checkState(node: SimulatedNode): void {
    const { replica, state } = node;
    if (!replica || !state) return;
    const { appliedIndex } = replica;
    const hash = replica.stateHash();
    const known = this.#hashes.get(appliedIndex);
    const { pairs } = state.range({ prefix: '', limit: 1_000_000, bytesMax: Number.POSITIVE_INFINITY });
    const found = new Map(pairs.map((pair) => [pair.key, pair]));
    const names = new Set([...this.reference.keys, ...found.keys()]);
    for (const key of names) {
      const { value, revision } = this.reference.at(key, appliedIndex);
      const pair = found.get(key);
      const isSame =
        value === undefined ? pair === undefined : pair?.revision === revision && sameBytes(pair.value, value);
      require(isSame, 'the state is what the decided sequence gives', () => {
        const expected = value === undefined ? 'absent' : `of revision ${revision}`;
        return `node ${node.id} at applied index ${appliedIndex}: ${key} is ${pair ? `of revision ${pair.revision}` : 'absent'}, it must be ${expected}`;
      });
    }
    if (!known) this.#hashes.set(appliedIndex, { hash, nodeId: node.id });
    else {
      require(known.hash === hash, 'equal state hashes at equal applied index', () => {
        return `at ${appliedIndex} node ${node.id} has ${hash}, node ${known.nodeId} had ${known.hash} (the pairs are equal: the sessions differ)`;
      });
    }
  }

  #checkDecided(node: SimulatedNode, from: number, to: number): void {
    if (from >= to || !node.log) return;
    const entries = node.log.sequence.read(from, to);
    for (let at = 0; at < entries.length; at++) {
      const index = from + at;
      const entry = entries[at] as Entry<Uint8Array>;
      const known = this.#decided[index];
      if (known === undefined) {
        require(index === this.#decided.length, 'decided entries are found in order', () =>
          `node ${node.id} decided ${index} after ${this.#decided.length}`);
        this.#newlyDecided(node, index, entry);
      } else {
        require(sameEntry(known, entry), 'one decided sequence', () => {
          return `at ${index} node ${node.id} decided ${describeEntry(entry)}, before it was ${describeEntry(known)}`;
        });
      }
    }
  }

  #newlyDecided(node: SimulatedNode, index: number, entry: Entry<Uint8Array>): void {
    const configuration = this.#configurations.at(-1);
    require(configuration !== undefined, 'entries are decided in a configuration', () =>
      `node ${node.id} decided ${index} in none`);
    this.#checkDurable(node, configuration, index, entry);
    this.#decided.push(entry);
    const kind = entry.type === 'Normal' ? decodeOrigin(entry.entry).kind : undefined;
    if (kind === 'reportSpace') this.#spaceReports++;
    else if (entry.type === 'Normal' && kind !== 'expire') {
      const id = toByteString(entry.entry);
      require(this.#proposed.has(id), 'every decided command was proposed', () =>
        `nobody proposed ${describeEntry(entry)} at ${index}`);
      require(!this.#dead.has(id), 'a write that failed as not applied is never decided', () =>
        `${describeEntry(entry)} is decided at ${index}`);
    } else if (entry.type === 'StopSign') {
      require(entry.stopSign.configId ===
        configuration.configurationId + 1, 'a StopSign ends its own configuration', () => {
        return `${describeEntry(entry)} is decided at ${index} in configuration ${configuration.configurationId}`;
      });
      this.#configurations.push(configurationOf(entry.stopSign, index));
    }
    const nowUs = this.#nowUs();
    const expired = this.reference.apply(entry, nowUs);
    if (expired) this.#checkExpired(expired, nowUs);
  }

  #checkExpired(expired: Expired, nowUs: number): void {
    const { key, ttlMs, sinceUs } = expired;
    const stayedMs = (nowUs - sinceUs) / 1000;
    require(stayedMs >= ttlMs * clockSlack, 'no key expires before its time', () =>
      `${key} expired ${stayedMs} ms after it was put or renewed, it may stay for ${ttlMs}`);
    this.#onExpired(expired, nowUs);
  }

  /** When it is first known to be decided, an accept quorum of its configuration has it on disk. */
  #checkDurable(node: SimulatedNode, configuration: Configuration, index: number, entry: Entry<Uint8Array>): void {
    const needed = (configuration.quorum ?? majority(configuration.members.length)).accept;
    let count = 0;
    for (const { storageId } of configuration.members) {
      const disk = this.#disks.get(storageId);
      if (!disk) continue;
      const { sequence } = disk.log;
      if (disk.state.appliedIndex > index || sequence.trimmedIndex > index) count++;
      else if (sequence.endIndex > index && sameEntry(sequence.read(index, index + 1)[0] as Entry<Uint8Array>, entry))
        count++;
    }
    require(count >= needed, 'an entry is decided once an accept quorum has it on disk', () => {
      return `node ${node.id} decided ${describeEntry(entry)} at ${index}, ${count} members have it on disk, ${needed} must`;
    });
  }

  #checkRound(
    disk: SimulatedDisk,
    configurationId: number,
    ballot: Ballot,
    from: number,
    entries: readonly Entry<Uint8Array>[],
  ): void {
    if (entries.length === 0) return;
    const key = `${configurationId}/${describeBallot(ballot)}`;
    let round = this.#rounds.get(key);
    if (!round) {
      round = new Map();
      this.#rounds.set(key, round);
    }
    for (let at = 0; at < entries.length; at++) {
      const entry = entries[at] as Entry<Uint8Array>;
      const known = round.get(from + at);
      if (known === undefined) round.set(from + at, entry);
      else {
        require(sameEntry(known, entry), 'no two logs under one ballot', () => {
          return `at ${from + at} under ballot ${key} node ${disk.nodeId} accepted ${describeEntry(entry)}, another ${describeEntry(known)}`;
        });
      }
    }
  }

  #noteOwnBallot({ id, replica }: SimulatedNode): void {
    const { leader, configurationId } = replica?.voter ?? {};
    if (leader?.pid === id) this.#ownBallots.set(id, `${configurationId}/${describeBallot(leader)}`);
  }

  #checkOwner(node: SimulatedNode, configurationId: number, ballot: Ballot): void {
    const key = `${configurationId}/${describeBallot(ballot)}`;
    const life = `${node.disk.storageId}, life ${node.life}`;
    const owner = this.#owners.get(key);
    if (owner === undefined) {
      this.#owners.set(key, life);
      this.#leaderChanges++;
      const isHandedOver = this.#handovers.takesOver(node);
      // Those that have not heard that it is sealed lose its leader to the next one (seed 60540092, with slow applying).
      const isSealed = configurationId < this.#configurations.length;
      const mayChange = isSealed || isHandedOver || this.#earlierBallots.has(key);
      const isExpected = this.#stableSince === undefined || mayChange;
      require(isExpected, 'no leader change without a cause', () => {
        return `node ${node.id} asks to lead with ballot ${key}, ${this.#stableSince}`;
      });
      return;
    }
    require(owner === life, 'a ballot is never used again', () =>
      `ballot ${key} was led with by ${owner}, now by ${life}`);
  }

  #checkPromise(node: SimulatedNode, configurationId: number, ballot: Ballot, what: string): void {
    this.#checkVoter(node, configurationId, what);
    const { paxos, configuration } = node.disk.log;
    require(configuration?.configurationId === configurationId &&
      compareBallots(paxos.promise, ballot) >= 0, 'a promise is durable before it is sent', () =>
      `node ${node.id} sends ${what} for ${describeBallot(ballot)} of configuration ${configurationId}, on its disk is ${describeBallot(paxos.promise)} of ${configuration?.configurationId}`);
    const sent = this.#sentPromises.get(node.disk.storageId);
    if (sent?.configurationId === configurationId && compareBallots(sent.ballot, ballot) >= 0) return;
    this.#sentPromises.set(node.disk.storageId, { configurationId, ballot });
  }

  #checkAccepted(node: SimulatedNode, configurationId: number, ballot: Ballot, acceptedIndex: number): void {
    this.#checkVoter(node, configurationId, 'Accepted');
    const { paxos, configuration, sequence } = node.disk.log;
    const isDurable =
      configuration?.configurationId === configurationId &&
      compareBallots(paxos.acceptedRound, ballot) >= 0 &&
      sequence.endIndex >= acceptedIndex;
    const isEmptyWord = acceptedIndex <= (configuration?.startIndex ?? 0);
    require(isDurable || isEmptyWord, 'what is accepted is durable before it is said', () => {
      return `node ${node.id} says Accepted ${acceptedIndex} for ${describeBallot(ballot)}, on its disk the log ends at ${sequence.endIndex} in round ${describeBallot(paxos.acceptedRound)}`;
    });
  }

  /** Nobody votes with another disk than the configuration names. */
  #checkVoter(node: SimulatedNode, configurationId: number, what: string): void {
    const configuration = this.#configurations[configurationId - 1];
    const member = configuration?.members.find(({ id }) => id === node.id);
    require(member?.storageId ===
      node.disk.storageId, 'only members vote, with the disk that they were taken in with', () => {
      return `node ${node.id} with disk ${node.disk.storageId} sends ${what} in configuration ${configurationId}, whose member has ${member?.storageId}`;
    });
  }
}

/** Clocks of nodes go wrong by a twentieth. */
const clockSlack = 0.94;

/** Which answer to a watch is looked at. */
interface WatchedAnswer {
  readonly revision: number;
  readonly floor: number;
  readonly nodeId: NodeId;
  readonly what: string;
}

function described(
  changes: readonly { readonly key: string; readonly value: Uint8Array | undefined; readonly revision: number }[],
): string {
  return JSON.stringify(changes.map(({ key, value, revision }) => [key, revision, value && toByteString(value)]));
}

function sameEntry(a: Entry<Uint8Array>, b: Entry<Uint8Array>): boolean {
  if (a === b) return true;
  if (a.type === 'Normal' && b.type === 'Normal') return sameBytes(a.entry, b.entry);
  if (a.type === 'StopSign' && b.type === 'StopSign') {
    return (
      a.stopSign.configId === b.stopSign.configId && sameBytes(a.stopSign.metadata ?? none, b.stopSign.metadata ?? none)
    );
  }
  return false;
}

const none = new Uint8Array(0);

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
