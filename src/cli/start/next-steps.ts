import type { ClusterDescription } from '../../cluster/cluster-file.ts';
import { InputError } from '../../cluster/input-error.ts';
import { dataPath, defaultDataFolder, nodeDirectory } from './start-plan.ts';

/** A node whose data directory is made before its first start. */
export interface FirstMember {
  readonly nodeId: number;
  readonly directory: string;
}

/** Where the data of `nodeId` goes: `directory`, or where `kv start` looks for it. Throws {@link InputError} for a node that forms nothing. */
export function planFirstMember(
  nodeId: number,
  directory: string | undefined,
  cluster: ClusterDescription,
  workingDirectory: string,
): FirstMember {
  if (!cluster.nodes.has(nodeId)) {
    const ids = [...cluster.nodes.keys()].join(', ');
    const file = cluster.path ?? 'the default cluster';
    throw new InputError(
      `node ${nodeId} is not in ${file}, whose nodes ${ids} form the cluster: give one of these as --id`,
    );
  }
  return {
    nodeId,
    directory: dataPath(directory, nodeDirectory(defaultDataFolder, nodeId), cluster, workingDirectory),
  };
}

/** What to do once the data directory of one first member is made. */
export function nextSteps(
  { nodeId, directory }: FirstMember,
  cluster: ClusterDescription,
  workingDirectory: string,
): string[] {
  const usual = dataPath(undefined, nodeDirectory(defaultDataFolder, nodeId), cluster, workingDirectory);
  const data = directory === usual ? '' : ` --data ${directory}`;
  const others = [...cluster.nodes.keys()].filter((id) => id !== nodeId);
  const lines = [`next: start it with  kv start --id ${nodeId}${data}`];
  if (others.length === 0) return lines;
  const [first, ...more] = others;
  const ids = more.length === 0 ? `node ${first}` : `nodes ${others.join(', ')}`;
  return [
    ...lines,
    `      and ${ids} with empty data directories; the cluster forms once all of them have met. They fetch the data from node`,
    `      ${nodeId}, which must run until they have it: then kv status shows the same index for all`,
  ];
}
