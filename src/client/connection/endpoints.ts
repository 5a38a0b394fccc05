import type { SecureContext } from 'node:tls';
import { shown } from '../../base/shown.ts';
import { canonicalAddress } from '../../cluster/address.ts';
import { InputError } from '../../cluster/input-error.ts';
import { KvError } from '../call/errors.ts';
import type { ConnectionProblem } from './connection.ts';

/** Most endpoints that a client is given, and as many again that it learns from nodes. */
const endpointsMax = 100;

interface Endpoint {
  readonly address: string;
  /** Counts up over all failures: 0 has not failed, and the lowest failed longest ago. */
  failure: number;
  problem: ConnectionProblem | undefined;
}

/** Where nodes are to be found, and which to try next: the one whose last failure is longest ago, in the order given. */
export class Endpoints {
  readonly #endpoints: Endpoint[] = [];
  /** How many the user gave. */
  readonly givenCount: number;
  /** For the next connection to one of them; undefined: connections are not encrypted. */
  secureContext: SecureContext | undefined;
  #failures = 0;

  /** "host:port" each, at least one. Throws KvError `invalid` that names the one that is wrong. */
  constructor(addresses: readonly string[], secureContext: SecureContext | undefined) {
    this.secureContext = secureContext;
    if (!Array.isArray(addresses)) {
      throw invalid(`endpoints is ${typeof addresses}: give a list, such as ['127.0.0.1:7001']`);
    }
    if (addresses.length === 0) throw invalid('no endpoint is given: name at least one node, such as 127.0.0.1:7001');
    if (addresses.length > endpointsMax) {
      throw invalid(`${addresses.length} endpoints are given: at most ${endpointsMax} are allowed`);
    }
    for (const address of addresses) this.#add(checkedEndpoint(address));
    this.givenCount = this.#endpoints.length;
  }

  get size(): number {
    return this.#endpoints.length;
  }

  get addresses(): string[] {
    return this.#endpoints.map((endpoint) => endpoint.address);
  }

  /** The endpoint to try next, none of `except` unless there is no other. */
  next(except: ReadonlySet<string>): string {
    let best: Endpoint | undefined;
    const isLeft = this.#endpoints.some(({ address }) => !except.has(address));
    for (const endpoint of this.#endpoints) {
      if (isLeft && except.has(endpoint.address)) continue;
      if (best === undefined || endpoint.failure < best.failure) best = endpoint;
    }
    return (best as Endpoint).address;
  }

  /** Puts an endpoint to the end of the line. `problem`: why no connection stands; undefined if a node sent us away. */
  failed(address: string, problem: ConnectionProblem | undefined): void {
    const endpoint = this.#find(address);
    if (endpoint === undefined) return;
    endpoint.failure = ++this.#failures;
    endpoint.problem = problem;
  }

  /** A connection to it stands. */
  reached(address: string): void {
    const endpoint = this.#find(address);
    if (endpoint !== undefined) endpoint.problem = undefined;
  }

  /**
   * Adds addresses that a node told, in the place of such as were learned before and are not among them where there is no more room. One that
   * cannot be parsed is of no use, and no reason to fail.
   */
  learn(addresses: readonly string[]): void {
    const canonical = addresses.flatMap((address) => canonicalOrUndefined(address) ?? []);
    for (const address of canonical) {
      if (this.#find(address) !== undefined) continue;
      if (this.#endpoints.length >= 2 * endpointsMax && !this.#forgetOneBut(canonical)) return;
      this.#add(address);
    }
  }

  /** These are the members: they are learned, and tried before all others. */
  prefer(addresses: readonly string[]): void {
    this.learn(addresses);
    const preferred = new Set(addresses.map(canonicalOrUndefined));
    for (const endpoint of this.#endpoints) if (!preferred.has(endpoint.address)) endpoint.failure = ++this.#failures;
  }

  /** Forgets the one that was learned longest ago of those that are not among `addresses`. False if there is none. */
  #forgetOneBut(addresses: readonly string[]): boolean {
    const isOld = ({ address }: Endpoint, at: number) => at >= this.givenCount && !addresses.includes(address);
    const at = this.#endpoints.findIndex(isOld);
    if (at >= 0) this.#endpoints.splice(at, 1);
    return at >= 0;
  }

  /** True if no endpoint is left without a problem. */
  get allFailed(): boolean {
    return this.#endpoints.every(({ problem }) => problem !== undefined);
  }

  /** What is wrong with all endpoints, if trying again will not change it at any; else undefined. */
  get lastingProblem(): 'notKvNode' | 'untrusted' | undefined {
    const kinds = new Set(this.#endpoints.map(({ problem }) => problem?.kind));
    if (kinds.has(undefined) || kinds.has('unreachable')) return undefined;
    return kinds.has('untrusted') ? 'untrusted' : 'notKvNode';
  }

  /** Why each endpoint could not be reached, in one line; `undefined` if none has a problem. */
  describeProblems(): string | undefined {
    const problems = this.#endpoints.flatMap(({ problem }) => problem?.message ?? []);
    return problems.length === 0 ? undefined : problems.join('; ');
  }

  #find(address: string): Endpoint | undefined {
    return this.#endpoints.find((endpoint) => endpoint.address === address);
  }

  #add(address: string): void {
    if (this.#find(address) === undefined) this.#endpoints.push({ address, failure: 0, problem: undefined });
  }
}

/** The one way to write an endpoint. Throws KvError `invalid` that says what is wrong with it. */
export function checkedEndpoint(address: string): string {
  if (typeof address !== 'string')
    throw invalid(`an endpoint is ${shown(address)}: give a text, such as '127.0.0.1:7001'`);
  try {
    return canonicalAddress(address, 'endpoint');
  } catch (error) {
    if (error instanceof InputError) throw invalid(error.message);
    throw error;
  }
}

/** The one way to write an address that a node told; undefined for one that cannot be parsed. */
export function canonicalOrUndefined(address: string): string | undefined {
  try {
    return canonicalAddress(address);
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

function invalid(message: string): KvError {
  return new KvError('invalid', message, 'notApplied');
}
