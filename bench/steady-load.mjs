// Puts without a pause from a process of its own, and what came of them over time.
import { execFile, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const fillOutstanding = 1024;

/** Puts every key once. `load`: `{keys, keyBytes, valueBytes}`. */
export async function fillWith(generator, endpoints, load, signal) {
  const task = {
    ...load,
    operation: 'fill',
    endpoints,
    clients: endpoints.length,
    outstanding: fillOutstanding,
    pids: [],
  };
  await run(process.execPath, [pathOf(generator), JSON.stringify(task)], { signal });
}

/** Puts that go on until `stop`, which gives the series. `load`: as above, with `clients` and `outstanding`. */
export function startSteadyLoad(generator, endpoints, load) {
  const task = { ...load, operation: 'steadyPut', endpoints, pids: [] };
  const child = spawn(process.execPath, [pathOf(generator), JSON.stringify(task)], { stdio: ['pipe', 'pipe', 'pipe'] });
  const said = { out: '', error: '' };
  child.stdout.setEncoding('utf8').on('data', (text) => {
    said.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text) => {
    said.error += text;
  });
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0) resolve(new Series(JSON.parse(said.out)));
      else reject(new Error(`the generator ${generator} ended with ${code}: ${said.error}`));
    });
  });
  ended.catch(() => {});
  child.stdin.on('error', () => {});
  return {
    /** Resolves with the series, after what is in flight. */
    stop() {
      child.stdin.end();
      return ended;
    },
    kill() {
      child.kill('SIGKILL');
    },
    get isOver() {
      return child.exitCode !== null;
    },
  };
}

/** The machine's clock, as the generator has it, ms. */
export function clockMs() {
  return performance.timeOrigin + performance.now();
}

/** When operations were done. */
class Series {
  #stepMs;
  #steps;
  #gaps;
  errors;

  constructor({ stepMs, steps, gaps, errors }) {
    this.#stepMs = stepMs;
    this.#steps = new Map(steps);
    this.#gaps = gaps;
    this.errors = errors;
  }

  /** Operations a second between two moments. */
  rate(fromMs, toMs) {
    const first = Math.round(fromMs / this.#stepMs);
    const end = Math.round(toMs / this.#stepMs);
    let count = 0;
    for (let step = first; step < end; step++) count += this.#steps.get(step) ?? 0;
    return (count * 1000) / ((end - first) * this.#stepMs);
  }

  /** `{atMs, rate}` of windows side by side, those that lie within the two moments. */
  windows(fromMs, toMs, windowMs) {
    const windows = [];
    for (let atMs = fromMs; atMs + windowMs <= toMs; atMs += windowMs) {
      windows.push({ atMs, rate: this.rate(atMs, atMs + windowMs) });
    }
    return windows;
  }

  /** The lowest rate of any window of that length that begins between two moments. */
  worst(fromMs, toMs, windowMs) {
    let worst = Number.POSITIVE_INFINITY;
    for (let atMs = fromMs; atMs < toMs; atMs += this.#stepMs) {
      worst = Math.min(worst, this.rate(atMs, atMs + windowMs));
    }
    return worst;
  }

  /** Longest time between two moments in which nothing was done, ms. */
  longestGap(fromMs, toMs) {
    const lengths = this.#gaps.map(([begin, end]) => Math.min(end, toMs) - Math.max(begin, fromMs));
    return Math.max(0, ...lengths);
  }
}

function pathOf(generator) {
  return fileURLToPath(new URL(`generators/${generator}.mjs`, import.meta.url));
}
