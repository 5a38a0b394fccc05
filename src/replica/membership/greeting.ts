import type { Origin } from '../../cluster/origin.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import { protocolVersion } from '../../wire/limits.ts';
import type { OpenedWith, PeerHello } from '../../wire/peer-message.ts';
import type { LogStore } from '../log-store.ts';
import type { InitialCluster } from './formation.ts';
import { openedWith } from './openings.ts';

/** What a node says of itself on a new link. */
export class Greeting {
  readonly #store: LogStore;
  readonly #clusterName: string;
  readonly #address: string;
  readonly #initialMembers: readonly NodeId[];
  readonly #opened: OpenedWith;

  /** To be made before anything is staged in `store`. `address` is where the node is reached. */
  constructor(store: LogStore, initial: InitialCluster, address: string) {
    this.#store = store;
    this.#clusterName = initial.name;
    this.#address = address;
    this.#initialMembers = [...initial.nodes.keys()];
    this.#opened = openedWith(store);
  }

  /** As of now. `mayForm`: it counts as one who forms a cluster. */
  hello(mayForm: boolean): PeerHello {
    const { nodeId, storageId, clusterId } = this.#store.identity;
    const origin = this.#origin;
    return {
      protocolVersion,
      clusterName: this.#clusterName,
      clusterId,
      nodeId,
      address: this.#address,
      storageId,
      initialMembers: mayForm ? this.#initialMembers : [],
      ...(origin && { origin }),
      opened: this.#opened,
      openings: this.#store.openings,
    };
  }

  /** Whence the data of this node's cluster came, or its own while it belongs to none. */
  get #origin(): Origin | undefined {
    const { clusterId, origin } = this.#store.identity;
    return clusterId === undefined ? origin : this.#store.configuration?.origin;
  }
}
