import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SpaceReports } from '../../src/storage/directory/space-reports.ts';
import type { SpaceMeasurement } from '../../src/storage/directory/space-watch.ts';

const outOfFiles = Object.assign(new Error('EMFILE: too many open files'), { code: 'EMFILE' });
const notThere = Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' });
const measurement = { level: 'low', againMs: 100 } as unknown as SpaceMeasurement;

describe('SpaceReports', () => {
  let measureSpace: () => Promise<SpaceMeasurement>;
  let told: unknown[];
  let reports: SpaceReports;

  beforeEach(() => {
    vi.useFakeTimers();
    measureSpace = async () => measurement;
    told = [];
    const tell = (what: unknown) => void told.push(what);
    const directory = { measureSpace: () => measureSpace() };
    reports = new SpaceReports({ directory, onMeasured: tell, onProblem: tell, onSkipped: tell, onFailed: tell });
  });

  afterEach(() => {
    reports.stop();
    vi.useRealTimers();
  });

  it('measures again when that is due, until it is stopped', async () => {
    expect(await reports.measure()).toBe(100);
    reports.repeat(100);
    await vi.advanceTimersByTimeAsync(350);
    expect(told).toEqual(Array(4).fill({ level: 'low' }));
    reports.stop();
    await vi.advanceTimersByTimeAsync(350);
    expect(told).toHaveLength(4);
  });

  it('tells what of the log failed ahead of time', async () => {
    measureSpace = async () => ({ ...measurement, logProblem: 'EIO: i/o error, unlink' });
    await reports.measure();
    expect(told).toEqual(['EIO: i/o error, unlink', { level: 'low' }]);
  });

  it('tells nothing of what was measured while it was stopped', async () => {
    const measured = reports.measure();
    reports.stop();
    await measured;
    expect(told).toEqual([]);
  });

  it('goes on where too many files are open, and ends with any other error', async () => {
    measureSpace = () => Promise.reject(outOfFiles);
    reports.repeat(0);
    await vi.advanceTimersByTimeAsync(1);
    expect(told).toEqual([outOfFiles.message]);
    measureSpace = () => Promise.reject(notThere);
    await vi.advanceTimersByTimeAsync(2000);
    expect(told).toEqual([outOfFiles.message, notThere]);
  });
});
