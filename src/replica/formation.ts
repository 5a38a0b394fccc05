import { ByteWriter } from '../base/bytes.ts';
import { crc32 } from '../base/crc32.ts';
import type { Member } from '../cluster/configuration.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { PeerHello } from '../wire/peer-message.ts';

/** The first configuration as the cluster file has it. */
export interface InitialCluster {
  readonly name: string;
  /** Id → address. */
  readonly nodes: ReadonlyMap<NodeId, string>;
}

/**
 * How a cluster comes to be: once, when all its initial members have met. Each knows then which data directory
 * every member votes with, and derives the same cluster id from that. An emptied directory cannot pass for the old member
 * afterwards: it would need all others to have forgotten too (PROTOCOL: a wiped disk must not come back under its pid).
 */
export class Formation {
  readonly #initial: InitialCluster;
  readonly #self: Member;
  readonly #met = new Map<NodeId, Member>();

  constructor(initial: InitialCluster, self: Member) {
    this.#initial = initial;
    this.#self = self;
    this.#met.set(self.id, self);
  }

  /** Members not heard of yet. */
  get missing(): NodeId[] {
    return [...this.#initial.nodes.keys()].filter((id) => !this.#met.has(id));
  }

  /** A node that belongs to no cluster yet said hello. Returns what keeps it from forming one with this node, if anything. */
  meet(hello: PeerHello): string | undefined {
    const address = this.#initial.nodes.get(hello.nodeId);
    if (address === undefined) return undefined;
    const mine = [...this.#initial.nodes.keys()].sort((a, b) => a - b).join(', ');
    const theirs = [...hello.initialMembers].sort((a, b) => a - b).join(', ');
    if (mine !== theirs) {
      return `node ${hello.nodeId} has initial members ${theirs || 'none'}, this node has ${mine}: give both the same cluster file`;
    }
    this.#met.set(hello.nodeId, { id: hello.nodeId, address, storageId: hello.storageId });
    return undefined;
  }

  /** The cluster, once everyone was met. */
  complete(): { readonly clusterId: string; readonly members: Member[] } | undefined {
    if (this.missing.length > 0) return undefined;
    const members = [...this.#met.values()].sort((a, b) => a.id - b.id);
    return { clusterId: clusterIdOf(this.#initial.name, members), members };
  }

  /** This node's own entry. */
  get self(): Member {
    return this.#self;
  }
}

/** 16 hexadecimal digits that follow from the name and the data directories of the first members: each computes the same. */
function clusterIdOf(name: string, members: readonly Member[]): string {
  const writer = new ByteWriter().text(name);
  for (const { id, storageId } of members) writer.varuint(id).text(storageId);
  const bytes = writer.finish();
  const high = crc32(bytes);
  const low = crc32(bytes.slice().reverse(), high);
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}
