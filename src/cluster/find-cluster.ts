import { lstatSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { type ClusterDescription, clusterFileName, defaultCluster, parseClusterFile } from './cluster-file.ts';
import { InputError } from './input-error.ts';

/** Most characters of a cluster file: some thousand nodes. */
const fileTextMax = 1024 * 1024;

/** Where a cluster file may be named. */
export interface ClusterSources {
  /** Path given by `--config`. */
  readonly flag?: string | undefined;
  /** Path given by the variable KV_CONFIG; empty counts as not given. */
  readonly environment?: string | undefined;
  /** Where the search upward for kv.json begins, and what relative paths are relative to. */
  readonly directory: string;
  /** Most nodes that a file may name. */
  readonly nodesMax: number;
}

/**
 * The cluster that a command is about: of the file named by flag, else by environment, else of the nearest kv.json at or
 * above the working directory, else the default of three nodes on this machine. Throws {@link InputError}.
 */
export function findCluster(sources: ClusterSources): ClusterDescription {
  const named = sources.flag ?? (sources.environment === '' ? undefined : sources.environment);
  if (named !== undefined) {
    const origin = sources.flag === undefined ? 'KV_CONFIG' : '--config';
    return readClusterFile(resolve(sources.directory, named), sources.nodesMax, origin);
  }
  const found = findUpward(sources.directory);
  if (found === undefined) return defaultCluster;
  return { ...readClusterFile(found, sources.nodesMax, 'the search for kv.json'), home: dirname(found) };
}

/** Path of the nearest kv.json at or above `directory`. */
export function findUpward(directory: string): string | undefined {
  let current = resolve(directory);
  for (;;) {
    const path = join(current, clusterFileName);
    // A link that leads nowhere, too: whoever made it did not mean the next file above.
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) return path;
    const parent = dirname(current);
    if (parent === current) return undefined;
    current = parent;
  }
}

function readClusterFile(path: string, nodesMax: number, origin: string): ClusterDescription {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new InputError(`${path}, named by ${origin}, cannot be read: ${reasonOf(error, path)}`, { cause: error });
  }
  if (text.length > fileTextMax)
    throw new InputError(`${path}, named by ${origin}, has ${text.length} characters: at most ${fileTextMax} are read`);
  return parseClusterFile(text, path, nodesMax);
}

function isLink(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
}

function reasonOf(error: unknown, path: string): string {
  switch ((error as NodeJS.ErrnoException).code) {
    case 'ENOENT':
      return isLink(path) ? 'it is a link to a file that is not there' : 'there is no such file (kv init writes one)';
    case 'EISDIR':
      return 'it is a directory';
    case 'EACCES':
      return 'permission denied';
    default:
      return (error as Error).message;
  }
}
