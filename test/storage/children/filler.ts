import { closeSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { DiskRoom } from '../../../src/storage/disk/disk-room.ts';
import { LmdbStateStore } from '../../../src/storage/state/lmdb-state-store.ts';
import { checkpointAt } from '../../contracts/checkpoint-at.ts';

/*
 * Makes checkpoints of large values in the directory given, the root of a small file system. Before each of those after the first
 * ones somebody else takes the last byte of it, and gives it back once the checkpoint waits, or is done all the same.
 * Prints `waited` and `checkpoint`.
 */

const [path = ''] = process.argv.slice(2);
const keys = 30;
const putsPerCheckpoint = 20;
const valueBytesMin = 200_000;
const valueSteps = 8;
const valueStepBytes = 100_000;

const room = new DiskRoom(path);
const store = await LmdbStateStore.open(join(path, 'state'), room);
room.allowWaiting();
const hog = join(path, 'somebody-else');

function fill(): void {
  const file = openSync(hog, 'a');
  const bytes = Buffer.alloc(64 * 1024);
  for (let size = bytes.length; size > 0; ) {
    try {
      writeSync(file, bytes, 0, size);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      size = Math.floor(size / 2);
    }
  }
  closeSync(file);
}

let puts = 0;
for (let index = 1; index <= 12; index++) {
  for (let left = putsPerCheckpoint; left > 0; left--, puts++) {
    const bytes = valueBytesMin + ((puts * 37) % valueSteps) * valueStepBytes;
    store.put(`key-${(puts * 7919) % keys}`, new Uint8Array(bytes), index);
  }
  if (index > 3) fill();
  let isDone = false;
  const done = checkpointAt(store, index).then(() => {
    isDone = true;
  });
  while (index > 3 && !isDone) {
    await new Promise((resolve) => setImmediate(resolve));
    if (!room.isWaiting) continue;
    console.log('waited');
    break;
  }
  rmSync(hog, { force: true });
  await done;
  console.log(`checkpoint ${store.durableIndex}`);
}
await store.close();
