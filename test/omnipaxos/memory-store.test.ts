import { describe, expect, it } from 'vitest';
import { type Entry, MemorySequence } from '../../src/omnipaxos/index.ts';
import { collectGarbage } from '../collect-garbage.ts';
import { SeededRandom } from './random.ts';

const normal = (entry: number): Entry<number> => ({ type: 'Normal', entry });

/** The same log as one array. */
class PlainLog {
  entries: Entry<number>[] = [];
  trimmed = 0;

  get end(): number {
    return this.trimmed + this.entries.length;
  }
}

/** Does one thing at random to both. */
function step(random: SeededRandom, log: MemorySequence<number>, plain: PlainLog): void {
  const index = plain.trimmed + random.below(plain.entries.length + 1);
  const roll = random.below(100);
  if (roll < 80) {
    const added = Array.from({ length: random.below(900) }, (_, at) => normal(plain.end + at));
    log.append(added);
    plain.entries.push(...added);
  } else if (roll < 88) {
    log.truncate(index);
    plain.entries.length = index - plain.trimmed;
  } else if (roll < 98) {
    log.trim(index);
    plain.entries.splice(0, index - plain.trimmed);
    plain.trimmed = index;
  } else {
    plain.trimmed = plain.end + random.below(5000);
    plain.entries = [];
    log.reset(plain.trimmed);
  }
}

describe('the log in memory', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('is as one array is, over many chunks (seed %i)', (seed) => {
    const random = new SeededRandom(seed);
    const log = new MemorySequence<number>();
    const plain = new PlainLog();
    for (let at = 0; at < 200; at++) {
      step(random, log, plain);
      expect([log.trimmedIndex, log.endIndex]).toEqual([plain.trimmed, plain.end]);
      const from = plain.trimmed + random.below(plain.entries.length + 1);
      const to = from + random.below(plain.end - from + 1);
      for (const [a, b] of [
        [from, to],
        [plain.trimmed, plain.end],
      ] as const) {
        const read = log.read(a, b);
        const same = plain.entries.slice(a - plain.trimmed, b - plain.trimmed);
        expect(read.length).toBe(same.length);
        expect(read.every((entry, at) => entry === same[at])).toBe(true);
      }
    }
  });

  it('gives a copy, which its user may change', () => {
    const log = new MemorySequence<number>();
    log.append(Array.from({ length: 1024 }, (_, at) => normal(at)));
    log.read(0, 1024).length = 0;
    expect(log.read(0, 1024)).toHaveLength(1024);
  });

  it('keeps nothing of what was trimmed', async () => {
    const log = new MemorySequence<object>();
    const append = () => {
      const entry = {};
      log.append([{ type: 'Normal', entry }]);
      return new WeakRef(entry);
    };
    const [trimmed, kept] = [append(), append()];
    log.trim(1);
    await collectGarbage();
    expect(trimmed.deref()).toBeUndefined();
    expect(kept.deref()).toBeDefined();
  });
});
