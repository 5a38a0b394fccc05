// Compares three nodes of ours with three etcd members and three ZooKeeper servers, on this machine, in one run, each with
// fsync on: `npm run bench:peers`. See docs/PERFORMANCE.md.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { peersChart } from './chart.mjs';
import { etcdVersion, startEtcd } from './clusters/etcd.mjs';
import { startOmnikv } from './clusters/omnikv.mjs';
import { startZookeeper, zookeeperVersion } from './clusters/zookeeper.mjs';
import {
  burnIn,
  dataDirectory,
  fillKeys,
  measure,
  median,
  positiveNumber,
  workloads,
  workloadsNamed,
} from './measure.mjs';
import { removeNow, runToEnd, stopServers } from './processes.mjs';
import { count, markdownTable, short, surroundings } from './table.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

const systems = [
  { name: 'omnikv', label: 'omnikv', version: ownVersion, start: (directory) => startOmnikv(directory, root) },
  { name: 'etcd', label: 'etcd', version: etcdVersion, start: startEtcd, remedy: "Debian's etcd-server" },
  {
    name: 'zookeeper',
    label: 'ZooKeeper',
    version: zookeeperVersion,
    start: startZookeeper,
    remedy: "Debian's zookeeper and default-jre-headless",
  },
];

/**
 * Connections of the generator: to the three servers, the first to the leader; or all to the leader, which is where
 * ZooKeeper did best when this was tried with one, three and twelve of them. etcd did best with one to each.
 */
const clients = 3;
const leaderOnlyDefault = 'zookeeper';

const usage = `npm run bench:peers -- [options]
  --systems LIST      of omnikv,etcd,zookeeper; else all that are installed
  --workloads LIST    of ${workloads.map(({ name }) => name).join(',')}; else all
  --leader-only LIST  systems whose leader alone gets the load (${leaderOnlyDefault}); else it is spread over all three
  --rounds N          how often each system is started and measured, in turn (3); the table has medians
  --seconds N         length of one measurement (5)
  --warm-up N         seconds of load before it (4); four times as long where one operation is in flight
  --burn-in N         seconds of load on each new cluster before anything is measured (10)
  --data DIR          where the servers' data goes, on a disk; else the system's temporary directory
  --json              print everything measured as JSON on standard output, the table on standard error
  --svg FILE          draw a chart`;

await runToEnd('bench:peers', async (signal) => {
  const options = readOptions();
  if (options === undefined) return;
  const present = options.systems.filter(isInstalled);
  if (present.length === 0) throw new Error('there is nothing to measure');
  const before = surroundings();
  const runs = await measureAll(present, options, signal);
  const report = summarize(present, options, runs);
  const text = describe(present, options, before, report);
  if (options.isJson) process.stdout.write(`${JSON.stringify({ surroundings: before, report, runs })}\n`);
  (options.isJson ? process.stderr : process.stdout).write(text);
  if (options.svg !== undefined) writeFileSync(options.svg, peersChart(present, report, before));
});

function readOptions() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: {
      ...{
        systems: text,
        workloads: text,
        rounds: text,
        seconds: text,
        'warm-up': text,
        'burn-in': text,
        data: text,
        svg: text,
      },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return undefined;
  }
  return {
    systems: values.systems === undefined ? systems : systemsNamed(values.systems),
    workloads: values.workloads === undefined ? workloads : workloadsNamed(values.workloads),
    leaderOnly: systemsNamed(values['leader-only'] ?? leaderOnlyDefault),
    rounds: Math.ceil(positiveNumber(values.rounds ?? '3', '--rounds')),
    seconds: positiveNumber(values.seconds ?? '5', '--seconds'),
    warmUpSeconds: positiveNumber(values['warm-up'] ?? '4', '--warm-up'),
    burnInSeconds: positiveNumber(values['burn-in'] ?? '10', '--burn-in'),
    data: values.data,
    isJson: values.json,
    svg: values.svg,
  };
}

function systemsNamed(list) {
  if (list === '') return [];
  return list.split(',').map((name) => {
    const system = systems.find((candidate) => candidate.name === name.trim());
    if (system !== undefined) return system;
    throw new Error(`--systems: there is no "${name}": choose from ${systems.map((each) => each.name).join(',')}`);
  });
}

function ownVersion() {
  if (existsSync(join(root, 'dist/cli/kv.cjs'))) return 'this tree';
  throw new Error('this tree is not built yet: npm run build');
}

function isInstalled(system) {
  system.installed = system.version();
  if (system.installed === undefined) say(`${system.label} is skipped: it is not installed (${system.remedy})`);
  return system.installed !== undefined;
}

