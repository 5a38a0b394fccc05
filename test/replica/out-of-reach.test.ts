import { expect, it } from 'vitest';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { CatchUp } from '../../src/replica/catch-up/catch-up.ts';
import { defaultReplicaSettings } from '../../src/replica/settings.ts';
import type { DonorStanding } from '../../src/wire/peer-message.ts';

const needed = 10;
const { donorTimeoutTicks } = defaultReplicaSettings;

function standing(decidedIndex: number): DonorStanding {
  return { type: 'DonorStanding', decidedIndex, appliedIndex: decidedIndex, trimmedIndex: 0, isLeader: false };
}

// Simulator seed 2187 at 7513450: a member of the next configuration waited for ever, though it had all that was before it.
it('what only a donor had that is gone is not waited for, once all that is needed is here', () => {
  const sink = { decidedIndex: 0, installDecided: () => {}, installState: () => {} };
  const catchUp = new CatchUp(sink as never, new MemoryStateStore(), defaultReplicaSettings, needed);
  const tick = (linked: readonly number[], ticks: number) => {
    for (let count = 0; count < ticks; count++) {
      catchUp.tick();
      catchUp.requests(linked, { roomBytes: Number.POSITIVE_INFINITY, isOver: false, isWaiting: false });
    }
  };
  tick([2], 1);
  catchUp.onStanding(2, standing(1_000_000));
  tick([2], 1);
  expect(catchUp.targetIndex, 'what is decided meanwhile is part of the goal').toBe(1_000_000);
  tick([], 3 * donorTimeoutTicks);
  expect(catchUp.isComplete, 'what is needed is waited for').toBe(false);
  sink.decidedIndex = needed;
  tick([], donorTimeoutTicks);
  expect(catchUp.isComplete, 'the donor may come back').toBe(false);
  tick([], 2 * donorTimeoutTicks);
  expect(catchUp.isComplete).toBe(true);
});
