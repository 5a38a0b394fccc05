// What every generator process has in common: its task comes as JSON on the command line, its result leaves as JSON on
// standard output, and it samples the servers' CPU time in the very moments at which its window begins and ends.
import { build } from 'hdr-histogram-js';
import { cpuSecondsOf, largestResidentMiB } from '../processes.mjs';

/**
 * {
 *   endpoints: string[], pids: number[], operation: 'fill' | 'put' | 'get' | 'localGet' | 'steadyPut', outstanding, clients,
 *   keys, keyBytes, valueBytes, seconds, warmUpSeconds
 * }
 */
export const task = JSON.parse(process.argv[2]);

/** Notes the servers' and our own CPU time at the begin and the end of the window. */
export function windowWatch() {
  let begin;
  let end;
  const sample = () => ({ servers: cpuSecondsOf(task.pids), own: process.cpuUsage(), atMs: performance.now() });
  return {
    onWindow(moment) {
      if (moment === 'begin') begin = sample();
      else end = sample();
    },
    figures() {
      const own = end.own.user + end.own.system - begin.own.user - begin.own.system;
      return {
        seconds: (end.atMs - begin.atMs) / 1000,
        serverCpuSeconds: end.servers - begin.servers,
        generatorCpuSeconds: own / 1e6,
        residentMiB: largestResidentMiB(task.pids),
      };
    },
  };
}

