import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { encodeMembers } from '../../src/cluster/stop-sign.ts';
import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { KvStateMachine } from '../../src/kv/state-machine.ts';
import { openDataDirectory } from '../../src/storage/directory/data-directory.ts';
import { readDataDirectory } from '../../src/storage/directory/read-directory.ts';
import { checkpointAt } from '../contracts/checkpoint-at.ts';
import { mount, smallDisksProblem } from '../process/small-disks.ts';
import { Scratch } from './scratch.ts';

let scratch: Scratch;

beforeEach(() => {
  scratch = new Scratch();
});

afterEach(() => scratch.remove());

const members = [1, 2].map((id) => ({
  id,
  address: `127.0.0.1:${7000 + id}`,
  storageId: String(id).padStart(16, '0'),
}));
const ballot = { n: 4, priority: 0, pid: 1 };

/** A directory whose log ends at 3 in configuration 1, with a state at `stateIndex`, behind the StopSign of that at 6 or before it. */
async function make(stateIndex: number): Promise<string> {
  const path = scratch.fresh();
  const { logStore, stateStore, close } = await openDataDirectory({ path, nodeId: 1 });
  logStore.bindCluster('00000000000000aa');
  logStore.setConfiguration({ configurationId: 1, startIndex: 0, members });
  for (let at = 0; at < 3; at++) logStore.sequence.append([{ type: 'Normal', entry: new Uint8Array([at]) }]);
  Object.assign(logStore.state, { decidedIndex: 1, promise: ballot, acceptedRound: ballot });
  logStore.commit();
  await logStore.flush();
  const machine = new KvStateMachine(new MemoryStateStore());
  for (let at = 0; at < 6; at++) machine.apply(at, new Uint8Array(0));
  machine.beginConfiguration(6, 2, encodeMembers(members));
  const { sessions } = machine.takeCheckpoint();
  await checkpointAt(stateStore, stateIndex, stateIndex > 6 ? sessions : []);
  await close();
  return path;
}

it('a directory is read with the configuration of its log', async () => {
  const reading = await readDataDirectory(await make(2));
  expect(reading.configuration).toMatchObject({ configurationId: 1, startIndex: 0 });
  expect(reading.head).toMatchObject({ endIndex: 3, decidedIndex: 1, acceptedRound: ballot });
  await reading.close();
});

it('one whose log has lost its end since it was closed is told as damaged, and read once nothing says how it was closed', async () => {
  const path = await make(2);
  const file = join(path, 'log', '00000000000000000001.wal');
  const bytes = readFileSync(file);
  const end = bytes.findLastIndex((byte) => byte !== 0);
  writeFileSync(file, bytes.fill(0, end - 200));
  await expect(readDataDirectory(path)).rejects.toMatchObject({
    ...{
      code: 'damaged',
      message: expect.stringMatching(/it had \d+ records when it was closed: .*; if no better directory/),
    },
  });
  rmSync(join(path, 'closed'));
  const reading = await readDataDirectory(path);
  expect(reading.head.endIndex).toBeLessThanOrEqual(3);
  await reading.close();
});

it('one that was left right after a state from behind that came, with the one of the state, as its node would start', async () => {
  const reading = await readDataDirectory(await make(8));
  expect(reading.configuration).toEqual({ configurationId: 2, startIndex: 7, members });
  const bottom = { n: 0, priority: 0, pid: 0 };
  expect(reading.head).toEqual({
    ...{ trimmedIndex: 8, endIndex: 8, decidedIndex: 8 },
    ...{ promise: bottom, acceptedRound: bottom },
  });
  await reading.close();
});

const mountProblem = smallDisksProblem();

it.skipIf(mountProblem)(
  `one on a disk that is mounted for reading only is read all the same${mountProblem ? ` (${mountProblem})` : ''}`,
  async () => {
    const disk = scratch.fresh();
    mkdirSync(disk);
    mount(disk, 64);
    try {
      cpSync(await make(2), join(disk, 'data'), { recursive: true });
      execFileSync('mount', ['-o', 'remount,ro', disk]);
      const reading = await readDataDirectory(join(disk, 'data'));
      expect(reading.readLog(0, 3)).toHaveLength(3);
      expect(reading.state.durableIndex).toBe(2);
      await reading.close();
    } finally {
      execFileSync('umount', ['-l', disk]);
    }
  },
);
