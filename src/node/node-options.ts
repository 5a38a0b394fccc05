import type { ClusterSettings } from '../cluster/cluster-file.ts';
import type { Log } from '../network/log.ts';
import type { NodeId } from '../omnipaxos/ballot.ts';
import type { TlsIdentity } from '../tls/identity.ts';
import type { NodeStatus } from '../wire/client-message.ts';

/** What a node is started with. Stands apart from the node: who compiles with the library has no types of lmdb. */
export interface NodeOptions {
  readonly nodeId: NodeId;
  /** Directory of its data; made if absent. */
  readonly dataDirectory: string;
  /** 1 to 64 letters, digits, ".", "_" and "-": nodes of clusters with different names never form one. */
  readonly clusterName: string;
  /** Id → "host:port" of the members of the first configuration. A node that is not among them stands by. */
  readonly nodes: ReadonlyMap<NodeId, string>;
  /** "host:port" to listen on. */
  readonly address: string;
  /** Allows an address that other machines can reach without `tls`: whoever reaches it may read and write everything. */
  readonly insecure?: boolean | undefined;
  /**
   * All connections, of nodes and clients, are encrypted with TLS 1.3, and only those who show a certificate of an authority in `ca` are let in.
   * The certificate has to be for the host in the address by which others reach this node. All nodes have it, or none.
   */
  readonly tls?: TlsIdentity | undefined;
  readonly settings?: ClusterSettings | undefined;
  /** A new directory stands by until `kv member rebuild` gives it the node's vote, instead of forming a cluster. */
  readonly standsBy?: boolean | undefined;
  /** Refuses a directory without data, code `absent`, instead of making a new one: its disk may not be mounted. */
  readonly existing?: boolean | undefined;
  /** Takes what an operator would want to know. It must not throw: that ends the node, or the process. */
  readonly log?: Log | undefined;
}

/** A node that runs in this process. */
export interface RunningNode {
  /** "host:port" that it listens on. */
  readonly address: string;
  /** Resolves after `stop()`; rejects if the node ended by itself: a disk that failed, an invariant that broke. */
  readonly closed: Promise<void>;
  status(): NodeStatus;
  /** For a node with TLS: what it shows, and whom it believes, from the next connection on. Throws an InputError. */
  renewTls(tls: TlsIdentity): void;
  /** Answers what it can, makes everything durable, and closes. */
  stop(): Promise<void>;
  /** As {@link stop}: for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;
}
