import { dirname, resolve } from 'node:path';
import type { NodeId } from '../omnipaxos/ballot.ts';
import { canonicalAddress, defaultAddress, memberAddress } from './address.ts';
import { InputError } from './input-error.ts';
import { type JsonObject, type JsonValue, parseJsonText } from './json-text.ts';
import { nearestWord } from './nearest-word.ts';
import { parseNodeId, refuseTwice } from './node-list.ts';

/** Name of a cluster file, looked for in the working directory and every one above it. */
export const clusterFileName = 'kv.json';

/** What a cluster file may set beside names and addresses. */
export interface ClusterSettings {
  /** A leader unheard for this long is replaced, milliseconds. */
  readonly electionTimeoutMs?: number;
  /** How long a command waits for its answer, milliseconds. Of no account to a node: it is the command that reads it in the cluster file. */
  readonly requestTimeoutMs?: number;
  /** Most bytes that log and state of a node may take; without it, what its file system has. */
  readonly quotaBytes?: number;
}

/** Paths of what TLS shows and believes, see `tls/identity.ts`. */
export interface TlsFiles {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

const tlsParts = ['ca', 'cert', 'key'] as const satisfies readonly (keyof TlsFiles)[];

/** A cluster as its file, or the default, describes it. */
export interface ClusterDescription {
  /** Path of the file; `undefined` for the default cluster. */
  readonly path: string | undefined;
  /** Where data goes unless something else is said: beside a file that was not named but found. Undefined: in the working directory. */
  readonly home?: string | undefined;
  readonly name: string;
  /** "host:port" of the nodes that form the first configuration, ascending by id. */
  readonly nodes: ReadonlyMap<NodeId, string>;
  readonly settings: ClusterSettings;
  /** Where nodes and commands find what they show each other; without it, nothing is encrypted. */
  readonly tls?: TlsFiles | undefined;
}

/** Limits of the settings, both ends included. */
export const settingLimits = {
  electionTimeoutMs: { min: 20, max: 60_000 },
  requestTimeoutMs: { min: 1, max: 3_600_000 },
  quotaBytes: { min: 32 * 2 ** 20, max: 2 ** 50 },
} as const satisfies Record<keyof ClusterSettings, { min: number; max: number }>;

const settingNames = Object.keys(settingLimits) as (keyof ClusterSettings)[];
const knownKeys: readonly string[] = ['cluster', 'nodes', 'tls', ...settingNames];

/** The cluster when there is no file: nodes 1, 2 and 3 on this machine. */
export const defaultCluster: ClusterDescription = {
  path: undefined,
  name: 'kv',
  nodes: new Map([1, 2, 3].map((id) => [id, defaultAddress(id) as string])),
  settings: {},
};

/**
 * Reads the text of a cluster file: `{"cluster": "name", "nodes": {"1": "host:port", …}}` and optional settings. At most
 * `nodesMax` nodes. Throws {@link InputError}, a line that starts with `path` and names what is wrong.
 */
export function parseClusterFile(text: string, path: string, nodesMax: number): ClusterDescription {
  const problem = (reason: string) => new InputError(`${path}: ${reason}`);
  const file = parseJsonText(text, path);
  if (!isObject(file)) throw problem(`an object was expected, such as ${example}`);
  for (const key of file.keys()) {
    if (!knownKeys.includes(key)) throw problem(unknownKey(key));
  }
  try {
    const tls = clusterTls(file, dirname(path));
    const description = {
      path,
      name: clusterName(file),
      nodes: clusterNodes(file, nodesMax),
      settings: clusterSettings(file),
    };
    return tls === undefined ? description : { ...description, tls };
  } catch (error) {
    throw error instanceof InputError ? problem(error.message) : error;
  }
}

/** The text of a cluster file, to be read by {@link parseClusterFile}. */
export function formatClusterFile(cluster: Omit<ClusterDescription, 'path'>): string {
  const file = {
    ...{ cluster: cluster.name, nodes: Object.fromEntries(cluster.nodes) },
    ...(cluster.tls !== undefined && { tls: cluster.tls }),
    ...cluster.settings,
  };
  return `${JSON.stringify(file, undefined, 2)}\n`;
}

/** Checks the name of a cluster. Throws {@link InputError}. */
export function checkClusterName(name: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(name)) return name;
  throw new InputError(
    `cluster name "${name}" is not allowed: 1 to 64 letters, digits, ".", "_" and "-", a letter or digit first`,
  );
}

