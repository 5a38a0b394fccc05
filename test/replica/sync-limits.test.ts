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
      bytes += entry.type === 'Normal' ? entry.entry.length : 0;
    }
    this.bytesRead += bytes;
    return entries;
  }
}

class SparingStore extends MemoryStore<Uint8Array> {
  override readonly sequence = new SparingSequence();
}

/** Node 1 leads; links to nodes in `lost` are cut, to 3 first. */
class Trio {
  readonly log = new SparingStore();
  readonly nodes = [replicaOf(1, this.log), replicaOf(2), replicaOf(3)] as const;
  readonly sentTo3: PaxosMessage<Uint8Array>[] = [];
  lost: readonly number[] = [];

  constructor() {
    this.nodes[0].handleLeader({ n: 1, priority: 0, pid: 1 });
    this.settle();
    this.lost = [3];
  }

  settle(): void {
    for (let isBusy = true; isBusy; ) {
      isBusy = false;
      for (const message of this.nodes.flatMap((node) => node.getOutgoingMsgs())) {
        isBusy = true;
        if (this.lost.includes(message.to) || this.lost.includes(message.from)) continue;
        if (message.to === 3) this.sentTo3.push(message);
        this.nodes[message.to - 1]?.handle(message);
      }
    }
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

  meet3(): void {
    this.lost = [];
    this.sentTo3.length = 0;
    this.nodes[0].reconnected(3);
    this.nodes[2].reconnected(1);
    this.settle();
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
  const { sequence } = trio.log;
  sequence.bytesRead = 0;
  trio.meet3();
  expect(trio.sentTo3.map(({ payload }) => payload.type)).toContain('Behind');
  expect(sequence.bytesRead).toBeLessThan(2 * settings.syncBytesMax);
});
