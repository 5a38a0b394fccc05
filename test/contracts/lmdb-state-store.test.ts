import { LmdbStateStore } from '../../src/storage/state/lmdb-state-store.ts';
import { Scratch } from '../storage/scratch.ts';
import { describeStateStore } from './state-store-contract.ts';

describeStateStore('LMDB', {
  open: async () => {
    const scratch = new Scratch();
    const all: LmdbStateStore[] = [];
    let path = scratch.fresh();
    const open = async () => {
      const store = await LmdbStateStore.open(path);
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
  },
});
