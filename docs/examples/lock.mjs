// Runs a command while it holds a lock: `node docs/examples/lock.mjs deploy make release`
// Whoever wants the lock puts a key of its own below it. The one with the lowest revision is the holder: revisions are the places of the changes
// in one order, which is the same for all. A holder that died still holds: `kv list lock/deploy/` tells who it is, `kv delete` lets it go.
// @ts-check
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { KvClient } from 'omnikv/client';

const [lock, program, ...args] = process.argv.slice(2);
if (lock === undefined || program === undefined) {
  console.error('give the name of the lock and a command, such as: node lock.mjs deploy make release');
  process.exit(2);
}

const kv = await KvClient.connect({ endpoints: (process.env.KV_ENDPOINTS ?? '127.0.0.1:7001').split(',') });
const prefix = `lock/${lock}/`;
const key = prefix + randomUUID();
try {
  const { revision } = await kv.put(key, `process ${process.pid} on ${hostname()}`);
  const contenders = new Map();
  for await (const changes of kv.watchPrefix(prefix)) {
    for (const { type, key: bytes, revision } of changes) {
      const name = new TextDecoder().decode(bytes);
      if (type === 'put') contenders.set(name, revision);
      else contenders.delete(name);
    }
    if (contenders.get(key) !== revision) throw new Error(`somebody has deleted ${key}`);
    if (Math.min(...contenders.values()) === revision) break;
  }
  // What the command writes elsewhere can refuse an older holder by this number, which only grows.
  const child = spawn(program, args, { stdio: 'inherit', env: { ...process.env, LOCK_REVISION: `${revision}` } });
  const [code] = await once(child, 'exit');
  process.exitCode = code ?? 1;
} finally {
  await kv.delete(key);
  await kv.close();
}
