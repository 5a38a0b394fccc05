import { expect, it } from 'vitest';
import type { Requests } from '../../src/client/requests.ts';
import { Writes } from '../../src/client/writes.ts';
import { collectGarbage } from '../collect-garbage.ts';

/** Of a cluster that gives no answer: not even a session is opened. */
const deaf = { submit: () => {}, problemWith: () => undefined } as unknown as Requests;

it('a write whose time is over is let go of, though one before it still waits', async () => {
  const writes = new Writes(deaf, { outstandingMax: 1, queuedMax: 100 });
  const failed: string[] = [];
  const put = (timeoutMs: number) => {
    const key = new Uint8Array([1]);
    const change = {
      kind: 'put',
      key,
      value: new Uint8Array(100_000),
      ifRevision: undefined,
      ttlMs: undefined,
    } as const;
    const limits = { timeoutMs, signal: undefined };
    writes.submit(change, limits, {
      resolve: () => {},
      reject: ({ code }) => failed.push(code),
    });
    return new WeakRef(change.value);
  };
  const waiting = put(600_000);
  const over = Array.from({ length: 10 }, () => put(1));
  expect(writes.sweep(performance.now() + 10)).toBe(true);
  expect(failed).toEqual(Array(10).fill('noMajority'));
  await collectGarbage();
  expect(over.filter((value) => value.deref() !== undefined)).toEqual([]);
  expect(waiting.deref()).toBeDefined();
});
