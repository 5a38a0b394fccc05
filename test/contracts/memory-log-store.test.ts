import type { LogStore } from '../../src/replica/log-store.ts';
import { MemoryLogStore } from '../../src/storage/log/memory-log-store.ts';
import { describeLogStore } from './log-store-contract.ts';

const owner = { nodeId: 1, storageId: '0123456789abcdef' };

describeLogStore('memory', {
  needsFlush: false,
  open: () => {
    const store = new MemoryLogStore(owner);
    let latest = store;
    const restart = (): Promise<LogStore> => {
      latest = new MemoryLogStore(owner, latest);
      return Promise.resolve(latest);
    };
    return Promise.resolve({ store, reopen: restart, crash: restart, dispose: () => Promise.resolve() });
  },
});