const tlsExample = '{"ca": "ca.pem", "cert": "node.pem", "key": "node-key.pem"}';
const example = '{"cluster": "name", "nodes": {"1": "127.0.0.1:7001"}}';

function unknownKey(key: string): string {
  const near = nearestWord(key, knownKeys);
  const meant = near === undefined ? '' : `did you mean "${near}"? `;
  return `unknown key "${key}": ${meant}known are ${knownKeys.join(', ')}`;
}

function clusterName(file: JsonObject): string {
  const name = file.get('cluster');
  if (typeof name === 'string') return checkClusterName(name);
  throw new InputError(
    `"cluster" ${name === undefined ? 'is missing' : 'is not a string'}: name the cluster, as in ${example}`,
  );
}

function clusterNodes(file: JsonObject, nodesMax: number): Map<NodeId, string> {
  const nodes = file.get('nodes');
  if (nodes === undefined || !isObject(nodes) || nodes.size === 0) {
    throw new InputError(
      `"nodes" ${nodes === undefined ? 'is missing' : 'names no node'}: give ids and addresses, as in ${example}`,
    );
  }
  if (nodes.size > nodesMax)
    throw new InputError(`"nodes" names ${nodes.size} nodes: a cluster has at most ${nodesMax}`);
  const listed = [...nodes].map(([key, value]) => listedNode(key, value, nodes.size === 1)).sort((a, b) => a.id - b.id);
  refuseTwice(listed);
  return new Map(listed.map(({ id, address }) => [id, address]));
}

/** `isAlone`: no other node has to reach it. */
function listedNode(key: string, value: JsonValue, isAlone: boolean): { id: NodeId; address: string } {
  const id = parseNodeId(key, 'in "nodes", node id');
  if (typeof value !== 'string') throw new InputError(`the address of node ${id} is not a string: write "host:port"`);
  return { id, address: (isAlone ? canonicalAddress : memberAddress)(value, `the address of node ${id},`) };
}

function clusterSettings(file: JsonObject): ClusterSettings {
  const settings: { -readonly [Name in keyof ClusterSettings]: number } = {};
  for (const name of settingNames) {
    const value = file.get(name);
    if (value !== undefined) settings[name] = checkSetting(name, value);
  }
  return settings;
}

/** Paths in a file are relative to where it is. */
function clusterTls(file: JsonObject, directory: string): TlsFiles | undefined {
  const tls = file.get('tls');
  if (tls === undefined) return undefined;
  const names = tlsParts.join(', ');
  if (!isObject(tls)) throw new InputError(`"tls" is no object: give the files ${names}, as in ${tlsExample}`);
  const unknown = [...tls.keys()].find((key) => !(tlsParts as readonly string[]).includes(key));
  if (unknown !== undefined) throw new InputError(`"tls" has ${JSON.stringify(unknown)}: there are ${names}`);
  const pathOf = (part: (typeof tlsParts)[number]) => {
    const path = tls.get(part);
    if (typeof path === 'string' && path !== '') return resolve(directory, path);
    throw new InputError(
      `"tls" ${path === undefined ? 'lacks' : 'has no file as'} "${part}": give all of ${names}, as in ${tlsExample}`,
    );
  };
  return { ca: pathOf('ca'), cert: pathOf('cert'), key: pathOf('key') };
}

/** Checks the value of a setting; `what` names it in the {@link InputError}. */
export function checkSetting(name: keyof ClusterSettings, value: unknown, what = `"${name}"`): number {
  const { min, max } = settingLimits[name];
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value;
  const written = typeof value === 'number' ? `${value}` : JSON.stringify(value);
  const unit = name.endsWith('Ms') ? 'milliseconds' : 'bytes';
  throw new InputError(`${what} is ${written}: a whole number of ${unit} from ${min} to ${max} was expected`);
}

function isObject(value: JsonValue): value is JsonObject {
  return value instanceof Map;
}
