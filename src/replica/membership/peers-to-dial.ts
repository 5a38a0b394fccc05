import type { Configuration } from '../../cluster/configuration.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';

type Addresses = ReadonlyMap<NodeId, string>;

/** Whom a node wants a link with. */
export class PeersToDial {
  readonly #nodeId: NodeId;
  readonly #address: string;
  readonly #initial: Addresses;
  /** Where nobody is to become a member. */
  #usual: { readonly configuration: Configuration; readonly peers: Addresses } | undefined;

  /** `nodeId` and `address` are the node's own; `initial` are the nodes of its cluster file. */
  constructor(nodeId: NodeId, address: string, initial: Addresses) {
    this.#nodeId = nodeId;
    this.#address = address;
    this.#initial = initial;
  }

  /**
   * Members, `others`, such as nodes that are being filled or proposed as members, and those of the cluster file, without this node. While nothing
   * changes it is the same map: each tick asks for it.
   */
  with(configuration: Configuration | undefined, ...others: readonly Addresses[]): Addresses {
    const isUsual = configuration !== undefined && others.every(({ size }) => size === 0);
    if (isUsual && this.#usual?.configuration === configuration) return this.#usual.peers;
    const known = new Map((configuration?.members ?? []).map((member) => [member.id, member.address]));
    for (const addresses of others) for (const [id, address] of addresses) known.set(id, address);
    const peers = this.#withInitial(known);
    if (isUsual) this.#usual = { configuration, peers };
    return peers;
  }

  /** A cluster file may go on naming nodes that were replaced, and another, or this one, may have taken over the address. */
  #withInitial(known: Addresses): Addresses {
    const taken = new Set(known.values());
    const others = [...this.#initial].filter(([id, address]) => known.has(id) || !taken.has(address));
    const peers = new Map([...others, ...known]);
    for (const [id, address] of peers) if (id === this.#nodeId || address === this.#address) peers.delete(id);
    return peers;
  }
}

/**
 * Which members the cluster file, with the nodes `initial`, has elsewhere than the configuration, for people. What the members agreed on counts:
 * else a copy of a directory that is started elsewhere would be taken for the node that it was.
 */
export function staleAddresses(initial: Addresses, configuration: Configuration | undefined): string | undefined {
  const moved = (configuration?.members ?? []).filter(({ id, address }) => (initial.get(id) ?? address) !== address);
  if (moved.length === 0) return undefined;
  const list = moved.map(({ id, address }) => `node ${id} at ${address}, not at ${initial.get(id)}`).join(', ');
  return `the members know ${list}: that counts, and not the cluster file; kv reconfigure gives a node that moved its new address`;
}
