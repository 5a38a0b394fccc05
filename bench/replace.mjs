// Replaces a member of a loaded cluster and says how long the newcomer takes to catch up, what clients notice of it, and who
// sends how much: `npm run bench:replace`. See docs/PERFORMANCE.md.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs, promisify } from 'node:util';
import { KvClient } from '../dist/src/index.js';
import { startOmnikv } from './clusters/omnikv.mjs';
import { dataDirectory } from './measure.mjs';
import { cpuSecondsOf, freePorts, runToEnd, startServer, stopServers, throwIfEnded, waitUntil } from './processes.mjs';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const launcher = join(root, 'bin/kv.js');
const windowMs = 100;

const usage = `npm run bench:replace -- [options]
  --keys N         keys before it begins (200000)
  --value-bytes N  length of a value (1024)
  --outstanding N  puts at a time while it goes on (16)
  --dead           the member that is replaced is killed first: two donors
  --before N       seconds of load before it (6)
  --data DIR       where the servers' data goes, on a disk`;

/** Puts without a pause, counted in windows of time. */
class Load {
  #client;
  #keys;
  #value;
  #isStopped = false;
  windows = new Map();

  constructor(client, keys, value) {
    this.#client = client;
    this.#keys = keys;
    this.#value = value;
  }

  async run(outstanding) {
    await Promise.all(Array.from({ length: outstanding }, () => this.#loop()));
  }

  stop() {
    this.#isStopped = true;
  }

  async #loop() {
    while (!this.#isStopped) {
      await this.#client.put(keyOf(Math.floor(Math.random() * this.#keys)), this.#value);
      const window = Math.floor(performance.now() / windowMs);
      this.windows.set(window, (this.windows.get(window) ?? 0) + 1);
    }
  }
}

await runToEnd('bench:replace', async () => {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '200000' },
      'value-bytes': { type: 'string', default: '1024' },
      outstanding: { type: 'string', default: '16' },
      before: { type: 'string', default: '6' },
      dead: { type: 'boolean', default: false },
      data: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return;
  }
  const directory = dataDirectory(values.data);
  const cluster = await startOmnikv(directory, root);
  const value = new Uint8Array(Number(values['value-bytes'])).fill(120);
  const client = await KvClient.connect({ endpoints: cluster.endpoints });
  await inParallel(256, Number(values.keys), (at) => client.put(keyOf(at), value));
  const nodes = JSON.parse(readFileSync(join(directory, 'kv.json'), 'utf8')).nodes;
  const { leader } = await client.clusterStatus();
  const replaced = leader === 3 ? 2 : 3;
  const kept = [1, 2, 3].filter((id) => id !== replaced);
  const address = `127.0.0.1:${(await freePorts(1))[0]}`;
  const start = [launcher, 'start', '--id', '4', '--address', address, '--data', join(directory, 'data-4')];
  const newcomer = startServer('node-4', directory, process.execPath, start, { KV_CONFIG: '', KV_ENDPOINTS: '' });
  await waitUntil('node 4 answers', [newcomer], () => client.statusOf(address));
  if (values.dead) await stopServers([cluster.servers[replaced - 1]]);

  const load = new Load(client, Number(values.keys), value);
  const loading = load.run(Number(values.outstanding));
  await delay(Number(values.before) * 1000);
  const pids = [...cluster.servers, newcomer].filter(({ hasEnded }) => !hasEnded).map(({ child }) => child.pid);
  const cpuBefore = pids.map((pid) => cpuSecondsOf([pid]));
  const goal = (await client.statusOf(nodes[leader])).decidedIndex;
  const beganMs = performance.now();
  const command = [launcher, 'reconfigure', keptNodes({ nodes }, kept, address), '--yes'];
  const environment = { ...process.env, KV_CONFIG: '', KV_ENDPOINTS: '' };
  const reconfigured = run(process.execPath, command, { cwd: directory, env: environment }).then(() =>
    performance.now(),
  );
  const progress = await watchNewcomer(client, address, goal);
  const cpu = pids.map((pid, at) => (cpuSecondsOf([pid]) - cpuBefore[at]).toFixed(2));
  const answeredMs = (await reconfigured) - beganMs;
  await delay(2000);
  load.stop();
  await loading;
  await throwIfEnded([newcomer]);
  report({ load, beganMs, progress, answeredMs, cpu, leader, replaced });
  await client.close();
});

function keyOf(at) {
  return `key-${String(at).padStart(10, '0')}`;
}

async function inParallel(outstanding, count, work) {
  let next = 0;
  const loop = async () => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: outstanding }, loop));
}

function keptNodes({ nodes }, kept, newcomer) {
  return [...kept.map((id) => `${id}=${nodes[id]}`), `4=${newcomer}`].join(',');
}

/** Asks the newcomer how far it is until it votes and lacks nothing. */
async function watchNewcomer(client, endpoint, goal) {
  const stages = new Map();
  let last = [];
  for (;;) {
    const status = await client.statusOf(endpoint);
    const nowMs = performance.now();
    const name = status.catchUp?.stage ?? status.state;
    if (!stages.has(name)) stages.set(name, nowMs);
    if (status.catchUp?.donors.some(({ bytes }) => bytes > 0)) last = status.catchUp.donors;
    if (status.state === 'member' && status.appliedIndex >= goal) return { stages, donors: last, completeMs: nowMs };
    await delay(10);
  }
}

function report({ load, beganMs, progress, answeredMs, cpu, leader, replaced }) {
  const print = (line) => process.stdout.write(`${line}\n`);
  const rateOf = (fromMs, toMs) => {
    let count = 0;
    for (let window = Math.floor(fromMs / windowMs); window < Math.floor(toMs / windowMs); window++)
      count += load.windows.get(window) ?? 0;
    return Math.round((count * 1000) / (toMs - fromMs));
  };
  const before = rateOf(beganMs - 4000, beganMs);
  print(`node ${leader} leads, node ${replaced} is replaced; before: ${before} puts/s`);
  const halves = [];
  for (let at = beganMs; at < progress.completeMs + 1500; at += 500) halves.push(rateOf(at, at + 500));
  print(`half seconds from the beginning: ${halves.map((rate) => `${Math.round((100 * rate) / before)} %`).join(' ')}`);
  let worst = Number.POSITIVE_INFINITY;
  for (let at = beganMs; at < progress.completeMs; at += windowMs) worst = Math.min(worst, rateOf(at, at + 500));
  print(`worst half second: ${Math.round((100 * worst) / before)} %`);
  print(`answered after ${Math.round(answeredMs)} ms, complete after ${Math.round(progress.completeMs - beganMs)} ms`);
  print([...progress.stages].map(([name, atMs]) => `${name} at ${Math.round(atMs - beganMs)} ms`).join(', '));
  const total = progress.donors.reduce((sum, { bytes }) => sum + bytes, 0);
  const share = ({ id, bytes }) => `node ${id}: ${(bytes / 1e6).toFixed(1)} MB, ${Math.round((100 * bytes) / total)} %`;
  print(`donors: ${progress.donors.map(share).join('; ')}`);
  print(`CPU seconds: ${cpu.join(', ')}`);
}
