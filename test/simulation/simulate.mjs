import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { readToolOptions } from '../tool-options.mjs';
import { bundleSimulator, makeScratch } from './bundle.mjs';
import { runSeeds } from './workers.mjs';

const failuresMax = 10;

const usage = `npm run simulate -- [--seeds N] [--first N] [--processes N]    runs seeds, prints progress and a summary
npm run simulate -- --seed N                                   replays one: a line for all that happens, and the trace hash
  --seeds N       how many (100)
  --first N       the first of them (1)
  --processes N   how many run at the same time (2)
`;
const names = ['seeds', 'first', 'processes', 'seed'];

function problemOf(values) {
  for (const name of names) {
    const text = values[name];
    if (text === undefined) continue;
    if (!/^[0-9]{1,15}$/.test(text) || (name !== 'seed' && name !== 'first' && text === '0')) {
      return `--${name} is ${text}: a whole number is due, such as --${name} 17`;
    }
  }
  return undefined;
}

function readOptions() {
  const values = readToolOptions(usage, Object.fromEntries(names.map((name) => [name, { type: 'string' }])), problemOf);
  const defaults = { seeds: 100, first: 1, processes: 2 };
  return { ...defaults, ...Object.fromEntries(Object.entries(values).map(([name, text]) => [name, Number(text)])) };
}

/** The version that the seeds are of: another one may give other traces. */
function commit() {
  try {
    const git = (...args) =>
      execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    return git('rev-parse', '--short', 'HEAD') + (git('status', '--porcelain', 'src') === '' ? '' : ' with changes');
  } catch {
    return 'unknown (no git here)';
  }
}

function replay(bundle, seed) {
  const { status } = spawnSync(process.execPath, ['--enable-source-maps', bundle, 'trace', String(seed)], {
    stdio: 'inherit',
  });
  return status ?? 1;
}

class Summary {
  #startedAt = performance.now();
  #results = 0;
  #sums = { events: 0, simulatedUs: 0, reconfigurations: 0, leaderChanges: 0, decided: 0, operations: 0, unknown: 0 };
  #faults = new Map();
  #recoveries = [];
  failures = [];

  add(result) {
    this.#results++;
    for (const name of Object.keys(this.#sums)) this.#sums[name] += result[name];
    for (const [kind, count] of Object.entries(result.faults)) {
      this.#faults.set(kind, (this.#faults.get(kind) ?? 0) + count);
    }
    if (result.recoveryTimeouts !== undefined) this.#recoveries.push(result.recoveryTimeouts);
    if (result.failure) this.failures.push(result);
  }

  progress(total) {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const rate = (this.#results / seconds).toFixed(1);
    return `${this.#results} of ${total} seeds, ${rate} a second, ${this.#sums.operations} operations checked, ${this.failures.length} failed`;
  }

  text() {
    const { events, simulatedUs, reconfigurations, leaderChanges, decided, operations, unknown } = this.#sums;
    const recoveries = this.#recoveries.sort((a, b) => a - b);
    const at = (share) => (recoveries[Math.floor(share * (recoveries.length - 1))] ?? 0).toFixed(1);
    const faults = [...this.#faults].sort().map(([kind, count]) => `  ${String(count).padStart(10)}  ${kind}`);
    return [
      `${this.#results} seeds in ${((performance.now() - this.#startedAt) / 1000).toFixed(0)} s, ${this.failures.length} failed`,
      `${events} events, ${(simulatedUs / 3_600_000_000).toFixed(2)} hours of simulated time`,
      `${operations} operations answered and checked, ${unknown} of unknown outcome, ${decided} entries decided`,
      `${reconfigurations} reconfigurations, ${leaderChanges} ballots`,
      `first write after the healing: median ${at(0.5)}, 99 % within ${at(0.99)}, most ${at(1)} election timeouts`,
      'faults:',
      ...faults,
    ].join('\n');
  }
}

function report({ seed, failure }) {
  return `\nseed ${seed} failed at commit ${commit()}\n${failure.message}\nreplay: npm run simulate -- --seed ${seed}\n`;
}

async function runMany(bundle, { first, seeds, processes }) {
  const summary = new Summary();
  let printedAt = performance.now();
  const isTerminal = process.stdout.isTTY === true;
  await runSeeds(bundle, { first, end: first + seeds, processes }, (result) => {
    summary.add(result);
    if (result.failure) process.stdout.write(report(result));
    if (performance.now() - printedAt > (isTerminal ? 500 : 10_000)) {
      printedAt = performance.now();
      process.stdout.write(`${isTerminal ? '\r\x1b[K' : ''}${summary.progress(seeds)}${isTerminal ? '' : '\n'}`);
    }
    return summary.failures.length < failuresMax;
  });
  process.stdout.write(`${isTerminal ? '\r\x1b[K' : ''}${summary.text()}\n`);
  return summary.failures.length === 0 ? 0 : 1;
}

const options = readOptions();
const scratch = await makeScratch();
try {
  const bundle = join(scratch.path, 'simulator.mjs');
  await bundleSimulator(bundle);
  process.exitCode = options.seed === undefined ? await runMany(bundle, options) : replay(bundle, options.seed);
} finally {
  await scratch.remove();
}
