import { join, resolve } from 'node:path';
import { canonicalAddress, defaultAddress, defaultNodeIdMax, isLoopback, parseAddress } from '../../cluster/address.ts';
import { type ClusterDescription, type ClusterSettings, settingLimits } from '../../cluster/cluster-file.ts';
import { InputError } from '../../cluster/input-error.ts';
import { parseNodeId } from '../../cluster/node-list.ts';
import { parseDurationMs } from '../arguments/duration.ts';
import { parseSizeBytes } from '../arguments/size.ts';

/** What was asked of `kv start`. */
export interface StartFlags {
  readonly id: string;
  readonly address?: string | undefined;
  readonly data?: string | undefined;
  readonly insecure?: boolean | undefined;
  readonly 'election-timeout'?: string | undefined;
  readonly quota?: string | undefined;
}

/** What a node is started with. */
export interface StartPlan {
  readonly nodeId: number;
  readonly clusterName: string;
  /** "host:port" of the members of the first configuration. */
  readonly nodes: ReadonlyMap<number, string>;
  /** "host:port" to listen on. */
  readonly address: string;
  readonly insecure: boolean;
  readonly dataDirectory: string;
  readonly settings: ClusterSettings;
}

/** Folder that holds the data of nodes where nothing else is said. */
export const defaultDataFolder = 'kv-data';

/** Works out how node `flags.id` is to run in `cluster`; `hasTls`: what it says is encrypted. Throws {@link InputError}. */
export function planStart(
  flags: StartFlags,
  cluster: ClusterDescription,
  workingDirectory: string,
  hasTls: boolean,
): StartPlan {
  const nodeId = parseNodeId(flags.id, '--id');
  const address = listenAddress(nodeId, flags.address, cluster);
  if (flags.insecure !== true && !hasTls) refuseOpenAddress(address);
  return {
    nodeId,
    clusterName: cluster.name,
    nodes: cluster.nodes,
    address,
    insecure: flags.insecure === true,
    dataDirectory: dataPath(flags.data, nodeDirectory(defaultDataFolder, nodeId), cluster, workingDirectory),
    settings: withQuota(withElectionTimeout(cluster.settings, flags['election-timeout']), flags.quota),
  };
}

/**
 * `given`, else `usual` beside a cluster file that was found at or above the working directory: from wherever below it a node is
 * started, it has the same data.
 */
export function dataPath(
  given: string | undefined,
  usual: string,
  { home }: ClusterDescription,
  workingDirectory: string,
): string {
  return given === undefined ? resolve(home ?? workingDirectory, usual) : resolve(workingDirectory, given);
}

/** Where below `folder` the data of a node is. */
export function nodeDirectory(folder: string, nodeId: number): string {
  return join(folder, `node-${nodeId}`);
}

function listenAddress(nodeId: number, flag: string | undefined, cluster: ClusterDescription): string {
  const listed = cluster.nodes.get(nodeId);
  const given = flag === undefined ? undefined : canonicalAddress(flag, '--address');
  if (listed !== undefined) return sameAddress(nodeId, listed, given, cluster);
  if (given !== undefined) return unusedAddress(nodeId, given, cluster);
  if (cluster.path !== undefined) throw new InputError(unknownNode(nodeId, cluster));
  const address = defaultAddress(nodeId);
  if (address !== undefined) return address;
  throw new InputError(
    `--id ${nodeId} has no default address (ids up to ${defaultNodeIdMax} have): give --address host:port`,
  );
}

function sameAddress(nodeId: number, listed: string, given: string | undefined, cluster: ClusterDescription): string {
  if (given === undefined || given === listed) return listed;
  const source = cluster.path ?? 'the default cluster';
  const remedy = cluster.path === undefined ? 'write a cluster file with kv init' : 'change it there';
  throw new InputError(
    `--address ${given}: node ${nodeId} is at ${listed} in ${source}: leave --address out, or ${remedy}`,
  );
}

function unusedAddress(nodeId: number, given: string, cluster: ClusterDescription): string {
  for (const [id, address] of cluster.nodes) {
    if (address === given)
      throw new InputError(`--address ${given} is that of node ${id}: give node ${nodeId} its own`);
  }
  return given;
}

function unknownNode(nodeId: number, cluster: ClusterDescription): string {
  const ids = [...cluster.nodes.keys()].join(', ');
  return (
    `node ${nodeId} is not in ${cluster.path}, which has the nodes ${ids}: ` +
    'start one of these, or give --address host:port to stand by until kv member add takes it in'
  );
}

function refuseOpenAddress(address: string): void {
  if (isLoopback(parseAddress(address).host)) return;
  throw new InputError(
    `${address} can be reached from other machines, and anybody there may read and write everything: ` +
      'set up TLS (tls in the cluster file, or --tls-ca, --tls-cert and --tls-key), listen on 127.0.0.1, or pass --insecure if the network is yours alone',
  );
}

function withElectionTimeout(settings: ClusterSettings, flag: string | undefined): ClusterSettings {
  if (flag === undefined) return settings;
  const { min, max } = settingLimits.electionTimeoutMs;
  return { ...settings, electionTimeoutMs: parseDurationMs(flag, '--election-timeout', min, max) };
}

function withQuota(settings: ClusterSettings, flag: string | undefined): ClusterSettings {
  if (flag === undefined) return settings;
  const { min, max } = settingLimits.quotaBytes;
  return { ...settings, quotaBytes: parseSizeBytes(flag, '--quota', min, max) };
}
