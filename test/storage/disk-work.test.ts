import { beforeEach, describe, expect, it } from 'vitest';
import type { ReplicaEvent } from '../../src/replica/events.ts';
import { DiskWork } from '../../src/storage/directory/disk-work.ts';
import { DiskFailedError } from '../../src/storage/disk/storage-error.ts';

const noSpace = new DiskFailedError('log', Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' }));

/** A log whose flushes end when the test says so. */
class SlowLog {
  readonly flushBytes = 7;
  hasStagedWrites = false;
  flushes = 0;
  end: () => void = () => {};
  fail: (error: Error) => void = () => {};

  flush(): Promise<number> {
    this.flushes++;
    this.hasStagedWrites = false;
    return new Promise((resolve, reject) => {
      this.end = () => resolve(0);
      this.fail = reject;
    });
  }
}

describe('DiskWork', () => {
  let log: SlowLog;
  let events: ReplicaEvent[];
  let failures: unknown[];
  let work: DiskWork;
  let isIdle: boolean;

  beforeEach(() => {
    log = new SlowLog();
    events = [];
    failures = [];
    isIdle = false;
    const onEvent = (event: ReplicaEvent) => void events.push(event);
    work = new DiskWork({ log, tickMs: 20, nowMs: 0, onEvent, onFailed: (error) => void failures.push(error) });
  });

  function stage(): void {
    log.hasStagedWrites = true;
    work.proceed();
  }

  /** What waits for promises that are settled has gone on. */
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  async function waitForIdle(): Promise<void> {
    void work.idle().then(() => {
      isIdle = true;
    });
    await settled();
  }

  it('flushes once at a time: what is staged meanwhile goes with the next', async () => {
    stage();
    stage();
    stage();
    expect(log.flushes).toBe(1);
    log.end();
    await settled();
    expect(events).toEqual([{ type: 'flushed', durationMs: expect.any(Number), bytes: 7 }]);
    work.proceed();
    expect(log.flushes).toBe(2);
  });

  it('answers each job by its event', async () => {
    work.run({ type: 'checkpoint', run: async () => {} });
    work.run({ type: 'finishInstall', index: 5, run: async () => {} });
    await settled();
    expect(events).toEqual([{ type: 'checkpointed' }, { type: 'stateInstalled', index: 5 }]);
  });

  it('is idle once nothing is staged and neither a flush nor a job is under way', async () => {
    let endJob: () => void = () => {};
    const job = new Promise<void>((resolve) => {
      endJob = resolve;
    });
    work.run({ type: 'checkpoint', run: () => job });
    stage();
    log.hasStagedWrites = true;
    await waitForIdle();
    for (const step of [() => log.end(), endJob]) {
      step();
      await settled();
      work.proceed();
      await settled();
      expect(isIdle).toBe(false);
    }
    log.end();
    await settled();
    work.proceed();
    await settled();
    expect(isIdle).toBe(true);
  });

  it('tells its owner of a write that failed, and of a full disk unless it was told to stop for one', async () => {
    stage();
    log.fail(noSpace);
    await settled();
    expect(failures).toEqual([noSpace]);
    work.stopForFullDisk();
    const broken = new Error('EIO');
    work.run({ type: 'checkpoint', run: () => Promise.reject(broken) });
    stage();
    log.hasStagedWrites = true;
    await waitForIdle();
    log.fail(noSpace);
    await settled();
    expect(failures).toEqual([noSpace, broken]);
    expect([work.isFull, isIdle], 'what is staged is given up').toEqual([true, true]);
    work.proceed();
    expect(log.flushes, 'no other is begun').toBe(2);
  });

  it('is never idle once it is abandoned', async () => {
    work.abandon();
    await waitForIdle();
    expect(isIdle).toBe(false);
  });
});
