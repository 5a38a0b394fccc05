import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { defaultAddress } from '../../cluster/address.ts';
import { checkClusterName, defaultCluster, formatClusterFile } from '../../cluster/cluster-file.ts';
import { InputError } from '../../cluster/input-error.ts';
import { parseNodeList, refuseTwice } from '../../cluster/node-list.ts';
import { askLine, canAsk } from '../prompt.ts';

/** What `kv init` was told. */
export interface InitFlags {
  readonly cluster?: string | undefined;
  readonly nodes?: string | undefined;
  readonly force: boolean;
}

/** What a cluster file is made of. */
export interface InitAnswers {
  readonly name: string;
  readonly nodes: ReadonlyMap<number, string>;
}

/** Name and nodes: of the flags, else asked for where there is a terminal, else the default. Throws {@link InputError}. */
export async function initAnswers(flags: InitFlags, nodesMax: number): Promise<InitAnswers> {
  if (flags.cluster !== undefined) checkClusterName(flags.cluster);
  if (flags.nodes !== undefined) parseNodeAddresses(flags.nodes, nodesMax);
  const name = flags.cluster ?? (await answer('Name of the cluster', defaultCluster.name, checkClusterName));
  const suggestion = [...defaultCluster.nodes].map(([id, address]) => `${id}=${address}`).join(',');
  const check = (text: string) => parseNodeAddresses(text, nodesMax);
  const nodes = flags.nodes ?? (await answer('Nodes, as id=host:port with commas between', suggestion, check));
  return { name, nodes: parseNodeAddresses(nodes, nodesMax) };
}

/** Reads `1=host:port,2=host:port`; an id alone gets its default address. Throws {@link InputError}. */
export function parseNodeAddresses(text: string, nodesMax: number): Map<number, string> {
  const nodes = parseNodeList(text, nodesMax).map(({ id, address = defaultAddress(id) }) => {
    if (address === undefined) throw new InputError(`node ${id} has no default address: write ${id}=host:port`);
    return { id, address };
  });
  refuseTwice(nodes);
  return new Map(nodes.map(({ id, address }) => [id, address]));
}

/** Throws {@link InputError} if writing would replace a file that nobody gave up. */
export function refuseExisting(path: string, force: boolean): void {
  if (!force && existsSync(path)) throw existing(path);
}

/** Writes the cluster file; an existing one only if `force`. Throws {@link InputError}. */
export async function writeClusterFile(path: string, answers: InitAnswers, force: boolean): Promise<void> {
  const text = formatClusterFile({ ...answers, settings: {} });
  try {
    await writeFile(path, text, { flag: force ? 'w' : 'wx' });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw existing(path);
    throw new InputError(`${path} cannot be written: ${(error as Error).message}`, { cause: error });
  }
}

function existing(path: string): InputError {
  return new InputError(`${path} is there already: pass --force to replace it, or --config FILE to write another`);
}

async function answer(question: string, suggestion: string, check: (text: string) => unknown): Promise<string> {
  return canAsk() ? askLine(question, suggestion, check) : suggestion;
}
