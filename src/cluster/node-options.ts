import { canonicalAddress } from './address.ts';
import { type ClusterSettings, settingLimits } from './cluster-file.ts';
import { InputError } from './input-error.ts';
import { nodeIdMax } from './node-list.ts';

/** What of a node's options users of the library write by themselves; the command reads it from files and flags, which are checked there. */
export interface CheckedNodeOptions {
  readonly nodeId: number;
  readonly dataDirectory: string;
  readonly nodes: ReadonlyMap<number, string>;
  readonly address: string;
  readonly settings?: ClusterSettings;
}

/** Throws an {@link InputError} that names the first option that is wrong, and what would be right. */
export function checkNodeOptions({ nodeId, dataDirectory, nodes, address, settings = {} }: CheckedNodeOptions): void {
  checkNodeId(nodeId, 'nodeId');
  if (typeof dataDirectory !== 'string' || dataDirectory === '') {
    throw new InputError(`dataDirectory is ${String(dataDirectory) || 'empty'}: give the path of a directory`);
  }
  if (!(nodes instanceof Map)) {
    throw new InputError(
      `nodes is no Map: give new Map([[1, '127.0.0.1:7001'], …]), the members of the first configuration`,
    );
  }
  for (const [id, of] of nodes) {
    checkNodeId(id, 'an id in nodes');
    canonicalAddress(of, `the address of node ${id} in nodes,`);
  }
  canonicalAddress(address, 'address');
  for (const [name, value] of Object.entries(settings)) checkSetting(name, value);
}

function checkNodeId(id: number, what: string): void {
  if (Number.isInteger(id) && id >= 1 && id <= nodeIdMax) return;
  throw new InputError(`${what} is ${id}: give a whole number from 1 to ${nodeIdMax}`);
}

function checkSetting(name: string, value: unknown): void {
  const limits = Object.entries(settingLimits).find(([known]) => known === name)?.[1];
  if (limits === undefined) {
    throw new InputError(`settings has ${name}: there are ${Object.keys(settingLimits).join(', ')}`);
  }
  if (value === undefined || (typeof value === 'number' && value >= limits.min && value <= limits.max)) return;
  throw new InputError(`settings.${name} is ${String(value)}: give ${limits.min} to ${limits.max}`);
}