export function report(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

/**
 * Keeps `outstanding` operations in flight: begins the next where one is done. Without promises or closures per operation.
 * `begin(slot)` begins an operation; whoever learns that it is done calls `loop.done(slot, isGood)`.
 */
export class ClosedLoop {
  #begin;
  #startedMs = new Float64Array(task.outstanding);
  #histogram = build({ bitBucketSize: 32, highestTrackableValue: 3_600_000_000, numberOfSignificantValueDigits: 3 });
  #phase = 'warmUp';
  #operations = 0;
  #errors = 0;
  #inFlight = 0;
  #onDrained;

  constructor(begin) {
    this.#begin = begin;
  }

  /** Runs the load of the task; resolves with its result. */
  async run() {
    const watch = windowWatch();
    for (let slot = 0; slot < task.outstanding; slot++) this.#next(slot, performance.now());
    await new Promise((resolve) => setTimeout(resolve, task.warmUpSeconds * 1000));
    this.#phase = 'window';
    watch.onWindow('begin');
    await new Promise((resolve) => setTimeout(resolve, task.seconds * 1000));
    this.#phase = 'drain';
    watch.onWindow('end');
    await new Promise((resolve) => {
      this.#onDrained = resolve;
    });
    const at = (percentile) => this.#histogram.getValueAtPercentile(percentile) / 1000;
    return { operations: this.#operations, p50Ms: at(50), p99Ms: at(99), errors: this.#errors, ...watch.figures() };
  }

  done(slot, isGood) {
    const nowMs = performance.now();
    this.#inFlight--;
    if (this.#phase !== 'warmUp') this.#note(isGood, nowMs - this.#startedMs[slot]);
    if (this.#phase !== 'drain') this.#next(slot, nowMs);
    else if (this.#inFlight === 0) this.#onDrained();
  }

  #note(isGood, latencyMs) {
    if (!isGood) this.#errors++;
    else {
      this.#histogram.recordValue(Math.round(latencyMs * 1000));
      if (this.#phase === 'window') this.#operations++;
    }
  }

  #next(slot, nowMs) {
    this.#startedMs[slot] = nowMs;
    this.#inFlight++;
    this.#begin(slot);
  }
}

/** Gaps shorter than this are not told, ms. */
const gapMsMin = 10;
/** Completions are counted in steps of so many ms. */
const stepMs = 10;

/**
 * Keeps `outstanding` operations in flight until standard input ends. Tells when operations were done: `steps` has pairs of a
 * step's number and a count, `gaps` pairs of the moments between which none was done, in ms of the machine's clock.
 */
export class SteadyLoop {
  #begin;
  #steps = new Map();
  #gaps = [];
  #lastMs = 0;
  #errors = 0;
  #inFlight = 0;
  #isOver = false;
  #onDrained;

  constructor(begin) {
    this.#begin = begin;
  }

  async run() {
    const drained = new Promise((resolve) => {
      this.#onDrained = resolve;
    });
    this.#lastMs = clockMs();
    for (let slot = 0; slot < task.outstanding; slot++) this.#next(slot);
    process.stdin.resume().once('end', () => {
      this.#noteGap(clockMs());
      this.#isOver = true;
    });
    await drained;
    return { stepMs, steps: [...this.#steps], gaps: this.#gaps, errors: this.#errors };
  }

  done(slot, isGood) {
    this.#inFlight--;
    if (!isGood) this.#errors++;
    else if (!this.#isOver) this.#note(clockMs());
    if (!this.#isOver) this.#next(slot);
    else if (this.#inFlight === 0) this.#onDrained();
  }

  #note(nowMs) {
    const step = Math.floor(nowMs / stepMs);
    this.#steps.set(step, (this.#steps.get(step) ?? 0) + 1);
    this.#noteGap(nowMs);
    this.#lastMs = nowMs;
  }

  #noteGap(nowMs) {
    if (nowMs - this.#lastMs >= gapMsMin) this.#gaps.push([this.#lastMs, nowMs]);
  }

  #next(slot) {
    this.#inFlight++;
    this.#begin(slot);
  }
}

/** The same in every process of this machine. */
function clockMs() {
  return performance.timeOrigin + performance.now();
}

/** Does `begin(slot, key number)` once for each key; whoever learns that it is done calls `done(slot, isGood)`. */
export class EachKey {
  #begin;
  #next = 0;
  #left = task.keys;
  #errors = 0;
  #onEnd;

  constructor(begin) {
    this.#begin = begin;
  }

  async run() {
    const ended = new Promise((resolve) => {
      this.#onEnd = resolve;
    });
    for (let slot = 0; slot < Math.min(task.outstanding, task.keys); slot++) this.#begin(slot, this.#next++);
    await ended;
    if (this.#errors > 0) throw new Error(`${this.#errors} of ${task.keys} keys could not be written`);
    return { operations: task.keys };
  }

  done(slot, isGood) {
    if (!isGood) this.#errors++;
    if (--this.#left === 0) this.#onEnd();
    else if (this.#next < task.keys) this.#begin(slot, this.#next++);
  }
}

/** Writes a key's number in decimal into a request, over the zeros of its template. */
export function writeDigits(buffer, from, to, number) {
  let rest = number;
  for (let at = to - 1; at >= from; at--) {
    const next = Math.floor(rest / 10);
    buffer[at] = 0x30 + rest - next * 10;
    rest = next;
  }
}

export function randomKey() {
  return Math.floor(Math.random() * task.keys);
}

/** A connection's frames to write: what one tick of the event loop brings goes out in one write. */
export class Outgoing {
  #socket;
  #buffer = Buffer.allocUnsafe(64 * 1024);
  #length = 0;
  #isDue = false;
  #flush = () => this.#write();

  constructor(socket) {
    this.#socket = socket;
  }

  /** Where the caller may write so many bytes, at `at`. */
  reserve(bytes) {
    if (this.#length + bytes > this.#buffer.length) this.#write();
    const at = this.#length;
    this.#length += bytes;
    if (!this.#isDue) {
      this.#isDue = true;
      setImmediate(this.#flush);
    }
    return at;
  }

  get buffer() {
    return this.#buffer;
  }

  #write() {
    this.#isDue = false;
    if (this.#length === 0) return;
    // The kernel may take it later: what is written over must not be what is on its way.
    this.#socket.write(Buffer.from(this.#buffer.subarray(0, this.#length)));
    this.#length = 0;
  }
}