/** Round by round, each system in turn on a new cluster; the order moves on by one each round. */
async function measureAll(present, options, signal) {
  const runs = [];
  const directory = dataDirectory(options.data);
  for (let round = 0; round < options.rounds; round++) {
    const first = round % present.length;
    for (const system of [...present.slice(first), ...present.slice(0, first)]) {
      const own = join(directory, `${system.name}-${round}`);
      mkdirSync(own);
      const cluster = await startSystem(system, own, options);
      signal.throwIfAborted();
      await fillKeys(cluster, clients, signal);
      await burnIn(cluster, clients, options.burnInSeconds, signal);
      for (const workload of options.workloads) {
        const figures = await measure(cluster, workload, { ...options, clients }, signal);
        runs.push({ round, system: system.name, workload: workload.name, ...figures });
        say(progressLine(round, options, system, workload, figures));
      }
      await stopServers(cluster.servers);
      removeNow(own);
    }
  }
  return runs;
}

async function startSystem(system, directory, { leaderOnly }) {
  const cluster = await system.start(directory);
  return leaderOnly.includes(system) ? { ...cluster, endpoints: cluster.endpoints.slice(0, 1) } : cluster;
}

function progressLine(round, { rounds }, system, workload, figures) {
  const { operationsPerSecond, p50Ms, p99Ms, generatorCpuShare, errors } = figures;
  const trouble = errors > 0 ? `, ${count(errors)} ERRORS` : '';
  const rate = `${count(operationsPerSecond)}/s, ${short(p50Ms)}/${short(p99Ms)} ms`;
  const generator = `generator ${Math.round(generatorCpuShare * 100)} % of a core`;
  return `round ${round + 1} of ${rounds}  ${system.label}  ${workload.name}  ${rate}, ${generator}${trouble}`;
}

/** Medians per workload and system, and ours against the better peer of each figure. */
function summarize(present, options, runs) {
  return options.workloads.map(({ name }) => {
    const medians = {};
    for (const system of present) {
      const own = runs.filter((run) => run.workload === name && run.system === system.name);
      const of = (figure) => median(own.map((run) => run[figure]));
      medians[system.name] = {
        operationsPerSecond: of('operationsPerSecond'),
        p50Ms: of('p50Ms'),
        p99Ms: of('p99Ms'),
        cpuPer10k: of('cpuPer10k'),
        residentMiB: Math.max(...own.map((run) => run.residentMiB)),
        generatorCpuShare: of('generatorCpuShare'),
        errors: own.reduce((sum, run) => sum + run.errors, 0),
      };
    }
    return { workload: name, medians, ratios: ratiosOf(medians) };
  });
}

function ratiosOf({ omnikv, ...others }) {
  const peers = Object.values(others);
  if (omnikv === undefined || peers.length === 0) return undefined;
  return {
    throughput: omnikv.operationsPerSecond / Math.max(...peers.map((peer) => peer.operationsPerSecond)),
    p99: omnikv.p99Ms / Math.min(...peers.map((peer) => peer.p99Ms)),
    cpu: omnikv.cpuPer10k / Math.min(...peers.map((peer) => peer.cpuPer10k)),
  };
}

function describe(present, { rounds, seconds }, before, report) {
  const head = ['workload', ...present.flatMap(({ label }) => [`${label} ops/s`, 'p50/p99 ms', 'CPU s/10k'])];
  const hasRatios = report.some(({ ratios }) => ratios !== undefined);
  if (hasRatios) head.push('ops ×', 'p99 ×', 'CPU ×');
  const rows = report.map(({ workload, medians, ratios }) => {
    const cells = present.flatMap(({ name }) => cellsOf(medians[name]));
    if (hasRatios) cells.push(ratios.throughput.toFixed(2), ratios.p99.toFixed(2), ratios.cpu.toFixed(2));
    return [workload, ...cells];
  });
  const versions = present.map(({ label, installed }) => `${label} (${installed})`).join(', ');
  const notes = [
    `${versions}: three servers each on loopback, fsync on, 16-byte keys, 100-byte values, closed loop.`,
    `Medians of ${rounds} rounds of ${seconds} s. ×: omnikv to the better of the others (ops: more is better; p99, CPU: less).`,
    ...report.flatMap(({ workload, medians }) => warnings(workload, medians)),
  ];
  return `${before}\n\n${markdownTable([head, ...rows])}\n\n${notes.join('\n')}\n`;
}

function cellsOf({ operationsPerSecond, p50Ms, p99Ms, cpuPer10k }) {
  return [count(operationsPerSecond), `${short(p50Ms)}/${short(p99Ms)}`, short(cpuPer10k)];
}

/** Where a number is not what it seems. */
function warnings(workload, medians) {
  return Object.entries(medians).flatMap(([system, { errors, generatorCpuShare }]) => [
    ...(errors > 0 ? [`${system} ${workload}: ${count(errors)} operations failed`] : []),
    ...(generatorCpuShare > 0.9 ? [`${system} ${workload}: the generator had no CPU time left: it may go faster`] : []),
  ]);
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
