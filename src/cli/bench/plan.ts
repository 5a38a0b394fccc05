import { InputError } from '../../cluster/input-error.ts';
import type { Consistency } from '../../wire/client-message.ts';
import { parseDurationMs } from '../arguments/duration.ts';
import { parseSizeBytes } from '../arguments/size.ts';
import { keyBytesMin } from './key-space.ts';

export const benchWorkloads = ['put', 'get', 'mix'] as const;
export type BenchWorkload = (typeof benchWorkloads)[number];

/** Those of the store, which this floor does not see: a test compares them. */
const keyBytesMax = 1024;
const valueBytesMax = 1024 * 1024;

const clientsMax = 1024;
const outstandingMax = 65_536;
const keysMax = 100_000_000;
const rateMax = 10_000_000;
const durationMsMax = 24 * 60 * 60 * 1000;
const warmUpMsMax = 10 * 60 * 1000;

/** What `kv bench` was asked for, as it came from the command line. */
export interface BenchFlags {
  readonly clients?: string | undefined;
  readonly outstanding: string;
  readonly keys: string;
  readonly 'key-size': string;
  readonly 'value-size': string;
  readonly duration: string;
  readonly 'warm-up': string;
  readonly rate?: string | undefined;
  readonly reads: string;
  readonly consistency: Consistency;
  readonly fill: boolean;
}

/** One run of the load generator. */
export interface BenchPlan {
  readonly workload: BenchWorkload;
  /** Connections, spread over the endpoints. */
  readonly clients: number;
  /** Operations in flight, over all clients together. */
  readonly outstanding: number;
  /** Distinct keys, chosen uniformly. */
  readonly keys: number;
  readonly keyBytes: number;
  readonly valueBytes: number;
  readonly durationMs: number;
  /** Load before the measurement begins. */
  readonly warmUpMs: number;
  /** Operations a second that are to begin, whatever becomes of earlier ones; `undefined`: each begins when another ends. */
  readonly ratePerSecond: number | undefined;
  /** Share of gets, 0 to 1. */
  readonly readShare: number;
  readonly consistency: Consistency;
  /** Puts every key once before it begins, so that gets find something. */
  readonly isFilled: boolean;
}

/** Checks what was asked for. Throws {@link InputError} with one line that names what is wrong and what would be right. */
export function planBench(workload: BenchWorkload, flags: BenchFlags, endpointCount: number): BenchPlan {
  const outstanding = countOf(flags.outstanding, '--outstanding', 1, outstandingMax);
  const keys = countOf(flags.keys, '--keys', 1, keysMax);
  return {
    workload,
    outstanding,
    keys,
    clients: clientsOf(flags.clients, outstanding, endpointCount),
    keyBytes: parseSizeBytes(flags['key-size'], '--key-size', keyBytesMin(keys), keyBytesMax),
    valueBytes: parseSizeBytes(flags['value-size'], '--value-size', 0, valueBytesMax),
    durationMs: parseDurationMs(flags.duration, '--duration', 100, durationMsMax),
    warmUpMs: parseDurationMs(flags['warm-up'], '--warm-up', 0, warmUpMsMax),
    ratePerSecond: flags.rate === undefined ? undefined : countOf(flags.rate, '--rate', 1, rateMax),
    readShare: readShareOf(workload, flags.reads),
    consistency: flags.consistency,
    isFilled: flags.fill && workload !== 'put',
  };
}

function clientsOf(text: string | undefined, outstanding: number, endpointCount: number): number {
  if (text === undefined) return Math.min(outstanding, endpointCount);
  const clients = countOf(text, '--clients', 1, clientsMax);
  if (clients <= outstanding) return clients;
  throw new InputError(
    `--clients ${clients} is more than --outstanding ${outstanding}: each client needs at least one operation in flight`,
  );
}

function readShareOf(workload: BenchWorkload, reads: string): number {
  if (workload === 'mix') return countOf(reads, '--reads', 0, 100) / 100;
  return workload === 'get' ? 1 : 0;
}

function countOf(text: string, what: string, min: number, max: number): number {
  const count = /^[0-9]{1,15}$/.test(text) ? Number(text) : Number.NaN;
  if (count >= min && count <= max) return count;
  throw new InputError(`${what} "${text}" is not a whole number from ${min} to ${max}`);
}
