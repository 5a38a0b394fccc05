import { FileLogStore } from '../../../src/storage/log/file-log-store.ts';

/*
 * Opens the log in the directory given, with small segments, and writes until it is killed: entry n is n in text. Prints
 * where the log begins and ends, once that is durable. Trims now and then, and takes back entries and writes them again.
 */

const [path = '', segmentBytes = ''] = process.argv.slice(2);

const owner = { nodeId: 1, storageId: '0123456789abcdef' };
const store = await FileLogStore.open({ path, ...owner, segmentBytes: Number(segmentBytes) });
const { sequence } = store;
for (let round = 0; ; round++) {
  if (round % 7 === 6) sequence.truncate(sequence.endIndex - 1);
  if (round % 25 === 24) sequence.trim(sequence.endIndex - 20);
  const from = sequence.endIndex;
  sequence.append(Array.from({ length: 1 + (round % 5) }, (_, at) => normal(from + at)));
  store.state.promise = { n: sequence.endIndex, priority: 0, pid: 1 };
  store.commit();
  await store.flush();
  console.log(`flushed ${sequence.trimmedIndex} ${sequence.endIndex}`);
}

function normal(index: number) {
  return { type: 'Normal' as const, entry: new TextEncoder().encode(String(index)) };
}
