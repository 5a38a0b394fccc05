// One measurement: a load on a running cluster, from a process of its own.
import { execFile } from 'node:child_process';
import { mkdtempSync, statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { removeAtEnd, throwIfEnded } from './processes.mjs';

const run = promisify(execFile);

/** What is measured, in the order of the table. */
export const workloads = [
  ...[1, 16, 64, 256].map((outstanding) => ({ name: `put-${outstanding}`, operation: 'put', outstanding })),
  ...[1, 16, 64, 256].map((outstanding) => ({ name: `get-${outstanding}`, operation: 'get', outstanding })),
  { name: 'local-get-256', operation: 'localGet', outstanding: 256 },
];

const shape = { keys: 10_000, keyBytes: 16, valueBytes: 100 };
const fillOutstanding = 256;
/**
 * With one operation in flight the warm-up takes so many times as long: V8 compiles code that has run some ten thousand times, on
 * threads that take the servers a processor meanwhile. Of a lone put's 99th percentile that was three tenths.
 */
const loneWarmUpFactor = 4;

/** Picks workloads by name: `put-1,get-256`. */
export function workloadsNamed(list) {
  const names = list.split(',').map((name) => name.trim());
  const unknown = names.find((name) => !workloads.some((workload) => workload.name === name));
  if (unknown === undefined) return workloads.filter(({ name }) => names.includes(name));
  throw new Error(`--workloads: there is no "${unknown}": choose from ${workloads.map(({ name }) => name).join(',')}`);
}

export function positiveNumber(text, what) {
  const number = Number(text);
  if (text.trim() !== '' && number > 0 && number <= 3600) return number;
  throw new Error(`${what} "${text}" is none: give a number over 0, at most 3600`);
}

const memoryFileSystems = new Map([
  [0x01021994, 'tmpfs'],
  [0x858458f6, 'ramfs'],
]);

/** A new directory for servers' data. Throws where an fsync would cost nothing. */
export function dataDirectory(parent = tmpdir()) {
  const kind = memoryFileSystems.get(statfsSync(parent).type);
  if (kind !== undefined)
    throw new Error(`${parent} is on ${kind}, where fsync costs nothing: give --data a disk's directory`);
  const directory = mkdtempSync(join(parent, 'kv-bench-'));
  removeAtEnd(directory);
  return directory;
}

/** Puts every key once. */
export async function fillKeys(cluster, clients, signal) {
  await generate(
    cluster,
    { operation: 'fill', outstanding: fillOutstanding, clients, seconds: 0, warmUpSeconds: 0 },
    signal,
  );
}

/** Load that is not measured, half puts and half gets: a JVM, and V8, are slow until they have compiled what is used. */
export async function burnIn(cluster, clients, seconds, signal) {
  for (const name of ['put-256', 'get-256']) {
    const workload = workloads.find((each) => each.name === name);
    await measure(cluster, workload, { clients, seconds: seconds / 2, warmUpSeconds: 0.1 }, signal);
  }
}

/**
 * Runs a workload on a cluster: `{operationsPerSecond, p50Ms, p99Ms, cpuPer10k, residentMiB, generatorCpuShare, errors}`.
 * `cpuPer10k`: CPU seconds of all servers per 10,000 operations.
 */
export async function measure(cluster, workload, { clients, seconds, warmUpSeconds }, signal) {
  const { operation, outstanding } = workload;
  const load = { operation, outstanding, clients, seconds };
  const factor = outstanding === 1 ? loneWarmUpFactor : 1;
  const result = await generate(cluster, { ...load, warmUpSeconds: warmUpSeconds * factor }, signal);
  const operationsPerSecond = result.operations / result.seconds;
  return {
    operationsPerSecond,
    p50Ms: result.p50Ms,
    p99Ms: result.p99Ms,
    cpuPer10k: (result.serverCpuSeconds / result.operations) * 10_000,
    residentMiB: result.residentMiB,
    generatorCpuShare: result.generatorCpuSeconds / result.seconds,
    errors: result.errors,
  };
}

async function generate(cluster, load, signal) {
  const { system, servers, endpoints, root } = cluster;
  const task = { ...shape, ...load, endpoints, root, pids: servers.map(({ child }) => child.pid) };
  const generator = fileURLToPath(new URL(`generators/${system}.mjs`, import.meta.url));
  try {
    const { stdout } = await run(process.execPath, [generator, JSON.stringify(task)], { signal });
    return JSON.parse(stdout);
  } catch (error) {
    signal.throwIfAborted();
    await throwIfEnded(servers);
    throw new Error(
      `the generator for ${system} (${load.operation}, ${load.outstanding}) failed: ${error.stderr || error.message}`,
    );
  }
}

export function median(numbers) {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}
