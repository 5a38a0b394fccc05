import { type DataDirectory, openDataDirectory } from '../../../src/storage/directory/data-directory.ts';
import { DataDirectoryError } from '../../../src/storage/disk/data-directory-error.ts';
import { checkpointAt } from '../../contracts/checkpoint-at.ts';

/*
 * Opens the data directory given, says so, and writes until it is killed, as its mode says. Prints how far each flush
 * and each checkpoint got, only once that is durable:
 *
 *   both   entry n of the log is n in text; every tenth flush makes a checkpoint of the state
 *   log    only the log
 *   state  only checkpoints
 *   hold   nothing
 *
 * After a write that failed it says how the stores answer then.
 */

const [path = '', mode = 'both'] = process.argv.slice(2);

async function write(directory: DataDirectory): Promise<never> {
  for (let round = 0; ; round++) {
    if (mode !== 'state') await writeLog(directory);
    if (mode === 'state' || (mode === 'both' && round % 10 === 9)) await writeState(directory, round);
  }
}

async function writeLog({ logStore }: DataDirectory): Promise<void> {
  const from = logStore.sequence.endIndex;
  logStore.sequence.append([normal(from), normal(from + 1), normal(from + 2)]);
  logStore.commit();
  await logStore.flush();
  console.log(`flushed ${from + 3}`);
}

async function writeState({ logStore, stateStore }: DataDirectory, round: number): Promise<void> {
  const index = mode === 'state' ? round + 1 : logStore.sequence.endIndex;
  stateStore.put('end', new TextEncoder().encode(String(index)), index);
  await checkpointAt(stateStore, index);
  console.log(`checkpoint ${index}`);
}

function normal(index: number) {
  return { type: 'Normal' as const, entry: new TextEncoder().encode(String(index)) };
}

async function report({ logStore, stateStore }: DataDirectory, error: unknown): Promise<void> {
  console.log(`failed ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`);
  const logCalls = [
    () => logStore.sequence.append([normal(0)]),
    () => logStore.sequence.read(0, 1),
    () => logStore.commit(),
    () => logStore.durableWrite(),
    () => logStore.flush(),
    () => {
      logStore.state.decidedIndex++;
    },
  ];
  const stateCalls = [
    () => stateStore.get('end'),
    () => stateStore.range({ prefix: '', limit: 1, bytesMax: 1 }),
    () => stateStore.put('end', new Uint8Array(0), 0),
    () => stateStore.delete('end'),
    () => checkpointAt(stateStore, 0),
    () => stateStore.openDurableSnapshot(),
  ];
  for (const call of mode === 'state' ? stateCalls : logCalls) {
    try {
      await call();
      console.log('accepted');
    } catch (again) {
      console.log(again === error ? 'refused' : `other ${String(again)}`);
    }
  }
}

try {
  const directory = await openDataDirectory({ path, nodeId: 1 });
  console.log('open');
  if (mode === 'hold') setInterval(() => undefined, 1000);
  else await write(directory).catch((error: unknown) => report(directory, error));
} catch (error) {
  if (!(error instanceof DataDirectoryError)) throw error;
  console.log(`${error.code} ${error.message}`);
}
