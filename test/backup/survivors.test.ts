import { describe, expect, it } from 'vitest';
import { lacksDecided, planSalvage } from '../../src/backup/survivors.ts';
import type { PastConfiguration } from '../../src/cluster/configuration.ts';
import { MemoryStateDisk, MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import type { DirectoryReading } from '../../src/storage/directory/read-directory.ts';

interface Held {
  readonly node: number;
  readonly round: number;
  readonly accepted: number;
  readonly decided: number;
  readonly applied?: number;
  readonly configuration?: number;
  readonly startIndex?: number;
  readonly past?: readonly PastConfiguration[];
}

function reading({
  node,
  round,
  accepted,
  decided,
  applied = 0,
  configuration = 1,
  startIndex = 0,
  past = [],
}: Held): DirectoryReading {
  const disk = new MemoryStateDisk();
  disk.appliedIndex = applied;
  const ballot = { n: round, priority: 0, pid: 1 };
  return {
    path: `node-${node}`,
    identity: { nodeId: node, storageId: `${node}`, clusterName: 'c' },
    clusterId: '0123456789abcdef',
    configuration: { configurationId: configuration, startIndex, members: [], past },
    olderCopy: undefined,
    head: { trimmedIndex: 0, endIndex: accepted, decidedIndex: decided, promise: ballot, acceptedRound: ballot },
    readLog: () => [],
    state: new MemoryStateStore(disk),
    close: async () => {},
  };
}

function plan(...held: Held[]) {
  const salvage = planSalvage(held.map(reading));
  if (salvage === undefined) throw new Error('nothing to salvage');
  const { base, tail, certainIndex, endIndex } = salvage;
  return { base: base.identity.nodeId, tail: tail?.identity.nodeId, certainIndex, endIndex };
}

describe('what of a cluster can be kept', () => {
  it('nothing of nothing', () => {
    expect(planSalvage([])).toBeUndefined();
  });

  it('of one node, all that it accepted', () => {
    const kept = plan({ node: 1, round: 3, accepted: 12, decided: 10 });
    expect(kept).toEqual({ base: 1, tail: 1, certainIndex: 10, endIndex: 12 });
  });

  it('of two in one round, the longer log', () => {
    const kept = plan(
      { node: 1, round: 3, accepted: 11, decided: 11 },
      { node: 2, round: 3, accepted: 14, decided: 9 },
    );
    expect(kept).toEqual({ base: 1, tail: 2, certainIndex: 11, endIndex: 14 });
  });

  it('a later round before a longer log: "the log with the highest (acceptedRound, acceptedIndex)"', () => {
    const kept = plan({ node: 1, round: 3, accepted: 20, decided: 9 }, { node: 2, round: 4, accepted: 14, decided: 9 });
    expect(kept).toEqual({ base: 2, tail: 2, certainIndex: 9, endIndex: 14 });
  });

  it('what a node that caught up knows to be decided, though its own round is old', () => {
    const kept = plan(
      { node: 1, round: 5, accepted: 12, decided: 10 },
      { node: 2, round: 3, accepted: 30, decided: 30 },
    );
    expect(kept).toEqual({ base: 2, tail: undefined, certainIndex: 30, endIndex: 30 });
  });

  it('a state that is ahead of its log', () => {
    const kept = plan({ node: 1, round: 5, accepted: 12, decided: 10, applied: 15 });
    expect(kept).toEqual({ base: 1, tail: undefined, certainIndex: 15, endIndex: 15 });
  });

  it('a later configuration before a later round; rounds begin afresh in each', () => {
    const kept = plan(
      { node: 1, round: 9, accepted: 14, decided: 10 },
      { node: 2, round: 1, accepted: 17, decided: 12, configuration: 2, startIndex: 12 },
    );
    expect(kept).toEqual({ base: 2, tail: 2, certainIndex: 12, endIndex: 17 });
  });

  it('of a sealed configuration no entry that would lie in the next one', () => {
    const kept = plan(
      { node: 1, round: 9, accepted: 14, decided: 10 },
      { node: 2, round: 0, accepted: 0, decided: 0, configuration: 2, startIndex: 12 },
    );
    expect(kept).toEqual({ base: 1, tail: 1, certainIndex: 10, endIndex: 12 });
  });

  it('nor one of a configuration that only a later one tells of', () => {
    const past = [1, 2].map((id) => ({ configurationId: id, startIndex: id === 1 ? 0 : 12, memberIds: [1] }));
    const kept = plan(
      { node: 1, round: 9, accepted: 14, decided: 10 },
      { node: 2, round: 0, accepted: 0, decided: 0, configuration: 3, startIndex: 20, past },
    );
    expect(kept).toEqual({ base: 1, tail: 1, certainIndex: 10, endIndex: 12 });
  });

  it('what was decided before the newest configuration is lacking, but for the StopSign, where nobody has it', () => {
    const lacks = (accepted: number, configuration: number, startIndex: number) => {
      const newcomer = { node: 2, round: 0, accepted: 0, decided: 0, configuration, startIndex };
      const former = { node: 1, round: 1, accepted, decided: 5, startIndex: configuration === 1 ? startIndex : 0 };
      const salvage = planSalvage([reading(former), reading(newcomer)]);
      return salvage && lacksDecided(salvage);
    };
    expect([10, 11, 12].map((accepted) => lacks(accepted, 2, 12))).toEqual([true, false, false]);
    expect(
      [11, 12].map((accepted) => lacks(accepted, 1, 12)),
      'a first one that began with data',
    ).toEqual([true, false]);
  });
});
