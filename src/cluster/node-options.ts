import { isMap } from 'node:util/types';
import { shown } from '../base/shown.ts';
import { membersMax } from '../wire/limits.ts';
import { canonicalAddress, isLoopback, memberAddress, parseAddress } from './address.ts';
import { type ClusterSettings, checkClusterName, checkSetting, settingLimits } from './cluster-file.ts';
import { InputError } from './input-error.ts';
import { nodeIdMax, refuseTwice } from './node-list.ts';

/** What of a node's options users of the library write by themselves; the command reads it from files and flags, which are checked there. */
export interface CheckedNodeOptions {
  readonly nodeId: number;
  readonly dataDirectory: string;
  readonly clusterName: string;
  readonly nodes: ReadonlyMap<number, string>;
  readonly address: string;
  readonly insecure?: boolean | undefined;
  readonly tls?: unknown;
  readonly settings?: ClusterSettings | undefined;
  readonly standsBy?: boolean | undefined;
  readonly existing?: boolean | undefined;
  readonly log?: unknown;
}

const optionNames: readonly (keyof CheckedNodeOptions)[] = [
  ...(['nodeId', 'dataDirectory', 'clusterName', 'nodes', 'address', 'insecure'] as const),
  ...(['tls', 'settings', 'standsBy', 'existing', 'log'] as const),
];

/** Throws an {@link InputError} that names the first option that is wrong, and what would be right. */
export function checkNodeOptions(options: CheckedNodeOptions): void {
  if (typeof options !== 'object' || options === null) {
    throw new InputError(
      `the options are ${shown(options)}: give { nodeId, dataDirectory, clusterName, nodes, address }`,
    );
  }
  checkKinds(options);
  const { nodeId, dataDirectory, clusterName, nodes, address, insecure = false, tls, settings = {} } = options;
  checkNodeId(nodeId, 'nodeId');
  if (typeof dataDirectory !== 'string' || dataDirectory === '' || dataDirectory.includes('\0')) {
    throw new InputError(`dataDirectory is ${shown(dataDirectory)}: give the path of a directory`);
  }
  checkClusterName(checkText(clusterName, 'clusterName'));
  checkNodes(nodes);
  canonicalAddress(checkText(address, 'address'), 'address');
  if (tls === undefined && !insecure && !isLoopback(parseAddress(address).host)) {
    throw new InputError(
      `address ${address} can be reached from other machines, and anybody may read and write there: ` +
        'give tls, or listen on 127.0.0.1, or give insecure: true if the network is yours alone',
    );
  }
  if (typeof settings !== 'object' || settings === null) {
    throw new InputError(`settings is ${shown(settings)}: give an object, or leave it out`);
  }
  checkSettings(settings);
}

/** What would be passed over in silence, or fail later. */
function checkKinds(options: CheckedNodeOptions): void {
  const unknown = Object.keys(options).find((name) => !(optionNames as readonly string[]).includes(name));
  if (unknown !== undefined) throw new InputError(`the options have ${unknown}: there are ${optionNames.join(', ')}`);
  checkFlag(options.insecure, 'insecure');
  checkFlag(options.standsBy, 'standsBy');
  checkFlag(options.existing, 'existing');
  if (options.log === undefined || typeof options.log === 'function') return;
  throw new InputError(`log is ${shown(options.log)}: give a function, or leave it out`);
}

function checkNodes(nodes: ReadonlyMap<number, string>): void {
  // One of another realm, as of a plugin's host, is as good.
  if (!isMap(nodes) || nodes.size === 0) {
    const what = isMap(nodes) ? 'names no node' : 'is no Map';
    throw new InputError(
      `nodes ${what}: give new Map([[1, '127.0.0.1:7001'], …]), the members of the first configuration`,
    );
  }
  if (nodes.size > membersMax) {
    throw new InputError(`nodes names ${nodes.size} nodes: a cluster has at most ${membersMax}`);
  }
  const listed = [...nodes].map(([id, given]) => {
    checkNodeId(id, 'an id in nodes');
    const what = `the address of node ${id} in nodes`;
    // One that is alone need not be reached by others.
    const read = nodes.size === 1 ? canonicalAddress : memberAddress;
    return { id, address: read(checkText(given, what), `${what},`) };
  });
  refuseTwice(listed);
}

/** Anything but true would be taken for false, and a node that was to stand by, or to have data, would form a cluster. */
function checkFlag(flag: unknown, what: string): void {
  if (flag === undefined || typeof flag === 'boolean') return;
  throw new InputError(`${what} is ${shown(flag)}: give true or false`);
}

function checkText(text: unknown, what: string): string {
  if (typeof text === 'string') return text;
  throw new InputError(`${what} is ${shown(text)}: give a text`);
}

function checkNodeId(id: number, what: string): void {
  if (Number.isInteger(id) && id >= 1 && id <= nodeIdMax) return;
  throw new InputError(`${what} is ${shown(id)}: give a whole number from 1 to ${nodeIdMax}`);
}

function checkSettings(settings: ClusterSettings): void {
  const names = Object.keys(settingLimits) as (keyof ClusterSettings)[];
  for (const [given, value] of Object.entries(settings)) {
    const name = names.find((one) => one === given);
    if (name === undefined) throw new InputError(`settings has ${given}: there are ${names.join(', ')}`);
    if (value !== undefined) checkSetting(name, value, `settings.${name}`);
  }
}
