import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSync } from 'esbuild';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataDirectory } from '../../src/storage/directory/data-directory.ts';
import { checkState, StateCheckError } from '../../src/storage/state/state-check.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { Scratch } from './scratch.ts';

let scratch: Scratch;
const ownPath = process.execPath;

beforeEach(() => {
  scratch = new Scratch();
});

afterEach(() => {
  process.execPath = ownPath;
  scratch.remove();
});

/** As a crash leaves it: it is checked when it is opened. */
async function crashed(): Promise<string> {
  const path = scratch.fresh();
  const directory = await openDataDirectory({ path, nodeId: 1 });
  directory.stateStore.put('k', new Uint8Array([4]), 0);
  await checkpointAt(directory.stateStore, 1);
  const copy = scratch.copyOf(path);
  for (const name of readdirSync(copy)) if (name.startsWith('lock-')) rmSync(join(copy, name));
  await directory.close();
  return copy;
}

describe('a directory that a crash left', () => {
  it('is checked by the node that runs this', async () => {
    expect(await checkState(join(await crashed(), 'state'))).toMatchObject({ keys: 1, isWhole: true, problems: [] });
  });

  it.each([
    ['does nothing', '/bin/true'],
    ['says something else, and goes on', '/usr/bin/yes'],
    ['is not there', '/nonexistent/node'],
  ])('is not taken for damaged where what runs this %s', async (_, execPath) => {
    const path = await crashed();
    process.execPath = execPath;
    await expect(checkState(join(path, 'state'))).rejects.toThrow(StateCheckError);
    const directory = await openDataDirectory({ path, nodeId: 1 });
    expect(directory.stateStore.get('k')).toBeDefined();
    await directory.close();
  });
});

it('lmdb is found by a program that was bundled as CommonJS, too', () => {
  const folder = mkdtempSync(join(import.meta.dirname, '../../node_modules/.bundled-'));
  try {
    const entry = join(folder, 'entry.ts');
    const outfile = join(folder, 'program.cjs');
    writeFileSync(entry, "import { findLmdb } from '../../src/storage/state/lmdb-path.ts'; console.log(findLmdb());");
    const settings = { bundle: true, platform: 'node', format: 'cjs', logLevel: 'silent' } as const;
    buildSync({ entryPoints: [entry], outfile, ...settings });
    expect(execFileSync(process.execPath, [outfile]).toString()).toMatch(/lmdb/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
