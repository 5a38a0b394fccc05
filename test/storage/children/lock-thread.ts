import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { lockDirectory } from '../../../src/storage/directory/directory-lock.ts';
import type { DataDirectoryError } from '../../../src/storage/disk/data-directory-error.ts';

/* A thread has the lock of the directory given; it is asked for before and after that thread ends without having given it back. */

async function ask(path: string): Promise<string> {
  return lockDirectory(path).then(
    ({ wasAbandoned }) => `open, abandoned: ${wasAbandoned}`,
    (error: DataDirectoryError) => `${error.code}: ${error.message}`,
  );
}

if (isMainThread) {
  const path = process.argv[2] as string;
  const thread = new Worker(new URL(import.meta.url), { workerData: path });
  const [said] = await once(thread, 'message');
  console.log(`thread: ${said}`);
  console.log(`beside it: ${await ask(path)}`);
  await thread.terminate();
  console.log(`behind it: ${await ask(path)}`);
  process.exit();
} else {
  parentPort?.postMessage(await ask(workerData as string));
  // Longer than anybody waits for an answer.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}
