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
  --rounds N        pairs of clusters, one of each tree (3)
  --turns N         measurements of each cluster and workload, in turn with the other's (12)
  --seconds N       length of one measurement (1.5)
  --warm-up N       seconds of load before it (0.3); four times as long where one operation is in flight
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
    const pairs = await measureRounds(base, options, signal);
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
      ...{
        base: text,
        workloads: text,
        rounds: text,
        turns: text,
        seconds: text,
        'warm-up': text,
        'burn-in': text,
        data: text,
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
    base: values.base ?? 'HEAD~1',
    workloads: workloadsNamed(values.workloads ?? workloadsDefault),
    rounds: Math.ceil(positiveNumber(values.rounds ?? '3', '--rounds')),
    turns: Math.ceil(positiveNumber(values.turns ?? '12', '--turns')),
    seconds: positiveNumber(values.seconds ?? '1.5', '--seconds'),
    warmUpSeconds: positiveNumber(values['warm-up'] ?? '0.3', '--warm-up'),
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
 * In each round a new cluster of either tree, both up at once: they are measured in turn, A B, B A, A B …, for a short time each. A machine that is
 * slower for a minute is so for both, and what one cluster has by chance (which code was compiled how, where its data lies) the next round has not.
 */
async function measureRounds(base, options, signal) {
  const directory = dataDirectory(options.data);
  const pairs = [];
  for (let round = 0; round < options.rounds; round++) {
    const roots = round % 2 === 0 ? { base, tree: root } : { tree: root, base };
    const clusters = {};
    for (const [side, tree] of Object.entries(roots)) {
      clusters[side] = await startWarm(tree, join(directory, `${side}-${round}`), options, signal);
    }
    for (const workload of options.workloads) {
      const own = await measureInTurn(clusters, workload, round, options, signal);
      pairs.push(...own.map((pair) => ({ round, workload: workload.name, ...pair })));
      const [{ mean }, errors] = [ratiosOf(own, 'operationsPerSecond'), errorsOf(own)];
      say(
        `round ${round + 1} of ${options.rounds}  ${workload.name}  × ${mean.toFixed(2)}${errors === 0 ? '' : `, ${errors} ERRORS`}`,
      );
    }
    for (const { servers } of Object.values(clusters)) await stopServers(servers);
    for (const side of Object.keys(clusters)) removeNow(join(directory, `${side}-${round}`));
  }
  return pairs;
}

/** The client library is that of the tree as well; the loop around it is this tree's for both. */
async function startWarm(tree, directory, options, signal) {
  mkdirSync(directory);
  const cluster = await startOmnikv(directory, tree);
  signal.throwIfAborted();
  await fillKeys(cluster, clients, signal);
  await burnIn(cluster, clients, options.burnInSeconds, signal);
  return cluster;
}

async function measureInTurn(clusters, workload, round, options, signal) {
  const pairs = [];
  for (let turn = 0; turn < options.turns; turn++) {
    const pair = {};
    for (const side of (round + turn) % 2 === 0 ? ['base', 'tree'] : ['tree', 'base']) {
      pair[side] = await measure(clusters[side], workload, { ...options, clients }, signal);
    }
    pairs.push(pair);
  }
  return pairs;
}

function errorsOf(pairs) {
  return pairs.reduce((sum, { base, tree }) => sum + base.errors + tree.errors, 0);
}

/** Tree to base: the geometric mean over pairs, and twice its standard error; of one pair none is known. */
function ratiosOf(pairs, figure) {
  const logs = pairs.map(({ base, tree }) => Math.log(tree[figure] / base[figure]));
  const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length;
  const squares = logs.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const error = logs.length < 2 ? undefined : 2 * Math.sqrt(squares / (logs.length - 1) / logs.length) * Math.exp(mean);
  return { mean: Math.exp(mean), error };
}

function summarize(workload, pairs) {
  const own = pairs.filter((pair) => pair.workload === workload);
  const rounds = [...new Set(own.map(({ round }) => round))].map((round) => own.filter((pair) => pair.round === round));
  const rate = (side) => median(own.map((pair) => pair[side].operationsPerSecond));
  return {
    workload,
    base: rate('base'),
    tree: rate('tree'),
    throughput: ratiosOf(own, 'operationsPerSecond'),
    throughputOfRounds: rounds.map((pairsOfRound) => ratiosOf(pairsOfRound, 'operationsPerSecond').mean),
    p99: ratiosOf(own, 'p99Ms'),
    cpu: ratiosOf(own, 'cpuPer10k'),
    errors: errorsOf(own),
  };
}

function describe(before, commit, { rounds, turns, seconds }, report) {
  const head = ['workload', `${commit} ops/s`, 'tree ops/s', 'ops ×', 'each round', 'p99 ×', 'CPU ×'];
  const ratio = ({ mean, error }) => `${mean.toFixed(2)} ±${error?.toFixed(2) ?? '?'}`;
  const rows = report.map(({ workload, base, tree, throughput, throughputOfRounds, p99, cpu }) => {
    const eachRound = throughputOfRounds.map((mean) => mean.toFixed(2)).join(' ');
    return [workload, count(base), count(tree), ratio(throughput), eachRound, ratio(p99), ratio(cpu)];
  });
  const failed = report.filter(({ errors }) => errors > 0);
  const notes = [
    `Rounds: ${rounds}, pairs in each: ${turns}, of ${seconds} s. ×: working tree to ${commit}, geometric mean ± two standard errors (ops: more is better; p99, CPU: less).`,
    ...failed.map(({ workload, errors }) => `${workload}: ${count(errors)} operations failed`),
  ];
  return `${before}\n\n${markdownTable([head, ...rows])}\n\n${notes.join('\n')}\n`;
}

function say(line) {
  process.stderr.write(`${line}\n`);
}
