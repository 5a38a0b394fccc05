import { ByteWriter } from '../../base/bytes.ts';
import { crc32 } from '../../base/crc32.ts';
import type { Member } from '../../cluster/configuration.ts';
import { describeOrigin, isSameOrigin, type Origin } from '../../cluster/origin.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { PeerHello } from '../../wire/peer-message.ts';

/** The first configuration as the cluster file has it. */
export interface InitialCluster {
  readonly name: string;
  /** Id → address. */
  readonly nodes: ReadonlyMap<NodeId, string>;
}

/** What its first members agree on. */
export interface FormedCluster {
  readonly clusterId: string;
  readonly members: Member[];
  /** What it begins with; undefined: empty. */
  readonly origin: Origin | undefined;
}

/**
 * How a cluster comes to be: once, when all its initial members are linked with one of them, and belong to none. Each knows then which data directory
 * every member votes with, and derives the same cluster id from that. An emptied directory cannot pass for the old member
 * afterwards: it would need all others to have forgotten too (PROTOCOL: a wiped disk must not come back under its pid).
 *
 * Members may begin with data, from a backup or out of another cluster; then all that do must begin with the same. The log of
 * the cluster begins where that data ends, so those that begin empty lack what is before it, and do not vote until they have it.
 */
export class Formation {
  readonly #initial: InitialCluster;
  readonly #self: Member;
  readonly #met = new Map<NodeId, Member>();
  /** What those who were met begin with, if they do not begin empty. */
  readonly #origins = new Map<NodeId, Origin>();
  /** What keeps a member from being met. */
  readonly #problems = new Map<NodeId, string>();
  /** Why those who were reached have no link with this node: one of the two will not have the other. */
  readonly #refusals = new Map<NodeId, string>();

  /** `origin`: what this node's directory was made with. */
  constructor(initial: InitialCluster, self: Member, origin?: Origin) {
    this.#initial = initial;
    this.#self = self;
    this.#met.set(self.id, self);
    if (origin) this.#origins.set(self.id, origin);
  }

  /** Members not heard of yet. */
  get missing(): NodeId[] {
    return [...this.#initial.nodes.keys()].filter((id) => !this.#met.has(id));
  }

  /** What keeps a member that is missing from being met, though it said hello. */
  get problem(): string | undefined {
    const [problem] = this.#problems.values();
    if (problem !== undefined) return problem;
    const [refusal] = this.#refusals;
    return refusal && `no new cluster forms with node ${refusal[0]}: ${refusal[1]}`;
  }

  get isOfSeveral(): boolean {
    return this.#initial.nodes.size > 1;
  }

  /** A node that belongs to no cluster yet said hello. Returns what keeps it from forming one with this node, if anything. */
  meet(hello: PeerHello): string | undefined {
    const address = this.#initial.nodes.get(hello.nodeId);
    if (address === undefined) return undefined;
    const problem = this.#membersProblem(hello) ?? this.#originProblem(hello.nodeId, hello.origin);
    if (problem) {
      this.#problems.set(hello.nodeId, problem);
      // It may have been met before, with another directory or file.
      this.#met.delete(hello.nodeId);
      this.#origins.delete(hello.nodeId);
      return problem;
    }
    this.#problems.delete(hello.nodeId);
    this.#met.set(hello.nodeId, { id: hello.nodeId, address, storageId: hello.storageId });
    if (hello.origin) this.#origins.set(hello.nodeId, hello.origin);
    else this.#origins.delete(hello.nodeId);
    return undefined;
  }

  /** It was tried to reach a node. `refusal`: that one of the two will not have the other, and why; undefined if it was not reached. */
  onUnreached(nodeId: NodeId, refusal: string | undefined): void {
    if (refusal === undefined) this.#refusals.delete(nodeId);
    else if (this.#initial.nodes.has(nodeId)) this.#refusals.set(nodeId, refusal);
  }

  /** A node is linked with this one, whether it is to be met or not. */
  onLinked(nodeId: NodeId): void {
    this.#refusals.delete(nodeId);
  }

  /**
   * These alone are met, nobody else who was: who is out of reach by now may have formed the cluster with all the others, whose directories
   * may have been emptied since.
   */
  meetAll(hellos: readonly PeerHello[]): void {
    const origin = this.#origins.get(this.#self.id);
    for (const known of [this.#met, this.#origins, this.#problems]) known.clear();
    this.#met.set(this.#self.id, this.#self);
    if (origin) this.#origins.set(this.#self.id, origin);
    for (const hello of hellos) this.meet(hello);
  }

  /** The cluster, once everyone was met. */
  complete(): FormedCluster | undefined {
    if (this.missing.length > 0) return undefined;
    const members = [...this.#met.values()].sort((a, b) => a.id - b.id);
    const [origin] = this.#origins.values();
    return { clusterId: clusterIdOf(this.#initial.name, members, origin), members, origin };
  }

  /** This node's own entry. */
  get self(): Member {
    return this.#self;
  }

  #membersProblem(hello: PeerHello): string | undefined {
    const mine = [...this.#initial.nodes.keys()].sort((a, b) => a - b).join(', ');
    const theirs = [...hello.initialMembers].sort((a, b) => a - b).join(', ');
    if (mine === theirs) return undefined;
    if (theirs === '') {
      return (
        `node ${hello.nodeId} forms no new cluster: it was told of one that there is, or was started with --rebuild; ` +
        `\`kv member rebuild ${hello.nodeId}\` in that cluster, or \`kv member add ${hello.nodeId}\`, takes it in`
      );
    }
    return `node ${hello.nodeId} has initial members ${theirs}, this node has ${mine}: give both the same cluster file`;
  }

  /** What keeps a node that begins with `origin` apart from another that was met. */
  #originProblem(nodeId: NodeId, origin: Origin | undefined): string | undefined {
    if (!origin) return undefined;
    for (const [id, other] of this.#origins) {
      if (id === nodeId || isSameOrigin(origin, other)) continue;
      return (
        `no cluster forms: node ${id} begins with ${describeOrigin(other)}, but node ${nodeId} with ${describeOrigin(origin)}: ` +
        'restore the same backup on both, or start one of them with an empty data directory'
      );
    }
    return undefined;
  }
}

/** 16 hexadecimal digits that follow from the name and the data directories of the first members: each computes the same. */
function clusterIdOf(name: string, members: readonly Member[], origin: Origin | undefined): string {
  const writer = new ByteWriter().text(name);
  for (const { id, storageId } of members) writer.varuint(id).text(storageId);
  if (origin) writer.text(origin.fingerprint).varuint(origin.index);
  const bytes = writer.finish();
  const high = crc32(bytes);
  const low = crc32(bytes.slice().reverse(), high);
  return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
}
