import { canonicalAddress } from '../cluster/address.ts';
import type { ClusterDescription } from '../cluster/cluster-file.ts';
import { InputError } from '../cluster/input-error.ts';
import { readTlsFiles } from '../tls/files.ts';
import { timeoutMsMax } from '../wire/limits.ts';
import { parseDurationMs } from './arguments/duration.ts';
import { resolveTlsFiles, type TlsSources } from './arguments/tls-flags.ts';
import type { ShownTls } from './tls-renewal.ts';

const endpointsMax = 100;

/** How long a command waits for its answer unless told otherwise. */
export const defaultTimeoutMs = 5000;

/** Where a connection's settings may come from, strongest first; an empty variable counts as not given. */
export interface ConnectionSources {
  readonly flags: {
    readonly endpoints?: string | undefined;
    readonly timeout?: string | undefined;
  } & TlsSources['flags'];
  readonly environment: { readonly KV_ENDPOINTS?: string | undefined } & TlsSources['environment'];
  readonly cluster: ClusterDescription;
  /** Where neither flag nor file sets one. */
  readonly fallbackTimeoutMs?: number;
}

/** Whom to ask, and for how long. */
export interface Connection {
  /** "host:port", each once. */
  readonly endpoints: readonly string[];
  readonly timeoutMs: number;
  /** What the nodes at the endpoints have to be of, where these are those of a cluster file: another cluster may have taken over an address. */
  readonly clusterName: string | undefined;
  /** Undefined: connections are not encrypted. */
  readonly tls: ShownTls | undefined;
}

/** Order: flags, environment, cluster file, defaults. Reads what TLS needs. Throws {@link InputError}. */
export function resolveConnection(sources: ConnectionSources): Connection {
  const named = namedEndpointsOf(sources);
  const { cluster } = sources;
  const tlsFiles = resolveTlsFiles(sources);
  return {
    endpoints: named ?? [...cluster.nodes.values()],
    timeoutMs: timeoutOf(sources),
    clusterName: named === undefined && cluster.path !== undefined ? cluster.name : undefined,
    tls: tlsFiles && { files: tlsFiles, role: 'client', shown: readTlsFiles(tlsFiles, 'client') },
  };
}

/** Reads `host:port,host:port`. Throws {@link InputError}; `what` says where the list comes from. */
export function parseEndpoints(text: string, what: string): string[] {
  const items = text.split(',').map((item) => item.trim());
  if (items.some((item) => item === '')) {
    throw new InputError(`${what} "${text}" has an empty item: write host:port with one comma between`);
  }
  if (items.length > endpointsMax)
    throw new InputError(`${what} names ${items.length} endpoints: at most ${endpointsMax}`);
  return [...new Set(items.map((item) => canonicalAddress(item, `${what}:`)))];
}

/** Those of a flag or the environment. */
function namedEndpointsOf({ flags, environment }: ConnectionSources): readonly string[] | undefined {
  if (flags.endpoints !== undefined) return parseEndpoints(flags.endpoints, '--endpoints');
  const variable = environment.KV_ENDPOINTS;
  if (variable !== undefined && variable !== '') return parseEndpoints(variable, 'KV_ENDPOINTS');
  return undefined;
}

function timeoutOf({ flags, cluster, fallbackTimeoutMs }: ConnectionSources): number {
  if (flags.timeout !== undefined) return parseDurationMs(flags.timeout, '--timeout', 1, timeoutMsMax);
  return cluster.settings.requestTimeoutMs ?? fallbackTimeoutMs ?? defaultTimeoutMs;
}
