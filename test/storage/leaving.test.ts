import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { BundledChild } from './bundled-child.ts';

let path: string;
let leaver: BundledChild;

beforeEach(async () => {
  path = mkdtempSync(join(tmpdir(), 'kv-leaving-'));
  leaver = await BundledChild.of('leaver');
});

afterEach(() => {
  leaver.remove();
  rmSync(path, { recursive: true, force: true });
});

test.each([
  { mode: 'exit', ms: '60', code: 9 },
  { mode: 'exit', ms: '200', code: 9 },
  { mode: 'throw', ms: '120', code: 1 },
])(
  'a process that ends ($mode) in the middle of a checkpoint does end, and leaves all of it or nothing',
  async ({ mode, ms, code }) => {
    const child = leaver.start([path, mode, ms]);
    const end = await child.ended;
    expect(child.lines).toEqual(['leaves during the checkpoint']);
    expect(end).toMatchObject({ code, signal: null });
    const store = await LmdbStateStore.open(path);
    const isWhole = store.durableIndex === 2;
    const { pairs } = store.range({ prefix: '', limit: 1_000_000, bytesMax: 1_000_000_000 });
    expect(pairs.length).toBe(isWhole ? 300_001 : 1);
    expect(store.get('before')).toEqual({ value: new Uint8Array([isWhole ? 2 : 1]), revision: isWhole ? 2 : 1 });
    await store.close();
  },
  60_000,
);
