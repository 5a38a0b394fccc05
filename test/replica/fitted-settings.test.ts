import { expect, it } from 'vitest';
import { fittedSettings } from '../../src/replica/fitted-settings.ts';
import { defaultReplicaSettings } from '../../src/replica/settings.ts';

const mebibyte = 1024 * 1024;
const ample = { settings: undefined, capacityBytes: 1024 * mebibyte, memoryBytes: undefined, tickMs: 20 };

it('has the usual limits where disk and memory are ample', () => {
  expect(fittedSettings(ample)).toEqual({ ...defaultReplicaSettings, foundersTicks: 100 });
});

it('gives an election timeout in ticks, at least one', () => {
  const ticksAt = (electionTimeoutMs: number) => {
    const { electionTimeoutTicks, resendTicks } = fittedSettings({ ...ample, settings: { electionTimeoutMs } });
    return [electionTimeoutTicks, resendTicks];
  };
  expect(ticksAt(1000)).toEqual([50, 50]);
  expect(ticksAt(1)).toEqual([1, 1]);
});

it('writes less at a time to a small disk, but no less than 2 MiB, and holds less in a small memory', () => {
  const limitsAt = (capacityBytes: number) => {
    const { undecidedBytesMax, messageBytesMax } = fittedSettings({ ...ample, capacityBytes });
    return [undecidedBytesMax, messageBytesMax];
  };
  expect(limitsAt(128 * mebibyte)).toEqual([4 * mebibyte, mebibyte]);
  expect(limitsAt(mebibyte)).toEqual([2 * mebibyte, mebibyte]);
  expect(fittedSettings({ ...ample, memoryBytes: 512 * mebibyte }).checkpointBytesMax).toBe(32 * mebibyte);
});
