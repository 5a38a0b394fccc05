import { expect, it } from 'vitest';
import { Alignment } from '../../src/replica/catch-up/alignment.ts';
import { defaultReplicaSettings } from '../../src/replica/settings.ts';

it('asks for an index that there is, also after its donor was started again and has less applied', () => {
  const alignment = new Alignment([40], defaultReplicaSettings);
  alignment.heard(1, 45);
  const asked: number[] = [];
  const appliedThen = [45, 46, 25];
  for (let tick = 0; asked.length <= 6 && tick < 200; tick++) {
    const step = alignment.advance([1]);
    for (const { payload } of step.type === 'asks' ? step.requests : []) {
      if (payload.type !== 'SnapshotRequest') continue;
      asked.push(payload.index);
      // The donor has passed that index; later it was started again and replays its log.
      const offer = { isHeld: false, appliedIndex: appliedThen.shift() ?? 26, rows: 0, bytes: 0 };
      alignment.onOffer(1, { type: 'SnapshotOffer', index: payload.index, ...offer });
    }
    alignment.tick();
  }
  expect(asked.length).toBeGreaterThan(6);
  expect(Math.min(...asked)).toBeGreaterThanOrEqual(25);
});
