import { expect, it } from 'vitest';
import { encodeCommand } from '../../src/kv/command.ts';
import { type Entry, MemorySequence, MemoryStore, OmniPaxos, type PaxosMessage } from '../../src/omnipaxos/index.ts';
import { defaultReplicaSettings as settings } from '../../src/replica/settings.ts';
import { encodePeerFrames } from '../../src/wire/peer-frame.ts';

function replicaOf(pid: number, store = new MemoryStore<Uint8Array>()): OmniPaxos<Uint8Array> {
  return new OmniPaxos<Uint8Array>({
    configurationId: 1,
    pid,
    peers: [1, 2, 3].filter((id) => id !== pid),
    store,
    sizeOf: (command) => command.length,
    messageSizeMax: settings.messageBytesMax,
    syncSizeMax: settings.syncBytesMax,
    syncEntriesMax: settings.syncEntriesMax,
    undecidedSizeMax: settings.undecidedBytesMax,
  });
}

/** A log as one on a disk: it reads no more than it has to, and counts what it reads. */
class SparingSequence extends MemorySequence<Uint8Array> {
  bytesRead = 0;

  override read(from: number, to: number, sizeMax = Number.POSITIVE_INFINITY): Entry<Uint8Array>[] {
    const entries: Entry<Uint8Array>[] = [];
    let bytes = 0;
    for (const entry of super.read(from, to)) {
      if (bytes > sizeMax) break;
      entries.push(entry);
      bytes += bytesOf(entry);
    }
    this.bytesRead += bytes;
    return entries;
  }
}

/** One that knows how much it holds, too. */
class KnowingSequence extends SparingSequence {
  sizeFrom(from: number): number {
    return MemorySequence.prototype.read
      .call(this, from, this.endIndex)
      .reduce((sum, entry) => sum + bytesOf(entry as Entry<Uint8Array>), 0);
  }
}

function bytesOf(entry: Entry<Uint8Array>): number {
  return entry.type === 'Normal' ? entry.entry.length : 0;
}

class SparingStore extends MemoryStore<Uint8Array> {
  override readonly sequence = new KnowingSequence();
}

function entriesOf({ payload }: PaxosMessage<Uint8Array>): readonly Entry<Uint8Array>[] {
  if (payload.type === 'AcceptSync') return payload.suffix;
  return payload.type === 'AcceptDecide' ? payload.entries : [];
}

/** Node 1 leads; links to nodes in `lost` are cut, to 3 first. */
class Trio {
  readonly log = new SparingStore();
  readonly nodes = [replicaOf(1, this.log), replicaOf(2), replicaOf(3)] as const;
  readonly sentTo3: PaxosMessage<Uint8Array>[] = [];
  /** Most bytes of log that a node had to send in one turn. */
  turnBytesMax = 0;
  lost: readonly number[] = [];
  /** Messages to 3 wait on its link. */
  isSlow3 = false;
  readonly waiting: PaxosMessage<Uint8Array>[] = [];

  constructor() {
    this.nodes[0].handleLeader({ n: 1, priority: 0, pid: 1 });
    this.settle();
    this.lost = [3];
  }

  settle(): void {
    while (this.step());
  }

  /** One turn of each; false if nobody had anything to send. */
  step(): boolean {
    const messages = this.nodes.flatMap((node) => this.#turn(node));
    for (const message of messages) {
      if (this.lost.includes(message.to) || this.lost.includes(message.from)) continue;
      if (message.to === 3) this.sentTo3.push(message);
      if (message.to === 3 && this.isSlow3) this.waiting.push(message);
      else this.nodes[message.to - 1]?.handle(message);
    }
    return messages.length > 0;
  }

  #turn(node: OmniPaxos<Uint8Array>): PaxosMessage<Uint8Array>[] {
    const messages = node.getOutgoingMsgs();
    const bytes = messages.flatMap(entriesOf).reduce((sum, entry) => sum + bytesOf(entry), 0);
    this.turnBytesMax = Math.max(this.turnBytesMax, bytes);
    return messages;
  }

  propose(count: number, valueBytes = 1): void {
    const text = new TextEncoder();
    for (let number = 0; number < count; number++) {
      const key = text.encode(`key-${number % 1000}`);
      const value = new Uint8Array(valueBytes);
      const put = { kind: 'put', session: 1, number, acknowledgedBelow: number, key, value } as const;
      if (!this.nodes[0].proposeNormal(encodeCommand(put)).ok) throw new Error(`proposal ${number} was refused`);
      if (number % Math.ceil(1e6 / (1000 * valueBytes)) === 0) this.settle();
    }
    this.settle();
  }

  tick(): void {
    for (const node of this.nodes) node.tick();
    this.settle();
  }

  /** One of those that wait gets through; false if none is left. */
  deliverTo3(): boolean {
    const message = this.waiting.shift();
    if (message) this.nodes[2].handle(message);
    return message !== undefined;
  }

  link3(): void {
    this.lost = [];
    this.sentTo3.length = 0;
    this.turnBytesMax = 0;
    this.log.sequence.bytesRead = 0;
    this.nodes[0].reconnected(3);
    this.nodes[2].reconnected(1);
  }

  meet3(): void {
    this.link3();
    this.settle();
  }

  /** Until node 3 has its AcceptSync, and no longer. */
  beginSyncOf3(): void {
    this.link3();
    while (!this.sentTo3.some(({ payload }) => payload.type === 'AcceptSync')) this.step();
  }

  expectFrames(): void {
    for (const { payload, configurationId } of this.sentTo3) {
      expect(() => encodePeerFrames('0123456789abcdef', [{ configurationId, payload }])).not.toThrow();
    }
  }
}

