import { LmdbStateStore } from '../../../src/storage/state/lmdb-state-store.ts';
import { ChunkPool, StateBatch } from '../../../src/storage/state/state-batch.ts';
import { checkState } from '../../../src/storage/state/state-check.ts';
import { StateWriter } from '../../../src/storage/state/state-writer.ts';

// Writes 5,000 pairs and a session into the directory of its argument, by the thread, and says what the check of them finds.
const [path] = process.argv.slice(2) as [string];
await (await LmdbStateStore.open(path)).close();
const batch = new StateBatch(new ChunkPool());
for (let at = 0; at < 5_000; at++) batch.pair(0, `key ${at}`, { value: new Uint8Array(at % 100), revision: 1 });
batch.pair(0, 'caf\u00c3\u00a9', { value: new Uint8Array(10_000), revision: 1 });
batch.session(0, 7, new Uint8Array(3));
const writer = new StateWriter(path);
await writer.write(batch, 0);
await writer.close();
const { keys, sessions, problems } = await checkState(path);
console.log(JSON.stringify({ keys, sessions, problems }));
