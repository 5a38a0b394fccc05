import { MemoryStateStore } from '../../src/kv/memory-state-store.ts';
import type { DirectoryReading } from '../../src/storage/directory/read-directory.ts';
import type { SimulatedDisk } from '../simulation/simulated-disk.ts';

/** What `readDataDirectory` gives of a real one. */
export function reading(disk: SimulatedDisk): DirectoryReading {
  const { sequence, paxos, clusterId, configuration } = disk.log;
  const { trimmedIndex, endIndex } = sequence;
  return {
    path: `node-${disk.nodeId}`,
    identity: { nodeId: disk.nodeId, storageId: disk.storageId, clusterName: 'story' },
    clusterId,
    configuration,
    olderCopy: undefined,
    head: { trimmedIndex, endIndex, ...paxos },
    readLog: (from, to) => sequence.read(from, to),
    state: new MemoryStateStore(disk.state),
    close: async () => {},
  };
}