it('a follower that lacks hundreds of thousands of small writes, all decided, is told to catch up', () => {
  const trio = new Trio();
  trio.propose(300_000);
  expect(trio.nodes[0].decidedIndex).toBe(300_000);
  trio.meet3();
  trio.expectFrames();
  expect(trio.sentTo3.map(({ payload }) => payload.type)).toContain('Behind');
  expect(trio.nodes[2].catchUpTarget?.index).toBe(300_000);
});

it('one that lacks as many that are not decided gets them all', () => {
  const trio = new Trio();
  trio.lost = [2, 3];
  trio.propose(300_000);
  trio.meet3();
  trio.expectFrames();
  expect(trio.nodes[2].decidedIndex).toBe(300_000);
});

it('one that lacks a hundred megabytes is told so, and sent what is not decided, without a look at all of it', () => {
  const trio = new Trio();
  trio.propose(500, 250_000);
  trio.meet3();
  expect(trio.sentTo3.map(({ payload }) => payload.type)).toContain('Behind');
  expect(trio.log.sequence.bytesRead).toBeLessThan(settings.messageBytesMax);
});

it('one that lacks what a sync may carry gets it a few messages at a time, and each entry once', () => {
  const trio = new Trio();
  trio.propose(110, 250_000);
  trio.meet3();
  expect(trio.nodes[2].decidedIndex).toBe(110);
  expect(trio.turnBytesMax).toBeLessThan(5 * settings.messageBytesMax);
  expect(trio.sentTo3.flatMap(entriesOf)).toHaveLength(110);
});

it('what is proposed meanwhile comes behind it', () => {
  const trio = new Trio();
  trio.propose(110, 250_000);
  trio.link3();
  trio.propose(30, 250_000);
  expect(trio.nodes.map(({ decidedIndex }) => decidedIndex)).toEqual([140, 140, 140]);
});

it('one whose part of the log is trimmed while that is under way is told to catch up', () => {
  const trio = new Trio();
  trio.propose(110, 250_000);
  trio.beginSyncOf3();
  trio.nodes[0].trim(100);
  trio.settle();
  expect(trio.nodes[2].catchUpTarget?.index).toBe(110);
});

it('a log that a leader has adopted goes in one message, however long it is', () => {
  const trio = new Trio();
  trio.lost = [2, 3];
  trio.propose(30, 250_000);
  expect(trio.nodes[0].decidedIndex).toBe(0);
  trio.lost = [];
  trio.sentTo3.length = 0;
  trio.nodes[0].handleLeader({ n: 2, priority: 0, pid: 1 });
  trio.settle();
  expect(trio.nodes[2].decidedIndex).toBe(30);
  const [sync] = trio.sentTo3.filter(({ payload }) => payload.type === 'AcceptSync');
  expect(sync && entriesOf(sync)).toHaveLength(30);
});

it('what it has pulled since it asked is not sent again', () => {
  const trio = new Trio();
  trio.propose(110, 250_000);
  trio.beginSyncOf3();
  trio.nodes[2].installDecided(4, trio.nodes[1].getDecidedEntries(4).slice(0, 100));
  trio.settle();
  expect(trio.nodes[2].decidedIndex).toBe(110);
  // A window's worth may have been under way.
  expect(trio.sentTo3.flatMap(entriesOf).length).toBeLessThan(30);
});

it('who is not in step is asked to lead only where nobody is', () => {
  const trio = new Trio();
  trio.propose(110, 250_000);
  trio.beginSyncOf3();
  expect(trio.nodes[0].furthestFollower()).toBe(2);
  expect(trio.nodes[0].furthestFollower(new Set([2]))).toBe(3);
  trio.settle();
  trio.propose(1);
  expect(trio.nodes[0].furthestFollower(new Set([2]))).toBe(3);
});

it('one that takes what it is sent too slowly gets no more than that while others decide, and all of it once it does', () => {
  const trio = new Trio();
  trio.meet3();
  trio.propose(1);
  trio.isSlow3 = true;
  for (let count = 0; count < 40; count++) {
    trio.propose(8, 250_000);
    trio.tick();
  }
  const bytes = () => trio.sentTo3.flatMap(entriesOf).reduce((sum, entry) => sum + bytesOf(entry), 0);
  expect(trio.nodes[0].decidedIndex).toBe(321);
  expect(bytes()).toBeGreaterThan(2 * settings.undecidedBytesMax);
  expect(bytes(), 'what may be undecided twice, and a few messages').toBeLessThan(25e6);
  while (trio.deliverTo3()) trio.settle();
  expect(trio.nodes[2].decidedIndex).toBe(321);
  expect(trio.sentTo3.flatMap(entriesOf), 'each entry once').toHaveLength(321);
});

it.each([1, 2])('one that takes %d messages a tick where three come has no more than that under way either', (each) => {
  const trio = new Trio();
  trio.meet3();
  trio.propose(1);
  trio.isSlow3 = true;
  let most = 0;
  for (let count = 0; count < 200; count++) {
    trio.propose(8, 250_000);
    trio.tick();
    for (let taken = 0; taken < each; taken++) {
      trio.deliverTo3();
      trio.settle();
    }
    const bytes = trio.waiting.flatMap(entriesOf).reduce((sum, entry) => sum + bytesOf(entry), 0);
    most = Math.max(most, bytes);
  }
  expect(most).toBeGreaterThan(2 * settings.undecidedBytesMax);
  expect(most).toBeLessThan(25e6);
});
