import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defaultAddress, isLoopback, parseAddress } from '../../cluster/address.ts';
import {
  type ClusterDescription,
  clusterFileName,
  defaultCluster,
  formatClusterFile,
} from '../../cluster/cluster-file.ts';
import { findCluster } from '../../cluster/find-cluster.ts';
import { InputError } from '../../cluster/input-error.ts';
import { dataPath, defaultDataFolder } from '../start/start-plan.ts';

/** What `kv up` is going to run. */
export interface UpPlan {
  readonly cluster: ClusterDescription;
  /** Holds one directory per node. */
  readonly dataFolder: string;
  /** The cluster file for the nodes. */
  readonly configPath: string;
  /** Its text, where it is yet to be written. */
  readonly configText: string | undefined;
}

/**
 * Works out which nodes to run. With a cluster file, those of the file. Without one, `--nodes` many on this machine, written
 * down in the data folder, so that the same command finds the same cluster again. Throws {@link InputError}.
 */
export function planUp(
  flags: { readonly nodes?: number | undefined; readonly data?: string | undefined },
  found: ClusterDescription,
  workingDirectory: string,
  nodesMax: number,
): UpPlan {
  const dataFolder = dataPath(flags.data, defaultDataFolder, found, workingDirectory);
  const configPath = found.path ?? join(dataFolder, clusterFileName);
  const isWritten = found.path !== undefined || existsSync(configPath);
  const cluster = isWritten
    ? findCluster({ flag: configPath, directory: workingDirectory, nodesMax })
    : localCluster(flags.nodes ?? 3, nodesMax);
  refuseOtherCount(flags.nodes, cluster, configPath, found.path !== undefined);
  refuseOtherMachines(cluster, configPath);
  return { cluster, dataFolder, configPath, configText: isWritten ? undefined : formatClusterFile(cluster) };
}

function localCluster(nodeCount: number, nodesMax: number): ClusterDescription {
  if (!Number.isInteger(nodeCount) || nodeCount < 1 || nodeCount > nodesMax) {
    throw new InputError(`--nodes ${nodeCount} is not possible: a cluster has 1 to ${nodesMax} nodes`);
  }
  const ids = Array.from({ length: nodeCount }, (_, at) => at + 1);
  return { ...defaultCluster, nodes: new Map(ids.map((id) => [id, defaultAddress(id) as string])) };
}

/** `isUsersOwn`: the file is not in the data folder, where this command wrote it. */
function refuseOtherCount(
  asked: number | undefined,
  cluster: ClusterDescription,
  configPath: string,
  isUsersOwn: boolean,
): void {
  if (asked === undefined || asked === cluster.nodes.size) return;
  const remedy = isUsersOwn ? 'change it there' : 'give another --data DIR';
  throw new InputError(
    `--nodes ${asked}: ${configPath} has ${cluster.nodes.size} nodes: leave --nodes out, or ${remedy}`,
  );
}

function refuseOtherMachines(cluster: ClusterDescription, configPath: string): void {
  for (const [id, address] of cluster.nodes) {
    if (!isLoopback(parseAddress(address).host)) {
      throw new InputError(
        `node ${id} is at ${address} in ${configPath}: kv up runs nodes on 127.0.0.1 only (use kv start)`,
      );
    }
  }
}
