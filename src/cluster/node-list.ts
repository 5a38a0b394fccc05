import type { NodeId } from '../omnipaxos/ballot.ts';
import { memberAddress } from './address.ts';
import { InputError } from './input-error.ts';

/** A node in a list that a person wrote: its id, and its address where it was given. */
export interface ListedNode {
  readonly id: NodeId;
  /** "host:port". */
  readonly address?: string;
}

/** Highest node id. */
export const nodeIdMax: NodeId = 2 ** 31 - 1;

/**
 * Reads `1,2,4` or `1,2,4=10.0.0.4:7004`, in ascending order of ids. At most `nodesMax` nodes, each id and each address once.
 * Throws {@link InputError}, which names the item that is wrong.
 */
export function parseNodeList(text: string, nodesMax: number): ListedNode[] {
  if (text.trim() === '') throw new InputError('the list of nodes is empty: name at least one node, such as 1,2,3');
  const items = text.split(',');
  if (items.length > nodesMax) {
    throw new InputError(`the list names ${items.length} nodes: a cluster has at most ${nodesMax}`);
  }
  const nodes = items.map((item, at) => parseItem(item.trim(), at, text));
  refuseTwice(nodes);
  return nodes.sort((a, b) => a.id - b.id);
}

/** A node id: a whole number from 1, in plain digits. Throws {@link InputError}; `what` names it there. */
export function parseNodeId(text: string, what = 'node id'): NodeId {
  const id = /^[1-9][0-9]{0,9}$/.test(text) ? Number(text) : 0;
  if (id < 1 || id > nodeIdMax) {
    throw new InputError(`${what} "${text}" is not one: ids are whole numbers from 1 to ${nodeIdMax}, such as 4`);
  }
  return id;
}

function parseItem(item: string, at: number, list: string): ListedNode {
  if (item === '') {
    throw new InputError(
      `item ${at + 1} of the list "${list}" is empty: write node ids with one comma between, such as 1,2,4`,
    );
  }
  const equals = item.indexOf('=');
  if (equals === -1) return { id: parseNodeId(item) };
  const id = parseNodeId(item.slice(0, equals));
  return { id, address: memberAddress(item.slice(equals + 1), `the address of node ${id},`) };
}

/** Throws {@link InputError} if two nodes share an id or an address. */
export function refuseTwice(nodes: readonly ListedNode[]): void {
  const ids = new Set<NodeId>();
  const addresses = new Map<string, NodeId>();
  for (const { id, address } of nodes) {
    if (ids.has(id)) throw new InputError(`node ${id} is named twice: name each node once`);
    ids.add(id);
    if (address === undefined) continue;
    const other = addresses.get(address);
    if (other !== undefined) {
      throw new InputError(`nodes ${other} and ${id} have the same address ${address}: each node needs its own`);
    }
    addresses.set(address, id);
  }
}
