import { LmdbLogStore } from '../../src/storage/lmdb-log-store.ts';
import type { TailLimits } from '../../src/storage/log-tail.ts';
import { Scratch } from '../storage/scratch.ts';
import { describeLogStore, type LogStoreUnderTest } from './log-store-contract.ts';

const owner = { nodeId: 1, storageId: '0123456789abcdef' };

async function openUnderTest(tail: TailLimits): Promise<LogStoreUnderTest> {
  const scratch = new Scratch();
  const all: LmdbLogStore[] = [];
  let path = scratch.fresh();
  const open = async () => {
    const store = await LmdbLogStore.open({ path, ...owner, tail });
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

describeLogStore('LMDB', {
  needsFlush: true,
  open: () => openUnderTest({ entriesMax: 10_000, bytesMax: 10_000_000 }),
});

describeLogStore('LMDB with nearly no log in memory', {
  needsFlush: true,
  open: () => openUnderTest({ entriesMax: 4, bytesMax: 1000 }),
});
