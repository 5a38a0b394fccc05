import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** What is not held by anything is gone then. */
export async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  // A WeakRef keeps what it was asked for until the end of the turn.
  await new Promise((resolve) => setTimeout(resolve, 10));
  (runInNewContext('gc') as () => void)();
}
