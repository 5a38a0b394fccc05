// Runs a command while it holds a lock, as `kv lock` does: `node docs/examples/lock.mjs deploy make release`
// One process holds it at a time, the others wait in the order in which they came. It goes when it is released, or some seconds after its holder has died.
// @ts-check
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { KvClient } from 'omnikv/client';

const [name, program, ...args] = process.argv.slice(2);
if (name === undefined || program === undefined) {
  console.error('give the name of the lock and a command, such as: node lock.mjs deploy make release');
  process.exit(2);
}

const kv = await KvClient.connect({ endpoints: (process.env.KV_ENDPOINTS ?? '127.0.0.1:7001').split(',') });
const lock = await kv.lock(name, { value: `process ${process.pid} on ${hostname()}` });
try {
  // What the command writes elsewhere can refuse an older holder by this number, which only grows.
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, LOCK_REVISION: `${lock.revision}` } });
  // Without a majority in reach, or after a long pause, it may be another's: what was begun under it has to end.
  lock.lost.addEventListener('abort', () => child.kill());
  const [code] = await once(child, 'exit');
  process.exitCode = code ?? 1;
} finally {
  await lock.release();
  await kv.close();
}
