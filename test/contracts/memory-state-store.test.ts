import { MemoryStateDisk, MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import { describeStateStore } from './state-store-contract.ts';

describeStateStore('memory', {
  open: () => {
    const disk = new MemoryStateDisk();
    const restart = () => Promise.resolve(new MemoryStateStore(disk));
    const store = new MemoryStateStore(disk);
    return Promise.resolve({ store, reopen: restart, crash: restart, dispose: () => Promise.resolve() });
  },
});
