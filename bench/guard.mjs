// Compares the working tree with another commit, on this machine, in one run: `npm run bench:guard -- --base REV`. How one
// shows that a change costs nothing, or what it brings. See docs/PERFORMANCE.md.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startOmnikv } from './clusters/omnikv.mjs';
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
import { removeAtEnd, removeNow, runToEnd, stopServers } from './processes.mjs';
import { count, markdownTable, surroundings } from './table.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const clients = 3;
const workloadsDefault = 'put-1,put-64,put-256,get-1,get-64,get-256';

const usage = `npm run bench:guard -- [options]
  --base REV        the commit to compare with (HEAD~1)
  --workloads LIST  of ${workloads.map(({ name }) => name).join(',')}; else ${workloadsDefault}
  --rounds N        pairs of clusters, one of each tree in turn (6)
  --seconds N       length of one measurement (3)
  --warm-up N       seconds of load before it (1); four times as long where one operation is in flight
  --burn-in N       seconds of load on each new cluster before anything is measured (10): code is compiled as it runs
  --data DIR        where the servers' data goes, on a disk; else the system's temporary directory
  --json            print everything measured as JSON on standard output, the table on standard error`;

await runToEnd('bench:guard', async (signal) => {
  const options = readOptions();
  if (options === undefined) return;
  const commit = git('rev-parse', '--short', `${options.base}^{commit}`);
  const base = checkOut(commit);
  try {
    say(`building the working tree and ${commit}`);
    build(root);
    build(base);
    signal.throwIfAborted();
    const before = surroundings();
    const pairs = await measurePairs(base, options, signal);
    const report = options.workloads.map(({ name }) => summarize(name, pairs));
    if (options.isJson)
      process.stdout.write(`${JSON.stringify({ surroundings: before, base: commit, report, pairs })}\n`);
    (options.isJson ? process.stderr : process.stdout).write(describe(before, commit, options, report));
  } finally {
    git('worktree', 'remove', '--force', base);
  }
});

function readOptions() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: {
      ...{ base: text, workloads: text, rounds: text, seconds: text, 'warm-up': text, 'burn-in': text, data: text },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(`${usage}\n`);
    return undefined;
  }
  return {
    base: values.base ?? 'HEAD~1',
    workloads: workloadsNamed(values.workloads ?? workloadsDefault),
    rounds: Math.ceil(positiveNumber(values.rounds ?? '6', '--rounds')),
    seconds: positiveNumber(values.seconds ?? '3', '--seconds'),
    warmUpSeconds: positiveNumber(values['warm-up'] ?? '1', '--warm-up'),
    burnInSeconds: positiveNumber(values['burn-in'] ?? '10', '--burn-in'),
    data: values.data,
    isJson: values.json,
  };
}

/** A work tree of the commit, with the packages that its lockfile asks for. */
function checkOut(commit) {
  const parent = mkdtempSync(join(tmpdir(), 'kv-guard-'));
  removeAtEnd(parent);
  const base = join(parent, 'base');
  git('worktree', 'add', '--detach', '--quiet', base, commit);
  if (lockOf(root) === lockOf(base)) symlinkSync(join(root, 'node_modules'), join(base, 'node_modules'));
  else run(base, 'npm', 'ci', '--ignore-scripts', '--no-audit', '--no-fund');
  return base;
}

/** What decides which packages are installed: not the name or version of our own. */
function lockOf(tree) {
  const { packages } = JSON.parse(readFileSync(join(tree, 'package-lock.json'), 'utf8'));
  return JSON.stringify({ ...packages, '': undefined });
}

function build(tree) {
  run(tree, 'npm', 'run', 'build');
}

function git(...parameters) {
  return execFileSync('git', parameters, { cwd: root, encoding: 'utf8' }).trim();
}

/** Quiet, unless it fails. */
function run(directory, program, ...parameters) {
  try {
    execFileSync(program, parameters, { cwd: directory, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Error(`${program} ${parameters.join(' ')} in ${directory} failed:\n${error.stdout}${error.stderr}`);
  }
}

/**
 * A B, B A, A B …: a new cluster of each tree each time, so that neither has the older data or the warmer disk, and each is
 * first as often as second, so that whatever the first leaves behind meets both.
 */
async function measurePairs(base, options, signal) {
  const directory = dataDirectory(options.data);
  const pairs = [];
  for (let round = 0; round < options.rounds; round++) {
    const isBaseFirst = round % 2 === 0;
    const of = {};
    for (const side of isBaseFirst ? ['base', 'tree'] : ['tree', 'base']) {
      of[side] = await measureTree(side === 'base' ? base : root, join(directory, `${side}-${round}`), options, signal);
    }
    for (const { name } of options.workloads) {
      pairs.push({ round, workload: name, isBaseFirst, base: of.base[name], tree: of.tree[name] });
      const { base: a, tree: b } = pairs.at(-1);
      const change = `${count(a.operationsPerSecond)}/s → ${count(b.operationsPerSecond)}/s`;
      say(`round ${round + 1} of ${options.rounds}  ${name}  ${change}${errorsOf(a, b)}`);
    }
  }
  return pairs;
}

/** The client library is that of the tree as well; the loop around it is this tree's for both. */
async function measureTree(tree, directory, options, signal) {
  mkdirSync(directory);
  const cluster = await startOmnikv(directory, tree);
  signal.throwIfAborted();
  await fillKeys(cluster, clients, signal);
  await burnIn(cluster, clients, options.burnInSeconds, signal);
  const figures = {};
  for (const workload of options.workloads) {
    figures[workload.name] = await measure(cluster, workload, { ...options, clients }, signal);
  }
  await stopServers(cluster.servers);
  removeNow(directory);
  return figures;
}

function errorsOf(a, b) {
  return a.errors + b.errors === 0 ? '' : `, ERRORS ${count(a.errors)} → ${count(b.errors)}`;
}

/** Ratios of each pair, tree to base: minimum, median, maximum. */
function summarize(workload, pairs) {
  const own = pairs.filter((pair) => pair.workload === workload);
  const of = (figure) => {
    const ratios = own.map(({ base, tree }) => tree[figure] / base[figure]);
    return { min: Math.min(...ratios), median: median(ratios), max: Math.max(...ratios) };
  };
  const rate = (side) => median(own.map((pair) => pair[side].operationsPerSecond));
  return {
    workload,
    base: rate('base'),
    tree: rate('tree'),
    throughput: of('operationsPerSecond'),
    p99: of('p99Ms'),
    cpu: of('cpuPer10k'),
    errors: own.reduce((sum, { base, tree }) => sum + base.errors + tree.errors, 0),
  };
}

function describe(before, commit, { rounds, seconds }, report) {
  const head = ['workload', `${commit} ops/s`, 'tree ops/s', 'ops ×', 'p99 ×', 'CPU ×'];
  const spread = ({ min, median: middle, max }) => [min, middle, max].map((ratio) => ratio.toFixed(2)).join(' ');
  const rows = report.map(({ workload, base, tree, throughput, p99, cpu }) => {
    return [workload, count(base), count(tree), spread(throughput), spread(p99), spread(cpu)];
  });
  const failed = report.filter(({ errors }) => errors > 0);
  const notes = [
    `${rounds} pairs of ${seconds} s. ×: working tree to ${commit}, minimum median maximum (ops: more is better; p99, CPU: less).`,
    ...failed.map(({ workload, errors }) => `${workload}: ${count(errors)} operations failed`),
  ];
  return `${before}\n\n${markdownTable([head, ...rows])}\n\n${notes.join('\n')}\n`;
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
