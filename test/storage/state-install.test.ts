import { setImmediate as afterIo } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SnapshotRow } from '../../src/kv/state-store.ts';
import { ChunkPool, type StateBatch } from '../../src/storage/state/state-batch.ts';
import { StateInstall } from '../../src/storage/state/state-install.ts';

const mebibyte = 1024 * 1024;

/** Takes commits and leaves it to the test when they are done, and how. */
class Commits {
  /** Bytes of memory of each that has begun. */
  readonly begun: number[] = [];
  #end: ((isDone: boolean) => void) | undefined;
  #fail: ((error: Error) => void) | undefined;

  commitAhead(batch: StateBatch): Promise<void> {
    return this.#begin(batch).then(() => undefined);
  }

  async commitIfRoom(batch: StateBatch, isWanted: () => boolean): Promise<boolean> {
    return isWanted() ? this.#begin(batch) : true;
  }

  async end(isDone = true): Promise<void> {
    this.#end?.(isDone);
    await afterIo();
  }

  async fail(error: Error): Promise<void> {
    this.#fail?.(error);
    await afterIo();
  }

  #begin(batch: StateBatch): Promise<boolean> {
    this.begun.push(batch.memoryBytes);
    return new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
  }
}

function row(at: number, bytes: number): SnapshotRow {
  return { type: 'pair', key: `key ${at}`, value: new Uint8Array(bytes), revision: 1 };
}

let commits: Commits;
let failures: unknown[];
let install: StateInstall;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  commits = new Commits();
  failures = [];
  install = new StateInstall(
    {
      ...{ environment: commits, chunks: new ChunkPool(), generation: 1, tables: { pages: 0 } },
      onFailed: (error) => failures.push(error),
    },
    undefined,
  );
});
afterEach(() => void vi.useRealTimers());

describe('a state being installed', () => {
  it('gathers pieces for one commit until nobody gives more, or somebody is in a hurry', async () => {
    install.addRows([row(1, 100), row(2, 100)]);
    await afterIo();
    expect(commits.begun).toEqual([]);
    vi.advanceTimersByTime(500);
    await afterIo();
    expect(commits.begun.length).toBe(1);
    await commits.end();
    install.addRows([row(3, 100)]);
    install.hurry();
    await afterIo();
    expect(commits.begun.length).toBe(2);
  });

  it('makes one commit at a time, of no more than 8 MiB, and gathers for the next meanwhile', async () => {
    install.addRows([row(1, 5 * mebibyte)]);
    await afterIo();
    for (let at = 2; at < 13; at++) install.addRows([row(at, mebibyte)]);
    install.hurry();
    await afterIo();
    expect(commits.begun.length).toBe(1);
    for (let count = 0; count < 3; count++) await commits.end();
    expect(commits.begun.length).toBe(3);
    for (const bytes of commits.begun) expect(bytes).toBeLessThan(8.1 * mebibyte);
    expect(install.backlogBytes).toBe(0);
    expect(install.writtenBytes).toBeGreaterThan(16 * mebibyte);
  });

  it('begins with empty tables, before any row', async () => {
    install.begin();
    install.addRows([row(1, 5 * mebibyte)]);
    await afterIo();
    expect(commits.begun.length).toBe(1);
    expect(commits.begun[0]).toBeLessThan(1000);
    await commits.end();
    expect(commits.begun.length).toBe(2);
  });

  it('makes no more commits behind one for which there was no room', async () => {
    install.addRows([row(1, 5 * mebibyte)]);
    await afterIo();
    install.addRows([row(2, 5 * mebibyte)]);
    await commits.end(false);
    await install.written;
    expect(commits.begun.length).toBe(1);
    expect([install.lacksRoom, install.backlogBytes, install.writtenBytes]).toEqual([true, 0, 0]);
  });

  it('makes none once it has ended', async () => {
    install.addRows([row(1, 5 * mebibyte)]);
    install.end();
    await install.written;
    expect(commits.begun).toEqual([]);
    expect([install.backlogBytes, install.writtenBytes]).toEqual([0, 0]);
  });

  it('tells its store of a commit that failed, even if nobody waits for it', async () => {
    install.addRows([row(1, 5 * mebibyte)]);
    await afterIo();
    const error = new Error('the disk');
    await commits.fail(error);
    expect(failures).toEqual([error]);
    await expect(install.written).rejects.toBe(error);
  });
});
