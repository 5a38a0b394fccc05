import { expect, it } from 'vitest';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import { Donor } from '../../src/replica/catch-up/donor.ts';
import { defaultReplicaSettings } from '../../src/replica/settings.ts';
import { CheckpointSchedule } from '../../src/replica/state/checkpoint-schedule.ts';

const kibibyte = 1024;
const settings = { ...defaultReplicaSettings, checkpointBytesMax: 128 * kibibyte, checkpointPagesMax: 4 };

/** A node that stands by, of whose store each change is of a page of its own: the most layers and bytes that ever waited. */
function standBy(valueBytes: number, ticks: number): { layers: number; bytes: number; durableIndex: number } {
  const state = new MemoryStateStore();
  Object.defineProperty(state, 'stagedPages', { get: () => state.staged.changes });
  Object.defineProperty(state, 'rowPages', { get: () => 1_000_000 });
  const machine = new KvStateMachine(state);
  const schedule = new CheckpointSchedule(machine, state, new Donor(machine, settings), settings);
  let layers = 0;
  let bytes = 0;
  for (let tick = 1; tick <= ticks; tick++) {
    if (!schedule.isBehind) {
      state.put(`key ${tick}`, new Uint8Array(valueBytes), tick);
      machine.beginConfiguration(machine.appliedIndex, tick);
    }
    if (schedule.isSealDue(tick, true, false)) {
      const { appliedIndex, sessions } = machine.takeCheckpoint();
      state.seal(appliedIndex, sessions);
      schedule.onSealed(tick, appliedIndex);
    }
    layers = Math.max(layers, state.staged.sealedLayers);
    bytes = Math.max(bytes, state.staged.sealedMemoryBytes + state.staged.memoryBytes);
    if (schedule.isCheckpointDue(tick, true)) {
      schedule.onCheckpointBegun(tick);
      void state.checkpoint();
    }
  }
  return { layers, bytes, durableIndex: state.durableIndex };
}

it('while checkpoints are put off no more than 16 layers wait', () => {
  const { layers, durableIndex } = standBy(10, 1_000);
  expect(layers).toBe(16);
  expect(durableIndex).toBeGreaterThan(500);
});

it('and no more memory than three quarters of that of the largest usual checkpoint', () => {
  const { layers, bytes, durableIndex } = standBy(600, 1_000);
  expect(layers).toBeGreaterThan(1);
  expect(bytes).toBeLessThan(0.8 * 128 * kibibyte);
  expect(bytes).toBeGreaterThan(0.7 * 128 * kibibyte);
  expect(durableIndex).toBeGreaterThan(500);
});

/** A member with 64 pages in a usual checkpoint: the sizes of its first ones, in pages, by which key each entry changes. */
function sizes(rank: number, ticks: number, keyOf: (index: number) => number = (index) => index): number[] {
  const state = new MemoryStateStore();
  Object.defineProperty(state, 'stagedPages', { get: () => state.staged.changes });
  Object.defineProperty(state, 'rowPages', { get: () => 1_000_000 });
  const machine = new KvStateMachine(state);
  const size = { checkpointBytesMax: 64 * 1024 * kibibyte, checkpointPagesMax: 64 };
  const own = { ...settings, ...size, checkpointTicks: 1_000_000 };
  const schedule = new CheckpointSchedule(machine, state, new Donor(machine, own), own);
  schedule.onRank(rank, 3);
  const found: number[] = [];
  let index = 0;
  for (let tick = 1; tick <= ticks; tick++) {
    state.put(`key ${keyOf(index)}`, new Uint8Array(8), index);
    machine.beginConfiguration(machine.appliedIndex, ++index);
    if (!schedule.isSealDue(tick, false, false)) continue;
    found.push(state.staged.changes);
    const { appliedIndex, sessions } = machine.takeCheckpoint();
    state.seal(appliedIndex, sessions);
    schedule.onSealed(tick, appliedIndex);
    if (!schedule.isCheckpointDue(tick, false)) throw new Error('sealed for nothing');
    schedule.onCheckpointBegun(tick);
    void state.checkpoint();
  }
  return found;
}

it('each member keeps to the size of a usual checkpoint, less or more by what its turn asks for', () => {
  for (const rank of [0, 1, 2]) {
    const found = sizes(rank, 1_000);
    expect(found.length).toBeGreaterThan(10);
    for (const pages of found.slice(2)) expect(pages).toBe(64);
    expect(Math.max(...found)).toBeLessThanOrEqual(1.5 * 64);
    expect(Math.min(...found)).toBeGreaterThanOrEqual(0.7 * 64);
  }
});

it('what comes to half more than a usual checkpoint does not wait for the turn', () => {
  // Most entries change what is changed already: by the entries, the turn is far away.
  expect(sizes(1, 4_100, (index) => (index < 4_000 ? index % 44 : index))).toEqual([1.5 * 64]);
});

const measured = {
  ...{ usedBytes: 0, capacityBytes: 64 * 1024 * kibibyte, stateRoomBytes: 0 },
  ...{ logSurplusIndex: 0, logAmpleIndex: 0, isWaiting: false },
};

function member() {
  const state = new MemoryStateStore();
  const machine = new KvStateMachine(state);
  const schedule = new CheckpointSchedule(machine, state, new Donor(machine, settings), settings);
  let index = 0;
  const change = () => {
    state.put(`key ${index}`, new Uint8Array(8), index);
    machine.beginConfiguration(machine.appliedIndex, ++index);
  };
  const seal = (tick: number) => {
    const { appliedIndex, sessions } = machine.takeCheckpoint();
    state.seal(appliedIndex, sessions);
    schedule.onSealed(tick, appliedIndex);
  };
  return { schedule, change, seal };
}

it('what is deleted on a full disk is gone from it within a second', () => {
  for (const [level, isDueFrom] of [
    ['full', 25],
    ['ok', settings.checkpointTicks],
  ] as const) {
    const { schedule, change } = member();
    schedule.onSpace({ ...measured, level });
    change();
    expect(schedule.isSealDue(isDueFrom - 1, false, false)).toBe(false);
    expect(schedule.isSealDue(isDueFrom, false, false)).toBe(true);
  }
});

it('the layers of a time in which a checkpoint waited do not stop applying while they become checkpoints one by one', () => {
  const { schedule, change, seal } = member();
  schedule.onSpace({ ...measured, level: 'full', isWaiting: true });
  const stage = () => {
    for (let changes = schedule.roomForChanges; changes > 0; changes--) change();
  };
  for (let layers = 0; layers < 30; layers++) {
    stage();
    expect(schedule.isSealDue(layers, false, true)).toBe(true);
    seal(layers);
  }
  schedule.onSpace({ ...measured, level: 'full' });
  stage();
  expect(schedule.isBehind).toBe(true);
  expect(schedule.isSealDue(30, false, true)).toBe(true);
});
