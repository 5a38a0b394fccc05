// Steady load for ours, by the client library of this tree.
import { randomBytes } from 'node:crypto';
import { KvClient } from '../../dist/src/index.js';
import { EachKey, randomKey, report, SteadyLoop, task, writeDigits } from './task.mjs';

const prefix = 'bench/';
const value = new Uint8Array(randomBytes(task.valueBytes));
const keys = Array.from({ length: task.outstanding }, () => Buffer.from(prefix.padEnd(task.keyBytes, '0')));

const rotated = (by) => [...task.endpoints.slice(by), ...task.endpoints.slice(0, by)];
const clients = await Promise.all(
  Array.from({ length: Math.min(task.clients, task.outstanding) }, (_, at) =>
    KvClient.connect({ endpoints: rotated(at % task.endpoints.length), timeoutMs: 60_000 }),
  ),
);

let load;
const begin = (slot, keyNumber) => {
  const key = keys[slot];
  writeDigits(key, prefix.length, task.keyBytes, keyNumber);
  clients[slot % clients.length].put(key, value).then(
    () => load.done(slot, true),
    (error) => {
      process.stderr.write(`${error.message}\n`);
      load.done(slot, false);
    },
  );
};
load = task.operation === 'fill' ? new EachKey(begin) : new SteadyLoop((slot) => begin(slot, randomKey()));
report(await load.run());
await Promise.all(clients.map((client) => client.close()));
