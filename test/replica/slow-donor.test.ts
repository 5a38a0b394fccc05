import { describe, expect, it } from 'vitest';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import type { Entry } from '../../src/omnipaxos/entry.ts';
import { CatchUp } from '../../src/replica/catch-up/catch-up.ts';
import { segmentChecksum } from '../../src/replica/catch-up/segment-checksum.ts';
import { defaultReplicaSettings } from '../../src/replica/settings.ts';
import type { LogRequest } from '../../src/wire/peer-message.ts';

const donor = 2;
const decided = 100_000;
const { donorTimeoutTicks, catchUpBytesMax } = defaultReplicaSettings;

/** A node that lacks 100,000 entries, which `donor` alone has. */
class Newcomer {
  readonly #sink = {
    decidedIndex: 0,
    installDecided: (from: number, entries: readonly unknown[]) => {
      this.#sink.decidedIndex = Math.max(this.#sink.decidedIndex, from + entries.length);
    },
    installState: () => {},
  };
  readonly catchUp = new CatchUp(this.#sink, new MemoryStateStore(), defaultReplicaSettings, decided);
  readonly asked: LogRequest[] = [];

  constructor({ isLeader = false } = {}) {
    this.tick(1);
    const said = { decidedIndex: decided, appliedIndex: decided, trimmedIndex: 0, isLeader };
    this.catchUp.onStanding(donor, { type: 'DonorStanding', ...said });
    this.tick(1);
  }

  /** How many requests were made meanwhile. */
  tick(ticks: number, linked = [donor]): number {
    const before = this.asked.length;
    for (let count = 0; count < ticks; count++) {
      this.catchUp.tick();
      for (const { payload } of this.catchUp.requests(linked, {
        roomBytes: Number.POSITIVE_INFINITY,
        isOver: false,
        isWaiting: false,
      })) {
        if (payload.type === 'LogRequest') this.asked.push(payload);
      }
    }
    return this.asked.length - before;
  }

  /** The answer to the request made at place `at`: one entry of so many bytes. */
  answer(at: number, bytes: number): void {
    const { from } = this.asked[at] as LogRequest;
    const entries: Entry<Uint8Array>[] = [{ type: 'Normal', entry: new Uint8Array(bytes) }];
    const checksum = segmentChecksum(from, entries);
    const segment = { from, entries, checksum, decidedIndex: decided, trimmedIndex: 0 };
    this.catchUp.onLogSegment(donor, { type: 'LogSegment', ...segment }, 0);
  }
}

describe('a donor', () => {
  it('is asked twice until it is known how large its answers are, and more if they come quickly', () => {
    const newcomer = new Newcomer();
    expect(newcomer.tick(5)).toBe(0);
    expect(newcomer.asked).toHaveLength(2);
    newcomer.answer(0, 1024 * 1024);
    expect(newcomer.tick(1)).toBe(7);
  });

  it('that is far away is asked for more, as long as its answers come as quickly, but not for any amount', () => {
    const waitingAfter = (rounds: number, bytes: number) => {
      const newcomer = new Newcomer();
      let answered = 0;
      for (let round = 0; round < rounds; round++) {
        newcomer.tick(5);
        for (const { length } = newcomer.asked; answered < length; answered++) newcomer.answer(answered, bytes);
      }
      newcomer.tick(1);
      return newcomer.asked.length - answered;
    };
    expect([1, 2, 3, 4].map((rounds) => waitingAfter(rounds, catchUpBytesMax))).toEqual([10, 20, 32, 32]);
    expect(waitingAfter(4, 2 * catchUpBytesMax)).toBe(16);
    expect(waitingAfter(4, 1024 * 1024)).toBe(8);
  });

  it('whose large answers take long has two requests at once', () => {
    const newcomer = new Newcomer();
    newcomer.tick(40);
    newcomer.answer(0, 1024 * 1024);
    expect(newcomer.tick(40)).toBe(1);
    newcomer.answer(1, 1024 * 1024);
    expect(newcomer.tick(40)).toBe(1);
  });

  it('whose small ones take as long has eight, and one more with each', () => {
    const newcomer = new Newcomer();
    newcomer.tick(40);
    newcomer.answer(0, catchUpBytesMax);
    expect(newcomer.tick(1)).toBe(8);
  });

  it('is waited for by the size of its answers, and longest before the first', () => {
    const newcomer = new Newcomer();
    expect(newcomer.tick(8 * donorTimeoutTicks - 10)).toBe(0);
    newcomer.answer(0, 2 * catchUpBytesMax);
    newcomer.tick(1);
    expect(newcomer.tick(2 * donorTimeoutTicks - 10)).toBe(0);
    expect(newcomer.tick(20)).toBeGreaterThan(0);
  });

  it('is asked again at once where the link was lost', () => {
    const newcomer = new Newcomer();
    newcomer.catchUp.onLinkLost(donor);
    expect(newcomer.tick(1)).toBe(2);
    expect(newcomer.asked.slice(2)).toEqual(newcomer.asked.slice(0, 2));
  });

  it('that leads gives all that it alone has, not a piece at a time', () => {
    const newcomer = new Newcomer({ isLeader: true });
    const other = { decidedIndex: decided, appliedIndex: decided, trimmedIndex: 50_000, isLeader: false };
    newcomer.catchUp.onStanding(3, { type: 'DonorStanding', ...other });
    newcomer.answer(0, catchUpBytesMax);
    newcomer.tick(1, [donor, 3]);
    expect(newcomer.asked.length).toBeGreaterThanOrEqual(8);
  });
});
