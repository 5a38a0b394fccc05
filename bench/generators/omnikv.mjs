// Load for ours: the loop of `kv bench` of this tree, over the client library of the tree under test.
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { report, task, windowWatch } from './task.mjs';

const { runBench } = await import('../../dist/src/cli/bench/run.js');
const { KvClient } = await import(pathToFileURL(join(task.root, 'dist/src/client/client.js')).href);

const isFill = task.operation === 'fill';
const watch = windowWatch();
const result = await runBench(
  {
    workload: task.operation === 'put' ? 'put' : 'get',
    outstanding: task.outstanding,
    clients: Math.min(task.clients, task.outstanding),
    keys: task.keys,
    keyBytes: task.keyBytes,
    valueBytes: task.valueBytes,
    durationMs: isFill ? 1 : task.seconds * 1000,
    warmUpMs: isFill ? 0 : task.warmUpSeconds * 1000,
    ratePerSecond: undefined,
    readShare: task.operation === 'put' ? 0 : 1,
    consistency: task.operation === 'localGet' ? 'local' : 'linearizable',
    isFilled: isFill,
  },
  {
    endpoints: task.endpoints,
    connect: (endpoints) => KvClient.connect({ endpoints }),
    signal: new AbortController().signal,
    onWindow: watch.onWindow,
  },
);
const { operations, latencyMs } = result.total;
let errors = result.missing;
for (const times of result.errors.values()) errors += times;
report({ operations, p50Ms: latencyMs.p50, p99Ms: latencyMs.p99, errors, ...watch.figures() });
