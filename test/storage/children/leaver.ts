import { LmdbStateStore } from '../../../src/storage/state/lmdb-state-store.ts';
import { checkpointAt } from '../../contracts/checkpoint-at.ts';

/*
 * Makes a checkpoint at 1, begins a large one in the state directory given, and leaves in the middle of it, as its mode says:
 * `exit` by process.exit(9), `throw` by an error that nobody catches, after so many milliseconds. Prints whether it was done by then.
 */

const [path = '', mode = 'exit', ms = '50', changes = '300000'] = process.argv.slice(2);
const store = await LmdbStateStore.open(path);
store.put('before', new Uint8Array([1]), 1);
await checkpointAt(store, 1);
store.put('before', new Uint8Array([2]), 2);
for (let at = 0; at < Number(changes); at++) store.put(`key ${(at * 7919) % 1_000_003}`, new Uint8Array(60), at + 3);
let isDone = false;
checkpointAt(store, 2).then(
  () => {
    isDone = true;
  },
  () => undefined,
);
setTimeout(() => {
  console.log(`leaves ${isDone ? 'after' : 'during'} the checkpoint`);
  if (mode === 'throw') throw new Error('nobody catches this');
  process.exit(9);
}, Number(ms));
