import type { Configuration, Identity } from '../../cluster/configuration.ts';
import { describeOrigin, formerClusterProblem, isSameOrigin } from '../../cluster/origin.ts';
import type { NodeId } from '../../omnipaxos/ballot.ts';
import type { PeerHello } from '../../wire/peer-message.ts';

/** A refused node that came within this time is taken to run, milliseconds: it comes again each second at least. */
const replacementMsMax = 10_000;

/** The nodes that this one has a link with, and what each is known to know. */
export class Peers {
  readonly #hellos = new Map<NodeId, PeerHello>();
  /** Highest configuration in which each node was heard on its present link. */
  readonly #heard = new Map<NodeId, number>();
  readonly #announcedTick = new Map<NodeId, number>();
  /** Members that came with another data directory than they vote with, and when. */
  readonly #replacements = new Map<NodeId, { readonly hello: PeerHello; readonly atMs: number }>();

  connect(hello: PeerHello): void {
    this.#hellos.set(hello.nodeId, hello);
    this.#replacements.delete(hello.nodeId);
    this.#heard.delete(hello.nodeId);
    this.#announcedTick.delete(hello.nodeId);
  }

  /** A node was refused because a member of its id votes with another directory: should it be rebuilt, this is with what. */
  refuse(hello: PeerHello, configuration: Configuration | undefined, nowMs: number): void {
    const member = configuration?.members.find(({ id }) => id === hello.nodeId);
    if (member && member.storageId !== hello.storageId) this.#replacements.set(hello.nodeId, { hello, atMs: nowMs });
  }

  /** What a member runs with that does not vote with it, as of the last seconds: it knocks again and again. */
  replacementOf(nodeId: NodeId, nowMs: number): PeerHello | undefined {
    const found = this.#replacements.get(nodeId);
    return found && nowMs - found.atMs <= replacementMsMax ? found.hello : undefined;
  }

  disconnect(nodeId: NodeId): void {
    this.#hellos.delete(nodeId);
  }

  has(nodeId: NodeId): boolean {
    return this.#hellos.has(nodeId);
  }

  helloOf(nodeId: NodeId): PeerHello | undefined {
    return this.#hellos.get(nodeId);
  }

  hellos(): PeerHello[] {
    return [...this.#hellos.values()];
  }

  ids(): NodeId[] {
    return [...this.#hellos.keys()];
  }

  /** A message of this configuration came from it. */
  heard(nodeId: NodeId, configurationId: number): void {
    // Set each time: what is done for the first message of a new configuration alone makes V8 compile the rest anew just then.
    this.#heard.set(nodeId, Math.max(this.#heard.get(nodeId) ?? 0, configurationId));
  }

  /** True if it was heard in this configuration or a later one: it need not be told. */
  knows(nodeId: NodeId, configurationId: number): boolean {
    return (this.#heard.get(nodeId) ?? 0) >= configurationId;
  }

  /** There is a new configuration to tell of. */
  beginConfiguration(): void {
    this.#heard.clear();
    this.#announcedTick.clear();
    this.#replacements.clear();
  }

  /** True once a tick for each node: telling it more often is no use, however many messages of the past arrive. */
  mayAnnounce(nodeId: NodeId, tick: number): boolean {
    if (!this.#hellos.has(nodeId) || this.#announcedTick.get(nodeId) === tick) return false;
    this.#announcedTick.set(nodeId, tick);
    return true;
  }
}

/** What a node checks others against. */
export interface Self {
  readonly identity: Identity;
  readonly clusterName: string;
  readonly configuration: Configuration | undefined;
}

/** Why the node that says `hello`, with whatever directory, has no place here, or undefined. */
export function strangerProblem(hello: PeerHello, self: Self): string | undefined {
  const { nodeId, clusterId } = self.identity;
  if (hello.nodeId === nodeId) return `it says that it is node ${nodeId}, which is this node`;
  if (hello.clusterName !== self.clusterName) {
    return `it is of cluster "${hello.clusterName}", this node of "${self.clusterName}"`;
  }
  if (clusterId !== undefined && hello.clusterId !== undefined && clusterId !== hello.clusterId) {
    const former = formerClusterProblem({ nodeId, clusterId, origin: self.configuration?.origin }, hello);
    return former ?? `its data is of cluster ${hello.clusterId}, this node's of ${clusterId}`;
  }
  return originProblem(hello, self);
}

/** Why the member that says `hello` is not to be linked with: it votes with another directory. */
export function otherDirectoryProblem(hello: PeerHello, configuration: Configuration | undefined): string | undefined {
  const member = configuration?.members.find(({ id }) => id === hello.nodeId);
  if (!member || member.storageId === hello.storageId) return undefined;
  return (
    // It has to fit into the last word on a connection.
    `it votes with directory ${member.storageId} and runs with ${hello.storageId}: ` +
    `\`kv member rebuild ${hello.nodeId}\` moves its vote`
  );
}

/**
 * A directory that was made with data, from a backup or out of another cluster, is there for a cluster to form with: it has no
 * place in one that formed without it, and one that it is to form has no place for members of another.
 */
function originProblem(hello: PeerHello, self: Self): string | undefined {
  const { clusterId, nodeId, origin } = self.identity;
  if (clusterId === undefined && hello.clusterId !== undefined) {
    if (!origin || isSameOrigin(origin, hello.origin)) return undefined;
    return formerClusterProblem({ nodeId, clusterId, origin }, hello) ?? foreignProblem(nodeId, hello.clusterId);
  }
  if (clusterId === undefined || hello.clusterId !== undefined || !hello.origin) return undefined;
  if (isSameOrigin(hello.origin, self.configuration?.origin)) return undefined;
  return `${foreignProblem(hello.nodeId, clusterId)} (it holds ${describeOrigin(hello.origin)})`;
}

function foreignProblem(nodeId: NodeId, clusterId: string): string {
  return (
    `the data directory of node ${nodeId} was made for a cluster that is yet to form, and is no part of cluster ${clusterId}: ` +
    `start node ${nodeId} with an empty one`
  );
}
