import { FileLogStore } from '../../src/storage/log/file-log-store.ts';
import type { TailLimits } from '../../src/storage/log/log-tail.ts';
import { Scratch } from '../storage/scratch.ts';
import { describeLogStore, type LogStoreUnderTest } from './log-store-contract.ts';

const owner = { nodeId: 1, storageId: '0123456789abcdef' };

async function openUnderTest(tail: TailLimits, segmentBytes: number): Promise<LogStoreUnderTest> {
  const scratch = new Scratch();
  const all: FileLogStore[] = [];
  let path = scratch.fresh();
  const open = async () => {
    const store = await FileLogStore.open({ path, ...owner, tail, segmentBytes });
    all.push(store);
    return store;
  };
  let latest = await open();
  return {
    store: latest,
    reopen: async () => {
      await latest.close();
      latest = await open();
      return latest;
    },
    crash: async () => {
      path = scratch.copyOf(path);
      latest = await open();
      return latest;
    },
    dispose: async () => {
      await Promise.all(all.map((store) => store.close()));
      scratch.remove();
    },
  };
}

describeLogStore('files', {
  needsFlush: true,
  open: () => openUnderTest({ entriesMax: 10_000, bytesMax: 10_000_000 }, 64 * 1024),
});

describeLogStore('files with nearly no log in memory', {
  needsFlush: true,
  open: () => openUnderTest({ entriesMax: 4, bytesMax: 1000 }, 64 * 1024),
});

describeLogStore('files of a few records each', {
  needsFlush: true,
  open: () => openUnderTest({ entriesMax: 4, bytesMax: 1000 }, 1024),
});
